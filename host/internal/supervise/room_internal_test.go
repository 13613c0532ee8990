package supervise

import (
	"context"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// waits has a plugin wait for a place, and returns what comes of it.
func waits(ctx context.Context, room *Room, p *Plugin) <-chan error {
	result := make(chan error, 1)
	before := room.queue()
	go func() { result <- room.enter(ctx, p) }()
	for room.queue() == before {
		time.Sleep(time.Millisecond)
	}
	return result
}

func (r *Room) queue() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

func TestRoom_GivesPlacesInOrder(t *testing.T) {
	t.Parallel()
	room := NewRoom(0) // At least one.
	plugins := make([]*Plugin, 5)
	for i := range plugins {
		plugins[i] = New(t.Context(), Settings{IdleAfter: time.Hour, Room: room})
	}
	require.NoError(t, room.enter(t.Context(), plugins[0]))
	ended, cancel := context.WithCancel(t.Context())
	first, givesUp, third := waits(t.Context(), room, plugins[1]), waits(ended, room, plugins[2]), waits(t.Context(), room, plugins[3])
	cancel()
	require.ErrorIs(t, <-givesUp, context.Canceled)
	require.Equal(t, 2, room.queue())
	room.leave(plugins[0])
	require.NoError(t, <-first)
	require.Equal(t, 1, room.queue())
	room.Resize(2)
	require.NoError(t, <-third)
	last := waits(t.Context(), room, plugins[4])
	room.Resize(1)
	room.leave(plugins[1])
	require.Equal(t, 1, room.queue(), "there is a place less")
	room.leave(plugins[3])
	require.NoError(t, <-last)
}

// TestRest_LeavesAPluginThatHasSomethingToDo.
func TestRest_LeavesAPluginThatHasSomethingToDo(t *testing.T) {
	t.Parallel()
	running := func(settings Settings) *Plugin {
		settings.Owner = unobserved{}
		p := New(t.Context(), settings)
		p.process, p.keeping, p.status.State = &Process{rested: make(chan struct{}), runner: proc.Attached(0)}, true, Ready
		return p
	}
	kept := Settings{IdleAfter: time.Hour}
	for name, tc := range map[string]struct {
		settings Settings
		begin    func(p *Plugin)
		rests    bool
	}{
		"nothing":           {settings: kept, begin: func(*Plugin) {}, rests: true},
		"a call":            {settings: kept, begin: func(p *Plugin) { p.begin(true) }},
		"a call that ended": {settings: kept, begin: func(p *Plugin) { p.begin(true); p.end() }, rests: true},
		"a listing":         {settings: kept, begin: func(p *Plugin) { _, err := p.BeginListing(t.Context()); require.NoError(t, err) }},
		"an action that runs": {settings: kept, begin: func(p *Plugin) {
			p.noteAnswer(v2.InvokeActionResponse_builder{Status: v2.BatonActionStatus_BATON_ACTION_STATUS_RUNNING}.Build())
		}},
		"an action whose result may be asked for": {settings: kept, begin: func(p *Plugin) {
			p.noteAnswer(v2.GetActionStatusResponse_builder{Status: v2.BatonActionStatus_BATON_ACTION_STATUS_COMPLETE}.Build())
		}},
		"always running": {begin: func(*Plugin) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := running(tc.settings)
			tc.begin(p)
			require.Equal(t, tc.rests, p.rest(0))
			require.Equal(t, tc.rests, p.Status().State == Idle)
		})
	}
}

// unobserved is an owner whose plugin is not looked at.
type unobserved struct{}

func (unobserved) Find() (string, error) { return "", nil }

func (unobserved) Configure(context.Context, *pluginv1.Manifest) (*pluginv1.ConfigureRequest, error) {
	return &pluginv1.ConfigureRequest{}, nil
}
func (unobserved) Refused([]*pluginv1.Diagnostic) error { return nil }
func (unobserved) Changed(Status)                       {}
