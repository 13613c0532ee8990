//go:build unix

package main_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// onTerminal is a command that runs on a new terminal, with a person at it.
type onTerminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	ended  chan struct{}

	mu   sync.Mutex
	seen bytes.Buffer // not yet waited for
	all  bytes.Buffer
	more chan struct{}
}

func startOnTerminal(t *testing.T, cmd *exec.Cmd) *onTerminal {
	t.Helper()
	return startOnTerminalOf(t, cmd, "xterm")
}

// startOnTerminalOf is startOnTerminal for a terminal of a kind.
func startOnTerminalOf(t *testing.T, cmd *exec.Cmd, kind string) *onTerminal {
	t.Helper()
	cmd.Env = append(cmd.Env, "TERM="+kind)
	master, terminal, err := pty.Open()
	require.NoError(t, err)
	o := startAt(t, cmd, master, terminal)
	require.NoError(t, terminal.Close())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // If the test has failed.
		<-o.ended
		_ = master.Close()
	})
	return o
}

// startAt starts a command at one end of a terminal, whose other end is the person's.
func startAt(t *testing.T, cmd *exec.Cmd, master, terminal *os.File) *onTerminal {
	t.Helper()
	require.NoError(t, pty.Setsize(master, &pty.Winsize{Rows: 50, Cols: 200}))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	o := &onTerminal{t: t, cmd: cmd, master: master, ended: make(chan struct{}), more: make(chan struct{}, 1)}
	go o.read()
	return o
}

func (o *onTerminal) read() {
	defer close(o.ended)
	buffer := make([]byte, 4096)
	for {
		n, err := o.master.Read(buffer)
		o.mu.Lock()
		o.seen.Write(buffer[:n])
		o.all.Write(buffer[:n])
		o.mu.Unlock()
		select {
		case o.more <- struct{}{}:
		default:
		}
		if err != nil {
			return // The other end is closed.
		}
	}
}

// await waits until this is shown, and forgets everything up to there.
func (o *onTerminal) await(text string) {
	o.t.Helper()
	deadline := time.After(time.Minute)
	for {
		o.mu.Lock()
		at := strings.Index(o.seen.String(), text)
		if at >= 0 {
			o.seen.Next(at + len(text))
		}
		shown := o.all.String()
		o.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-o.more:
		case <-deadline:
			require.Fail(o.t, "this is not shown", "%q in:\n%s", text, shown)
		}
	}
}

// types types a line, or keys.
func (o *onTerminal) types(keys string) {
	o.t.Helper()
	_, err := o.master.WriteString(keys)
	require.NoError(o.t, err)
}

// answers waits for a prompt and types a line.
func (o *onTerminal) answers(prompt, line string) {
	o.t.Helper()
	o.await(prompt)
	o.types(line + "\r")
}

// end waits for the end of the command and returns its status and all that was shown.
func (o *onTerminal) end() (status int, shown string) {
	o.t.Helper()
	_ = o.cmd.Wait() // The status has it.
	<-o.ended
	return o.cmd.ProcessState.ExitCode(), strings.ReplaceAll(o.all.String(), "\r\n", "\n")
}

// TestSync_ShowsGrantsOnATerminalWhileTheyAreRead has an app that answers for the members of
// all of its groups but the last one that it is asked for.
func TestSync_ShowsGrantsOnATerminalWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	server, err := scim.New(scim.Options{App: "design-tool", Accounts: 30, Groups: 6, OmitListedMembers: true, Token: "tok"})
	require.NoError(t, err)
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	var mu sync.Mutex
	asked := map[string]bool{}
	isLast := func(path string) bool {
		mu.Lock()
		defer mu.Unlock()
		if len(asked) < 5 {
			asked[path] = true
		}
		return !asked[path]
	}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/Groups/") && isLast(r.URL.Path) {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	t.Cleanup(release)
	config := writeConfig(t, `
plugins:
  design: { app: scim, config: { scim-base-url: "`+listener.URL+server.BasePath()+`", scim-token: tok } }
uploads:
  workforce: { plugins: [design] }
`)
	person := startOnTerminal(t, command(t.Context(), t, nil, "baton-host", "sync", "--config", config, "--output-dir", t.TempDir()))
	person.await("workforce: 30 accounts, 6 other resources, ")
	person.await(" grants, ")
	person.await("s: design 30 accounts, 6 other resources, ")
	release()
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.Regexp(t, `workforce +design +30 .*complete`, shown)
}
