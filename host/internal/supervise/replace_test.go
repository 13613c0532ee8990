//go:build unix

package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// useToken is what a call to the app comes to with the connector's token.
func (c *testConnector) useToken() error {
	switch {
	case strings.HasPrefix(c.token, "refused"):
		return status.Errorf(codes.Unauthenticated, "the app does not know %s", c.token)
	case strings.HasPrefix(c.token, "crashes"):
		os.Exit(7)
	case strings.HasPrefix(c.token, "hangs"):
		select {}
	}
	return nil
}

// waitForFile returns once there is a file, at once without a path; the name of another one
// that it makes says that it waits.
func waitForFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path+".reached", nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// rotating configures a plugin with the token of the moment.
type rotating struct {
	states

	mu    sync.Mutex
	token string
	err   error
}

func (r *rotating) set(token string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token, r.err = token, err
}

func (r *rotating) Configure(context.Context, *pluginv1.Manifest) (*pluginv1.ConfigureRequest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &pluginv1.ConfigureRequest{
		Secrets: map[string]*pluginv1.Value{"token": {Kind: &pluginv1.Value_StringValue{StringValue: r.token}}},
	}, r.err
}

// grantedUsers can be granted something, and note each change with the token that makes it.
type grantedUsers struct{ testUsers }

func (u *grantedUsers) Grant(context.Context, *connectorv2.Resource, *connectorv2.Entitlement) ([]*connectorv2.Grant, annotations.Annotations, error) {
	return nil, nil, u.change("grant")
}

func (u *grantedUsers) Revoke(context.Context, *connectorv2.Grant) (annotations.Annotations, error) {
	return nil, u.change("revoke")
}

func (u *grantedUsers) change(what string) error {
	path := strings.TrimPrefix(u.role, "rotates:")
	changes, err := os.OpenFile(path+".changes", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(changes, what, u.token)
	return errors.Join(err, changes.Close(), waitForFile(path))
}

// rotated is a running plugin whose listings and changes wait for a file, if a path is given.
func rotated(t *testing.T, waits string) (context.Context, *supervise.Plugin, *rotating, *observer.ObservedLogs) {
	t.Helper()
	return rotatedOf(t, spec("rotates:"+waits))
}

// rotatedOf is rotated for what is started.
func rotatedOf(t *testing.T, spec supervise.Spec) (context.Context, *supervise.Plugin, *rotating, *observer.ObservedLogs) {
	t.Helper()
	ctx, logs := logged(t)
	s := supervise.Settings{Spec: spec}
	owner := &rotating{token: "first-token-0000"}
	s.Owner = owner
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	return ctx, p, owner, logs
}

// tryToken has a process use its token.
func tryToken(ctx context.Context, conn grpc.ClientConnInterface) error {
	_, err := connectorv2.NewConnectorServiceClient(conn).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{})
	return err
}

// token returns which token the process has that answers.
func token(ctx context.Context, p *supervise.Plugin) (string, error) {
	response, err := connectorv2.NewResourcesServiceClient(p.Conn()).ListResources(ctx,
		connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
	if err != nil {
		return "", err
	}
	return response.GetList()[0].GetDisplayName(), nil
}

// requireGone waits until a process has ended.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, time.Minute, 5*time.Millisecond)
}

func TestReplace_HasCallsGoToTheNewProcess(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]supervise.Spec{"a plugin": spec("rotates:"), "an unmodified connector": unmodifiedSpec("rotates:")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replaces(t, spec)
		})
	}
}

func replaces(t *testing.T, spec supervise.Spec) {
	t.Helper()
	ctx, p, owner, logs := rotatedOf(t, spec)
	first := p.Status().PID
	owner.set("second-token-000", nil)
	require.NoError(t, p.Replace(ctx, tryToken))
	is := p.Status()
	require.NotEqual(t, first, is.PID)
	require.Zero(t, is.Restarts, "a rotation is no restart")
	require.Equal(t, supervise.Ready, is.State)
	got, err := token(ctx, p)
	require.NoError(t, err)
	require.Equal(t, "second-token-000", got)
	requireGone(t, first)
	require.Zero(t, logs.FilterMessageSnippet("the plugin ended").Len(), "%v", logs.All())

	// The new process is watched as the first one was.
	require.NoError(t, syscall.Kill(is.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool { return p.Status().Restarts == 1 && p.Err() == nil }, time.Minute, 5*time.Millisecond)
	got, err = token(ctx, p)
	require.NoError(t, err)
	require.Equal(t, "second-token-000", got)
}

func TestReplace_LetsACallInFlightEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		crash bool // of the old process
	}{{name: "it answers"}, {name: "its process crashes", crash: true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "go-on")
			ctx, p, owner, logs := rotated(t, file)
			first := p.Status().PID
			type outcome struct {
				token string
				err   error
			}
			answered := make(chan outcome, 1)
			go func() {
				got, err := token(ctx, p)
				answered <- outcome{got, err}
			}()
			require.Eventually(t, func() bool { _, err := os.Stat(file + ".reached"); return err == nil }, time.Minute, 5*time.Millisecond)
			owner.set("second-token-000", nil)
			require.NoError(t, p.Replace(ctx, tryToken))
			require.NoError(t, syscall.Kill(first, 0), "the old process must stay for its call")
			require.NoError(t, ask(ctx, p))
			if tc.crash {
				require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
				got := <-answered
				exit, ok := errors.AsType[*supervise.ExitError](got.err)
				require.True(t, ok, "%v", got.err)
				require.True(t, exit.Replaced())
			} else {
				require.NoError(t, os.WriteFile(file, nil, 0o600))
				got := <-answered
				require.NoError(t, got.err)
				require.Equal(t, "first-token-0000", got.token)
			}
			requireGone(t, first)
			require.Zero(t, p.Status().Restarts)
			require.Zero(t, logs.FilterMessageSnippet("the plugin ended").Len())
		})
	}
}

// TestReplace_LetsAChangeOfTheAppEnd on the process that has begun it, which makes it once.
func TestReplace_LetsAChangeOfTheAppEnd(t *testing.T) {
	t.Parallel()
	user := connectorv2.Resource_builder{Id: connectorv2.ResourceId_builder{ResourceType: "user", Resource: "1"}.Build()}.Build()
	entitlement := connectorv2.Entitlement_builder{Id: "e", Resource: user}.Build()
	for name, change := range map[string]func(context.Context, connectorv2.GrantManagerServiceClient) error{
		"grant": func(ctx context.Context, grants connectorv2.GrantManagerServiceClient) error {
			_, err := grants.Grant(ctx, connectorv2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement, Principal: user}.Build())
			return err
		},
		"revoke": func(ctx context.Context, grants connectorv2.GrantManagerServiceClient) error {
			_, err := grants.Revoke(ctx, connectorv2.GrantManagerServiceRevokeRequest_builder{
				Grant: connectorv2.Grant_builder{Id: "g", Entitlement: entitlement, Principal: user}.Build(),
			}.Build())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "go-on")
			ctx, p, owner, _ := rotated(t, file)
			first := p.Status().PID
			changed := make(chan error, 1)
			go func() { changed <- change(ctx, connectorv2.NewGrantManagerServiceClient(p.Conn())) }()
			require.Eventually(t, func() bool { _, err := os.Stat(file + ".reached"); return err == nil }, time.Minute, 5*time.Millisecond)
			owner.set("second-token-000", nil)
			require.NoError(t, p.Replace(ctx, tryToken))
			require.NotEqual(t, first, p.Status().PID)
			require.NoError(t, syscall.Kill(first, 0), "the old process must stay for the change")
			require.NoError(t, os.WriteFile(file, nil, 0o600))
			require.NoError(t, <-changed)
			requireGone(t, first)
			made, err := os.ReadFile(file + ".changes")
			require.NoError(t, err)
			require.Equal(t, name+" first-token-0000\n", string(made))
		})
	}
}

func TestReplace_LeavesTheOldProcessOnAnError(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, token string
		unmodified  bool
		configure   error
		code        codes.Code
		text        string
	}{
		{name: "the app refuses", token: "refused-token-00", code: codes.Unauthenticated, text: "the app does not know (secret)"},
		{name: "the app refuses an unmodified connector", unmodified: true, token: "refused-token-00", code: codes.Unauthenticated, text: "the app does not know (secret)"},
		{name: "it crashes while it is validated", token: "crashes-token-00", code: codes.Aborted, text: "exit status 7"},
		{name: "it cannot be configured", token: "other-token-0000", configure: errors.New("no store"), code: codes.Unknown, text: "no store"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			program := spec("rotates:")
			if tc.unmodified {
				program = unmodifiedSpec("rotates:")
			}
			ctx, p, owner, _ := rotatedOf(t, program)
			first := p.Status().PID
			owner.set(tc.token, tc.configure)
			err := p.Replace(ctx, tryToken)
			require.ErrorContains(t, err, tc.text)
			require.NotContains(t, err.Error(), tc.token)
			require.Equal(t, tc.code, status.Code(err))
			require.Equal(t, first, p.Status().PID)
			require.Equal(t, supervise.Ready, p.Status().State)
			got, err := token(ctx, p)
			require.NoError(t, err)
			require.Equal(t, "first-token-0000", got)
		})
	}
}

func TestReplace_BringsBackAPluginThatHasEndedMeanwhile(t *testing.T) {
	t.Parallel()
	ctx, p, owner, _ := rotated(t, "")
	first := p.Status().PID
	owner.set("second-token-000", nil)
	require.NoError(t, p.Replace(ctx, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
			return err
		}
		// It is known to have ended once calls do not go to it any more.
		for p.Status().State == supervise.Ready && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return tryToken(ctx, conn)
	}))
	got, err := token(ctx, p)
	require.NoError(t, err)
	require.Equal(t, "second-token-000", got)
	require.Equal(t, 1, p.Status().Restarts)
}

// TestReplace_RevivesAPluginThatHasFailed: another configuration is another chance.
func TestReplace_RevivesAPluginThatHasFailed(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	s := settings("rotates:")
	owner := &rotating{token: "crashes-token-00"}
	s.Owner, s.Restarts = owner, -1
	p := made(t, ctx, s)
	require.NoError(t, p.Start(ctx))
	require.Error(t, ask(ctx, p))
	awaitLine(t, logs, "the plugin has failed")
	owner.set("second-token-000", nil)
	require.NoError(t, p.Replace(ctx, tryToken))
	require.NoError(t, ask(ctx, p))
}

// TestReplace_ManyAtTheSameTime: none is lost, and one process is left of them.
func TestReplace_ManyAtTheSameTime(t *testing.T) {
	t.Parallel()
	ctx, p, owner, _ := rotated(t, "")
	calling, stop := context.WithCancel(ctx)
	var calls, replacing sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			for calling.Err() == nil {
				if _, err := token(ctx, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	pids := sync.Map{}
	for n := range 5 {
		replacing.Go(func() {
			owner.set(fmt.Sprintf("token-%d-of-many-00", n), nil)
			if err := p.Replace(ctx, tryToken); err != nil {
				t.Error(err)
			}
			pids.Store(p.Status().PID, true)
		})
	}
	replacing.Wait()
	stop()
	calls.Wait()
	pids.Range(func(pid, _ any) bool {
		if number, _ := pid.(int); number != p.Status().PID {
			requireGone(t, number)
		}
		return true
	})
	require.Zero(t, p.Status().Restarts)
}

func TestReplace_EndsWithStop(t *testing.T) {
	t.Parallel()
	ctx, p, owner, _ := rotated(t, "")
	owner.set("hangs-token-0000", nil)
	validating, replaced := make(chan struct{}), make(chan error, 1)
	go func() {
		replaced <- p.Replace(ctx, func(ctx context.Context, conn grpc.ClientConnInterface) error {
			close(validating)
			return tryToken(ctx, conn)
		})
	}()
	<-validating
	p.Stop(ctx)
	require.Error(t, <-replaced)
	require.Equal(t, supervise.Stopped, p.Status().State)
	require.Error(t, p.Replace(ctx, tryToken), "a plugin that was stopped stays so")
}

// TestPlugin_WaitsForSecretsThatCannotBeResolved: that does not count as an end of a process.
func TestPlugin_WaitsForSecretsThatCannotBeResolved(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	s := settings("rotates:")
	owner := &rotating{token: "first-token-0000", err: &supervise.UnresolvedError{Instance: "test", Err: errors.New("the store is away")}}
	s.Owner, s.Restarts, s.Persistent = owner, -1, true
	p := made(t, ctx, s)
	require.ErrorContains(t, p.Start(ctx), "the store is away")
	awaitLine(t, logs, "the plugin's secrets cannot be resolved; it will be tried again")
	require.Equal(t, supervise.Refusing, p.Status().State)
	require.Equal(t, codes.Unavailable, status.Code(p.Err()))
	owner.set("second-token-000", nil)
	require.NoError(t, p.Replace(ctx, tryToken), "it is started at once")
	require.NoError(t, ask(ctx, p))
}
