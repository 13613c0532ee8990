package syncrun_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// failsAt fails every call of a plugin from the first request on for which at reports true.
func failsAt(code codes.Code, at func(request any) bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if at(request) {
			return nil, status.Error(code, "the app has a bad day")
		}
		return handler(ctx, request)
	}
}

func always(any) bool { return true }

func atZones(request any) bool {
	asked, ok := request.(*v2.ResourcesServiceListResourcesRequest)
	return ok && asked.GetResourceTypeId() == "zone"
}

// TestRun_GoesWithoutANewPlugin: a plugin of which the baseline has nothing, and only such a
// one, does not stop the others under last-good.
func TestRun_GoesWithoutANewPlugin(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	stays := member{name: "stays", app: counted{"user": 25, "group": 2}, guard: guard}
	fresh := member{name: "fresh", app: counted{"user": 7, "zone": 3}, guard: guard}
	fails := func(m member, interfere grpc.UnaryServerInterceptor) member {
		m.interfere = interfere
		return m
	}
	bare := func(m member) member {
		m.bare = true
		return m
	}
	down := fails(fresh, failsAt(codes.PermissionDenied, always))
	renamed := down
	renamed.app = counted{"user": 40}
	accounts := map[string]int{"stays.user": 25}
	for name, c := range map[string]struct {
		before  []member // nil: there is no baseline
		now     []member
		policy  string // "": join-when-ready
		fail    bool   // on-plugin-failure is fail
		scope   syncfile.Scope
		damage  func(t *testing.T, path string)
		accept  string
		missing []string
		refusal string // in place of a sync
		types   map[string]int
	}{
		"it is down":                       {before: []member{stays}, now: []member{stays, down}, missing: []string{"fresh"}, types: accounts},
		"it is down, and first":            {before: []member{stays}, now: []member{down, stays}, missing: []string{"fresh"}, types: accounts},
		"it is away":                       {before: []member{stays}, now: []member{stays, fails(fresh, failsAt(codes.Unavailable, always))}, missing: []string{"fresh"}, types: accounts},
		"it fails after its first listing": {before: []member{stays}, now: []member{stays, fails(fresh, failsAt(codes.PermissionDenied, atZones))}, missing: []string{"fresh"}, types: accounts},
		"its listing is wrong":             {before: []member{stays}, now: []member{stays, fails(fresh, failsAt(codes.DataLoss, atZones))}, missing: []string{"fresh"}, types: accounts},
		"it lacks the evidence":            {before: []member{stays}, now: []member{stays, {name: "fresh", app: fresh.app, guard: guard, proven: true}}, missing: []string{"fresh"}, types: accounts},
		"it has no namespace":              {before: []member{stays}, now: []member{stays, bare(down)}, missing: []string{"fresh"}, types: accounts},
		"it has none and fails late":       {before: []member{stays}, now: []member{stays, bare(fails(fresh, failsAt(codes.PermissionDenied, atZones)))}, missing: []string{"fresh"}, types: accounts},
		"two are down": {
			before: []member{stays}, now: []member{stays, down, {name: "other", app: counted{"user": 1}, guard: guard, interfere: down.interfere}},
			missing: []string{"fresh", "other"}, types: accounts,
		},
		"it is the first sync":       {now: []member{stays, down}, missing: []string{"fresh"}, types: accounts},
		"another one falls back":     {before: []member{stays, {name: "old", app: counted{"user": 4}, guard: guard}}, now: []member{stays, {name: "old", app: counted{"user": 4}, guard: guard, interfere: down.interfere}, down}, missing: []string{"fresh"}, types: map[string]int{"stays.user": 25, "old.user": 4}},
		"another one loses half":     {before: []member{stays, {name: "old", app: counted{"user": 40}, guard: guard}}, now: []member{stays, {name: "old", app: counted{"user": 10}, guard: guard}, fails(fresh, failsAt(codes.PermissionDenied, atZones))}, missing: []string{"fresh"}, types: map[string]int{"stays.user": 25, "old.user": 40}},
		"its accounts are left out":  {before: []member{stays}, now: []member{stays, down}, scope: syncfile.Scope{SkipGrants: true}, missing: []string{"fresh"}, types: accounts},
		"wait":                       {before: []member{stays}, now: []member{stays, down}, policy: config.WaitForNew, refusal: "it has nothing of this plugin"},
		"wait, in the first sync":    {now: []member{stays, down}, policy: config.WaitForNew, refusal: "there is none yet"},
		"on-plugin-failure is fail":  {before: []member{stays}, now: []member{stays, down}, fail: true, refusal: "the app has a bad day"},
		"every plugin fails":         {before: []member{stays}, now: []member{fails(stays, down.interfere), down}, refusal: "every plugin of upload"},
		"every plugin is new":        {now: []member{fails(stays, down.interfere), down}, refusal: "every plugin of upload"},
		"it is the only plugin":      {now: []member{down}, refusal: "the app has a bad day"},
		"it was renamed":             {before: []member{stays, {name: "old", app: counted{"user": 40}, guard: guard}}, now: []member{stays, renamed}, refusal: `plugin "old" is no longer in upload`},
		"it was renamed, accepted":   {before: []member{stays, {name: "old", app: counted{"user": 40}, guard: guard}}, now: []member{stays, renamed}, accept: "old", refusal: "it has nothing of this plugin"},
		"renamed without namespaces": {before: []member{stays, bare(member{name: "old", app: counted{"user": 40}, guard: guard})}, now: []member{stays, bare(renamed)}, refusal: "it has nothing of this plugin"},
		"its namespace has changed":  {before: []member{stays, bare(fresh)}, now: []member{stays, down}, refusal: "the namespace of plugin"},
		"the baseline has it":        {before: []member{stays, {name: "fresh", app: counted{"zone": 3}, guard: guard}}, now: []member{stays, down}, types: map[string]int{"stays.user": 25, "fresh.zone": 3}},
		"the baseline has no record": {before: []member{stays}, now: []member{stays, down}, refusal: "it has nothing of this plugin", damage: func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path+".json"))
		}},
		"the baseline cannot be read": {before: []member{stays}, now: []member{stays, down}, refusal: "cannot be read as a sync file", damage: func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Truncate(path, 100))
		}},
		"its type is asked for": {before: []member{stays}, now: []member{stays, down}, scope: syncfile.Scope{ResourceTypes: []string{"stays.user", "fresh.user"}}, refusal: "the app has a bad day"},
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			l := newLine(t)
			l.newPlugin = config.JoinWhenReady
			if c.policy != "" {
				l.newPlugin = c.policy
			}
			if c.before != nil {
				_, err := l.sync(t, true, syncrun.Spec{Plugins: plugins(t, c.before...)})
				require.NoError(t, err)
			}
			if c.damage != nil {
				c.damage(t, l.path)
			}
			before := bytesOf(t, l.path)
			figures := &syncrun.Figures{}
			made, err := l.sync(t, !c.fail, syncrun.Spec{
				Plugins: plugins(t, c.now...), Scope: c.scope, Retry: policy.Retries{MaxAttempts: 1}, Figures: figures, Accept: map[string]bool{c.accept: true},
			})
			require.Empty(t, leftOver(t, l.path))
			if c.refusal != "" {
				require.ErrorContains(t, err, c.refusal)
				require.Equal(t, before, bytesOf(t, l.path))
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.missing, made.Sync.Missing)
			var missing []string
			for _, one := range made.Missing {
				missing = append(missing, one.Instance)
				require.ErrorContains(t, one.Err, one.Instance)
				require.NotContains(t, made.Sync.Plugins, one.Instance, "the next sync must know nothing of it")
				require.NotContains(t, made.Accounts, one.Instance)
				require.Contains(t, strings.Join(made.Warnings, "\n"), `plugin "`+one.Instance+`" has no baseline in upload "workforce" and failed, so the sync goes without it`)
			}
			require.ElementsMatch(t, c.missing, missing)
			for _, stale := range made.Stale {
				require.NotContains(t, c.missing, stale.Instance)
			}
			if made.Whole {
				require.Equal(t, c.types, l.types(t))
			}
		})
	}
}

// leftOver are the names beside a sync file and its record.
func leftOver(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		if !strings.HasPrefix(filepath.Join(filepath.Dir(path), entry.Name()), path) {
			names = append(names, entry.Name())
		}
	}
	return names
}

// TestRun_JoinsWhenReady: a plugin that was missing joins with all that it has, and from
// then on the change guard compares it, and its failure falls back.
func TestRun_JoinsWhenReady(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	stays := member{name: "stays", app: counted{"user": 25}, guard: guard}
	fresh := func(users int, interfere grpc.UnaryServerInterceptor) member {
		return member{name: "fresh", app: counted{"user": users}, guard: guard, interfere: interfere}
	}
	l := newLine(t)
	l.newPlugin = config.JoinWhenReady
	sync := func(fresh member) *syncrun.Result {
		made, err := l.sync(t, true, syncrun.Spec{Plugins: plugins(t, stays, fresh), Retry: policy.Retries{MaxAttempts: 1}})
		require.NoError(t, err)
		return made
	}
	down := failsAt(codes.PermissionDenied, always)
	for range 2 { // It stays missing for as long as it fails.
		made := sync(fresh(30, down))
		require.Equal(t, []string{"fresh"}, made.Sync.Missing)
		require.Equal(t, map[string]int{"stays.user": 25}, l.types(t))
	}
	made := sync(fresh(30, nil))
	require.Empty(t, made.Missing)
	require.Contains(t, made.Unguarded, `Plugin "fresh" is new in upload "workforce"`)
	require.Equal(t, []string{"fresh.user", "stays.user"}, slices.Sorted(maps.Keys(l.types(t))))

	made = sync(fresh(2, nil))
	require.Len(t, made.Stale, 1, "the change guard compares it now")
	require.Equal(t, 30, l.types(t)["fresh.user"])
	made = sync(fresh(30, down))
	require.Empty(t, made.Missing)
	require.Len(t, made.Stale, 1)
	require.Equal(t, 30, l.types(t)["fresh.user"])
}
