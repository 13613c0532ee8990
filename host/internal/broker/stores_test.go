package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	sdk "github.com/conductorone/baton-sdk/pkg/session"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/batonhost/baton-host/host/internal/broker"
)

const (
	guard = 30 * time.Second
	tick  = 5 * time.Millisecond
)

// onEngines runs a test on each storage engine of the SDK.
func onEngines(t *testing.T, test func(t *testing.T, engine c1zstore.Engine)) {
	t.Helper()
	for _, engine := range []c1zstore.Engine{c1zstore.EnginePebble, c1zstore.EngineSQLite} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			test(t, engine)
		})
	}
}

// file is a real sync file in the making, with the sync that is in it.
type file struct {
	store c1zstore.Store
	id    string
	path  string
	sync  *broker.Sync
}

func begin(t *testing.T, stores *broker.Stores, engine c1zstore.Engine, plugins ...string) *file {
	t.Helper()
	f := &file{path: filepath.Join(t.TempDir(), "sync.c1z"), sync: stores.Begin()}
	var err error
	f.store, err = dotc1z.NewStore(t.Context(), f.path, dotc1z.WithEngine(engine), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	f.id, err = f.store.StartNewSync(t.Context(), connectorstore.SyncTypeFull, "")
	require.NoError(t, err)
	f.sync.SetSessionStore(t.Context(), f.store.SessionStore())
	for _, plugin := range plugins {
		f.sync.Join(plugin, f.id)
	}
	return f
}

// in is the options of a call for the file's sync.
func (f *file) in(prefix string) []sessions.SessionStoreOption {
	return []sessions.SessionStoreOption{sessions.WithSyncID(f.id), sessions.WithPrefix(prefix)}
}

// reached is the store as a plugin reaches it: with the SDK's client, over gRPC.
func reached(t *testing.T, server v1.BatonSessionServiceServer) sessions.SessionStore {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	served := grpc.NewServer(grpc.ChainUnaryInterceptor(ugrpc.UnaryServerInterceptor(t.Context())...))
	v1.RegisterBatonSessionServiceServer(served, server)
	go func() { _ = served.Serve(listener) }()
	t.Cleanup(served.Stop)
	conn, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	store, err := sdk.NewGRPCSessionStore(t.Context(), v1.NewBatonSessionServiceClient(conn))
	require.NoError(t, err)
	return store
}

// all is everything that a store has for a call's options.
func all(t *testing.T, store sessions.SessionStore, options []sessions.SessionStoreOption) map[string]string {
	t.Helper()
	values, err := sdk.UnrollGetAll(t.Context(), store, options...)
	require.NoError(t, err)
	texts := map[string]string{}
	for key, value := range values {
		texts[key] = string(value)
	}
	return texts
}

func TestStores_KeepEqualKeysOfPluginsApart(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, engine c1zstore.Engine) {
		t.Helper()
		stores := &broker.Stores{}
		f := begin(t, stores, engine, "app", "app-2")
		one, two := reached(t, stores.Plugin("app")), reached(t, stores.Plugin("app-2"))
		for name, store := range map[string]sessions.SessionStore{"one": one, "two": two} {
			require.NoError(t, store.Set(t.Context(), "key", []byte(name), f.in("")...))
			require.NoError(t, store.SetMany(t.Context(), map[string][]byte{"a": []byte(name + " a"), "b": []byte(name + " b")}, f.in("many/")...))
		}
		value, found, err := one.Get(t.Context(), "key", f.in("")...)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "one", string(value))
		require.Equal(t, map[string]string{"key": "one", "many/a": "one a", "many/b": "one b"}, all(t, one, f.in("")))
		require.Equal(t, map[string]string{"a": "two a", "b": "two b"}, all(t, two, f.in("many/")))
		many, unprocessed, err := two.GetMany(t.Context(), []string{"a", "b", "c"}, f.in("many/")...)
		require.NoError(t, err)
		require.Empty(t, unprocessed)
		require.Equal(t, map[string][]byte{"a": []byte("two a"), "b": []byte("two b")}, many)

		require.NoError(t, one.Delete(t.Context(), "a", f.in("many/")...))
		require.NoError(t, two.Clear(t.Context(), f.in("many/")...))
		require.Equal(t, map[string]string{"key": "one", "many/b": "one b"}, all(t, one, f.in("")))
		require.Equal(t, map[string]string{"key": "two"}, all(t, two, f.in("")))
		require.NoError(t, one.Clear(t.Context(), f.in("")...))
		require.Empty(t, all(t, one, f.in("")))
		require.Equal(t, map[string]string{"key": "two"}, all(t, two, f.in("")))
	})
}

func TestStores_KeepSyncsOfOneProcessApart(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, engine c1zstore.Engine) {
		t.Helper()
		stores := &broker.Stores{}
		store := reached(t, stores.Plugin("app"))
		first, second := begin(t, stores, engine, "app"), begin(t, stores, engine, "app")
		require.NoError(t, store.Set(t.Context(), "key", []byte("first"), first.in("")...))
		require.NoError(t, store.Set(t.Context(), "key", []byte("second"), second.in("")...))
		require.Equal(t, map[string]string{"key": "first"}, all(t, store, first.in("")))
		require.NoError(t, first.sync.End(t.Context()))
		require.Equal(t, map[string]string{"key": "second"}, all(t, store, second.in("")), "the end of one sync is not the other's")
	})
}

// TestStores_PageAndBoundLargeNotes holds the limits of the SDK's own server.
func TestStores_PageAndBoundLargeNotes(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, engine c1zstore.Engine) {
		t.Helper()
		stores := &broker.Stores{}
		f := begin(t, stores, engine, "app", "other")
		store := reached(t, stores.Plugin("app"))
		require.NoError(t, reached(t, stores.Plugin("other")).Set(t.Context(), "key", []byte("not mine"), f.in("")...))
		want := map[string]string{}
		var keys []string
		for i := range 5 {
			key := fmt.Sprintf("large-%d", i)
			value := bytes.Repeat([]byte{byte('a' + i)}, 3<<20)
			require.NoError(t, store.Set(t.Context(), key, value, f.in("")...))
			want[key], keys = string(value), append(keys, key)
		}
		small := map[string][]byte{}
		for i := range 100 {
			small[fmt.Sprintf("small-%03d", i)] = []byte("x")
			want[fmt.Sprintf("small-%03d", i)] = "x"
		}
		require.NoError(t, store.SetMany(t.Context(), small, f.in("")...))
		require.Equal(t, want, all(t, store, f.in("")))
		page, next, err := store.GetAll(t.Context(), "", f.in("")...)
		require.NoError(t, err)
		require.NotEmpty(t, next)
		require.Less(t, len(page), len(want))
		got, err := sdk.UnrollGetMany(t.Context(), store, keys, f.in("")...)
		require.NoError(t, err)
		require.Len(t, got, len(keys))

		small["one-too-many"] = nil
		require.Equal(t, codes.InvalidArgument, status.Code(store.SetMany(t.Context(), small, f.in("")...)))
		require.Equal(t, codes.ResourceExhausted, status.Code(store.Set(t.Context(), "key", make([]byte, 4<<20), f.in("")...)))
	})
}

func TestStores_FailForASyncThatDoesNotRun(t *testing.T) {
	t.Parallel()
	stores := &broker.Stores{}
	store := reached(t, stores.Plugin("app"))
	running := begin(t, stores, c1zstore.EnginePebble, "another")
	ended, closed, broken := begin(t, stores, c1zstore.EnginePebble, "app"), begin(t, stores, c1zstore.EnginePebble, "app"), begin(t, stores, c1zstore.EnginePebble, "app")
	require.NoError(t, ended.sync.End(t.Context()))
	closed.sync.SetSessionStore(t.Context(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	broken.sync.SetSessionStore(ctx, broken.store.SessionStore())
	broken.sync.Join("app", broken.id)
	require.NoError(t, store.Set(t.Context(), "key", nil, broken.in("")...))
	cancel()
	require.Eventually(t, func() bool { return store.Set(t.Context(), "key", nil, broken.in("")...) != nil }, guard, tick)

	for name, f := range map[string]*file{
		"of other plugins": running, "ended": ended, "closed": closed, "broken off": broken,
		"unknown": {id: "abcdefghijklmnopqrstuvwxyz0"},
	} {
		_, _, err := store.Get(t.Context(), "key", f.in("")...)
		require.Equal(t, codes.FailedPrecondition, status.Code(err), name)
		require.ErrorContains(t, err, fmt.Sprintf("session store is not set: plugin %q takes part in no running sync %q", "app", f.id), name)
		require.Error(t, store.Set(t.Context(), "key", nil, f.in("")...), name)
		require.NoError(t, store.Clear(t.Context(), f.in("")...), "a connector may clean up late: %s", name)
		if f.sync != nil && f != running {
			f.sync.Join("app", f.id)
			require.Error(t, store.Set(t.Context(), "key", nil, f.in("")...), "it has ended for good: %s", name)
		}
	}
}

// TestSync_LeavesNothingInTheFile: what a plugin does not clear, because it failed or
// notes something late, is cleared for it.
func TestSync_LeavesNothingInTheFile(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, engine c1zstore.Engine) {
		t.Helper()
		stores := &broker.Stores{}
		f := begin(t, stores, engine, "app", "other")
		for _, plugin := range []string{"app", "other"} {
			require.NoError(t, reached(t, stores.Plugin(plugin)).Set(t.Context(), "key", []byte("a note"), f.in("")...))
		}
		require.NoError(t, f.store.EndSync(t.Context()))
		require.NoError(t, f.sync.End(t.Context()))
		f.sync.SetSessionStore(t.Context(), nil)
		require.NoError(t, f.store.Close(t.Context()))

		read, err := dotc1z.NewStore(t.Context(), f.path, dotc1z.WithReadOnly(true), dotc1z.WithTmpDir(t.TempDir()))
		require.NoError(t, err)
		defer func() { require.NoError(t, read.Close(t.Context())) }()
		require.Empty(t, all(t, read.SessionStore(), f.in("")))
	})
}

// TestSync_DoesNotCloseAFileUnderACall: the SDK's engine panics when it is used after it
// was closed.
func TestSync_DoesNotCloseAFileUnderACall(t *testing.T) {
	t.Parallel()
	onEngines(t, func(t *testing.T, engine c1zstore.Engine) {
		t.Helper()
		stores := &broker.Stores{}
		f := begin(t, stores, engine, "app")
		store := reached(t, stores.Plugin("app"))
		var calling sync.WaitGroup
		begun := make(chan struct{}, 100)
		for i := range 4 {
			calling.Go(func() {
				for n := 0; ; n++ {
					if err := store.Set(t.Context(), fmt.Sprintf("key-%d-%d", i, n), []byte("a note"), f.in("")...); err != nil {
						if code := status.Code(err); code != codes.FailedPrecondition {
							t.Errorf("it fails with %s: %v", code, err)
						}
						return
					}
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		for range cap(begun) {
			<-begun
		}
		f.sync.SetSessionStore(t.Context(), nil)
		require.NoError(t, f.store.Close(t.Context()))
		calling.Wait()
	})
}

// slowStore is a store in which a call takes its time.
type slowStore struct {
	sdk.NoOpSessionStore
	entered chan struct{}
	left    atomic.Bool
}

func (s *slowStore) Set(context.Context, string, []byte, ...sessions.SessionStoreOption) error {
	close(s.entered)
	time.Sleep(100 * time.Millisecond) // Nothing says that somebody waits for a lock.
	s.left.Store(true)
	return nil
}

func TestSync_ReturnsTheStoreAfterTheLastCall(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*broker.Sync){
		"at the end":          func(s *broker.Sync) { _ = s.End(context.Background()) },
		"before it is closed": func(s *broker.Sync) { s.SetSessionStore(context.Background(), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores := &broker.Stores{}
			slow := &slowStore{entered: make(chan struct{})}
			f := &file{id: "abcdefghijklmnopqrstuvwxyz0", sync: stores.Begin()}
			f.sync.SetSessionStore(t.Context(), slow)
			f.sync.Join("app", f.id)
			store := reached(t, stores.Plugin("app"))
			var calling sync.WaitGroup
			calling.Go(func() {
				if err := store.Set(t.Context(), "key", nil, f.in("")...); err != nil {
					t.Error(err)
				}
			})
			<-slow.entered
			end(f.sync)
			require.True(t, slow.left.Load())
			calling.Wait()
		})
	}
}
