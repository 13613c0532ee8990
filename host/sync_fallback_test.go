package host_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestSyncFallsBackToTheBaseline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails func(t *testing.T, a *app)
		says  string
	}{
		"before its listing":           {func(_ *testing.T, a *app) { a.fail(0) }, "500"},
		"in the middle of its listing": {func(_ *testing.T, a *app) { a.fail(3) }, "500"},
		"at the end of its listing":    {func(_ *testing.T, a *app) { a.fail(5) }, "500"},
		"by listing almost no account": {func(t *testing.T, a *app) { a.keepOnly(t, 2) }, "so large a change at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40, PageCap: 10}, scimsandbox.Options{Seed: 2, Accounts: 25, PageCap: 10}, fallBack)
			w.syncs(t, host.Options{})
			require.NoError(t, w.design.server.Remove(w.design.server.Accounts()[0].ID))
			want := w.seeded()
			c.fails(t, w.fullstory)

			seen := &recorder{}
			second := w.syncs(t, host.Options{Observer: seen})
			require.Equal(t, map[string]int{"fullstory": 40, "design-tool": 24}, second.Accounts)
			require.Len(t, second.Stale, 1)
			require.Equal(t, "fullstory", second.Stale[0].Plugin)
			require.Positive(t, second.Stale[0].Accounts)
			require.Equal(t, []string{"fullstory"}, seen.fellBack)
			require.ErrorContains(t, seen.reasons[0], c.says)
			require.Equal(t, want, accountsIn(t, w.path()))
			files := recorded("workforce.c1z")
			if name == "by listing almost no account" {
				files = append(files, "workforce.c1z.refused", "workforce.c1z.refused-*")
			}
			require.Equal(t, files, keptIn(t, w.dir))

			// Once more from what is stale: as old as before.
			before := asOf(t, w.path(), "fullstory")
			w.syncs(t, host.Options{})
			require.Equal(t, before, asOf(t, w.path(), "fullstory"))
			require.Equal(t, want, accountsIn(t, w.path()))

			// Too old.
			makeOld(t, w.path(), 73*time.Hour)
			_, err := w.sync(t, host.Options{})
			requireSentence(t, err, "on-plugin-failure is last-good, but there is no baseline to fall back on", "longer ago than max-stale (72h0m0s) allows")
			require.Equal(t, want, accountsIn(t, w.path()))
		})
	}
}

func TestSyncFailsWhereEveryPluginFails(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Accounts: 12}, scimsandbox.Options{Accounts: 12}, fallBack)
	w.syncs(t, host.Options{})
	w.fullstory.fail(0)
	w.design.fail(0)
	result, err := w.sync(t, host.Options{})
	require.ErrorIs(t, err, result.Err)
	requireSentence(t, err, `every plugin of upload "workforce" failed, so there is nothing new to sync`, `plugin "fullstory"`, `plugin "design-tool"`)
}

func TestSyncReportsADamagedBaseline(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string) (says string){
		"the sync file is cut": func(t *testing.T, path string) string {
			require.NoError(t, os.Truncate(path, 100))
			return "cannot be read as a sync file"
		},
		"the record is no JSON": func(t *testing.T, path string) string {
			require.NoError(t, os.WriteFile(path+".json", []byte("{"), 0o600))
			return "the record of the baseline cannot be used"
		},
		"the record is of another file": func(t *testing.T, path string) string {
			require.NoError(t, os.WriteFile(path+".json", []byte(`{"version":1,"syncs":{"00":{}}}`), 0o600))
			return "it has nothing of this plugin"
		},
		"the record is gone": func(t *testing.T, path string) string {
			require.NoError(t, os.Remove(path+".json"))
			return "it has nothing of this plugin"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkforce(t, scimsandbox.Options{Accounts: 12}, scimsandbox.Options{Accounts: 12}, fallBack)
			w.syncs(t, host.Options{})
			says := damage(t, w.path())
			w.fullstory.fail(0)
			_, err := w.sync(t, host.Options{})
			requireSentence(t, err, says)
			w.fullstory.down.Store(false)
			w.syncs(t, host.Options{})
			w.fullstory.fail(0)
			require.Len(t, w.syncs(t, host.Options{}).Stale, 1, "the good sync has replaced what was damaged")
		})
	}
}

// TestSyncGoesWithoutANewPlugin: the file is there, and is marked incomplete.
func TestSyncGoesWithoutANewPlugin(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Accounts: 12}, scimsandbox.Options{Accounts: 7}, fallBack)
	w.fullstory.fail(0)
	seen := &recorder{}
	result := w.syncs(t, host.Options{Observer: seen})
	require.ErrorContains(t, result.Missing["fullstory"], "no place left")
	require.Equal(t, map[string]int{"design-tool": 7}, result.Accounts)
	require.Empty(t, result.Stale)
	require.Equal(t, []string{"fullstory"}, seen.missing)
	require.Empty(t, seen.fellBack)
	require.Len(t, accountsIn(t, w.path()), 7)
	w.fullstory.down.Store(false)
	result = w.syncs(t, host.Options{})
	require.Empty(t, result.Missing)
	require.Len(t, accountsIn(t, w.path()), 19)
}
