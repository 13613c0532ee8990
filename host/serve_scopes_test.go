package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/raced"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// withGroups returns a service with one upload of Fullstory and an app with groups.
func withGroups(t *testing.T, more ...string) *pair {
	t.Helper()
	return newPairOf(t, c1.Options{}, scimsandbox.Options{App: "design-tool", Seed: 2, Accounts: 25, Groups: 6, PageCap: 10}, more...)
}

// ask has C1 ask for a sync that is not of everything, and waits for its end.
func (p *pair) ask(t *testing.T, task *v1.Task_SyncFullTask) c1.Outcome {
	t.Helper()
	id, err := p.AddFullSync("workforce", task)
	require.NoError(t, err)
	return p.finished(t, id)
}

func TestServe_KeepsOnlyASyncOfEverythingAsBaseline(t *testing.T) {
	t.Parallel()
	p := withGroups(t)
	running := p.serve(t, host.ServeOptions{})
	path := filepath.Join(p.state, "workforce.c1z")
	group := connectorv2.Resource_builder{Id: connectorv2.ResourceId_builder{ResourceType: "design-tool.group", Resource: p.design.server.Groups()[0].ID}.Build()}.Build()
	for _, c := range []struct {
		name string
		task *v1.Task_SyncFullTask
		kept bool
	}{
		{"without grants", v1.Task_SyncFullTask_builder{SkipGrants: true}.Build(), false},
		{"resources only", v1.Task_SyncFullTask_builder{SkipEntitlementsAndGrants: true}.Build(), false},
		{"some types", v1.Task_SyncFullTask_builder{SyncResourceTypeIds: []string{"design-tool.user", "design-tool.group"}}.Build(), false},
		{"expanded by C1", v1.Task_SyncFullTask_builder{SkipExpandGrants: true}.Build(), true},
		{"the other engine", v1.Task_SyncFullTask_builder{StorageEngine: "sqlite"}.Build(), true},
		{"everything", nil, true},
		{"one resource", v1.Task_SyncFullTask_builder{TargetedSyncResources: []*connectorv2.Resource{group}}.Build(), false},
	} {
		before, _ := os.ReadFile(path)
		outcome := p.ask(t, c.task)
		after, err := os.ReadFile(path)
		if !c.kept {
			require.Equal(t, before, after, c.name)
			if c.name != "one resource" { // The connector need not be able to read a single one.
				require.True(t, outcome.Succeeded, "%s: %v", c.name, outcome.Status)
			}
			continue
		}
		require.True(t, outcome.Succeeded, "%s: %v", c.name, outcome.Status)
		require.NoError(t, err, c.name)
		uploaded, err := os.ReadFile(outcome.Uploads[0].Path)
		require.NoError(t, err)
		require.Equal(t, uploaded, after, "%s: what is kept is what C1 has", c.name)
	}
	running.stop()
	require.Empty(t, p.Violations())
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

// TestServeFallsBackWholeWithEitherEngine has the app with the groups fail at every
// stage: before, in its users, in its groups, in their members. C1 gets all that it had,
// grants by expansion included, and again after a restart.
func TestServeFallsBackWholeWithEitherEngine(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"pebble", "sqlite"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			p := withGroups(t, fallBack)
			task := v1.Task_SyncFullTask_builder{StorageEngine: engine}.Build()
			running := p.serve(t, host.ServeOptions{})
			first := p.ask(t, task)
			require.True(t, first.Succeeded, "%v", first.Status)
			want := allRows(t, first.Uploads[0].Path)
			require.Greater(t, len(want), 100)
			require.Contains(t, strings.Join(want, "\n"), "grant {")
			places := []int64{0, 2, 5, 7, 9}
			if raced.IsShort() {
				places = []int64{5}
			}
			for _, after := range places {
				p.design.fail(after)
				stale := p.ask(t, task)
				require.True(t, stale.Succeeded, "failing behind %d requests: %v", after, stale.Status)
				require.Equal(t, want, allRows(t, stale.Uploads[0].Path), "failing behind %d requests", after)
			}
			running.stop()
			p.design.fail(0)
			again := p.serve(t, host.ServeOptions{})
			stale := p.ask(t, task)
			require.True(t, stale.Succeeded, "%v", stale.Status)
			require.Equal(t, want, allRows(t, stale.Uploads[0].Path))
			again.stop()
			require.Empty(t, p.Violations())
		})
	}
}

func TestServeDoesTwoSyncsOfOneUploadAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	reached, release := p.fullstory.hold(1)
	one := p.fullSync(t, "workforce")
	<-reached
	two := p.fullSync(t, "workforce")
	p.waitFor(t, func(e c1.Event) bool { return e.Kind == c1.Heartbeat && e.TaskID == two })
	release()
	for _, id := range []string{one, two} {
		require.Equal(t, p.seeded(), p.synced(t, id))
	}
	running.stop()
	require.Empty(t, p.Violations())
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestServeLosesATaskAndNoMoreWithItsStateDirectory(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	require.NoError(t, os.RemoveAll(p.state))
	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	require.Contains(t, failed.Status.GetMessage(), p.state)
	require.NoError(t, os.Mkdir(p.state, 0o700))
	require.True(t, p.sync(t).Succeeded)
	running.stop()
}

func TestServeGuardsAPluginWithoutANamespaceAndFallsBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	p.also(t, `namespace: ""`)
	running := p.serve(t, host.ServeOptions{})
	first := p.sync(t)
	require.True(t, first.Succeeded, "%v", first.Status)
	want := accountsIn(t, first.Uploads[0].Path)
	require.Len(t, want, 65)
	p.fullstory.fail(2)
	require.Equal(t, want, p.synced(t, p.fullSync(t, "workforce")))
	p.fullstory.down.Store(false)
	p.fullstory.keepOnly(t, 3)
	require.Equal(t, want, p.synced(t, p.fullSync(t, "workforce")))
	running.says("so large a change at once")
	running.stop()
}

// TestServeGuardsAnEmptyListBeforeAFailure has an app answer with no users at all and
// fail after that: that it falls back from then on must not let the empty list through.
func TestServeGuardsAnEmptyListBeforeAFailure(t *testing.T) {
	t.Parallel()
	guardsAnEmptyList(t, 1, 3, 6, 8) // Each of them: [TestLongServeGuardsAnEmptyListBeforeEachFailure].
}

// guardsAnEmptyList has the app fail behind so many requests, in one sync after another.
func guardsAnEmptyList(t *testing.T, failures ...int64) {
	t.Helper()
	p := withGroups(t, fallBack)
	running := p.serve(t, host.ServeOptions{})
	first := p.sync(t)
	require.True(t, first.Succeeded, "%v", first.Status)
	want := allRows(t, first.Uploads[0].Path)
	p.design.keepOnly(t, 0)
	for _, after := range failures {
		p.design.fail(after)
		stale := p.sync(t)
		require.True(t, stale.Succeeded, "failing behind %d requests: %v", after, stale.Status)
		require.Equal(t, want, allRows(t, stale.Uploads[0].Path), "failing behind %d requests", after)
	}
	running.stop()
}
