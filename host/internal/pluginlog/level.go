package pluginlog

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// WithLevel returns a logger for a plugin that has its own level: it writes where
// the host's logger writes, whatever the host's level is. Without a name it is the
// host's logger.
func WithLevel(log *zap.Logger, name string) (*zap.Logger, error) {
	if name == "" {
		return log, nil
	}
	level, err := zapcore.ParseLevel(name)
	if err != nil {
		return nil, fmt.Errorf("the log level must be debug, info, warn or error, not %q", name)
	}
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return leveled{Core: core, level: level}
	})), nil
}

// leveled is a core with its own level, in place of that of the core that it
// writes to.
type leveled struct {
	zapcore.Core
	level zapcore.Level
}

func (c leveled) Enabled(level zapcore.Level) bool { return c.level.Enabled(level) }

func (c leveled) With(fields []zapcore.Field) zapcore.Core {
	return leveled{Core: c.Core.With(fields), level: c.level}
}

func (c leveled) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}
