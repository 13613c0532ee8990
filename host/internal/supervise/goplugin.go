package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	hclog "github.com/hashicorp/go-hclog"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
)

// goPluginRunner is a process in the shape that go-plugin wants (runner.Runner). It is
// ours because go-plugin's own gives the process the host's standard input, parses its
// log in a way that a hostile line can crash the host with, and does not notice an exit
// while a grandchild holds a pipe.
type goPluginRunner struct {
	*proc.Process
	logs *pluginlog.Writer
}

// Wait returns when the process is gone.
func (r goPluginRunner) Wait(context.Context) error {
	<-r.Exited()
	if state := r.State(); !state.Success() {
		return errors.New(state.String())
	}
	return nil
}

// Kill ends the process with its group.
func (r goPluginRunner) Kill(context.Context) error { return r.Process.Kill() }

// Stdout carries the handshake; what follows it is logged.
func (r goPluginRunner) Stdout() io.ReadCloser {
	return &handshakeReader{from: r.Process.Stdout(), rest: r.logs.Stdout}
}

// Stderr is empty for go-plugin: the log goes to our own reader.
func (goPluginRunner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name returns the path of what is executed.
func (r goPluginRunner) Name() string { return r.Executed() }

// ID returns the process id.
func (r goPluginRunner) ID() string {
	pid := r.PID()
	if pid == 0 {
		return ""
	}
	return strconv.Itoa(pid)
}

// Diagnose adds nothing: the caller of Start explains what happened.
func (goPluginRunner) Diagnose(context.Context) string { return "" }

// PluginToHost leaves addresses alone: both sides see the same ones.
func (goPluginRunner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin leaves addresses alone.
func (goPluginRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// leftAlone is an attached process as go-plugin knows it.
type leftAlone struct{ goPluginRunner }

// Wait returns when nothing listens any more. How the process ended, only its
// parent knows.
func (l leftAlone) Wait(context.Context) error {
	<-l.Exited()
	return nil
}

// handshakeReader gives go-plugin the first line of a plugin's standard output,
// which is the handshake, and the log the rest: go-plugin v1.8.0 drops it, and
// stops reading altogether at a line of more than 64 KiB, on which the plugin
// then waits for ever.
type handshakeReader struct {
	from   *os.File
	rest   io.Writer
	passed bool // the first line has been given out
}

func (r *handshakeReader) Read(p []byte) (int, error) {
	if r.passed {
		_, err := io.Copy(r.rest, r.from)
		if err == nil {
			err = io.EOF
		}
		return 0, err
	}
	n, err := r.from.Read(p)
	if at := bytes.IndexByte(p[:n], '\n'); at >= 0 {
		r.passed = true
		_, _ = r.rest.Write(p[at+1 : n])
		n = at + 1
	}
	return n, err
}

func (r *handshakeReader) Close() error { return r.from.Close() }

// goPluginLogger gives go-plugin's own diagnostics to our log at debug level.
// go-plugin v1.8.0 parses every line of a plugin's log unless the logger it
// names after the plugin is off, and its parser panics on lines such as
// {"@message":1}: so Named returns one that is.
type goPluginLogger struct {
	hclog.Logger
	log *zap.Logger
	// logs knows the secrets that a plugin's error could hold.
	logs *pluginlog.Writer
}

func newGoPluginLogger(log *zap.Logger, logs *pluginlog.Writer) hclog.Logger {
	return goPluginLogger{Logger: hclog.NewNullLogger(), log: log, logs: logs}
}

func (l goPluginLogger) Named(string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Off, Output: io.Discard})
}

func (l goPluginLogger) Debug(message string, args ...any) { l.debug(message, args) }

func (l goPluginLogger) Warn(message string, args ...any) { l.debug(message, args) }

func (l goPluginLogger) Error(message string, args ...any) { l.debug(message, args) }

func (l goPluginLogger) debug(message string, args []any) {
	if !l.log.Core().Enabled(zap.DebugLevel) {
		return
	}
	texts := make([]any, len(args)) // args are the caller's.
	for i, arg := range args {
		texts[i] = l.logs.Blank(fmt.Sprint(arg))
	}
	l.log.Sugar().Debugw(l.logs.Blank(message), texts...)
}
