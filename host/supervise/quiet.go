package supervise

import (
	"io"

	hclog "github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
)

// goPluginLogger gives go-plugin's own diagnostics to our log at debug level.
// go-plugin v1.8.0 parses every line of a plugin's log unless the logger it
// names after the plugin is off, and its parser panics on lines such as
// {"@message":1}: so Named returns one that is.
type goPluginLogger struct {
	hclog.Logger
	log *zap.Logger
}

func newGoPluginLogger(log *zap.Logger) hclog.Logger {
	return goPluginLogger{Logger: hclog.NewNullLogger(), log: log}
}

func (l goPluginLogger) Named(string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard})
}

func (l goPluginLogger) Debug(message string, args ...any) { l.log.Sugar().Debugw(message, args...) }

func (l goPluginLogger) Warn(message string, args ...any) { l.log.Sugar().Debugw(message, args...) }

func (l goPluginLogger) Error(message string, args ...any) { l.log.Sugar().Debugw(message, args...) }
