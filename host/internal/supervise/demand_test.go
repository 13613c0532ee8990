//go:build unix

package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

// onDemand is a running plugin whose process ends as soon as it has nothing to do.
func onDemand(t *testing.T, spec supervise.Spec) (context.Context, *supervise.Plugin, *rotating, *observer.ObservedLogs) {
	t.Helper()
	ctx, logs := logged(t)
	owner := &rotating{token: "first-token-0000"}
	p := made(t, ctx, supervise.Settings{Spec: spec, Owner: owner, IdleAfter: time.Nanosecond})
	require.NoError(t, p.Start(ctx))
	return ctx, p, owner, logs
}

// requireIdle waits until a plugin is idle.
func requireIdle(t *testing.T, p *supervise.Plugin) {
	t.Helper()
	require.Eventually(t, func() bool { return p.Status().State == supervise.Idle }, time.Minute, time.Millisecond, "%+v", p.Status())
}

func TestPlugin_IdleEndsItsProcessUntilACall(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]supervise.Spec{"a plugin": spec("rotates:"), "an unmodified connector": unmodifiedSpec("rotates:")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, p, owner, logs := onDemand(t, spec)
			for range 2 {
				requireIdle(t, p)
				is := p.Status()
				require.Zero(t, is.PID)
				require.NoError(t, is.Err)
				require.NoError(t, p.Err(), "a call is answered")
				require.NotNil(t, is.Manifest)
				got, err := token(ctx, p)
				require.NoError(t, err)
				require.Equal(t, "first-token-0000", got)
			}
			require.Zero(t, p.Status().Restarts, "it has not failed")
			require.Zero(t, logs.FilterMessageSnippet("ended").Len(), "%v", logs.All())
			for _, state := range owner.all() {
				require.Contains(t, []supervise.State{supervise.Ready, supervise.Idle, supervise.Starting}, state)
			}
		})
	}
}

func TestPlugin_IdleLeavesNoProcessBehind(t *testing.T) {
	t.Parallel()
	ctx, p, _, _ := onDemand(t, spec("good"))
	requireIdle(t, p)
	release := p.Hold()
	require.NoError(t, p.AwaitTurn(ctx))
	_, err := token(ctx, p)
	require.NoError(t, err)
	pid := p.Status().PID
	require.NotZero(t, pid)
	require.NoError(t, syscall.Kill(pid, 0))
	release()
	requireGone(t, pid)
}

// TestPlugin_IdleAnswersWhatNeedsNoProcess: how a connector presents itself is known, and what
// a process has kept of a sync is gone.
func TestPlugin_IdleAnswersWhatNeedsNoProcess(t *testing.T) {
	t.Parallel()
	ctx, p, owner, _ := onDemand(t, spec("good"))
	connector := connectorv2.NewConnectorServiceClient(p.Conn())
	asked, err := connector.GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	requireIdle(t, p)
	before := len(owner.all())
	known, err := connector.GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	require.Equal(t, asked.GetMetadata().GetDisplayName(), known.GetMetadata().GetDisplayName())
	_, err = connector.Cleanup(ctx, &connectorv2.ConnectorServiceCleanupRequest{})
	require.NoError(t, err)
	require.Len(t, owner.all(), before, "no process was started")

	// A process with another configuration may present itself in another way.
	owner.set("second-token-000", nil)
	_, err = token(ctx, p)
	require.NoError(t, err)
	requireIdle(t, p)
	before = len(owner.all())
	_, err = connector.GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	require.Greater(t, len(owner.all()), before, "it was asked")
}

// TestPlugin_IdleFailsAsOneThatRuns: what keeps a process from starting for a call is what
// keeps it from starting again.
func TestPlugin_IdleFailsAsOneThatRuns(t *testing.T) {
	t.Parallel()
	ctx, p, owner, logs := onDemand(t, spec("good"))
	requireIdle(t, p)
	owner.set("", &supervise.UnresolvedError{Instance: "one", Err: errors.New("the store is sealed")})
	_, err := token(ctx, p)
	require.ErrorContains(t, err, "the store is sealed")
	require.Equal(t, supervise.Refusing, p.Status().State)
	const notice = "the plugin's secrets cannot be resolved; it will be tried again"
	require.Eventually(t, func() bool { return logs.FilterMessage(notice).Len() == 1 }, time.Minute, time.Millisecond)
	owner.set("second-token-000", nil)
	p.Revive()
	require.Eventually(t, func() bool { return p.Err() == nil }, time.Minute, time.Millisecond)
	_, err = token(ctx, p)
	require.NoError(t, err)
	requireIdle(t, p)
}

func TestReplace_StartsTheProcessOfAnIdlePlugin(t *testing.T) {
	t.Parallel()
	ctx, p, owner, _ := onDemand(t, spec("rotates:"))
	requireIdle(t, p)
	owner.set("refused-token-00", nil)
	require.ErrorContains(t, p.Replace(ctx, tryToken), "the app does not know")
	require.Equal(t, supervise.Idle, p.Status().State)
	require.NoError(t, p.Err())

	owner.set("second-token-000", nil)
	release := p.Hold()
	require.NoError(t, p.Replace(ctx, tryToken))
	require.Equal(t, supervise.Ready, p.Status().State)
	release()
	requireIdle(t, p)
	got, err := token(ctx, p)
	require.NoError(t, err)
	require.Equal(t, "second-token-000", got)
	require.Zero(t, p.Status().Restarts)
}

// counting counts the processes of several plugins that are alive while one begins to be
// called.
type counting struct {
	rotating

	all *living
}

type living struct {
	mu   sync.Mutex
	pids map[int]bool
	most int
}

func (c *counting) Changed(status supervise.Status) {
	if status.PID == 0 {
		return
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.all.pids[status.PID] = true
	alive := 0
	for pid := range c.all.pids {
		if syscall.Kill(pid, 0) == nil {
			alive++
		}
	}
	c.all.most = max(c.all.most, alive)
}

// TestRoom_BoundsTheProcessesOfManyPlugins: all calls are answered, although there is room for
// the processes of two of the plugins only, and some of them fail on the way.
func TestRoom_BoundsTheProcessesOfManyPlugins(t *testing.T) {
	t.Parallel()
	const most, many, rounds = 2, 4, 2
	ctx, _ := logged(t)
	room, all := supervise.NewRoom(most), &living{pids: map[int]bool{}}
	var plugins []*supervise.Plugin
	var working sync.WaitGroup
	for i := range many {
		settings := supervise.Settings{Spec: spec("rotates:"), IdleAfter: time.Hour, Room: room}
		settings.Instance = fmt.Sprint("plugin", i)
		settings.Owner = &counting{rotating: rotating{token: fmt.Sprintf("token-of-plugin-%d", i)}, all: all}
		p := made(t, ctx, settings)
		plugins = append(plugins, p)
		working.Go(func() { require.NoError(t, p.Start(ctx)) })
	}
	working.Wait()
	for round := range rounds {
		for i, p := range plugins {
			working.Go(func() {
				if end, err := p.BeginListing(ctx); assertNoError(t, err) {
					defer end()
				}
				assertNoError(t, p.AwaitTurn(ctx))
				_, err := token(ctx, p)
				assertNoError(t, err)
				pid := p.Status().PID
				for range 2 { // The process stays for all pages of a listing.
					got, err := token(ctx, p)
					assertNoError(t, err)
					if got != fmt.Sprintf("token-of-plugin-%d", i) || p.Status().PID != pid {
						t.Errorf("round %d: plugin %d answered %q in process %d, which was %d", round, i, got, p.Status().PID, pid)
					}
				}
			})
		}
		working.Wait()
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	require.Equal(t, most, all.most, "of %d processes", len(all.pids))
	require.GreaterOrEqual(t, len(all.pids), many*rounds-most)
}

func assertNoError(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err == nil
}
