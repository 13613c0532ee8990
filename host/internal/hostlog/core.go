package hostlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

const (
	// maxText is how much of an error or another text is logged, in bytes.
	maxText = 4 << 10
	// maxMessage is the same for messages, which plugins' lines are, too.
	maxMessage = 16 << 10
	// maxValue is the same for a field that has a structure, as JSON.
	maxValue = 64 << 10
	// deepest is how deep texts are looked for in one.
	deepest = 100
)

// boundedCore is a core that cuts what is too long for a line, escapes what a terminal
// would obey, and adds what to do about a limit of the system that an error speaks of, and
// to warnings and errors the entry of the runbook. It changes what is logged and nothing
// else: an error goes to its caller, and to C1, as it was.
type boundedCore struct{ zapcore.Core }

// With bounds the fields of a logger.
func (b boundedCore) With(fields []zapcore.Field) zapcore.Core {
	return boundedCore{b.Core.With(boundedFields(fields))}
}

// Check has lines written by Write, which bounds them.
func (b boundedCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(entry.Level) {
		return checked.AddCore(entry, b)
	}
	return checked
}

// Write bounds a line and writes it.
func (b boundedCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	entry.Message = cut(entry.Message, maxMessage)
	entry.Stack = cut(entry.Stack, maxMessage)
	entry.LoggerName = cut(entry.LoggerName, maxText)
	if entry.Level >= zapcore.WarnLevel {
		fields = withAdvice(fields, "runbook", errtext.RunbookEntry)
	}
	return b.Core.Write(entry, boundedFields(fields))
}

func boundedFields(fields []zapcore.Field) []zapcore.Field {
	short := slices.Clone(withAdvice(fields, "hint", errtext.LimitHint))
	for i, field := range short {
		short[i] = boundedField(field)
	}
	return short
}

// withAdvice adds a field with what is found for the first error among the fields for which
// something is. The lines of plugins, of which there may be many, have texts and no errors,
// and go without: to look up an entry of the runbook takes milliseconds.
func withAdvice(fields []zapcore.Field, key string, find func(text string) string) []zapcore.Field {
	for _, field := range fields {
		if field.Type != zapcore.ErrorType {
			continue
		}
		text, _ := textOf(field) // A nil pointer in an error must not end the process.
		if found := find(text); found != "" && !strings.Contains(text, found) {
			return append(slices.Clip(fields), zap.String(key, found))
		}
	}
	return fields
}

// boundedField returns a field that is no longer than a log line should have it. An error
// is its text, also where it has more to print, such as a stack or its causes.
func boundedField(field zapcore.Field) zapcore.Field {
	switch field.Type {
	case zapcore.StringType:
		field.String = cut(field.String, maxText)
	case zapcore.ErrorType, zapcore.StringerType:
		if text, ok := textOf(field); ok {
			return zap.String(field.Key, cut(text, maxText))
		}
	case zapcore.ByteStringType:
		if text, ok := field.Interface.([]byte); ok {
			return zap.String(field.Key, cut(string(text), maxText))
		}
	case zapcore.BinaryType:
		if data, ok := field.Interface.([]byte); ok && len(data) > maxText {
			return zap.String(field.Key, fmt.Sprintf("(%d bytes)", len(data)))
		}
	case zapcore.ReflectType, zapcore.ArrayMarshalerType, zapcore.ObjectMarshalerType, zapcore.InlineMarshalerType:
		return boundedValue(field)
	}
	return field
}

// textOf returns the text of a field that makes one. Zap does it, as it overcomes those
// that panic.
func textOf(field zapcore.Field) (text string, ok bool) {
	into := zapcore.NewMapObjectEncoder()
	field.AddTo(into)
	text, ok = into.Fields[field.Key].(string)
	return text, ok
}

// boundedValue cuts the texts in a field that has a structure, and all of it if that
// is not enough.
func boundedValue(field zapcore.Field) zapcore.Field {
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{SkipLineEnding: true})
	line, err := encoder.EncodeEntry(zapcore.Entry{}, []zapcore.Field{field})
	if err != nil {
		return field // Zap reports that in the line.
	}
	defer line.Free()
	if line.Len() <= maxText && errtext.Printable(line.String(), "") == line.String() {
		return field
	}
	if field.Type != zapcore.InlineMarshalerType {
		var object map[string]any
		decoder := json.NewDecoder(strings.NewReader(line.String()))
		decoder.UseNumber()
		if decoder.Decode(&object) == nil {
			value := cutTexts(object[field.Key], deepest)
			if text, err := json.Marshal(value); err == nil && len(text) <= maxValue {
				return zap.Reflect(field.Key, value)
			}
		}
	}
	return zap.String(field.Key, cut(line.String(), maxText))
}

// cutTexts cuts the texts in a decoded JSON value.
func cutTexts(value any, depth int) any {
	switch value := value.(type) {
	case string:
		return cut(value, maxText)
	case map[string]any:
		if depth == 0 {
			return nil
		}
		short := make(map[string]any, len(value))
		for key, item := range value {
			short[cut(key, maxText)] = cutTexts(item, depth-1)
		}
		return short
	case []any:
		if depth == 0 {
			return nil
		}
		for i, item := range value {
			value[i] = cutTexts(item, depth-1)
		}
	}
	return value
}

// cut returns a text of so many bytes at most, the mark that it was cut among them, in
// which nothing but line breaks and tabs is obeyed by a terminal.
func cut(text string, limit int) string {
	text = errtext.Printable(errtext.Shorten(text, limit), "\n\t")
	// Escapes are longer than what they stand for.
	return errtext.Shorten(text, limit)
}

// sdk begins the names of the SDK's functions.
const sdk = "github.com/conductorone/baton-sdk/"

// returning are the parts of the SDK that return the errors that they log. The host
// logs what a sync or a task returns, once, with the reason.
var returning = []string{sdk + "pkg/sync", sdk + "pkg/tasks/c1api", sdk + "pkg/ratelimit", sdk + "pkg/connectorclient"}

// going are the errors that these log and go on from, so that nothing else reports them.
var going = []string{
	"error checkpointing while stopping sync",
	"error clearing connector caches",
	"error getting user trait",
	"error making group principal bid",
	"failed to close client connection",
	"failed to close sync asset",
	"failed to delete file with debug logs",
	"failed to remove temp file",
	"failed to remove temp file after open failure",
	"failed to remove temp file after sync failure",
	"heartbeat: failed sending heartbeat",
	"ratelimit: error reporting rate limit",
}

// quietCore is a core that leaves out what the SDK repeats: its running commentary,
// cancellations, and errors that the host reports. Who debugs gets them all.
type quietCore struct{ zapcore.Core }

// With keeps the logger's fields.
func (q quietCore) With(fields []zapcore.Field) zapcore.Core { return quietCore{q.Core.With(fields)} }

// Check has lines written by Write: who logs is known only then.
func (q quietCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if q.Enabled(entry.Level) {
		return checked.AddCore(entry, q)
	}
	return checked
}

// Write writes a line unless it is one to leave out.
func (q quietCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if strings.HasPrefix(entry.Caller.Function, sdk) && !q.Enabled(zapcore.DebugLevel) && isRepeated(entry, fields) {
		return nil
	}
	return q.Core.Write(entry, fields)
}

// isRepeated reports whether a line of the SDK can be left out.
func isRepeated(entry zapcore.Entry, fields []zapcore.Field) bool {
	if entry.Level < zapcore.WarnLevel {
		return true
	}
	if entry.Level > zapcore.ErrorLevel {
		return false
	}
	for _, field := range fields {
		err, ok := field.Interface.(error)
		if field.Type != zapcore.ErrorType || !ok {
			continue
		}
		if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
			return true
		}
		if entry.Level == zapcore.ErrorLevel && !slices.Contains(going, entry.Message) {
			return slices.ContainsFunc(returning, func(part string) bool { return strings.HasPrefix(entry.Caller.Function, part) })
		}
	}
	return false
}
