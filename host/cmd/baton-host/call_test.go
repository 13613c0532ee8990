package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// listAnswer is an answer to ListResources.
type listAnswer struct {
	List []struct {
		ID struct{ Resource string } `json:"id"`
	}
	Next string `json:"next_page_token"`
}

func TestCallReachesAConnectorThatKeepsNotes(t *testing.T) {
	t.Parallel()
	result := execute(t, []string{"BATON_NAME=mine"}, "baton-host", "call", filepath.Join(bin, "baton-notes"),
		"ListResources", `{"resource_type_id": "user", "active_sync_id": "000000000000000000000000000"}`)
	require.Equal(t, 0, result.status, result.stderr)
	var answer listAnswer
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &answer))
	require.Len(t, answer.List, 30)
}

func TestCallDescribesWithoutAConfiguration(t *testing.T) {
	t.Parallel()
	config := writeConfig(t, "plugins: { people: { app: scim, config: { scim-token: \"${env:NOT_SET_ANYWHERE}\" } } }\n")
	result := execute(t, nil, "baton-host", "call", "people", "Describe", "--config", config)
	require.Equal(t, 0, result.status, result.stderr)
	var answer struct{ Manifest struct{ Name string } }
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &answer))
	require.Equal(t, "baton-scim", answer.Manifest.Name)

	listed := execute(t, nil, "baton-host", "call", "people", "--config", config)
	require.Equal(t, 0, listed.status, listed.stderr)
	require.Regexp(t, `(?m)^ResourcesService/ListResources +resource_type_id, `, listed.stdout)
	require.Regexp(t, `(?m)^GrantManagerService/Grant +changes something in the app +entitlement, principal`, listed.stdout)
	require.NotContains(t, listed.stdout, "Configure")
}

// TestCallChangesNothingThatItMayNot grants by hand: what is refused does not
// reach the plugin.
func TestCallChangesNothingThatItMayNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := writeConfig(t, `
plugins:
  shut: { app: ledger, sandbox: { write: [`+dir+`] }, config: { ledger: `+filepath.Join(dir, "shut")+` } }
  open: { app: ledger, sandbox: { write: [`+dir+`] }, provisioning: true, config: { ledger: `+filepath.Join(dir, "open")+` } }
`)
	const request = `{
		"entitlement": {"id": "group:g1:member", "display_name": "member", "resource": {"id": {"resource_type": "group", "resource": "g1"}}},
		"principal": {"id": {"resource_type": "user", "resource": "u2"}}
	}`
	grant := func(args ...string) run {
		cmd := command(t.Context(), t, []string{"BATON_LEDGER=" + filepath.Join(dir, "named")}, "baton-host", append([]string{"call"}, args...)...)
		cmd.Stdin = strings.NewReader(request)
		return finish(t, cmd)
	}
	requireSentence(t, grant("shut", "Grant", "-", "--config", config), []string{`plugin "shut"`, "GrantManagerService/Grant changes something", "--provisioning", "`provisioning: true`"})
	requireSentence(t, grant("ledger", "Grant", "-"), []string{`plugin "ledger"`, "--provisioning"})
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)

	for name, args := range map[string][]string{
		"open": {"open", "Grant", "-", "--config", config},
		"shut": {"shut", "Grant", "-", "--config", config, "--provisioning"},
	} {
		result := grant(args...)
		require.Equal(t, 0, result.status, result.stderr)
		require.Contains(t, result.stdout, `"group:g1:member:user:u2"`)
		did, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "grant group:g1:member to user/u2\n", string(did))
	}

	// By its app alone it has no entry that opens the file.
	named := grant("ledger", "Grant", "-", "--provisioning")
	if sandbox.Kernel().Landlock > 0 {
		requireSentence(t, named, []string{`plugin "ledger"`, "grant failed: open " + filepath.Join(dir, "named"), "sandbox: {read: [" + filepath.Join(dir, "named") + "]}"})
	} else {
		require.Equal(t, 0, named.status, named.stderr)
	}
}

func TestCallWithBadInput(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "right"})
	entry := func(name, url, token string) string {
		return "  " + name + ": { app: fullstory, config: { scim-base-url: \"" + url + "\", scim-token: \"" + token + "\" } }\n"
	}
	config := writeConfig(t, "plugins:\n"+entry("people", app.url, "right")+entry("wrong", app.url, "mistaken-secret-81"))
	with := func(args ...string) []string { return append([]string{"call", "--config", config}, args...) }
	cases := map[string]struct {
		args []string
		want []string
	}{
		"no plugin":                 {[]string{"call"}, []string{"arg"}},
		"an unknown app":            {[]string{"call", "nobody-has-this", "Validate"}, []string{"baton-nobody-has-this", "--plugin-dir"}},
		"an unknown app, to list":   {[]string{"call", "nobody-has-this"}, []string{"baton-nobody-has-this"}},
		"an unknown instance":       {with("peopel", "Validate"), []string{config, `no plugin "peopel"`, `did you mean "people"?`}},
		"a path with --config":      {with(filepath.Join(bin, "baton-scim"), "Validate"), []string{"is a path", "--config"}},
		"a path of nothing":         {[]string{"call", "./baton-none", "Validate"}, []string{"./baton-none", "no such file"}},
		"no configuration file":     {[]string{"call", "people", "Validate", "--config", "/no/such.yaml"}, []string{"/no/such.yaml"}},
		"an unknown method":         {with("people", "ListResource"), []string{`no method "ListResource"`, "ResourcesService/ListResources"}},
		"no JSON":                   {with("people", "ListResources", "user"), []string{"line 1, column 1", "resource_type_id"}},
		"an unknown field":          {with("people", "ListResources", `{"type": "user"}`), []string{"line 1, column 2", `unknown field "type"`}},
		"nothing on standard input": {with("people", "ListResources", "-"), []string{"standard input holds no request"}},
		"Configure":                 {with("people", "Configure"), []string{"not called by hand"}},
		"Stop":                      {with("people", "PluginService/Stop"), []string{"not called by hand"}},
		"wrong credentials":         {with("wrong", "Validate"), []string{`plugin "wrong"`, "ConnectorService/Validate failed with UNAUTHENTICATED: ", "SCIM Token"}},
		"a variable missing":        {[]string{"call", "scim", "Validate"}, []string{"BATON_SCIM_BASE_URL"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, nil, "baton-host", test.args...)
			requireSentence(t, result, test.want)
			require.Empty(t, result.stdout)
			require.NotContains(t, result.stderr, "mistaken-secret-81")
		})
	}
}
