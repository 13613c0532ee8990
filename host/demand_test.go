package host_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// narrow is an upload of three apps, of which one runs at a time.
type narrow struct {
	apps   map[string]*app
	config string
	want   []account
}

func newNarrow(t *testing.T, upload string) *narrow {
	t.Helper()
	n := &narrow{apps: map[string]*app{}}
	var entries, names []string
	for i := range 3 {
		name := fmt.Sprint("app-", i)
		one := startApp(t, scimsandbox.Options{App: name, Seed: uint64(i) + 1, Accounts: 12, PageCap: 5})
		n.apps[name], entries, names = one, append(entries, one.entry(name)), append(names, name)
		n.want = append(n.want, one.seeded(name)...)
	}
	sorted(n.want)
	n.config = configuration(t, entries, "workforce: { plugins: ["+strings.Join(names, ", ")+"]"+upload+" }")
	rewrite(t, n.config, func(text string) string { return "max-running: 1\n" + text })
	return n
}

// TestSync_ReadsMorePluginsThanMayRun: with the rows that it has where all run.
func TestSync_ReadsMorePluginsThanMayRun(t *testing.T) {
	t.Parallel()
	n, dir := newNarrow(t, ""), t.TempDir()
	results, err := oneShot(t, n.config, dir, host.Options{})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"app-0": 12, "app-1": 12, "app-2": 12}, results[0].Accounts)
	require.Equal(t, n.want, accountsIn(t, filepath.Join(dir, "workforce.c1z")))
	checked, err := check(t, n.config, host.Options{}, dir)
	require.NoError(t, err)
	require.Len(t, checked, 4, "the upload too")
}

// TestServe_RunsPluginsOnDemand: those that have nothing to do are idle, which is nothing
// wrong, and are started for the next sync; one that fails then falls back.
func TestServe_RunsPluginsOnDemand(t *testing.T) {
	t.Parallel()
	c := startC1(t, c1.Options{})
	n := newNarrow(t, ", "+c.credentials(t, "workforce")+", "+fallBack)
	running := c.serve(t, n.config, host.Options{StateDir: stateDir(t)}, host.ServeOptions{Listen: listening})
	for range 2 {
		require.Equal(t, n.want, c.synced(t, c.fullSync(t, "workforce")))
		is := running.status()
		states := map[string]int{}
		for _, one := range is.Plugins {
			require.NotEmpty(t, one.Connector)
			require.Empty(t, one.Why)
			require.Zero(t, one.Restarts)
			states[one.State]++
		}
		require.GreaterOrEqual(t, states["idle"], 2, "%v", states)
		require.Equal(t, status.Good, is.Outlook())
		require.Contains(t, running.metrics(), `state="idle"`)
	}
	n.apps["app-1"].fail(0)
	stale := c.finished(t, c.fullSync(t, "workforce"))
	require.True(t, stale.Succeeded, "%v", stale.Status)
	require.Equal(t, n.want, accountsIn(t, stale.Uploads[0].Path))
	running.says(`"outcome":"stale"`)

	rewrite(t, n.config, func(text string) string { return strings.Replace(text, "max-running: 1", "max-running: 3", 1) })
	require.Empty(t, running.reloads())
	n.apps["app-1"].down.Store(false)
	require.Equal(t, n.want, c.synced(t, c.fullSync(t, "workforce")))
	for _, one := range running.status().Plugins {
		require.Equal(t, "ready", one.State)
	}
	running.stop()
	require.Empty(t, c.Violations())
}
