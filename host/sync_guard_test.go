package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/raced"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestSyncGuardsAgainstDeletions(t *testing.T) {
	t.Parallel()
	const off = "deletion-guard: off"
	for name, c := range map[string]struct {
		before, now int
		guard       string
		trips       bool
	}{
		"an empty answer":                {before: 40, now: 0, trips: true},
		"half of them":                   {before: 40, now: 20},
		"one fewer than half":            {before: 40, now: 19, trips: true},
		"nine of fifteen gone":           {before: 15, now: 6, trips: true},
		"G3: half of eighteen":           {before: 18, now: 9, trips: true},
		"seven of fifteen gone":          {before: 15, now: 8},
		"ten of nineteen gone":           {before: 19, now: 9, trips: true},
		"G3: all of nine":                {before: 9, now: 0, trips: true},
		"G3: the only one":               {before: 1, now: 0, trips: true},
		"all of ten":                     {before: 10, now: 0, trips: true},
		"the guard is off":               {before: 40, now: 0, guard: off},
		"a stricter limit":               {before: 40, now: 30, guard: "deletion-guard: { keep-percent: 90 }", trips: true},
		"a stricter limit for this type": {before: 40, now: 30, guard: "deletion-guard: { resource-types: { user: { keep-percent: 90 } } }", trips: true},
		"a greater tolerance":            {before: 40, now: 1, guard: "deletion-guard: { min-missing: 40 }"},
		"a tolerance for short lists":    {before: 18, now: 9, guard: "deletion-guard: { min-missing: 10 }"},
		"G3: none, whatever min-missing": {before: 40, now: 0, guard: "deletion-guard: { min-missing: 41 }", trips: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raced.Sample(t, 4)
			app := startApp(t, scimsandbox.Options{App: "fullstory", Seed: 4, Accounts: c.before})
			dir := t.TempDir()
			w := &workforce{fullstory: app, dir: dir, config: configuration(t, []string{app.entry("fullstory", c.guard)}, "workforce: { plugins: [fullstory] }")}
			first := w.syncs(t, host.Options{})
			if c.guard == off {
				require.Empty(t, first.Unguarded)
			} else {
				require.Equal(t, "First sync: there is no baseline yet, so the change guard had nothing to compare.", first.Unguarded)
			}
			before := contentsOf(t, w.path())
			app.keepOnly(t, c.now)

			second, err := w.sync(t, host.Options{})
			if !c.trips {
				require.NoError(t, err)
				require.Empty(t, second.Unguarded)
				require.Len(t, accountsIn(t, w.path()), c.now)
				if c.now == 0 {
					require.Len(t, second.Warnings, 1)
					require.Contains(t, second.Warnings[0], `upload "workforce" has not a single account`)
				}
				return
			}
			require.ErrorIs(t, err, second.Err)
			require.Regexp(t, `^upload "workforce": plugin "fullstory" lists \d+ accounts? of type "fullstory.user", but \d+ in the baseline`, err.Error())
			require.ErrorContains(t, err, "--accept-deletions fullstory")
			require.Nil(t, second.Accounts)
			require.Equal(t, before, contentsOf(t, w.path()), "the file of before stays")
			require.Equal(t, []string{"workforce.c1z", "workforce.c1z.json", "workforce.c1z.refused", "workforce.c1z.refused-*"}, keptIn(t, dir), "nothing else is left behind")

			w.syncs(t, host.Options{AcceptDeletions: []string{"fullstory"}})
			require.Len(t, accountsIn(t, w.path()), c.now)
			require.NotContains(t, strings.Join(namesIn(t, dir), " "), "refused")
		})
	}
}

// TestSyncRefusesAnUploadWithoutAPluginOfItsBaseline: what C1 would delete is refused by
// Sync and reported by Check, until it is accepted.
func TestSyncRefusesAnUploadWithoutAPluginOfItsBaseline(t *testing.T) {
	t.Parallel()
	const (
		refused = `plugin "fullstory" is no longer in upload "workforce", but the baseline (of 20`
		unused  = `baton-host.yaml: plugin "fullstory" is in no upload, so it is never synced`
	)
	for name, c := range map[string]struct {
		change func(t *testing.T, config string)
		says   []string
		warns  bool
	}{
		"G5: removed from the upload": {
			change: func(t *testing.T, config string) { replaceIn(t, config, "[fullstory, design-tool]", "[design-tool]") },
			says:   []string{refused, "40 accounts"}, warns: true,
		},
		"G5: renamed": {
			change: func(t *testing.T, config string) {
				replaceIn(t, config, "  fullstory:\n", "  full-story:\n")
				replaceIn(t, config, "[fullstory,", "[full-story,")
			},
			says: []string{refused, `if it was renamed (new in the upload: "full-story"), give it its old name back`},
		},
		"G5: moved to another upload": {
			change: func(t *testing.T, config string) {
				replaceIn(t, config, "{ plugins: [fullstory, design-tool]", "{ plugins: [design-tool]")
				text := contentsOf(t, config) + "  marketing: { plugins: [fullstory] }\n"
				require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
			},
			says: []string{refused},
		},
	} {
		for _, policy := range []string{"fail", "last-good"} {
			t.Run(name+"/"+policy, func(t *testing.T) {
				t.Parallel()
				raced.Sample(t, 2)
				w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, "on-plugin-failure: "+policy)
				state := t.TempDir()
				w.syncs(t, host.Options{})
				clean := &recorder{}
				_, err := check(t, w.config, host.Options{StateDir: state, Observer: clean}, w.dir)
				require.NoError(t, err)
				require.Empty(t, clean.warned())
				before := contentsOf(t, w.path())
				c.change(t, w.config)

				seen := &recorder{}
				_, checked := check(t, w.config, host.Options{StateDir: state, Observer: seen}, w.dir)
				require.ErrorContains(t, checked, w.path())
				h, err := host.Open(t.Context(), host.Selection{ConfigFile: w.config, Upload: "workforce"}, host.Options{Secrets: host.PluginSecrets, Observer: seen})
				require.NoError(t, err)
				_, synced := h.Sync(t.Context(), host.SyncOptions{OutputDir: w.dir})
				for _, err := range []error{checked, synced} {
					requireSentence(t, err, append(c.says, "--accept-deletions fullstory")...)
				}
				if c.warns {
					require.Contains(t, seen.warned(), unused)
				} else {
					require.Empty(t, seen.warned())
				}
				require.Equal(t, before, contentsOf(t, w.path()), "the file of before stays")

				_, err = oneShot(t, w.config, w.dir, host.Options{AcceptDeletions: []string{"fulstory"}})
				requireSentence(t, err, "--accept-deletions fulstory: there is no such plugin in what is to be synced; there is design-tool, full")

				accept := host.Options{StateDir: state, AcceptDeletions: []string{"fullstory"}}
				_, err = check(t, w.config, accept, w.dir)
				require.NoError(t, err)
				_, err = oneShot(t, w.config, w.dir, accept)
				require.NoError(t, err)
				for _, one := range accountsIn(t, w.path()) {
					require.NotEqual(t, "fullstory.user", one.resourceType)
				}
				_, err = check(t, w.config, host.Options{StateDir: state}, w.dir)
				require.NoError(t, err)
				_, err = oneShot(t, w.config, w.dir, host.Options{})
				require.NoError(t, err, "it is accepted for good")
				if c.warns { // Its entry is still there.
					_, err = oneShot(t, w.config, w.dir, accept)
					requireSentence(t, err, "--accept-deletions fullstory: there is no such plugin in what is to be synced; there is design-tool")
				}
			})
		}
	}
}

// TestSyncComparesAnUploadWithItsOwnBaseline has two uploads side by side: what one of
// them has is not missing in the other.
func TestSyncComparesAnUploadWithItsOwnBaseline(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 12}, scimsandbox.Options{Seed: 2, Accounts: 7}, "")
	replaceIn(t, w.config, "[fullstory, design-tool] }", "[fullstory] }\n  contractors: { plugins: [design-tool] }")
	for _, upload := range []string{"", "workforce", "contractors", ""} {
		seen := &recorder{}
		h, err := host.Open(t.Context(), host.Selection{ConfigFile: w.config, Upload: upload}, host.Options{Secrets: host.PluginSecrets, Observer: seen})
		require.NoError(t, err)
		_, err = h.Sync(t.Context(), host.SyncOptions{OutputDir: w.dir})
		require.NoError(t, err)
		require.Empty(t, seen.warned())
	}
}

// TestSyncKeepsTheFileOfAnotherPlugin has a file that is the sync of another app.
func TestSyncKeepsTheFileOfAnotherPlugin(t *testing.T) { //nolint:paralleltest // It sets variables.
	app := startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 12})
	for name, value := range map[string]string{"BATON_SCIM_BASE_URL": app.url, "BATON_SCIM_TOKEN": app.token, "BATON_SCIM_GROUPS": "false"} {
		t.Setenv(name, value)
	}
	options := host.Options{Secrets: host.PluginSecrets, PluginDirs: []string{installed(t, "one", "other")}}
	path := filepath.Join(t.TempDir(), "sync.c1z")
	syncApp := func(app string, accepted ...string) error {
		options := options
		options.AcceptDeletions = accepted
		h, err := host.Open(t.Context(), host.Selection{App: app}, options)
		require.NoError(t, err)
		_, err = h.Sync(t.Context(), host.SyncOptions{File: path})
		return err
	}
	require.NoError(t, syncApp("one"))
	require.NoError(t, syncApp("one"))
	requireSentence(t, syncApp("other"), "12 accounts", path+" is the sync file of something else; write another with --file")
	require.NoError(t, syncApp("other", "one"))
	requireSentence(t, syncApp("one", "on"), "--accept-deletions on: there is no such plugin in what is to be synced; there is one, other")
}
