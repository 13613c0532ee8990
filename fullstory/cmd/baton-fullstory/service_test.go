package main_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
)

// patience bounds what a test waits for that must happen.
const patience = 2 * time.Minute

// conductorOne runs the stand-in for ConductorOne with one client, and returns
// the variables that make the program its connector.
func conductorOne(t *testing.T, opts c1.Options) (server *c1.Server, env []string) {
	t.Helper()
	server, err := c1.Start(opts)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	credentials, err := server.AddClient("fullstory")
	require.NoError(t, err)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, server.CAPEM(), 0o600))
	return server, []string{
		"BATON_CLIENT_ID=" + credentials.ID,
		"BATON_CLIENT_SECRET=" + credentials.Secret,
		"BATON_HOST_ID=baton-fullstory",
		"SSL_CERT_FILE=" + ca,
	}
}

// serve starts the program in service mode and returns how to await its end.
func serve(t *testing.T, env []string) (process *os.Process, ended func() (*os.ProcessState, string)) {
	t.Helper()
	dir := t.TempDir()
	var output bytes.Buffer
	command := exec.CommandContext(t.Context(), binary)
	command.Dir = dir
	command.Env = append([]string{"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	command.Stdout, command.Stderr = &output, &output
	// A child that outlives its parent must not keep Wait from returning.
	command.WaitDelay = patience
	require.NoError(t, command.Start())
	return command.Process, func() (*os.ProcessState, string) {
		_ = command.Wait()
		require.NotContains(t, output.String(), token)
		return command.ProcessState, output.String()
	}
}

// TestService runs the program as a connector alone, as the user guide describes.
func TestService(t *testing.T) {
	t.Parallel()
	t.Run("a task at a time", func(t *testing.T) {
		t.Parallel()
		requireService(t)
	})
	t.Run("several tasks at a time", func(t *testing.T) {
		t.Parallel()
		requireService(t, "BATON_GET_TASKS=true")
	})
}

func requireService(t *testing.T, more ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	baseURL, organization := organization(t, 345)
	server, env := conductorOne(t, c1.Options{Dir: t.TempDir()})
	hello, err := server.AddTask("fullstory", v1.Task_builder{Hello: &v1.Task_HelloTask{}}.Build())
	require.NoError(t, err)
	task, err := server.AddFullSync("fullstory", nil)
	require.NoError(t, err)

	env = append(env, "BATON_SCIM_BASE_URL="+baseURL, "BATON_SCIM_TOKEN="+token)
	process, ended := serve(t, append(env, more...))
	greeted, err := server.WaitFinished(ctx, hello)
	require.NoError(t, err)
	require.True(t, greeted.Succeeded)
	outcome, err := server.WaitFinished(ctx, task)
	require.NoError(t, err)
	require.NoError(t, process.Signal(syscall.SIGINT))
	state, output := ended()

	require.True(t, outcome.Succeeded, output)
	require.Empty(t, server.Violations())
	require.Equal(t, 1, outcome.Attempts)
	require.Equal(t, "baton-fullstory", outcome.HostID)
	require.Len(t, outcome.Uploads, 1)
	accounts := readSyncFile(t, outcome.Uploads[0].Path)
	people := organization.Accounts()
	require.Len(t, accounts, len(people))
	for _, person := range people {
		requireAccount(t, person, accounts[person.ID])
	}
	require.Equal(t, "exit status 0", state.String(), output)
}

// TestService_EndsAtOnceOnASignal shows what operators may rely on: either signal
// ends a sync that is under way, and ConductorOne gets no report.
func TestService_EndsAtOnceOnASignal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signal syscall.Signal
		want   string
	}{
		"interrupt": {syscall.SIGINT, "exit status 0"},
		"terminate": {syscall.SIGTERM, "signal: terminated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			baseURL, _ := organization(t, 3)
			server, env := conductorOne(t, c1.Options{})
			task, err := server.AddFullSync("fullstory", nil)
			require.NoError(t, err)
			server.Inject(c1.Fault{Call: c1.HeartbeatCall, Delay: patience})

			process, ended := serve(t, append(env, "BATON_SCIM_BASE_URL="+baseURL, "BATON_SCIM_TOKEN="+token))
			_, err = server.WaitFor(ctx, func(e c1.Event) bool { return e.Kind == c1.Injected })
			require.NoError(t, err)
			require.NoError(t, process.Signal(c.signal))
			state, output := ended()
			require.Equal(t, c.want, state.String(), output)
			outcome, _ := server.Result(task)
			require.False(t, outcome.Done)
			require.Empty(t, server.Violations())
		})
	}
}
