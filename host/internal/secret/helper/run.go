package helper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

const (
	// maxLine bounds what is kept of a line of a program's standard error, in bytes.
	maxLine = 4 << 10
	// maxShown bounds what is shown of it.
	maxShown = 400
	// outputGrace is how long the output of a program that has ended may stay open.
	outputGrace = 3 * time.Second
	// shortestHidden is the least length of a word that is hidden because the program has
	// written it to standard output too: shorter ones stand in every sentence.
	shortestHidden = 8
	// exitNotFound is the status of a shell that has not found a command.
	exitNotFound = 127
)

// run runs the program and returns the value that it writes. hidden are texts that must not
// be shown of what it reports.
func (s Settings) run(ctx context.Context, arguments, hidden []string) (secret.Value, error) {
	limited, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, s.Path, slices.Concat(s.Args, arguments)...) //nolint:gosec // The operator named it.
	cmd.Env = child.Environment(s.Env)
	child.OwnGroup(cmd)
	output, lines, err := start(cmd, cancel)
	if err != nil {
		err = fmt.Errorf("the program cannot be started: %s%w", child.Obstacle(s.Path, err), err)
		if errors.Is(err, syscall.ETXTBSY) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM) || ctx.Err() != nil {
			return secret.Value{}, &secret.AwayError{Err: err}
		}
		return secret.Value{}, err
	}
	exit := child.Reap(cmd)
	late := make(chan struct{})
	timer := time.AfterFunc(outputGrace, func() { close(late) })
	written, isWhole := output.await(late)
	lines.await(late)
	timer.Stop()

	answer, isAnswer, malformed := read(written)
	switch {
	case len(written) > secret.MaxValue:
		return secret.Value{}, fmt.Errorf("the program wrote more than %d MiB and was ended; no secret is that large", secret.MaxValue>>20)
	case ctx.Err() != nil:
		return secret.Value{}, &secret.AwayError{Err: fmt.Errorf("the program was ended: %w", ctx.Err())}
	case limited.Err() != nil:
		return secret.Value{}, &secret.AwayError{Err: fmt.Errorf("the program did not end within %s and was ended, with what it had started; it must not wait for a person", s.Timeout)}
	case !isWhole:
		return secret.Value{}, errors.New("the program has ended, and something that it started holds its output open; have that write elsewhere (>/dev/null 2>&1)")
	case isAnswer && answer.Error != "":
		err := &secret.ReportedError{
			Err:   errors.New(shown(ctx, answer.Error, slices.Concat(hidden, others(written)))),
			Words: "the program reported an error; the log has it",
		}
		if answer.Away {
			return secret.Value{}, &secret.AwayError{Err: err}
		}
		return secret.Value{}, err
	case exit != nil:
		return secret.Value{}, &secret.AwayError{Err: failure(cmd, exit, shown(ctx, lines.last(), slices.Concat(hidden, traces(written))))}
	case malformed != nil:
		return secret.Value{}, malformed
	case !isAnswer:
		answer = Answer{Value: string(written)}
	}
	return answer.value()
}

// failure returns the error of a program that has failed.
func failure(cmd *exec.Cmd, exit error, lastLine string) error {
	status := exit.Error()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitNotFound {
		status += " (a command that it runs was not found)"
	}
	if lastLine == "" {
		return fmt.Errorf("the program failed with %s, and wrote no reason to standard error", status)
	}
	words := "the program failed with " + status
	return &secret.ReportedError{Err: fmt.Errorf("%s: %s", words, lastLine), Words: words}
}

// shown returns what a program reports, fit to be shown, without what is to be hidden.
func shown(ctx context.Context, text string, hidden []string) string {
	text = secret.Blank(ctx, strings.ToValidUTF8(text, "?"), hidden...)
	return errtext.Printable(errtext.Cut(strings.TrimSpace(text), maxShown), "")
}

// traces returns what may be a secret, or a part of one, in what a program has written to
// standard output.
func traces(written []byte) []string {
	text := strings.TrimSpace(string(written))
	found := []string{text}
	for line := range strings.Lines(text) {
		found = append(found, strings.TrimSpace(line))
	}
	found = append(found, long(strings.Fields(text))...)
	var decoded any
	if json.Unmarshal(written, &decoded) == nil {
		found = append(found, textsOf(decoded)...)
	}
	return found
}

// others returns what may be a secret in an object with an error: its other texts, and the
// value also where that is short.
func others(written []byte) []string {
	var keys map[string]any
	_ = json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(written, []byte(byteOrderMark)))).Decode(&keys) // It has been read.
	delete(keys, keyError)
	found := textsOf(keys)
	if value, ok := keys[keyValue].(string); ok {
		found = append(found, value)
	}
	return found
}

// long returns the texts that are not too short to be hidden.
func long(texts []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return len(text) < shortestHidden })
}

// textsOf returns the texts of a decoded JSON value, but for its keys.
func textsOf(value any) []string {
	var texts []string
	switch value := value.(type) {
	case string:
		return long([]string{value})
	case []any:
		for _, one := range value {
			texts = append(texts, textsOf(one)...)
		}
	case map[string]any:
		for _, one := range value {
			texts = append(texts, textsOf(one)...)
		}
	}
	return texts
}

// start starts the program with nothing to read. Its output is read until it ends, or until
// it is too much, which stops the program.
func start(cmd *exec.Cmd, stop context.CancelFunc) (*output, *lastLine, error) {
	stdout, theirStdout, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer theirStdout.Close()
	stderr, theirStderr, err := os.Pipe()
	if err != nil {
		_ = stdout.Close()
		return nil, nil, err
	}
	defer theirStderr.Close()
	cmd.Stdout, cmd.Stderr = theirStdout, theirStderr
	if err := cmd.Start(); err != nil {
		_ = stdout.Close()
		_ = stderr.Close()
		return nil, nil, err
	}
	out := &output{file: stdout, done: make(chan []byte, 1)}
	go out.read(stop)
	lines := &lastLine{file: stderr, done: make(chan struct{})}
	go lines.read()
	return out, lines, nil
}

// output is what a program writes to standard output.
type output struct {
	file *os.File
	done chan []byte
}

func (o *output) read(stop context.CancelFunc) {
	content, _ := io.ReadAll(io.LimitReader(o.file, secret.MaxValue+1))
	o.done <- content
	if len(content) > secret.MaxValue {
		stop()
	}
}

// await returns all that a program which has ended wrote; it is not whole where something
// else may still write more.
func (o *output) await(late <-chan struct{}) (content []byte, isWhole bool) {
	defer o.file.Close()
	select {
	case content = <-o.done:
		return content, true
	case <-late:
		return nil, false
	}
}

// lastLine is the last line that a program writes to standard error, of which it keeps the
// beginning.
type lastLine struct {
	file *os.File
	done chan struct{}

	mu            sync.Mutex
	line, current []byte
}

func (l *lastLine) read() {
	defer close(l.done)
	_, _ = io.Copy(l, l.file)
}

// Write takes more of what the program writes.
func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		switch {
		case b == '\n':
			l.endLine()
		case len(l.current) < maxLine:
			l.current = append(l.current, b)
		}
	}
	return len(p), nil
}

func (l *lastLine) endLine() {
	if strings.TrimSpace(string(l.current)) != "" {
		l.line = append(l.line[:0], l.current...)
	}
	l.current = l.current[:0]
}

// await waits for the rest, but not for what something else writes.
func (l *lastLine) await(late <-chan struct{}) {
	defer l.file.Close()
	select {
	case <-l.done:
	case <-late:
	}
}

// last returns the last line with something in it.
func (l *lastLine) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLine()
	return strings.TrimSpace(string(l.line))
}
