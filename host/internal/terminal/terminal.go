package terminal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

const (
	// longestCell is how many bytes of a text of others are printed in one place. C1 takes no
	// longer ones, but a file may be of another program.
	longestCell = 4 << 10
	// longestWords is how many bytes of an error are shown. A plugin's may have as many as its
	// largest answer.
	longestWords = 16 << 10
)

// Printable returns a text of others as it may be printed.
func Printable(text string) string {
	return errtext.Printable(errtext.Shorten(text, longestCell), "")
}

// Words returns the error's text without gRPC's noise.
func Words(err error) string {
	return errtext.Shorten(errtext.Plain(err.Error()), longestWords)
}

// IsTerminal reports whether a terminal would obey what is written there.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// widthOf returns how wide the terminal is that is written to; 0: it is none.
func widthOf(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// IsClosedOutput reports whether an error says nothing but that the reader of standard output
// has gone away, as that of a pipe into head does.
func IsClosedOutput(err error) bool {
	switch one := err.(type) { //nolint:errorlint // Each of the errors that are joined is looked at.
	case nil:
		return false
	case *fs.PathError:
		return one.Path == os.Stdout.Name() && errors.Is(one.Err, syscall.EPIPE)
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(one.Unwrap(), func(err error) bool { return !IsClosedOutput(err) })
	case interface{ Unwrap() error }:
		return IsClosedOutput(one.Unwrap())
	}
	return false
}

// HasReader reports whether a person reads standard error.
func HasReader() bool { return IsTerminal(os.Stderr) }

// HasPerson reports whether there is a person to be asked.
func HasPerson() bool { return IsTerminal(os.Stdin) && HasReader() }

// LiveLine is a line on standard error about something that goes on: one line that changes,
// for a person, and elsewhere a line each time.
type LiveLine struct {
	w      io.Writer
	isLive bool
}

// NewLiveLine returns a line that is written to w, which is standard error, and changes if
// it is live.
func NewLiveLine(w io.Writer, isLive bool) *LiveLine { return &LiveLine{w: w, isLive: isLive} }

// HasLiveLines reports whether a person reads standard error on a terminal whose lines can
// change.
func HasLiveLines() bool { return HasReader() && os.Getenv("TERM") != "dumb" }

// IsLive reports whether the line changes.
func (l *LiveLine) IsLive() bool { return l.isLive }

// Interval is how often the line is to be shown.
func (l *LiveLine) Interval() time.Duration {
	if l.isLive {
		return 200 * time.Millisecond
	}
	return 5 * time.Second
}

// clearLine removes the line that the cursor is on.
const clearLine = "\r\x1b[K"

// Show shows the line as it is now.
func (l *LiveLine) Show(line string) {
	if l.isLive {
		_, _ = io.WriteString(l.w, clearLine+cutToWidth(line))
		return
	}
	_, _ = fmt.Fprintln(l.w, line)
}

// Clear removes a live line, to make room for one that stays.
func (l *LiveLine) Clear() {
	if l.isLive {
		_, _ = io.WriteString(l.w, clearLine)
	}
}

// cutToWidth keeps the live line on one line.
func cutToWidth(line string) string {
	width := widthOf(os.Stderr)
	if width <= 1 || len(line) < width {
		return line
	}
	return strings.ToValidUTF8(line[:width-1], "")
}
