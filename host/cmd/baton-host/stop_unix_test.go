//go:build unix

package main_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// hangingSync is a sync of an app that takes requests and never answers.
type hangingSync struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	asked  chan struct{}
}

// startHangingSync starts one and returns when it waits for the app, with its
// working directory in out and its sockets in temporary.
func startHangingSync(t *testing.T, out, temporary string, args ...string) *hangingSync {
	t.Helper()
	s := &hangingSync{stderr: &bytes.Buffer{}, asked: make(chan struct{}, 100)}
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	config := writeConfig(t, `
plugins: { fullstory: { config: { scim-base-url: "`+hanging.URL+`/scim/v2", scim-token: x } } }
uploads: { workforce: { plugins: [fullstory] } }
`)
	s.cmd = command(t.Context(), t, []string{"TMPDIR=" + temporary}, "baton-host", append([]string{"sync", "--config", config, "--output-dir", out}, args...)...)
	s.cmd.Stderr = s.stderr
	require.NoError(t, s.cmd.Start())
	select {
	case <-s.asked:
	case <-time.After(time.Minute):
		t.Fatal("the app was not asked")
	}
	return s
}

// end waits until the sync has ended.
func (s *hangingSync) end(t *testing.T) {
	t.Helper()
	ended := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the sync went on")
	}
}

// workIn returns the directories that a sync works in.
func workIn(t *testing.T, out, temporary string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(out, ".baton-host-sync-*"))
	require.NoError(t, err)
	sockets, err := filepath.Glob(filepath.Join(temporary, "baton-host-sockets-*"))
	require.NoError(t, err)
	return append(files, sockets...)
}

func TestStop_OfASyncStopsEverythingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	if signal.Ignored(syscall.SIGHUP) {
		// Under nohup the host would ignore it too, as it should.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sent.String(), func(t *testing.T) {
			t.Parallel()
			out, temporary := t.TempDir(), temporaryDir(t)
			sync := startHangingSync(t, out, temporary)
			require.Len(t, workIn(t, out, temporary), 2)
			require.NoError(t, sync.cmd.Process.Signal(sent))
			sync.end(t)
			require.Equal(t, 130, sync.cmd.ProcessState.ExitCode())
			require.Contains(t, sync.stderr.String(), "interrupted")
			for _, dir := range []string{out, temporary} {
				entries, err := os.ReadDir(dir)
				require.NoError(t, err)
				require.Empty(t, entries, dir)
			}
		})
	}
}

func TestStop_ByKillIsSweptUpByTheNextRun(t *testing.T) {
	t.Parallel()
	out, temporary := t.TempDir(), temporaryDir(t)
	living := startHangingSync(t, out, temporary)
	itsOwn := workIn(t, out, temporary)
	require.Len(t, itsOwn, 2)
	killed := startHangingSync(t, out, temporary)
	require.NoError(t, killed.cmd.Process.Kill())
	killed.end(t)
	require.Len(t, workIn(t, out, temporary), 4, "nothing but the kernel saw it die")

	app := startApp(t, scim.Options{App: "fullstory", Accounts: 20, Seed: 1})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token, "TMPDIR=" + temporary}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(out, "x.c1z"))
	require.Equal(t, 0, result.status, result.stderr)
	require.ElementsMatch(t, itsOwn, workIn(t, out, temporary))

	require.NoError(t, living.cmd.Process.Signal(syscall.SIGTERM))
	living.end(t)
	require.Equal(t, 130, living.cmd.ProcessState.ExitCode(), living.stderr.String())
	require.Empty(t, workIn(t, out, temporary))
}

// TestStandardOutput_EndsQuietlyWhereItsReaderGoesAway: head has had enough. The work is done,
// and nothing stays behind.
func TestStandardOutput_EndsQuietlyWhereItsReaderGoesAway(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 20, Seed: 1})
	out, temporary := t.TempDir(), temporaryDir(t)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	t.Cleanup(func() { _ = writer.Close() })
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token, "TMPDIR=" + temporary}
	for _, args := range [][]string{
		{"sync", "--plugin", "fullstory", "-f", filepath.Join(out, "x.c1z")},
		{"accounts", filepath.Join(out, "x.c1z"), "-o", "csv"},
		{"version", "-o", "json", "--log-format", "json"},
	} {
		cmd := command(t.Context(), t, env, "baton-host", args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = writer, &stderr
		require.Error(t, cmd.Run())
		require.Equal(t, 141, cmd.ProcessState.ExitCode(), "%s: as of SIGPIPE: %s", args, stderr.String())
		require.NotContains(t, stderr.String(), "standard output")
		require.NotContains(t, stderr.String(), "pipe")
	}
	require.FileExists(t, filepath.Join(out, "x.c1z"))
	require.Empty(t, workIn(t, out, temporary))
}
