//go:build unix

package supervise_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// markVariable names a file that roles make which behave badly only once.
const markVariable = "SUPERVISE_TEST_MARK"

// firstTime tells a role whether no process before it has asked.
func firstTime() bool {
	file, err := os.OpenFile(os.Getenv(markVariable), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	return file.Close() == nil
}

// leak takes 2 GiB and keeps it.
func leak() {
	var kept [][]byte
	for range 2 << 10 {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 512 {
			block[i] = 1
		}
		kept = append(kept, block)
	}
	time.Sleep(time.Hour)
	_ = kept
}

// hangUp removes the plugin's socket and closes every connection of it, but not the
// socket that listens: its server would end with that.
func hangUp() error {
	for fd := 3; fd < 256; fd++ {
		listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil {
			continue
		}
		if listens == 0 {
			_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
			continue
		}
		address, err := syscall.Getsockname(fd)
		if err != nil {
			return err
		}
		if socket, ok := address.(*syscall.SockaddrUnix); ok && filepath.Dir(socket.Name) == os.Getenv("PLUGIN_UNIX_SOCKET_DIR") {
			if err := os.Remove(socket.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// forkOn starts children that start children, as fast as it can.
func forkOn() {
	for {
		child := exec.Command("sh", "-c", "sleep 3600 & sleep 3600") //nolint:noctx // It is meant to stay.
		if err := child.Start(); err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		go func() { _ = child.Wait() }()
		time.Sleep(2 * time.Millisecond) // The machine is others' too.
	}
}

// deafen has a plugin ignore every signal that can be ignored.
func deafen() { signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT) }

const theToken = "the-secret-token"

// states configures a plugin with the secret token, and keeps its states.
type states struct {
	mu   sync.Mutex
	seen []supervise.State
}

func (*states) Find() (string, error) { return "", errors.New("the path is known") }

func (*states) Configure(context.Context, *pluginv1.Manifest) (*pluginv1.ConfigureRequest, error) {
	return &pluginv1.ConfigureRequest{
		Secrets: map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: theToken}}},
	}, nil
}

func (*states) Refused(diagnostics []*pluginv1.Diagnostic) error {
	if len(diagnostics) == 0 {
		return nil
	}
	return errors.New(diagnostics[0].GetDetail())
}

func (s *states) Changed(status supervise.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, status.State)
}

func (s *states) all() []supervise.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]supervise.State(nil), s.seen...)
}

// settings are those of a plugin with bad habits.
func settings(role string) supervise.Settings {
	return supervise.Settings{Spec: spec(role), Owner: &states{}}
}

// made is a plugin that is stopped with the test.
func made(t *testing.T, ctx context.Context, settings supervise.Settings) *supervise.Plugin { //nolint:revive // The test comes first by convention.
	t.Helper()
	p := supervise.New(ctx, settings)
	t.Cleanup(func() { p.Stop(context.WithoutCancel(ctx)) })
	return p
}

// ask makes a call that ends within a guard.
func ask(ctx context.Context, p *supervise.Plugin) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := connectorv2.NewConnectorServiceClient(p.Conn()).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{})
	return err
}

func TestPlugin_RestartsAfterAnEndInACall(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	t.Setenv(markVariable, mark)
	ctx, _ := logged(t)
	seen := &states{}
	s := settings("crash-once")
	s.Env, s.Sandbox.Write = []string{markVariable}, []string{filepath.Dir(mark)}
	s.Owner = seen
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	first := p.Status().PID

	err := ask(ctx, p)
	exit, ok := errors.AsType[*supervise.ExitError](err)
	require.True(t, ok, "%v", err)
	require.True(t, exit.Replaced())
	require.Equal(t, 7, exit.ExitCode)
	require.Equal(t, codes.Aborted, status.Code(err))

	// It waits for the next process, which is configured: a gate that is not
	// would refuse the call.
	require.NoError(t, ask(ctx, p))
	now := p.Status()
	require.Equal(t, supervise.Ready, now.State)
	require.Equal(t, 1, now.Restarts)
	require.NotEqual(t, first, now.PID)

	p.Stop(ctx)
	require.Equal(t, []supervise.State{supervise.Ready, supervise.Starting, supervise.Ready, supervise.Stopped}, seen.all())
	require.ErrorContains(t, ask(ctx, p), "has been stopped")
}

func TestPlugin_FailsAfterTooManyEndsUntilRevived(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	s := settings("crash")
	s.Restarts = 1
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	for range 2 {
		_, ok := errors.AsType[*supervise.ExitError](ask(ctx, p))
		require.True(t, ok)
	}
	err := ask(ctx, p)
	failed, ok := errors.AsType[*supervise.FailedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 2, failed.Ends)
	require.Equal(t, supervise.DefaultRestartWindow, failed.Window)
	require.Equal(t, codes.Aborted, status.Code(err))
	require.Contains(t, err.Error(), `plugin "test" has failed: it ended 2 times within 10m0s`)
	require.Contains(t, err.Error(), "exit status 7")
	require.NotContains(t, err.Error(), theToken)
	require.Equal(t, supervise.Failed, p.Status().State)
	require.Equal(t, 1, logs.FilterMessageSnippet("the plugin has failed").Len())

	p.Revive()
	_, ok = errors.AsType[*supervise.ExitError](awaitCall(t, ctx, p))
	require.True(t, ok, "it runs again, and ends as it did before")
}

// TestRevive_DoesNotHoldForALaterFailure: who revives a plugin that is just
// starting has not spoken about its next failure.
func TestRevive_DoesNotHoldForALaterFailure(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := settings("crash")
	s.Restarts = -1
	p := made(t, ctx, s)
	p.Revive()
	require.NoError(t, p.Start(ctx))
	require.Error(t, ask(ctx, p))
	_, ok := errors.AsType[*supervise.FailedError](ask(ctx, p))
	require.True(t, ok)
	require.Never(t, func() bool { return p.Status().State != supervise.Failed }, 300*time.Millisecond, 10*time.Millisecond)
}

// awaitCall makes a call as soon as the plugin takes one.
func awaitCall(t *testing.T, ctx context.Context, p *supervise.Plugin) error { //nolint:revive // The test comes first by convention.
	t.Helper()
	require.Eventually(t, func() bool { return p.Err() == nil }, time.Minute, time.Millisecond)
	return ask(ctx, p)
}

func TestPlugin_FailsAtItsFirstEndWithoutRestarts(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := settings("crash")
	s.Restarts = -1
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	require.Error(t, ask(ctx, p))
	_, ok := errors.AsType[*supervise.FailedError](ask(ctx, p))
	require.True(t, ok)
}

func TestPlugin_RestartsAHangingProcess(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := settings("good")
	s.HealthTimeout = 300 * time.Millisecond
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	first := p.Status().PID
	require.NoError(t, syscall.Kill(first, syscall.SIGSTOP))

	err := ask(ctx, p)
	for err == nil { // A process takes a moment to stop.
		err = ask(ctx, p)
	}
	exit, ok := errors.AsType[*supervise.ExitError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "did not answer a health check within 300ms", exit.Reason)
	require.Contains(t, err.Error(), `the process of plugin "test" was ended: it did not answer a health check`)
	require.NoError(t, ask(ctx, p))
	require.NotEqual(t, first, p.Status().PID)
}

func TestPlugin_RestartsAnUnreachableProcess(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	s := settings("unreachable")
	s.HealthTimeout = 300 * time.Millisecond
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	first := p.Status().PID
	require.Error(t, ask(ctx, p))

	ended := awaitLine(t, logs, "the plugin ended; it is started again")
	require.Contains(t, ended.ContextMap()["error"], "was ended: it took no connection for 300ms")
	require.NoError(t, page(ctx, p.Conn()))
	require.NotEqual(t, first, p.Status().PID)
}

func TestConn_HangingCallEndsTheProcess(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := settings("hang")
	s.CallTimeout = 300 * time.Millisecond
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	err := ask(ctx, p)
	exit, ok := errors.AsType[*supervise.ExitError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "did not answer Validate within its call-timeout of 300ms", exit.Reason)
	require.True(t, exit.Replaced())
}

func TestConn_HangingPageEndsTheProcess(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := settings("hangs-in-page")
	s.CallTimeout = 300 * time.Millisecond
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	exit, ok := errors.AsType[*supervise.ExitError](page(ctx, p.Conn()))
	require.True(t, ok)
	require.Equal(t, "did not answer ListResources within its call-timeout of 300ms", exit.Reason)
	require.NoError(t, ask(ctx, p), "by the next process")
}

func TestMemoryLimit_EndsTheProcess(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("memory is measured where there is /proc")
	}
	for _, role := range []string{"leaks", "child-leaks"} {
		ctx, _ := logged(t)
		s := settings(role)
		s.MemoryLimit = 200 << 20
		s.Restarts = -1
		p := made(t, ctx, s)
		require.NoError(t, p.Start(ctx))
		err := ask(ctx, p)
		exit, ok := errors.AsType[*supervise.ExitError](err)
		require.True(t, ok, "%s: %v", role, err)
		require.Regexp(t, `^took [0-9.]+ [MG]iB of memory, which is more than its memory-limit of 200 MiB$`, exit.Reason, role)
	}
}

// TestPlugin_WaitingCallsShareOneStart makes many calls while there is no process.
func TestPlugin_WaitingCallsShareOneStart(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	t.Setenv(markVariable, mark)
	ctx, logs := logged(t)
	s := settings("crash-once")
	s.Env, s.Sandbox.Write = []string{markVariable}, []string{filepath.Dir(mark)}
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	require.Error(t, ask(ctx, p))
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if err := ask(ctx, p); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.Equal(t, 1, p.Status().Restarts)
	require.Equal(t, 2, logs.FilterMessage("plugin started").Len(), "the first start and the next")
}

// installing finds a plugin's binary once it is installed.
type installing struct {
	states
	path      string
	installed chan struct{}
}

func (i *installing) Find() (string, error) {
	select {
	case <-i.installed:
		return i.path, nil
	default:
		return "", errors.New("there is no plugin binary")
	}
}

func TestPlugin_PersistentRetriesItsFirstStart(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	s := settings("good")
	installed := make(chan struct{})
	path := s.Path
	s.Path = ""
	s.Owner = &installing{path: path, installed: installed}
	s.Persistent = true
	p := made(t, ctx, s)
	require.ErrorContains(t, p.Start(ctx), "there is no plugin binary")
	require.ErrorContains(t, p.Err(), "there is no plugin binary")
	require.ErrorContains(t, ask(ctx, p), "there is no plugin binary", "a call does not wait for it")
	awaitLine(t, logs, "the plugin does not start; it will be tried again")
	close(installed)
	require.NoError(t, awaitCall(t, ctx, p))
}

func TestPlugin_RetriesARefusedConfiguration(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	t.Setenv(markVariable, mark)
	ctx, logs := logged(t)
	s := settings("refuse-once")
	s.Env, s.Sandbox.Write = []string{markVariable}, []string{filepath.Dir(mark)}
	s.Restarts = -1 // It does not count as an end.
	s.Persistent = true
	p := made(t, ctx, s)
	err := p.Start(ctx)
	_, ok := errors.AsType[*supervise.RefusedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, supervise.Refusing, p.Status().State)
	require.ErrorContains(t, ask(ctx, p), "the app cannot be reached")
	awaitLine(t, logs, "the plugin refuses its configuration; it will be tried again")
	p.Revive()
	require.NoError(t, awaitCall(t, ctx, p))
}

func TestStop_DoesNotWaitForTheNextStart(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	s := settings("silent") // A start takes as long as it may.
	s.StartTimeout = 10 * time.Minute
	s.Persistent = true
	p := supervise.New(ctx, s)
	starting := make(chan error, 1)
	limited, cancel := context.WithCancel(ctx)
	go func() { starting <- p.Start(limited) }()
	cancel()
	require.Error(t, <-starting)
	line := awaitLine(t, logs, "the plugin does not start; it will be tried again")
	require.Equal(t, zapcore.InfoLevel, line.Level, "a start that was called off is no error")
	stopsInTime(t, ctx, p)
	require.Equal(t, supervise.Stopped, p.Status().State)
}
