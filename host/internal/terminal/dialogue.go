package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// longestLine returns about what a terminal passes on of one line, in bytes. What is longer
// would be cut without a word.
func longestLine() int {
	if runtime.GOOS == "darwin" {
		return 1000
	}
	return 4000
}

// Dialogue is the person at the terminal: questions go to standard error, as standard
// output is for results.
type Dialogue struct {
	ctx   context.Context //nolint:containedctx // It lives as long as the command.
	lines *bufio.Reader
}

// NewDialogue returns the person at the terminal, until the context ends.
func NewDialogue(ctx context.Context) *Dialogue {
	// A terminal gives one line at a time, so that nothing of the next one is here
	// when a secret is read.
	return &Dialogue{ctx: ctx, lines: bufio.NewReader(os.Stdin)}
}

// Say shows a text.
func (d *Dialogue) Say(text string) { fmt.Fprintln(os.Stderr, errtext.Printable(text, "\n")) }

// Ask shows a prompt and returns the line that is typed.
func (d *Dialogue) Ask(prompt string) (string, error) {
	fmt.Fprint(os.Stderr, errtext.Printable(prompt, ""))
	return d.wait(func() (string, error) { return d.lines.ReadString('\n') })
}

// AskSecret is Ask for what must not be seen. Whatever happens, the terminal shows
// again afterwards what is typed.
func (d *Dialogue) AskSecret(prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err == nil {
		err = hideTyping(fd)
	}
	if err != nil {
		return "", fmt.Errorf("the terminal does not let its echo be switched off: %w", err)
	}
	defer func() {
		_ = term.Restore(fd, before)
		fmt.Fprintln(os.Stderr)
	}()
	fmt.Fprint(os.Stderr, errtext.Printable(prompt, ""))
	return d.wait(func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
}

// wait waits for a line, or for a signal. The read stays behind then, until the
// process ends.
func (d *Dialogue) wait(read func() (string, error)) (string, error) {
	type outcome struct {
		line string
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		line, err := read()
		done <- outcome{line, err}
	}()
	select {
	case <-d.ctx.Done():
		return "", d.ctx.Err()
	case answer := <-done:
		switch {
		case len(answer.line) >= longestLine():
			return "", errors.New("this line is longer than a terminal passes on; put the value into a file and refer to that")
		case answer.err == nil, errors.Is(answer.err, io.EOF) && answer.line != "":
			return strings.TrimSpace(answer.line), nil
		default:
			return "", answer.err
		}
	}
}
