package host_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestSyncWritesPlainIDsWithoutANamespace(t *testing.T) {
	t.Parallel()
	app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 7, Seed: 1})
	path, dir := configuration(t, []string{app.entry("fullstory", `namespace: ""`)}, "one: { plugins: [fullstory] }"), t.TempDir()
	results, err := oneShot(t, path, dir, host.Options{})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"fullstory": 7}, results[0].Accounts)
	want := app.seeded("user")
	for i := range want {
		want[i].resourceType = "user"
	}
	require.Equal(t, want, accountsIn(t, filepath.Join(dir, "one.c1z")))
}

func TestSyncLeavesTheOldFileWhereItFails(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Accounts: 20, Seed: 1}, scimsandbox.Options{Accounts: 5, Seed: 2}, "")
	right := `"` + w.design.token + `"`
	fails := func() {
		t.Helper()
		replaceIn(t, w.config, right, `"not-the-token"`)
		result, err := w.sync(t, host.Options{})
		requireSentence(t, err, `upload "workforce"`, `plugin "design-tool"`, "SCIM Token")
		require.Error(t, result.Err)
		require.Nil(t, result.Accounts)
		replaceIn(t, w.config, `"not-the-token"`, right)
	}
	fails()
	require.Empty(t, namesIn(t, w.dir))
	w.syncs(t, host.Options{})
	before := contentsOf(t, w.path())
	fails()
	require.Equal(t, before, contentsOf(t, w.path()))
	require.Equal(t, recorded("workforce.c1z"), namesIn(t, w.dir))
}

func TestSyncGoesOnAfterAnUploadThatFails(t *testing.T) {
	t.Parallel()
	right := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 20, Seed: 1})
	wrong := &app{url: right.url, token: "wrong"}
	path, dir := configuration(
		t, []string{right.entry("good"), wrong.entry("bad"), "  absent: { app: nobody-has-this }\n"},
		"first: { plugins: [bad] }", "second: { plugins: [good] }", "third: { plugins: [good, absent] }", "fourth: { plugins: [good] }",
	), t.TempDir()
	results, err := oneShot(t, path, dir, host.Options{})
	requireSentence(t, err, `upload "first"`, `upload "third"`, "there is no plugin binary baton-nobody-has-this")
	require.NotContains(t, err.Error(), `upload "second"`)
	var tried []string
	for _, result := range results {
		tried = append(tried, result.Upload)
		require.Equal(t, result.Upload == "first" || result.Upload == "third", result.Err != nil, result.Upload)
	}
	require.Equal(t, []string{"first", "second", "third", "fourth"}, tried, "in the order of the file")
	require.Equal(t, recorded("fourth.c1z", "second.c1z"), namesIn(t, dir))
	require.Len(t, accountsIn(t, filepath.Join(dir, "second.c1z")), 20)
	require.Len(t, accountsIn(t, filepath.Join(dir, "fourth.c1z")), 20)

	h, err := host.Open(t.Context(), host.Selection{ConfigFile: path, Upload: "second"}, host.Options{Secrets: host.PluginSecrets})
	require.NoError(t, err)
	results, err = h.Sync(t.Context(), host.SyncOptions{OutputDir: dir})
	require.NoError(t, err)
	require.Len(t, results, 1)
}

// TestSyncReportsAWrongConfigurationOnce: what one plugin's schema or the plugin itself
// refuses fails the uploads that need it, and those alone.
func TestSyncReportsAWrongConfigurationOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ entry, says string }{
		"by its schema":        {"{ scim-base-url: %URL%, scim-token: right, scim-tokn: x }", `"scim-tokn"`},
		"by the plugin itself": {`{ scim-base-url: "http://scim.example.com", scim-token: x }`, "https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "right"})
			wrong := "  wrong:\n    path: " + self + "\n    env: [" + pluginVariable + "]\n    config: " + c.entry + "\n"
			path, dir := configuration(
				t, []string{app.entry("good"), wrong},
				"first: { plugins: [wrong] }", "second: { plugins: [good] }", "third: { plugins: [good, wrong] }",
			), t.TempDir()
			if c.says == `"scim-tokn"` {
				replaceIn(t, path, "%URL%", app.url)
			}
			results, err := oneShot(t, path, dir, host.Options{})
			var problems settings.Problems
			require.ErrorAs(t, err, &problems)
			require.Len(t, problems, 1)
			requireSentence(t, err, "baton-host.yaml:", c.says)
			require.Equal(t, problems.Error(), err.Error(), "once, and nothing else")
			require.Len(t, results, 3, "an upload that fails is not left out")
			for i, upload := range []string{"first", "second", "third"} {
				require.Equal(t, upload, results[i].Upload)
				if upload == "second" {
					require.NoError(t, results[i].Err)
					continue
				}
				requireSentence(t, results[i].Err, "baton-host.yaml:", c.says)
				require.Nil(t, results[i].Accounts)
			}
			require.Equal(t, recorded("second.c1z"), namesIn(t, dir))
			require.Len(t, accountsIn(t, filepath.Join(dir, "second.c1z")), 3)
		})
	}
}

// TestSync_HoldsLimitsOfListings: a limit of the configuration reaches the syncs of both ways
// of use.
func TestSync_HoldsLimitsOfListings(t *testing.T) {
	t.Parallel()
	const want = `plugin "fullstory": listing resources of type "user": it lists more than 39 rows`
	start := func(t *testing.T, upload string) (path string) {
		app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 40})
		return configuration(t, []string{app.entry("fullstory", "max-rows: 39", "concurrency: 1")}, upload)
	}
	t.Run("H9: sync", func(t *testing.T) {
		t.Parallel()
		_, err := oneShot(t, start(t, "workforce: { plugins: [fullstory] }"), t.TempDir(), host.Options{})
		requireSentence(t, err, want, "raise max-rows of the plugin's entry")
	})
	t.Run("H9: serve", func(t *testing.T) {
		t.Parallel()
		tenant := startC1(t, c1.Options{})
		path := start(t, "workforce: { plugins: [fullstory], "+tenant.credentials(t, "workforce")+" }")
		tenant.serve(t, path, host.Options{StateDir: t.TempDir()}, host.ServeOptions{})
		outcome := tenant.finished(t, tenant.fullSync(t, "workforce"))
		require.False(t, outcome.Succeeded)
		require.Contains(t, outcome.Status.GetMessage(), want)
	})
}
