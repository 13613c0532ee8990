package aggregate_test

import (
	"context"
	"path"
	"slices"
	"sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

// visited notes the calls of a plugin, and is its process.
type visited struct {
	mu    sync.Mutex
	calls []string
	held  int
}

func (v *visited) interference(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
	v.mu.Lock()
	v.calls = append(v.calls, path.Base(method))
	v.mu.Unlock()
	return handler(ctx, request)
}

func (v *visited) Hold() (release func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.held--
	}
}

func (*visited) AwaitTurn(context.Context) error { return nil }

// taken returns the calls since the last time.
func (v *visited) taken() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	calls := v.calls
	v.calls = nil
	return calls
}

// inOneVisit is an aggregate of such a plugin.
func inOneVisit(t *testing.T, conn grpc.ClientConnInterface, known *aggregate.KnownTypes, process aggregate.Process) *aggregate.Aggregate {
	t.Helper()
	a, err := aggregate.New([]aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, ReadAhead: 1, Process: process, OneVisit: true, KnownTypes: known, SDKVersion: "v0.25.0"}})
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

// TestOneVisit_CallsThePluginInOneRow: the rows are those of any other sync.
func TestOneVisit_CallsThePluginInOneRow(t *testing.T) {
	t.Parallel()
	seen, known := &visited{}, &aggregate.KnownTypes{}
	conn := serve(t, crm(t), seen.interference)
	synced := func(a *aggregate.Aggregate) contents {
		path, err := synced(t.Context(), t, a.Client(t.Context()), 4)
		require.NoError(t, err)
		return read(t, path)
	}
	plain, err := aggregate.New([]aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn, KnownTypes: known}})
	require.NoError(t, err)
	want := synced(plain).lines(t, "")
	plain.Close()
	require.Equal(t, 2, count(seen.taken(), "ListResourceTypes"), "the syncer asks for them twice")

	a := inOneVisit(t, conn, known, seen)
	require.Equal(t, want, synced(a).lines(t, ""))
	calls := seen.taken()
	require.Equal(t, []string{"Validate", "ListResourceTypes", "ListResources"}, calls[:3])
	require.Equal(t, 1, count(calls, "ListResourceTypes"))
	types := len(crm(t).types)
	require.Equal(t, types, count(calls, "ListStaticEntitlements"), "each once")
	last := slices.Index(calls, "ListEntitlements")
	require.Equal(t, types, count(calls[:last], "ListStaticEntitlements"), "while the process is there: %q", calls)
	require.Zero(t, seen.held)

	// Without known types they are asked for at the beginning, and once too.
	require.Equal(t, want, synced(inOneVisit(t, conn, &aggregate.KnownTypes{}, seen)).lines(t, ""))
	require.Equal(t, 1, count(seen.taken(), "ListResourceTypes"))
}

func count(calls []string, method string) (n int) {
	for _, call := range calls {
		if call == method {
			n++
		}
	}
	return n
}

// TestOneVisit_ListsNothingByOldTypes: a sync that was given types that are others by now
// fails, and the next one has the right ones.
func TestOneVisit_ListsNothingByOldTypes(t *testing.T) {
	t.Parallel()
	seen, known := &visited{}, &aggregate.KnownTypes{}
	conn := serve(t, users(3), seen.interference)
	for name, old := range map[string][]*v2.ResourceType{
		"another one": {v2.ResourceType_builder{Id: "group", DisplayName: "Group"}.Build()},
		"changed":     {v2.ResourceType_builder{Id: "user", DisplayName: "Person"}.Build()},
	} {
		known.Set(old)
		a := inOneVisit(t, conn, known, seen)
		_, err := synced(t.Context(), t, a.Client(t.Context()), 1)
		require.ErrorContains(t, err, "its resource types are others than it listed last", name)
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.True(t, a.TypesChanged())
		require.NotContains(t, seen.taken(), "ListResources", name)

		a = inOneVisit(t, conn, known, seen)
		path, err := synced(t.Context(), t, a.Client(t.Context()), 1)
		require.NoError(t, err)
		require.Len(t, read(t, path).resources, 3)
		require.False(t, a.TypesChanged())
		seen.taken()
	}
}

// TestOneVisit_FailsWhereItDoesNotValidate: known types are no reason to list with credentials
// that are wrong.
func TestOneVisit_FailsWhereItDoesNotValidate(t *testing.T) {
	t.Parallel()
	seen, known := &visited{}, &aggregate.KnownTypes{}
	app := users(3)
	known.Set([]*v2.ResourceType{app.types[0].resourceType})
	app.validate = func() error { return status.Error(codes.PermissionDenied, "the token is revoked") }
	a := inOneVisit(t, serve(t, app, seen.interference), known, seen)
	_, err := synced(t.Context(), t, a.Client(t.Context()), 1)
	require.ErrorContains(t, err, "the token is revoked")
	require.NotContains(t, seen.taken(), "ListResources")
	require.Zero(t, seen.held)
}
