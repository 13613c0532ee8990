package supervise

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/plugin/redact"
)

const (
	// longestLine is how much of one line of a plugin's log is kept, in bytes.
	longestLine = 16 << 10
	// tailLines is how many last lines are kept for the message of a crash.
	tailLines = 20
)

// logWriter takes what a plugin writes to standard error and logs it line by
// line under the plugin's name. Nothing that a plugin can write harms it: a
// line is cut, not grown; what is no JSON is text; values of secrets are
// blanked first.
type logWriter struct {
	log *zap.Logger

	mu      sync.Mutex
	secrets *redact.Redactor
	line    []byte
	cut     bool
	tail    []string
	panics  bool // a panic's text has begun: what follows belongs to it
}

func newLogWriter(log *zap.Logger) *logWriter {
	return &logWriter{log: log, secrets: redact.Of()}
}

// setPID adds the process id to every line from now on.
func (w *logWriter) setPID(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = w.log.With(zap.Int("pid", pid))
}

// redact blanks the values of these secrets in every line from now on.
func (w *logWriter) redact(secrets *redact.Redactor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = secrets
}

// blank blanks the values of secrets in a text that the plugin sent.
func (w *logWriter) blank(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.secrets.Blank(text)
}

// Write never fails.
func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := p
	for {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		w.append(line)
		if !found {
			return len(p), nil
		}
		w.emit()
		rest = after
	}
}

// flush logs an unfinished last line.
func (w *logWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.emit()
}

// lastLines are the latest lines that a person would read, oldest first.
func (w *logWriter) lastLines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.tail...)
}

func (w *logWriter) append(part []byte) {
	room := longestLine - len(w.line)
	if len(part) > room {
		part = part[:room]
		w.cut = true
	}
	w.line = append(w.line, part...)
}

func (w *logWriter) emit() {
	text := strings.TrimRight(strings.ToValidUTF8(string(w.line), string(utf8.RuneError)), "\r")
	cut := w.cut
	w.line = w.line[:0]
	w.cut = false
	if text == "" {
		return
	}

	entry := w.parse(text)
	entry.message = w.secrets.Blank(entry.message)
	w.tail = append(w.tail, entry.message)
	if len(w.tail) > tailLines {
		w.tail = w.tail[1:]
	}

	checked := w.log.Check(entry.level, entry.message)
	if checked == nil {
		return
	}
	var fields []zap.Field
	if len(entry.fields) > 0 {
		if encoded, err := json.Marshal(entry.fields); err == nil {
			fields = append(fields, zap.String("fields", w.secrets.Blank(string(encoded))))
		}
	}
	if cut {
		fields = append(fields, zap.Bool("cut", true))
	}
	checked.Write(fields...)
}

// entry is one line, understood as far as possible.
type entry struct {
	level   zapcore.Level
	message string
	fields  map[string]any
}

// parse understands the JSON of zap (level, msg) and of hclog (@level,
// @message); everything else is text.
func (w *logWriter) parse(text string) entry {
	if strings.HasPrefix(text, "{") {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err == nil {
			if parsed, ok := structured(object); ok {
				w.panics = false
				return parsed
			}
		}
	}
	if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
		w.panics = true
	}
	if w.panics {
		return entry{level: zapcore.ErrorLevel, message: text}
	}
	return entry{level: zapcore.InfoLevel, message: text}
}

func structured(object map[string]any) (entry, bool) {
	message, ok := firstText(object, "msg", "@message", "message")
	if !ok {
		return entry{}, false
	}
	parsed := entry{level: zapcore.InfoLevel, message: message, fields: object}
	if name, ok := firstText(object, "level", "@level"); ok {
		if level, err := zapcore.ParseLevel(name); err == nil && level <= zapcore.ErrorLevel {
			parsed.level = level
		} else if strings.EqualFold(name, "trace") {
			parsed.level = zapcore.DebugLevel
		} else if err == nil {
			parsed.level = zapcore.ErrorLevel
		}
	}
	for _, key := range []string{"level", "@level", "msg", "@message", "ts", "@timestamp"} {
		delete(object, key)
	}
	return parsed, true
}

func firstText(object map[string]any, keys ...string) (string, bool) {
	for _, key := range keys {
		if text, ok := object[key].(string); ok {
			return text, true
		}
	}
	return "", false
}
