package supervise

import (
	"fmt"
	"io"

	hclog "github.com/hashicorp/go-hclog"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
)

// goPluginLogger gives go-plugin's own diagnostics to our log at debug level.
// go-plugin v1.8.0 parses every line of a plugin's log unless the logger it
// names after the plugin is off, and its parser panics on lines such as
// {"@message":1}: so Named returns one that is.
type goPluginLogger struct {
	hclog.Logger
	log *zap.Logger
	// logs knows the secrets that a plugin's error could hold.
	logs *pluginlog.Writer
}

func newGoPluginLogger(log *zap.Logger, logs *pluginlog.Writer) hclog.Logger {
	return goPluginLogger{Logger: hclog.NewNullLogger(), log: log, logs: logs}
}

func (l goPluginLogger) Named(string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard})
}

func (l goPluginLogger) Debug(message string, args ...any) { l.debug(message, args) }

func (l goPluginLogger) Warn(message string, args ...any) { l.debug(message, args) }

func (l goPluginLogger) Error(message string, args ...any) { l.debug(message, args) }

func (l goPluginLogger) debug(message string, args []any) {
	if !l.log.Core().Enabled(zap.DebugLevel) {
		return
	}
	for i, arg := range args {
		args[i] = l.logs.Blank(fmt.Sprint(arg))
	}
	l.log.Sugar().Debugw(l.logs.Blank(message), args...)
}
