package syncrun_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/state/objects"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

// killed is what a host is stopped with in the middle of something.
type killed struct{}

// killable is a store that kills the host which uses it, before or after one of its calls.
type killable struct {
	objects.Store
	host *failoverHost
	// left is how many calls are still done; below 0: all.
	left  int
	after bool
}

func (k *killable) step(call func()) {
	if k.left == 0 && !k.after {
		k.host.die()
	}
	call()
	if k.left == 0 {
		k.host.die()
	}
	k.left--
}

func (k *killable) Get(ctx context.Context, name string) (content io.ReadCloser, err error) {
	k.step(func() { content, err = k.Store.Get(ctx, name) })
	return content, err
}

func (k *killable) Put(ctx context.Context, name string, content io.ReadSeeker, bytes int64, sum string) (err error) {
	k.step(func() { err = k.Store.Put(ctx, name, content, bytes, sum) })
	return err
}

func (k *killable) Create(ctx context.Context, name string, content []byte) (err error) {
	k.step(func() { err = k.Store.Create(ctx, name, content) })
	return err
}

func (k *killable) List(ctx context.Context, dir, after string) (found []objects.Object, err error) {
	k.step(func() { found, err = k.Store.List(ctx, dir, after) })
	return found, err
}

func (k *killable) Remove(ctx context.Context, name string) (err error) {
	k.step(func() { err = k.Store.Remove(ctx, name) })
	return err
}

// failoverHost is one of the hosts, by its state directory.
type failoverHost struct {
	t      *testing.T
	name   string
	dir    string
	store  *killable
	places *state.Places
}

func newFailoverHost(t *testing.T, name string, store objects.Store) *failoverHost {
	t.Helper()
	h := &failoverHost{t: t, name: name, dir: t.TempDir()}
	h.store = &killable{Store: store, host: h}
	h.start()
	return h
}

// start starts a process of the host.
func (h *failoverHost) start() {
	h.store.left = -1
	h.places = state.Share(h.store, h.dir, h.name)
}

// die ends the process of the host: what is on its disk at this moment stays, whatever is
// cleaned up from here on.
func (h *failoverHost) die() {
	left := h.t.TempDir()
	require.NoError(h.t, os.CopyFS(left, os.DirFS(h.dir)))
	h.dir = left
	panic(killed{})
}

// failover is an upload that several hosts serve, beside one that a host serves alone which is
// never killed.
type failover struct {
	upload *config.Upload
	alone  state.Place
	dir    string
	app    counted
	fails  bool
	parts  []syncrun.Plugin
}

func newFailover(t *testing.T, name string) *failover {
	t.Helper()
	f := &failover{app: counted{"user": 30}, dir: t.TempDir()}
	f.upload = &config.Upload{Name: name, LastGood: true, MaxStale: time.Hour}
	f.alone = state.At(filepath.Join(f.dir, name+".c1z"))
	fails := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if f.fails {
			return nil, status.Error(codes.PermissionDenied, "the app is away")
		}
		return handler(ctx, request)
	}
	f.parts = plugins(t, member{name: "app", app: f.app, guard: config.DefaultChangeGuard(), interfere: fails},
		member{name: "other", app: counted{"user": 3}, guard: config.DefaultChangeGuard()})
	return f
}

// made is how a sync went.
type made struct {
	result *syncrun.Result
	mark   string
	err    error
}

// outcome is what C1 and an operator see of it.
func (m made) outcome() string {
	if m.err != nil {
		return "refused: " + fmt.Sprint(syncrun.IsRefused(m.err))
	}
	var stale []string
	for _, one := range m.result.Stale {
		stale = append(stale, fmt.Sprintf("%s (guard: %t)", one.Instance, syncrun.IsRefused(one.Err)))
	}
	return fmt.Sprintf("accounts %v, stale %v, approved %v, window of %d", m.result.Accounts, stale, m.result.Accepted, len(m.result.Sync.Plugins["app"].Window))
}

func (f *failover) sync(ctx context.Context, place state.Place, dir string) (m made) {
	m.err = place.Read(ctx, func(view state.View) (err error) {
		m.mark = view.Mark
		m.result, err = syncrun.Run(ctx, syncrun.Spec{Upload: f.upload, Plugins: f.parts, Keep: view.Baseline, Review: state.Refusals{Place: place}, Dir: dir})
		return err
	})
	return m
}

func (f *failover) advance(ctx context.Context, place state.Place, m made) error {
	_, notUsed, err := place.Advance(ctx, state.Accepted{Draft: m.result.Draft, Sync: m.result.Sync, Fresh: m.result.Fresh(), Mark: m.mark})
	return errors.Join(notUsed, err)
}

// mark names the baseline of a place now.
func (f *failover) mark(ctx context.Context, place state.Place) (mark string, err error) {
	err = place.Read(ctx, func(view state.View) error {
		mark = view.Mark
		return nil
	})
	return mark, err
}

// approve approves what waits; false if nothing does.
func approve(ctx context.Context, place state.Place) (approved bool, err error) {
	err = place.Change(ctx, func(view state.View) error {
		refused, err := view.Review.Refused()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			approved = true
			_, err = view.Review.Approve(ctx, refused.ID, time.Hour, "ada")
		}
		if none := (*os.PathError)(nil); errors.Is(err, os.ErrNotExist) && !errors.As(err, &none) {
			approved, err = false, nil // A later sync has been accepted.
		}
		return err
	})
	return approved, err
}

// failOver runs syncs of two uploads on three hosts that share a store, kills hosts in the
// middle, and compares everything with hosts of which each serves an upload alone.
func failOver(t *testing.T, store objects.Store, seed uint64, kills int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 25)) //nolint:gosec // The same for the same seed.
	ctx := t.Context()
	var hosts []*failoverHost
	for _, name := range []string{"a", "b", "c"} {
		hosts = append(hosts, newFailoverHost(t, name, store))
	}
	uploads := []*failover{newFailover(t, "one"), newFailover(t, "two")}
	seen := map[string]int{}
	for step := 0; kills > 0; step++ {
		f, host := uploads[random.IntN(2)], hosts[random.IntN(3)]
		f.fails = false
		what := ""
		switch n := random.IntN(10); {
		case n < 3:
			what = "grows"
			f.app["user"] = 30 + random.IntN(10)
		case n < 5:
			what = "fails"
			f.fails = true
		case n < 8:
			what = "shrinks"
			f.app["user"] = 5 + random.IntN(5)
		default:
			what = "is approved"
			here, err := approve(ctx, f.alone)
			require.NoError(t, err)
			there, err := approve(ctx, hosts[random.IntN(3)].places.Of(f.upload))
			require.NoError(t, err)
			require.Equal(t, here, there, "step %d", step)
		}
		place := host.places.Of(f.upload)
		if random.IntN(3) > 0 {
			host.store.left, host.store.after = random.IntN(16), random.IntN(2) == 0
		}
		expected := f.sync(ctx, f.alone, f.dir)
		got, accepted, died := made{}, false, false
		func() {
			defer func() {
				if died = recover() != nil; died {
					kills--
				}
			}()
			got = f.sync(ctx, place, host.dir)
			if got.err == nil && place.Confirm(ctx, got.mark) == nil {
				accepted = true
				require.NoError(t, f.advance(ctx, place, got))
			}
			host.store.left = -1
		}()
		said := fmt.Sprintf("step %d of seed %d: %s on host %s, killed: %t", step, seed, what, host.name, died)
		if got.result != nil || got.err != nil {
			require.Equal(t, expected.outcome(), got.outcome(), said)
			seen[what]++
		}
		if died {
			host.start()
			seen["kill"]++
		}
		// What the hosts have now is what one alone would have: with this sync or without.
		now, err := f.mark(ctx, host.places.Of(f.upload))
		require.NoError(t, err, said)
		switch {
		case expected.err != nil:
		case accepted && now != got.mark:
			require.NoError(t, f.advance(ctx, f.alone, expected))
			seen["advanced"]++
		default:
			require.True(t, died, said)
			expected.result.Draft.Discard()
		}
		if died && (!accepted || now == got.mark) {
			// C1 gives the task to another host, which finds the same, and keeps what is refused.
			other := hosts[random.IntN(3)]
			here, there := f.sync(ctx, f.alone, f.dir), f.sync(ctx, other.places.Of(f.upload), other.dir)
			require.Equal(t, here.outcome(), there.outcome(), said)
			for _, one := range []made{here, there} {
				if one.err == nil {
					one.result.Draft.Discard()
				}
			}
		}
		requireSame(t, f, hosts, said)
	}
	for _, what := range []string{"kill", "advanced", "fails", "shrinks", "grows"} {
		require.Positive(t, seen[what], what)
	}
}

// requireSame holds what the hosts have kept of an upload against what one alone has.
func requireSame(t *testing.T, f *failover, hosts []*failoverHost, said string) {
	t.Helper()
	kept := func(place state.Place) string {
		var text []string
		require.NoError(t, place.Read(t.Context(), func(view state.View) error {
			require.NoError(t, view.Away, said)
			known := view.Baseline.Known()
			for name, part := range known.Plugins {
				text = append(text, fmt.Sprintf("%s has %d, window %d", name, part.Accounts, len(part.Window)))
			}
			approval, err := view.Review.Approval()
			if err == nil {
				text = append(text, fmt.Sprintf("approved: %d", approval.Of("app").Keys))
			} else {
				require.ErrorIs(t, err, os.ErrNotExist, said)
			}
			return nil
		}))
		slices.Sort(text)
		return strings.Join(text, "; ")
	}
	expected := kept(f.alone)
	for _, host := range hosts {
		require.Equal(t, expected, kept(host.places.Of(f.upload)), said)
	}
}

func sharedDirectory(t *testing.T) objects.Store {
	t.Helper()
	store, err := objects.Open(objects.Location{Directory: t.TempDir()})
	require.NoError(t, err)
	return store
}

// TestFailover_IsAsIfOneHostHadDoneItAll where hosts are killed at any call of the store that
// they share: what is accepted, what falls back, what is refused, and what an approval lets
// through, once. TestLongFailover has more of it, and TestRealFailover a server of others.
func TestFailover_IsAsIfOneHostHadDoneItAll(t *testing.T) {
	t.Parallel()
	failOver(t, sharedDirectory(t), 1, 6)
}
