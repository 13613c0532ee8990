package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// withGroups is a service with one upload of Fullstory and an app with groups.
func withGroups(t *testing.T, upload string) *pair {
	t.Helper()
	p := newPair(t, c1.Options{}, upload)
	p.design = startFlakyApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25, Groups: 6, PageCap: 10})
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	changed := strings.NewReplacer("      scim-groups: false\n", "").Replace(string(text))
	before, rest, ok := strings.Cut(changed, "  design-tool:\n")
	require.True(t, ok)
	lines := strings.Split(rest, "\n")
	for i, line := range lines {
		if strings.Contains(line, "scim-base-url:") {
			lines[i] = "      scim-base-url: " + p.design.url
		}
	}
	require.NoError(t, os.WriteFile(p.config, []byte(before+"  design-tool:\n"+strings.Join(lines, "\n")), 0o600))
	for i, variable := range p.env {
		if strings.HasPrefix(variable, "DESIGN_TOKEN=") {
			p.env[i] = "DESIGN_TOKEN=" + p.design.token
		}
	}
	return p
}

func (p *pair) ask(t *testing.T, task *v1.Task_SyncFullTask) c1.Outcome {
	t.Helper()
	id, err := p.AddFullSync("workforce", task)
	require.NoError(t, err)
	return p.finished(t, id)
}

func TestOnlyASyncOfEverythingBecomesTheLastGoodOne(t *testing.T) {
	t.Parallel()
	p := withGroups(t, "")
	host := p.run(t)
	path := filepath.Join(p.state, "workforce.c1z")
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
		{"one resource", v1.Task_SyncFullTask_builder{TargetedSyncResources: []*v2.Resource{resourceOf("design-tool", "group", p.design.server.Groups()[0].ID)}}.Build(), false},
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
	host.stop()
	require.Empty(t, p.Violations())
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

// TestGroupsFallBackWholeWithEitherEngine has the app with the groups fail at
// every stage: before, in its users, in its groups, in their members. C1 gets all
// that it had, grants by expansion included, and again after a restart.
func TestGroupsFallBackWholeWithEitherEngine(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"pebble", "sqlite"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			p := withGroups(t, "    on-plugin-failure: last-good\n")
			task := v1.Task_SyncFullTask_builder{StorageEngine: engine}.Build()
			host := p.run(t)
			first := p.ask(t, task)
			require.True(t, first.Succeeded, "%v", first.Status)
			want := rowsOf(t, first.Uploads[0].Path)
			require.Greater(t, len(want), 100)
			require.Contains(t, strings.Join(want, "\n"), "grants {")
			for _, after := range []int64{0, 2, 5, 7, 9} {
				p.design.fail(after)
				stale := p.ask(t, task)
				require.True(t, stale.Succeeded, "failing behind %d requests: %v", after, stale.Status)
				require.Equal(t, want, rowsOf(t, stale.Uploads[0].Path), "failing behind %d requests", after)
			}
			host.stop()
			p.design.fail(0)
			again := p.run(t)
			stale := p.ask(t, task)
			require.True(t, stale.Succeeded, "%v", stale.Status)
			require.Equal(t, want, rowsOf(t, stale.Uploads[0].Path))
			again.stop()
			require.Empty(t, p.Violations())
		})
	}
}

func TestTwoSyncsOfOneUploadAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	host := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	reached, release := p.fullstory.hold(1)
	one := p.fullSync(t, "workforce")
	<-reached
	two := p.fullSync(t, "workforce")
	p.waitFor(t, func(e c1.Event) bool { return e.Kind == c1.Heartbeat && e.TaskID == two })
	release()
	for _, id := range []string{one, two} {
		require.Equal(t, plain(p.seeded()), plain(p.synced(t, id)))
	}
	host.stop()
	require.Empty(t, p.Violations())
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestAStateDirectoryThatGoesAwayCostsTheTaskAndNoMore(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	require.NoError(t, os.RemoveAll(p.state))
	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	require.Contains(t, failed.Status.GetMessage(), p.state)
	require.NoError(t, os.Mkdir(p.state, 0o700))
	require.True(t, p.sync(t).Succeeded)
	host.stop()
}

func TestAPluginWithoutANamespaceIsGuardedAndAnsweredFor(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	bare := strings.Replace(string(text), "  fullstory:\n", "  fullstory:\n    namespace: \"\"\n", 1)
	require.NoError(t, os.WriteFile(p.config, []byte(bare), 0o600))
	host := p.run(t)
	first := p.sync(t)
	require.True(t, first.Succeeded, "%v", first.Status)
	want := plain(accountsIn(t, first.Uploads[0].Path))
	require.Len(t, want, 65)
	p.fullstory.fail(2)
	stale := p.sync(t)
	require.True(t, stale.Succeeded, "%v", stale.Status)
	require.Equal(t, want, plain(accountsIn(t, stale.Uploads[0].Path)))
	p.fullstory.down.Store(false)
	keepOnly(t, p.fullstory.server, 3)
	guarded := p.sync(t)
	require.True(t, guarded.Succeeded, "%v", guarded.Status)
	require.Equal(t, want, plain(accountsIn(t, guarded.Uploads[0].Path)))
	host.says("so many deletions at once")
	host.stop()
}

// TestAnEmptyListAndThenAFailureIsStillGuarded has an app answer with no users at
// all and fail after that: that it is answered for from then on must not let the
// empty list through.
func TestAnEmptyListAndThenAFailureIsStillGuarded(t *testing.T) {
	t.Parallel()
	p := withGroups(t, "    on-plugin-failure: last-good\n")
	host := p.run(t)
	first := p.sync(t)
	require.True(t, first.Succeeded, "%v", first.Status)
	want := rowsOf(t, first.Uploads[0].Path)
	keepOnly(t, p.design.server, 0)
	for after := range int64(10) {
		p.design.fail(after)
		stale := p.sync(t)
		require.True(t, stale.Succeeded, "failing behind %d requests: %v", after, stale.Status)
		require.Equal(t, want, rowsOf(t, stale.Uploads[0].Path), "failing behind %d requests", after)
	}
	host.stop()
}
