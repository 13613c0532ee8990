package pluginlog

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// longestLine is how much of one line of a plugin's log is kept, in bytes.
const longestLine = 16 << 10

// Stream parts what a plugin writes into lines. What it keeps is bounded,
// whatever is written.
type Stream struct {
	to func(line string, cut bool)

	mu   sync.Mutex
	line []byte
	cut  bool
}

// Write never fails.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := p
	for {
		part, after, found := bytes.Cut(rest, []byte{'\n'})
		s.append(part)
		if !found {
			return len(p), nil
		}
		s.emit()
		rest = after
	}
}

// flush ends an unfinished line.
func (s *Stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit()
}

func (s *Stream) append(part []byte) {
	if room := longestLine - len(s.line); len(part) > room {
		part = part[:room]
		s.cut = true
	}
	s.line = append(s.line, part...)
}

func (s *Stream) emit() {
	cut := s.cut
	if cut {
		s.line = withoutHalfRune(s.line)
	}
	text := strings.TrimRight(strings.ToValidUTF8(string(s.line), string(utf8.RuneError)), "\r")
	s.line, s.cut = s.line[:0], false
	if text != "" {
		s.to(text, cut)
	}
}

// withoutHalfRune is a text that has been cut, without the part of a character at
// its end: it would keep the beginning of a secret from being recognized.
func withoutHalfRune(text []byte) []byte {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}

// line is one line of a plugin's log, understood as far as possible.
type line struct {
	level   zapcore.Level
	message string
	fields  map[string]any // without level, message and time
	size    int            // of what the plugin wrote, in bytes
	cut     bool           // only its beginning is there
	panics  bool           // part of the text of a panic
	output  bool           // written to standard output
	chatter bool           // what a library says of itself while all is well
}

// parseLine understands the JSON of zap and log/slog (level, msg) and of hclog
// (@level, @message). Everything else is text; it is said not to be structured.
func parseLine(text string) (parsed line, structured bool) {
	parsed = line{level: zapcore.InfoLevel, message: text}
	if !strings.HasPrefix(text, "{") {
		return parsed, false
	}
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // A large number is an id, and must stay one.
	if err := decoder.Decode(&object); err != nil || strings.TrimSpace(text[decoder.InputOffset():]) != "" {
		return parsed, false
	}
	message, ok := takeText(object, "msg", "@message", "message")
	if !ok {
		return parsed, false
	}
	level, _ := takeText(object, "level", "@level")
	_, _ = takeText(object, "ts", "@timestamp", "time") // The host's log has its own.
	delete(object, "ts")                                // zap's is a number.
	return line{level: levelOf(level), message: message, fields: object}, true
}

// isChatter says that gRPC logs a server or a connection that it has made, which
// it does at each start of an unmodified connector, or the SDK of the use of its cache,
// which it does at the end of each sync, or of the end of a call, whose error the host
// gets with its answer and reports.
func isChatter(l line) bool {
	beginsWith := func(chatter string) bool { return strings.HasPrefix(l.message, chatter) }
	if slices.ContainsFunc([]string{"finished unary call with code ", "finished stream call with code "}, beginsWith) {
		return true
	}
	return l.level <= zapcore.InfoLevel && slices.ContainsFunc([]string{"[core]", "[transport]", "MemorySessionCache Stats"}, beginsWith)
}

// levelOf is the level of this name. A plugin's worst is an error: its end is not
// the host's.
func levelOf(name string) zapcore.Level {
	switch strings.ToLower(name) {
	case "trace", "debug":
		return zapcore.DebugLevel
	case "warn", "warning":
		return zapcore.WarnLevel
	case "error", "err", "dpanic", "panic", "fatal", "critical":
		return zapcore.ErrorLevel
	default:
		return zapcore.InfoLevel
	}
}

// takeText removes the first of these keys that has a text and returns the text.
func takeText(object map[string]any, keys ...string) (string, bool) {
	for _, key := range keys {
		if text, ok := object[key].(string); ok {
			delete(object, key)
			return text, true
		}
	}
	return "", false
}

// panicBeginnings are how the text of a crash begins, in Go and in Python.
var panicBeginnings = []string{
	"panic: ", "fatal error: ", "runtime: ", "unexpected fault address", "SIGABRT: ", "SIGBUS: ", "SIGQUIT: ", "SIGSEGV: ",
	"Traceback (most recent call last):",
}

// BeginsPanic reports whether a line begins the text of a crash.
func BeginsPanic(text string) bool {
	return slices.ContainsFunc(panicBeginnings, func(beginning string) bool { return strings.HasPrefix(text, beginning) })
}

// printable is what a plugin wrote as it may be seen. The lines of a panic are
// indented with tabs.
func printable(text string) string { return errtext.Printable(text, "\t") }
