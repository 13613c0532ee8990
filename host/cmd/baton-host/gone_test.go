package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// replaceIn changes a configuration.
func replaceIn(t *testing.T, path, old, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	changed := strings.ReplaceAll(string(text), old, with)
	require.NotEqual(t, string(text), changed)
	require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
}

func TestAPluginThatIsGoneFromAnUploadIsRefused(t *testing.T) {
	t.Parallel()
	const (
		refused = `plugin "fullstory" is no longer in upload "workforce", but the baseline (the last good sync, 20`
		unused  = `baton-host.yaml: plugin "fullstory" is in no upload, so it is never synced`
	)
	for name, c := range map[string]struct {
		change  func(t *testing.T, config string)
		says    []string
		silent  string // what must not be said
		accepts string
	}{
		"G5: removed from the upload": {
			change: func(t *testing.T, config string) { replaceIn(t, config, "[fullstory, design-tool]", "[design-tool]") },
			says:   []string{refused, "40 accounts", "baton-host: warning: ", unused},
		},
		"G5: renamed": {
			change: func(t *testing.T, config string) {
				replaceIn(t, config, "  fullstory:\n", "  full-story:\n    app: fullstory\n")
				replaceIn(t, config, "[fullstory,", "[full-story,")
			},
			says:   []string{refused, `if it was renamed (new in the upload: "full-story"), give it its old name back`},
			silent: "in no upload",
		},
		"G5: moved to another upload": {
			change: func(t *testing.T, config string) {
				replaceIn(t, config, "[fullstory, design-tool]", "[design-tool]\n  marketing:\n    plugins: [fullstory]")
			},
			says:   []string{refused},
			silent: "in no upload",
		},
	} {
		for _, policy := range []string{"fail", "last-good"} {
			t.Run(name+"/"+policy, func(t *testing.T) {
				t.Parallel()
				fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40})
				design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25})
				config, env := twoApps(t, fullstory, design)
				appendTo(t, config, "    on-plugin-failure: "+policy+"\n")
				out := t.TempDir()
				path := filepath.Join(out, "workforce.c1z")
				command := func(name string, more ...string) run {
					args := append([]string{name, "--plugin-dir", bin, "--config", config, "--output-dir", out}, more...)
					return execute(t, env, "baton-host", args...)
				}
				state := t.TempDir()
				require.Equal(t, 0, command("sync").status)
				before := command("check", "--state-dir", state)
				require.Equal(t, 0, before.status, before.stderr)
				require.Empty(t, before.stderr)
				kept, err := os.ReadFile(path)
				require.NoError(t, err)
				c.change(t, config)

				checked := command("check", "--state-dir", state)
				synced := command("sync", "--upload", "workforce")
				for _, result := range []run{checked, synced} {
					require.Equal(t, 1, result.status, result.stderr)
					for _, said := range append(c.says, "--accept-deletions fullstory") {
						require.Contains(t, result.stderr, said)
					}
					if c.silent != "" {
						require.NotContains(t, result.stderr, c.silent)
					}
				}
				require.Contains(t, checked.stderr, path)
				still, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, kept, still, "the file of before stays")

				typo := command("sync", "--accept-deletions", "fulstory")
				require.Equal(t, 1, typo.status)
				require.Contains(t, typo.stderr, "--accept-deletions fulstory: there is no such plugin in what is to be synced; there is design-tool, full")

				require.Equal(t, 0, command("check", "--state-dir", state, "--accept-deletions", "fullstory").status)
				accepted := command("sync", "--accept-deletions", "fullstory")
				require.Equal(t, 0, accepted.status, accepted.stderr)
				for _, account := range accountsIn(t, path) {
					require.NotEqual(t, "fullstory.user", account.ResourceType)
				}
				after := command("check", "--state-dir", state)
				require.Equal(t, 0, after.status, after.stderr)
				require.Equal(t, 0, command("sync").status, "it is accepted for good")
			})
		}
	}
}

// TestAnUploadsBaselineIsItsOwn has two uploads side by side: what one of them has is
// not missing in the other.
func TestAnUploadsBaselineIsItsOwn(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 12})
	design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 7})
	config, env := twoApps(t, fullstory, design)
	replaceIn(t, config, "[fullstory, design-tool]", "[fullstory]\n  contractors:\n    plugins: [design-tool]")
	out := t.TempDir()
	for _, more := range [][]string{nil, {"--upload", "workforce"}, {"--upload", "contractors"}, nil} {
		result := execute(t, env, "baton-host", append([]string{"sync", "--plugin-dir", bin, "--config", config, "--output-dir", out}, more...)...)
		require.Equal(t, 0, result.status, result.stderr)
		require.NotContains(t, result.stderr, "in no upload")
	}
}

// TestAFileOfAnotherAppIsNotReplaced syncs one app after another to the same file.
func TestAFileOfAnotherAppIsNotReplaced(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 12})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token, "BATON_SCIM_GROUPS=false"}
	path := filepath.Join(t.TempDir(), "sync.c1z")
	first := execute(t, env, "baton-host", "sync", "--plugin-dir", bin, "--plugin", "fullstory", "-f", path)
	require.Equal(t, 0, first.status, first.stderr)
	again := execute(t, env, "baton-host", "sync", "--plugin-dir", bin, "--plugin", "fullstory", "-f", path)
	require.Equal(t, 0, again.status, again.stderr)
	other := execute(t, env, "baton-host", "sync", "--plugin-dir", bin, "--plugin", "scim", "-f", path)
	require.Equal(t, 1, other.status)
	require.Contains(t, other.stderr, "12 accounts")
	require.Contains(t, other.stderr, path+" is the sync file of something else; write another with --file")
	accepted := execute(t, env, "baton-host", "sync", "--plugin-dir", bin, "--plugin", "scim", "-f", path, "--accept-deletions", "fullstory")
	require.Equal(t, 0, accepted.status, accepted.stderr)
}
