// Package pluginlog takes what a plugin writes, to its log and to standard output, and
// logs it line by line: cut, redacted, at a level.
//
// Package proc calls it with what a process writes, and package supervise to blank the
// secrets of a plugin's configuration in its lines and its errors. It must never let
// anything that a plugin writes harm the host, fill its disk, reach a terminal as a
// command, or leak a secret.
package pluginlog

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"

	"github.com/batonhost/baton-host/plugin/redact"
)

const (
	// tailLines is how many last lines are kept for the message of a crash, and
	// tailLine how much of each, in bytes.
	tailLines = 20
	tailLine  = 1 << 10
	// A plugin may log so many lines in a second, and so many at once. What is
	// beyond is dropped and counted: a plugin that floods its log must not fill
	// the disk or drown the others. A long line counts as one for each
	// lineShare bytes.
	linesPerSecond = 1000
	linesAtOnce    = 5000
	lineShare      = 1 << 10
	// dropNotice is how long after the first line that is dropped the log says
	// how many there were, in place of one notice for each.
	dropNotice = time.Second
)

// Writer takes what a plugin writes to its log and to standard output and logs
// it line by line under the plugin's name. Nothing that a plugin can write harms
// it: a line is cut, not grown; what is no JSON is text; what a terminal would
// take for a command is escaped; a flood is cut down; values of secrets are
// blanked.
type Writer struct {
	// stderr is the log proper, and stdout what should not be there: standard
	// output carries the handshake and nothing else. Both end with the process.
	// synced is standard error as go-plugin brings it, and printed standard
	// output: what is written to os.Stderr and os.Stdout once go-plugin serves.
	Stderr, Stdout, Synced, Printed *Stream

	observe func(Line) // receives every line; nil: none does

	mu      sync.Mutex
	log     *zap.Logger
	secrets *redact.Redactor
	// configured and concealed are what secrets is made of, with what retired had then.
	configured, concealed []string
	retired               *Retired
	retiredThen           []string
	tail                  []line
	panics                bool // a panic's text has begun: what follows belongs to it
	allowed               *rate.Limiter
	dropped               int
	notice                *time.Timer // logs how many were dropped; nil while there are none
}

// New returns a writer that logs to log. observe receives every line, at whatever
// level, and must be quick; it may be nil.
func New(log *zap.Logger, observe func(Line)) *Writer {
	w := &Writer{log: log, observe: observe, secrets: redact.Of(), retired: &Retired{}, allowed: rate.NewLimiter(linesPerSecond, linesAtOnce)}
	w.Stderr = &Stream{to: w.takeLog}
	w.Synced = &Stream{to: w.takeLog}
	w.Stdout = &Stream{to: w.takeOutput}
	w.Printed = &Stream{to: w.takeOutput}
	return w
}

// SetPID adds the process id to every line from now on.
func (w *Writer) SetPID(pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = w.log.With(zap.Int("pid", pid))
}

// Logger returns where lines about the process go.
func (w *Writer) Logger() *zap.Logger {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log
}

// Redact blanks the secrets of the plugin's configuration in every line from now on.
func (w *Writer) Redact(secrets []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.configured = secrets
	w.build()
}

// Secrets returns the secrets of the plugin's configuration.
func (w *Writer) Secrets() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.configured
}

// Share blanks in every line from now on what these retired secrets are at the time.
func (w *Writer) Share(retired *Retired) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retired = retired
	w.build()
}

// build makes the redactor. The caller holds the lock.
func (w *Writer) build() {
	w.retiredThen = w.retired.Texts()
	w.secrets = redact.Of(slices.Concat(w.configured, w.concealed, w.retiredThen)...)
}

// Forget forgets retired secrets whose time is over, also if no line comes any more.
func (w *Writer) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh()
}

// refresh makes the redactor again if secrets have been retired or forgotten since. The
// caller holds the lock.
func (w *Writer) refresh() {
	if !slices.Equal(w.retiredThen, w.retired.Texts()) {
		w.build()
	}
}

// Conceal blanks these texts too, in place of those that it was last called with.
func (w *Writer) Conceal(texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.concealed = texts
	w.build()
}

// redactor blanks the values of secrets in what the plugin sends otherwise.
func (w *Writer) redactor() *redact.Redactor {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh()
	return w.secrets
}

// Blank returns a text of the plugin as it may be seen.
func (w *Writer) Blank(text string) string { return printable(w.redactor().Blank(text)) }

// Flush logs unfinished last lines.
func (w *Writer) Flush() {
	for _, stream := range []*Stream{w.Stderr, w.Stdout, w.Synced, w.Printed} {
		stream.flush()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reportDropped()
}

// LastLines returns the latest lines that a person would read, oldest first; after a
// panic those with which it began.
func (w *Writer) LastLines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh()
	var lines []string
	for _, l := range w.tail {
		lines = append(lines, w.shown(l))
	}
	return lines
}

// takeLog logs a line of the plugin's log at the level that it says.
func (w *Writer) takeLog(raw string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh()
	w.show(raw, cut, false)
	l, structured := parseLine(raw)
	l.cut, l.size = cut, len(raw)
	switch {
	case structured:
		w.panics = false
		l.chatter = isChatter(l)
		if l.chatter {
			l.level = zapcore.DebugLevel
		}
	case w.panics || BeginsPanic(raw):
		w.panics = true
		l.panics = true
		l.level = zapcore.ErrorLevel
	}
	w.emit(l)
}

// takeOutput logs a line that was written to standard output, where a plugin has
// nothing to write.
func (w *Writer) takeOutput(raw string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh()
	w.show(raw, cut, true)
	w.emit(line{level: zapcore.WarnLevel, message: raw, size: len(raw), cut: cut, output: true})
}

func (w *Writer) emit(l line) {
	w.keep(l)
	if !w.log.Core().Enabled(l.level) {
		return
	}
	if !w.allowed.AllowN(time.Now(), 1+l.size/lineShare) {
		w.drop()
		return
	}
	var fields []zap.Field
	if l.output {
		fields = append(fields, zap.String("stream", "stdout"))
	}
	if len(l.fields) > 0 {
		fields = append(fields, zap.Reflect("fields", w.shownFields(l.fields)))
	}
	if l.cut {
		fields = append(fields, zap.Bool("cut", true))
	}
	w.log.Log(l.level, w.shown(l), fields...)
}

// keep keeps a line for the message of a crash. The first lines of a panic stay
// in place of its last ones, which are of goroutines that have nothing to do with
// it.
func (w *Writer) keep(l line) {
	if l.chatter {
		return
	}
	l.fields = nil
	if len(l.message) > tailLine {
		l.message, l.cut = string(withoutHalfRune([]byte(l.message[:tailLine]))), true
	}
	if len(w.tail) < tailLines {
		w.tail = append(w.tail, l)
		return
	}
	oldest := 0
	for l.panics && oldest < len(w.tail) && w.tail[oldest].panics {
		oldest++
	}
	if oldest < len(w.tail) {
		w.tail = append(slices.Delete(w.tail, oldest, oldest+1), l)
	}
}

// shown is a line's message as it may be seen.
func (w *Writer) shown(l line) string {
	if l.cut {
		return printable(w.secrets.BlankBeginning(l.message))
	}
	return printable(w.secrets.Blank(l.message))
}

// shownFields are a line's fields as they may be seen.
func (w *Writer) shownFields(value any) any {
	switch value := value.(type) {
	case string:
		return printable(w.secrets.Blank(value))
	case map[string]any:
		shown := make(map[string]any, len(value))
		for key, item := range value {
			if isSecretName(key) && holdsText(item) {
				item = redact.Hidden
			}
			shown[printable(w.secrets.Blank(key))] = w.shownFields(item)
		}
		return shown
	case []any:
		shown := make([]any, 0, len(value))
		for _, item := range value {
			shown = append(shown, w.shownFields(item))
		}
		return shown
	case fmt.Stringer: // a number, in the digits that were written
		if text := value.String(); w.secrets.Finds(text) {
			return redact.Hidden
		}
	}
	return value
}

// holdsText says that there is a text or a number in a field.
func holdsText(value any) bool {
	switch value := value.(type) {
	case nil, bool:
		return false
	case string:
		return value != ""
	}
	return true
}

// drop counts a line that is not logged.
func (w *Writer) drop() {
	w.dropped++
	if w.notice == nil {
		w.notice = time.AfterFunc(dropNotice, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.reportDropped()
		})
	}
}

// reportDropped logs how many lines were dropped since the last report.
func (w *Writer) reportDropped() {
	if w.notice == nil {
		return
	}
	w.notice.Stop()
	w.notice = nil
	if w.dropped > 0 {
		w.log.Warn("lines of the plugin's log were dropped: it logs too much", zap.Int("lines", w.dropped))
	}
	w.dropped = 0
}

// LastWords returns the end of a sentence with the last lines, or "".
func (w *Writer) LastWords() string {
	lines := w.LastLines()
	if len(lines) == 0 {
		return ""
	}
	return "; its last words: " + strings.Join(lines, " / ")
}

// Line is a line that a plugin wrote, as it may be shown.
type Line struct {
	// Text is the line without the values of secrets.
	Text string
	// Output says that it went to standard output.
	Output bool
	// Secret says that the value of a secret was in it, however written.
	Secret bool
}

// show gives the observer a line, whatever level it has. The caller holds the lock.
func (w *Writer) show(raw string, cut, output bool) {
	if w.observe == nil {
		return
	}
	text := w.secrets.Blank(raw)
	if cut {
		text = w.secrets.BlankBeginning(raw)
	}
	w.observe(Line{Text: printable(text), Output: output, Secret: w.secrets.Finds(raw)})
}

// secretEnds are how the name of a field of the log ends whose value must not be
// logged, without case and punctuation: a password that a connector has made up
// is in no configuration, and cannot be known by its value.
var secretEnds = []string{
	"password", "passwd", "passphrase", "secret", "apikey", "accesskey", "privatekey", "authorization", "cookie",
	"accesstoken", "apitoken", "authtoken", "bearertoken", "idtoken", "refreshtoken", "sessiontoken",
}

// isSecretName reports whether the field of this name holds a secret. Page tokens are none.
func isSecretName(name string) bool {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	return name == "token" || slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}
