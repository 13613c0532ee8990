package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin/conformance"
	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestAPluginThatConformsPassesTheTest(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 2100, Seed: 1})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	result := execute(t, env, "baton-host", "test", "fullstory")
	require.Equal(t, 0, result.status, result.stdout+result.stderr)
	require.Regexp(t, `(?m)^passed   lists everything \(\d+\.\ds\)\n {9}1 resource types, 2100 resources, `, result.stdout)
	require.Regexp(t, `\nbaton-fullstory dev: 24 passed, 0 failed, 0 skipped\n$`, result.stdout)
	require.Empty(t, result.stderr)
}

func TestAnInstanceOfTheConfigurationIsTested(t *testing.T) {
	t.Parallel()
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 30, Seed: 2})
	config, env := twoApps(t, startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1}), design)
	result := execute(t, env, "baton-host", "test", "design-tool", "--config", config, "--output", "json")
	require.Equal(t, 0, result.status, result.stdout+result.stderr)
	var report conformance.Report
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &report))
	require.Equal(t, "baton-scim", report.Plugin)
	require.Zero(t, report.Count(conformance.Failed))
	require.Equal(t, 1, report.Count(conformance.Skipped), "30 accounts are one page")
	for _, outcome := range report.Checks {
		require.NotEmpty(t, outcome.Sentence, outcome.Check)
	}
}

// TestATestFindsItsPluginAsInspectAndCallDo: in the file in the current directory,
// else by the name of an app, else by its path.
func TestATestFindsItsPluginAsInspectAndCallDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "baton-host.yaml"), []byte("plugins: { mine: { app: notes, config: { name: mine } } }\n"), 0o600))
	for name, c := range map[string]struct{ env, args []string }{
		"an instance of the file": {nil, []string{"mine"}},
		"an app beside it":        {[]string{"BATON_NAME=mine"}, []string{"notes"}},
		"a path beside it":        {[]string{"BATON_NAME=mine"}, []string{filepath.Join(bin, "baton-notes")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"inspect", "test"} {
				cmd := command(t.Context(), t, c.env, "baton-host", append([]string{verb}, c.args...)...)
				cmd.Dir = dir
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s: %s", verb, out)
				require.Contains(t, string(out), "baton-notes")
			}
		})
	}
}

func TestAConnectorThatKeepsNotesPassesTheTest(t *testing.T) {
	t.Parallel()
	result := execute(t, []string{"BATON_NAME=mine"}, "baton-host", "test", filepath.Join(bin, "baton-notes"))
	require.Equal(t, 0, result.status, result.stdout+result.stderr)
	require.Regexp(t, `\nbaton-notes 1.0.0: 21 passed, 0 failed, 3 skipped\n$`, result.stdout, "it has no secret")
}

func TestACarelessPluginFailsTheTest(t *testing.T) {
	t.Parallel()
	const secret = "canary-9f27d1c04be86a35"
	result := execute(t, []string{"BATON_TOKEN=" + secret, "BATON_HABIT=log"}, "baton-host", "test", filepath.Join(bin, "baton-careless"))
	require.Equal(t, 1, result.status, result.stdout+result.stderr)
	require.Equal(t, "baton-host: 2 of 24 checks failed\n", result.stderr)
	require.Regexp(t, `(?m)^FAILED   writes nothing to standard output `, result.stdout)
	require.Regexp(t, `(?m)^FAILED   logs no secret `, result.stdout)
	require.NotContains(t, result.stdout, secret)
}

func TestWhatCannotBeTestedIsExplained(t *testing.T) {
	t.Parallel()
	config, env := twoApps(t, startApp(t, scim.Options{App: "fullstory"}), startApp(t, scim.Options{App: "design-tool"}))
	for name, c := range map[string]struct {
		env, args, want []string
	}{
		"no such app":         {nil, []string{"nobody-has-this"}, []string{"baton-nobody-has-this"}},
		"no such instance":    {env, []string{"scim", "--config", config}, []string{`has no plugin "scim"`, "design-tool"}},
		"a path in a file":    {env, []string{filepath.Join(bin, "baton-scim"), "--config", config}, []string{"is a path; with --config, name the plugin as the configuration does"}},
		"no configuration":    {nil, []string{"fullstory"}, []string{"1 of 24 checks failed"}},
		"no plugin":           {nil, []string{script(t, "echo hello; sleep 60")}, []string{"1 of 24 checks failed"}},
		"nothing is attached": {[]string{"BATON_HOST_REATTACH={}"}, []string{"fullstory"}, []string{"cannot attach to one", "unset BATON_HOST_REATTACH"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireSentence(t, execute(t, c.env, "baton-host", append([]string{"test"}, c.args...)...), c.want)
		})
	}
}
