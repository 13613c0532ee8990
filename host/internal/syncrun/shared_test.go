package syncrun_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/state/objects"
	"github.com/batonhost/baton-host/sandbox/s3"
)

// The environment has the credentials of all tests.
func init() {
	_ = os.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST") // It is an own name.
	_ = os.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
}

// server is a bucket on a server that has bad days.
type server struct {
	*s3.Server
	location objects.Location
}

func newServer(t *testing.T) *server { return newServerOf(t, s3.Options{}) }

func newServerOf(t *testing.T, options s3.Options) *server {
	t.Helper()
	options.Bucket, options.AccessKey, options.PageSize = "baton", "AKIATEST", 2
	s := &server{Server: s3.New(options)}
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	location, err := objects.Parse("s3://baton/production?endpoint="+listening.URL, "")
	require.NoError(t, err)
	s.location = location
	return s
}

func (s *server) open(t *testing.T) objects.Store {
	t.Helper()
	store, err := objects.Open(s.location)
	require.NoError(t, err)
	return store
}

// away has the server answer nothing but 500.
func (s *server) away() {
	s.Break(func(*http.Request) s3.Fault {
		return s3.Fault{Status: http.StatusInternalServerError, Code: "InternalError"}
	})
}

// sharing is one host that shares an upload.
type sharing struct {
	*failover
	place state.Place
	local string
	ctx   context.Context //nolint:containedctx // It has the log.
	log   *observer.ObservedLogs
}

func (f *failover) on(t *testing.T, store objects.Store, host string) *sharing {
	t.Helper()
	return f.in(t, store, host, t.TempDir())
}

func (f *failover) in(t *testing.T, store objects.Store, host, local string) *sharing {
	t.Helper()
	var core zapcore.Core
	h := &sharing{failover: f, local: local}
	core, h.log = observer.New(zap.WarnLevel)
	h.ctx = ctxzap.ToContext(t.Context(), zap.New(core))
	h.place = state.Share(store, local, host).Of(f.upload)
	return h
}

func (h *sharing) sync(t *testing.T) made {
	t.Helper()
	m := h.failover.sync(h.ctx, h.place, h.local)
	require.NoError(t, m.err)
	return m
}

// accepted runs a sync and has it accepted.
func (h *sharing) accepted(t *testing.T) made {
	t.Helper()
	m := h.sync(t)
	require.NoError(t, h.place.Confirm(h.ctx, m.mark))
	require.NoError(t, h.advance(h.ctx, h.place, m))
	return m
}

// view is what the host reads.
func (h *sharing) view(t *testing.T) (mark string, accounts int, away error) {
	t.Helper()
	require.NoError(t, h.place.Read(h.ctx, func(view state.View) error {
		mark, accounts, away = view.Mark, view.Baseline.Known().Plugins["app"].Accounts, view.Away
		return nil
	}))
	return mark, accounts, away
}

func (h *sharing) warned(text string) bool {
	return slices.ContainsFunc(h.log.All(), func(entry observer.LoggedEntry) bool { return strings.Contains(entry.Message, text) })
}

// head is the newest generation on the server.
func (s *server) head(t *testing.T) (key string) {
	t.Helper()
	for _, one := range s.Keys() {
		if strings.HasPrefix(one, "production/workforce/generations/") {
			key = one
		}
	}
	require.NotEmpty(t, key)
	return key
}

func TestShared_OneOfTwoHostsWinsAndTheOtherReads(t *testing.T) {
	t.Parallel()
	store, f := newServer(t).open(t), newFailover(t, "workforce")
	one, other := f.on(t, store, "one"), f.on(t, store, "other")
	one.accepted(t)
	begun, _, _ := other.view(t)
	both := []made{one.sync(t), other.sync(t)}
	f.app["user"] = 31
	late := other.sync(t)
	var racing sync.WaitGroup
	errs := make([]error, 2)
	for i, host := range []*sharing{one, other} {
		racing.Go(func() { errs[i] = host.advance(host.ctx, host.place, both[i]) })
	}
	racing.Wait()
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	require.NoError(t, errs[0])
	replaced := &state.ReplacedError{}
	require.ErrorAs(t, errs[1], &replaced)
	require.ErrorContains(t, other.place.Confirm(other.ctx, late.mark), "has replaced the baseline of upload \"workforce\"")
	mine, _, _ := one.view(t)
	theirs, accounts, away := other.view(t)
	require.NoError(t, away)
	require.Equal(t, mine, theirs)
	require.NotEqual(t, begun, theirs)
	require.Equal(t, 30, accounts)
}

// TestShared_GoesOnWithItsCopy while the store is away, for as long as max-stale: approvals do
// not count then, and what is accepted goes into the store when that is back.
func TestShared_GoesOnWithItsCopy(t *testing.T) {
	t.Parallel()
	server, f := newServer(t), newFailover(t, "workforce")
	store := server.open(t)
	one, other := f.on(t, store, "one"), f.on(t, store, "other")
	one.accepted(t)
	f.app["user"] = 5
	require.NotEmpty(t, one.accepted(t).result.Stale, "the guard has a memory")
	approved, err := approve(one.ctx, one.place)
	require.NoError(t, err)
	require.True(t, approved)

	server.away()
	mark, accounts, away := one.view(t)
	require.ErrorContains(t, away, "answers 500 (InternalError)")
	require.Equal(t, 30, accounts)
	require.True(t, one.warned("the shared state cannot be used"))
	refused := one.sync(t)
	require.Len(t, refused.result.Stale, 1)
	require.ErrorContains(t, refused.result.Stale[0].Err, "no approval counts while the shared state cannot be used")
	f.app["user"] = 33
	require.ErrorContains(t, one.advance(one.ctx, one.place, one.sync(t)), "it is kept on this host alone")
	pending, accounts, _ := one.view(t)
	require.NotEqual(t, mark, pending)
	require.Equal(t, 33, accounts, "the next sync is compared with what C1 has")
	f.app["user"] = 34
	require.ErrorContains(t, one.advance(one.ctx, one.place, one.sync(t)), "it is kept on this host alone")

	again := f.in(t, store, "one", one.local) // The host is started again.
	_, accounts, _ = again.view(t)
	require.Equal(t, 34, accounts)
	f.upload.MaxStale = time.Nanosecond
	old := f.in(t, store, "one", one.local)
	require.ErrorContains(t, old.place.Read(old.ctx, func(state.View) error { return nil }), "which is longer ago than max-stale (1ns) allows")
	without := f.on(t, store, "new")
	require.ErrorContains(t, without.place.Read(without.ctx, func(state.View) error { return nil }), "this host has no copy of the state of upload \"workforce\"")
	f.upload.MaxStale = time.Hour

	server.Break(nil)
	_, accounts, away = again.view(t)
	require.NoError(t, away)
	require.Equal(t, 34, accounts)
	_, accounts, _ = other.view(t)
	require.Equal(t, 34, accounts)
	f.app["user"] = 5
	require.NotEmpty(t, other.accepted(t).result.Stale, "the approval has been used up by what was accepted")
}

// TestShared_IsNotConfusedByFaults in the middle of a change: it is made once, or not.
func TestShared_IsNotConfusedByFaults(t *testing.T) {
	t.Parallel()
	creates := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/generations/")
	}
	for name, fault := range map[string]s3.Fault{
		"the answer is lost":  {Lost: true},
		"500":                 {Status: http.StatusInternalServerError, Code: "InternalError"},
		"a conflict":          {Status: http.StatusConflict, Code: "ConditionalRequestConflict"},
		"slow":                {Wait: 50 * time.Millisecond},
		"cut off":             {Cut: true},
		"412 of another host": {Status: http.StatusPreconditionFailed, Code: "PreconditionFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, f := newServer(t), newFailover(t, "workforce")
			store := server.open(t)
			one, other := f.on(t, store, "one"), f.on(t, store, "other")
			one.accepted(t)
			var once sync.Once
			server.Break(func(r *http.Request) (now s3.Fault) {
				if fault.Cut && r.Method == http.MethodGet || !fault.Cut && creates(r) {
					once.Do(func() { now = fault })
				}
				return now
			})
			f.app["user"] = 31
			m := one.sync(t)
			if err := one.advance(one.ctx, one.place, m); err != nil {
				require.ErrorContains(t, err, "it is kept on this host alone")
			}
			mine, _, away := one.view(t)
			require.NoError(t, away)
			theirs, accounts, _ := other.view(t)
			require.Equal(t, mine, theirs)
			require.Equal(t, 31, accounts)
		})
	}
}

func TestShared_SweepsWhatNoHostNeeds(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Now()
	server := newServerOf(t, s3.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	f := newFailover(t, "workforce")
	one := f.on(t, server.open(t), "one")
	orphan := "production/workforce/objects/" + strings.Repeat("a", 64) + "-ORPHANED"
	server.Set(orphan+"1", []byte("old"), 0)
	for range 6 {
		one.accepted(t)
		mu.Lock()
		now = now.Add(5 * time.Hour)
		mu.Unlock()
	}
	server.Set(orphan+"2", []byte("new"), 0)
	one.accepted(t)
	var generations, kept int
	for _, key := range server.Keys() {
		if strings.Contains(key, "/generations/") {
			generations++
		} else if strings.Contains(key, "/objects/") {
			kept++
		}
	}
	require.Equal(t, 3, generations)
	require.Equal(t, 3*2+1, kept, server.Keys())
	require.Nil(t, server.Content(orphan+"1"))
	require.NotNil(t, server.Content(orphan+"2"))
	_, accounts, away := f.on(t, server.open(t), "other").view(t)
	require.NoError(t, away)
	require.Equal(t, 30, accounts)

	// A host that has slept for long finds its number free, and does not win with it.
	asleep := f.on(t, server.open(t), "asleep")
	m := asleep.sync(t)
	first := server.head(t)
	for range 5 {
		one.accepted(t)
		mu.Lock()
		now = now.Add(5 * time.Hour)
		mu.Unlock()
	}
	require.Nil(t, server.Content(nextOf(t, first)))
	replaced := &state.ReplacedError{}
	require.ErrorAs(t, asleep.advance(asleep.ctx, asleep.place, m), &replaced)
}

// nextOf is the key of the generation after one.
func nextOf(t *testing.T, key string) string {
	t.Helper()
	var number int64
	_, err := fmt.Sscanf(filepath.Base(key), "%d.json", &number)
	require.NoError(t, err)
	return fmt.Sprintf("%s/%020d.json", filepath.Dir(key), number+1)
}

func TestShared_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options s3.Options
		harm    func(t *testing.T, s *server)
		says    []string
		isNewer bool
	}{
		"a newer version's generation": {harm: func(t *testing.T, s *server) {
			s.Set(nextOf(t, s.head(t)), []byte(`{"version": 2, "generation": 2}`), 0)
		}, says: []string{"s3://baton/production/workforce/generations/00000000000000000002.json was written by a newer baton-host", "update baton-host"}, isNewer: true},
		"a newer version's store": {harm: func(_ *testing.T, s *server) {
			s.Set("production/baton-host.json", []byte(`{"version": 7}`), 0)
		}, says: []string{"s3://baton/production/baton-host.json was written by a newer baton-host"}, isNewer: true},
		"a damaged generation": {harm: func(t *testing.T, s *server) {
			s.Set(nextOf(t, s.head(t)), []byte(`{"version": 1, "gene`), 0)
		}, says: []string{"is damaged", "remove it, and the generation before it counts"}},
		"a generation that names another file": {harm: func(t *testing.T, s *server) {
			s.Set(nextOf(t, s.head(t)), []byte(`{"version":1,"generation":2,"id":"ABCDEFGHIJ","files":[{"suffix":"/../../etc/passwd","object":"x"}]}`), 0)
		}, says: []string{"is damaged", "it names files that no host writes"}},
		"an object that is gone": {harm: func(_ *testing.T, s *server) {
			for _, key := range s.Keys() {
				if strings.Contains(key, "/objects/") {
					s.Set(key, nil, 0)
				}
			}
		}, says: []string{"is damaged (it is not there)"}},
		"an object that was changed": {harm: func(_ *testing.T, s *server) {
			for _, key := range s.Keys() {
				if strings.Contains(key, "/objects/") {
					s.Set(key, []byte("x"), 0)
				}
			}
		}, says: []string{"is damaged (its content is not that of its name)"}},
		"a bucket that is not there": {harm: func(_ *testing.T, s *server) { s.location.Bucket = "bacon" }, says: []string{`there is no bucket "bacon"`, `fix its name`}},
		"no permission": {harm: func(_ *testing.T, s *server) {
			s.Break(func(*http.Request) s3.Fault { return s3.Fault{Status: http.StatusForbidden, Code: "AccessDenied"} })
		}, says: []string{"are not allowed to read s3://baton/production/baton-host.json (AccessDenied)", "s3:GetObject"}},
		"a store without conditions": {options: s3.Options{Unconditional: true}, harm: func(*testing.T, *server) {}, says: []string{"two hosts could both be first: use a store that has conditional writes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, f := newServerOf(t, c.options), newFailover(t, "workforce")
			if !c.options.Unconditional {
				f.on(t, server.open(t), "one").accepted(t)
			}
			c.harm(t, server)
			other := f.on(t, server.open(t), "other")
			err := other.place.Read(other.ctx, func(state.View) error { return nil })
			for _, text := range c.says {
				require.ErrorContains(t, err, text)
			}
			require.Equal(t, c.isNewer, files.IsNewer(err))
		})
	}
}

// TestShared_IsNotBegunOnceMore where it was lost: a store that is not mounted is not an empty
// one, and what a lifecycle rule has removed is written again.
func TestShared_IsNotBegunOnceMore(t *testing.T) {
	t.Parallel()
	server, f := newServer(t), newFailover(t, "workforce")
	one := f.on(t, server.open(t), "one")
	one.accepted(t)
	mark, _, _ := one.view(t)
	for _, key := range server.Keys() {
		if !strings.HasSuffix(key, "/baton-host.json") {
			server.Set(key, nil, 0)
		}
	}
	again, accounts, away := one.view(t)
	require.NoError(t, away)
	require.Equal(t, mark, again)
	require.Equal(t, 30, accounts)
	require.True(t, one.warned("the shared state has lost what this host knows of the upload"))
	_, accounts, _ = f.on(t, server.open(t), "other").view(t)
	require.Equal(t, 30, accounts)

	for _, key := range server.Keys() {
		server.Set(key, nil, 0)
	}
	_, _, away = f.in(t, server.open(t), "one", one.local).view(t)
	require.ErrorContains(t, away, "s3://baton/production/baton-host.json is not there any more")
}

// TestShared_BeginsWithWhatAHostHadAlone, so that to share a state loses no memory.
func TestShared_BeginsWithWhatAHostHadAlone(t *testing.T) {
	t.Parallel()
	store, f := sharedDirectory(t), newFailover(t, "workforce")
	m := f.sync(t.Context(), f.alone, f.dir)
	require.NoError(t, m.err)
	require.NoError(t, f.advance(t.Context(), f.alone, m))
	one := f.in(t, store, "one", f.dir)
	_, accounts, _ := one.view(t)
	require.Equal(t, 30, accounts)
	_, accounts, _ = f.on(t, store, "other").view(t)
	require.Equal(t, 30, accounts)
}

func TestShared_NoticesHostsThatDiffer(t *testing.T) {
	t.Parallel()
	fast := newServerOf(t, s3.Options{Now: func() time.Time { return time.Now().Add(10 * time.Minute) }})
	f := newFailover(t, "workforce")
	one := f.on(t, fast.open(t), "one")
	one.accepted(t)
	require.True(t, one.warned("the clock of this machine differs from that of the shared state"))
	_, accounts, _ := one.view(t)
	require.Equal(t, 30, accounts)
	f.upload.LastGood = false
	other := f.on(t, fast.open(t), "other")
	_, _, _ = other.view(t)
	require.True(t, other.warned("has another configuration of this upload"))
	require.Equal(t, []any{"on-plugin-failure"}, other.log.All()[0].ContextMap()["differ"])
	_, _, _ = other.view(t)
	require.Len(t, other.log.All(), 1, "it is said once")

	// What a host wrote whose clock is ahead counts all the same.
	head := fast.head(t)
	written := map[string]any{}
	require.NoError(t, json.Unmarshal(fast.Content(head), &written))
	written["written_at"], written["generation"], written["id"] = time.Now().Add(10*time.Minute), 2, "ABCDEFGHIJ"
	ahead, err := json.Marshal(written)
	require.NoError(t, err)
	fast.Set(nextOf(t, head), ahead, 0)
	_, accounts, away := other.view(t)
	require.NoError(t, away)
	require.Equal(t, 30, accounts)
	require.True(t, other.warned("the clocks of the hosts differ"))
}
