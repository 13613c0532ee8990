package terminal

import (
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// limits are what a system reports when one of its limits is reached, and what a
// person does about it. The longer text comes first.
var limits = []struct{ reports, remedy string }{
	{"too many open files in system", "the limit of open files of a whole machine is reached; if it is this one, raise fs.file-max (sysctl)"},
	{"too many open files", "a limit of open files is reached; if it is this machine's, raise it (ulimit -n, LimitNOFILE= in a systemd unit, --ulimit nofile= of a container)"},
}

// LimitHint is what to do about the limit that an error's text speaks of; "" if it
// speaks of none. The text is all that is left of an error that another process, such
// as a plugin, has returned.
func LimitHint(text string) string {
	for _, limit := range limits {
		if strings.Contains(text, limit.reports) {
			return limit.remedy
		}
	}
	return ""
}

// WithLimitHint appends the hint to an error's text that has none yet.
func WithLimitHint(text string) string {
	hint := LimitHint(text)
	if hint == "" || strings.Contains(text, hint) {
		return text
	}
	return text + "; " + hint
}

// HintLimits adds the hint, as a field, to every line that is logged with an error that
// needs it.
func HintLimits(core zapcore.Core) zapcore.Core { return hintingCore{core} }

type hintingCore struct{ zapcore.Core }

func (c hintingCore) With(fields []zapcore.Field) zapcore.Core {
	return hintingCore{c.Core.With(withHint(fields))}
}

func (c hintingCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c hintingCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	return c.Core.Write(entry, withHint(fields))
}

// withHint adds the hint of the first error among the fields that needs one.
func withHint(fields []zapcore.Field) []zapcore.Field {
	for _, field := range fields {
		err, ok := field.Interface.(error)
		if !ok || field.Type != zapcore.ErrorType {
			continue
		}
		text := err.Error()
		if hint := LimitHint(text); hint != "" && !strings.Contains(text, hint) {
			return append(slices.Clip(fields), zap.String("hint", hint))
		}
	}
	return fields
}
