// Package hostlog writes the host's log, and its other lines on standard error.
//
// The command line makes its logger with it at the start, and everything below logs through
// that logger. It must never keep work waiting because standard error is not read, lose a
// line while it is read, or write a line without bounds.
package hostlog

import (
	"context"
	"os"
	"time"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Stderr is the process's standard error. What the host writes there goes through it,
// so that lines keep their order, and none of them can block.
var Stderr = NewWriter(os.Stderr)

// New returns a logger that writes to a Writer in the SDK's form for it: lines of JSON
// or, for logging.LogFormatConsole, lines for people.
func New(to *Writer, format string, level zapcore.Level) *zap.Logger {
	config := zap.NewProductionConfig()
	logging.WithLogFormat(format)(&config)
	encoder := zapcore.NewJSONEncoder(config.EncoderConfig)
	if config.Encoding == logging.LogFormatConsole {
		encoder = zapcore.NewConsoleEncoder(config.EncoderConfig)
	}
	if level <= zapcore.ErrorLevel {
		to.reportLost(func(lines int) []byte { return lostLine(encoder, lines) })
	}
	return zap.New(zapcore.NewCore(encoder, to, level), zap.AddCaller(), zap.ErrorOutput(to))
}

// lostLine returns the line that reports lost ones. It is written at every level of the log:
// a log with gaps must show them.
func lostLine(encoder zapcore.Encoder, lines int) []byte {
	entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), Message: lostLines}
	line, err := encoder.EncodeEntry(entry, []zapcore.Field{zap.Int("lines", lines)})
	if err != nil {
		return nil
	}
	return line.Bytes()
}

// Use returns a context with the logger as the host logs with it; see [Core]. It is to be called last: what is in the logger by then, such as
// the collector of telemetry, gets the same lines. It is also the process's logger, for code without a context.
func Use(ctx context.Context, log *zap.Logger) (context.Context, error) {
	log = log.WithOptions(zap.WrapCore(Core))
	zap.ReplaceGlobals(log)
	// The SDK's storage engine writes to the standard logger.
	if _, err := zap.RedirectStdLogAt(log, zap.DebugLevel); err != nil {
		return nil, err
	}
	return ctxzap.ToContext(ctx, log), nil
}

// Core returns a core that the host logs to: what it writes is bounded, names what to do
// about the system's limits, and is without what the SDK repeats.
func Core(core zapcore.Core) zapcore.Core { return quietCore{boundedCore{core}} }

// Command returns the logger of what a command writes beside its log, in JSON: one line
// on standard error, at whatever level the log is.
func Command(name string) *zap.Logger {
	log := New(Stderr, logging.LogFormatJSON, zapcore.InfoLevel)
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return boundedCore{core} })).With(zap.String("command", name))
}
