package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// errorsOf returns the lines at level error.
func errorsOf(t *testing.T, stderr string) []logEntry {
	t.Helper()
	var found []logEntry
	for _, line := range logOf(t, stderr) {
		if line.Level == "error" {
			found = append(found, line)
		}
	}
	return found
}

func TestStandardError_ThatIsNotRead(t *testing.T) {
	t.Parallel()
	t.Run("H10: run does its work and ends", func(t *testing.T) {
		t.Parallel()
		s := newSingle(t)
		reader, writer, err := os.Pipe()
		require.NoError(t, err)
		defer func() { _ = reader.Close() }()
		cmd := runCommand(t, temporaryDir(t), s.env, "--plugin", "fullstory", "--state-dir", s.state, "--log-level", "debug", "--listen", "127.0.0.1:0")
		cmd.Stderr = writer
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		defer func() { _ = cmd.Process.Kill() }()
		require.NoError(t, reader.SetReadDeadline(time.Now().Add(guard)))
		url := "http://" + readAddress(t, reader)
		fill(t, writer)
		requireAnswer := func() {
			code, _ := answerOf(t, url+"/healthz")
			require.Equal(t, http.StatusOK, code)
		}
		requireAnswer()
		require.Len(t, s.synced(t, s.fullSync(t, "fullstory")), 30)
		requireAnswer()
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(guard):
			require.Fail(t, "it does not end")
		}
	})
}

// readAddress reads a log up to the line with the address that is listened on, and not much
// further.
func readAddress(t *testing.T, log io.Reader) string {
	t.Helper()
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		if address, isThere := listeningAddress(line); isThere {
			return address
		}
	}
}

// fill writes to a pipe until nothing more has room. It has a description of the pipe for
// itself: that of the process must go on blocking.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", pipe.Fd()), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Close(fd)) }()
	for err == nil {
		_, err = unix.Write(fd, []byte("\n"))
	}
	require.ErrorIs(t, err, unix.EAGAIN)
}

func TestStandardError_EndsWithAnErrorInTheFormOfTheLog(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	const why = "there is no such file"
	for name, c := range map[string]struct {
		args  []string
		env   []string
		want  string
		plain bool
	}{
		"run":                                {args: []string{"run", "--config", missing}, want: why},
		"run at another level":               {args: []string{"run", "--config", missing, "--log-level", "fatal"}, want: why},
		"run with a flag that it not has":    {args: []string{"run", "--listne", "x"}, want: "--listne"},
		"run with a wrong level":             {args: []string{"run", "--log-level", "loud"}, want: "log level"},
		"run for people":                     {args: []string{"run", "--config", missing, "--log-format", "console"}, want: why, plain: true},
		"check":                              {args: []string{"check", "--config", missing}, want: why, plain: true},
		"check in JSON":                      {args: []string{"check", "--config", missing, "--log-format", "json"}, want: why},
		"check in JSON, with =":              {args: []string{"check", "--log-format=json", "--config", missing}, want: why},
		"check with a log":                   {args: []string{"check", "--config", missing, "--log-level", "info"}, want: why},
		"check with a level in a variable":   {args: []string{"check", "--config", missing}, env: []string{"BATON_LOG_LEVEL=error"}, want: why},
		"check with a log for people":        {args: []string{"check", "--config", missing, "--log-level", "info", "--log-format", "console"}, want: why, plain: true},
		"explore":                            {args: []string{"explore", missing}, want: "there is no file", plain: true},
		"explore in JSON":                    {args: []string{"explore", missing, "--log-format", "json"}, want: "there is no file"},
		"explore with a level in a variable": {args: []string{"explore", missing}, env: []string{"BATON_LOG_LEVEL=error"}, want: "there is no file"},
		"a wrong flag before the format":     {args: []string{"check", "--confg", "x", "--log-format", "json"}, want: "--confg"},
		"a wrong flag behind the format":     {args: []string{"check", "--log-format", "json", "--confg", "x"}, want: "--confg"},
		"a wrong format":                     {args: []string{"check", "--log-format", "xml"}, want: "log format", plain: true},
		"a command that there is not":        {args: []string{"chekc", "--log-format", "json"}, want: "chekc"},
		"a command that there is not, plain": {args: []string{"chekc"}, want: "chekc", plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, c.env, "baton-host", c.args...)
			require.Equal(t, 1, result.status)
			require.Empty(t, result.stdout)
			if c.plain {
				require.True(t, strings.HasPrefix(result.stderr, "baton-host: "), result.stderr)
				require.Contains(t, result.stderr, c.want)
				return
			}
			require.Contains(t, lastError(t, result.stderr), c.want)
			require.Len(t, logOf(t, result.stderr), 1)
		})
	}
	t.Run("an interruption", func(t *testing.T) {
		t.Parallel()
		sync := startHangingSync(t, t.TempDir(), temporaryDir(t), "--log-format", "json")
		require.NoError(t, sync.cmd.Process.Signal(syscall.SIGTERM))
		sync.end(t)
		require.Equal(t, 130, sync.cmd.ProcessState.ExitCode())
		_, last, _ := strings.Cut(sync.stderr.String(), "{") // Behind what a sync prints as it goes on.
		require.Equal(t, []logEntry{{Level: "warn", Msg: "interrupted; nothing was left half-written", Command: "sync"}}, logOf(t, "{"+last))
	})
}

func TestRunWarnsOnceAndInJSON(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	require.Equal(t, 0, l.do(t, "lock").status)
	for _, level := range []string{"info", "fatal"} {
		result := l.do(t, "run", "--unlocked", "--log-level", level)
		require.Equal(t, 1, result.status)
		require.Contains(t, lastError(t, result.stderr), "has no credentials for C1")
		require.Equal(t, 1, strings.Count(result.stderr, "is ignored (--unlocked)"), result.stderr)
	}
}

func TestStandardError_HasOneLineForOneError(t *testing.T) {
	t.Parallel()
	paged := scim.Options{Accounts: 60, PageCap: 10}
	t.Run("a sync that fails", func(t *testing.T) {
		t.Parallel()
		s := newSingleOf(t, c1.Options{}, paged)
		s.app.fail(1)
		id := s.fullSync(t, "fullstory")
		host := s.run(t, "--retry-for", "0s")
		require.False(t, s.finished(t, id).Succeeded)
		host.stop()
		found := errorsOf(t, host.output.String())
		require.Len(t, found, 1, host.output.String())
		require.Equal(t, "sync failed", found[0].Msg)
		require.Contains(t, found[0].Error, `plugin "fullstory"`)
		require.Contains(t, found[0].Error, "500 Internal Server Error")
		require.Equal(t, 1, strings.Count(host.output.String(), "500 Internal Server Error"), "nor as a warning")
	})
	t.Run("a sync that is cancelled", func(t *testing.T) {
		t.Parallel()
		s := newSingleOf(t, c1.Options{NextHeartbeat: time.Second}, paged)
		reached, release := s.app.hold(1)
		defer release()
		id := s.fullSync(t, "fullstory")
		host := s.run(t)
		<-reached
		s.Cancel(id)
		host.says(`"msg":"sync dropped"`)
		host.stop()
		require.Empty(t, errorsOf(t, host.output.String()))
	})
	t.Run("a sync that a stop ends", func(t *testing.T) {
		t.Parallel()
		s := newSingleOf(t, c1.Options{}, paged)
		reached, release := s.app.hold(1)
		defer release()
		s.fullSync(t, "fullstory")
		host := s.run(t, "--grace", "0s")
		<-reached
		host.stop()
		require.Contains(t, host.output.String(), `"msg":"sync dropped"`)
		require.Empty(t, errorsOf(t, host.output.String()))
	})
	t.Run("a plugin that is lost", func(t *testing.T) {
		t.Parallel()
		s := newSingleOf(t, c1.Options{}, paged)
		reached, release := s.app.hold(1)
		id := s.fullSync(t, "fullstory")
		host := s.run(t)
		<-reached
		require.NoError(t, syscall.Kill(childCalled(host.cmd.Process.Pid, "baton-fullstory"), syscall.SIGKILL))
		release()
		require.True(t, s.finished(t, id).Succeeded)
		host.stop()
		found := errorsOf(t, host.output.String())
		require.Len(t, found, 1, host.output.String())
		require.Contains(t, found[0].Msg, "it is started again")
	})
	t.Run("a task that the SDK refuses", func(t *testing.T) {
		t.Parallel()
		s := newSingle(t)
		host := s.run(t)
		id, err := s.AddTask("fullstory", v1.Task_builder{CompactSyncs: &v1.Task_CompactSyncs{}}.Build())
		require.NoError(t, err)
		require.False(t, s.finished(t, id).Succeeded)
		host.stop()
		found := errorsOf(t, host.output.String())
		require.Len(t, found, 1, host.output.String())
		require.Equal(t, "unsupported task type", found[0].Error)
	})
}
