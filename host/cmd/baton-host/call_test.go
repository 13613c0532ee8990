package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// called is an answer to ListResources.
type called struct {
	List []struct {
		ID struct{ Resource string } `json:"id"`
	}
	Next string `json:"next_page_token"`
}

func TestCallShowsWhatThePluginAnswers(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 2500, Seed: 1})
	people := map[string]bool{}
	for _, account := range app.server.Accounts() {
		people[account.ID] = true
	}
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	config := writeConfig(t, "plugins:\n  people: { app: fullstory, config: { scim-base-url: \""+app.url+"\", scim-token: \"${env:TOKEN}\" } }\n")
	for name, c := range map[string]struct{ env, plugin []string }{
		"an app":      {env, []string{"fullstory"}},
		"a path":      {env, []string{filepath.Join(bin, "baton-fullstory")}},
		"an instance": {[]string{"TOKEN=" + app.token}, []string{"people", "--config", config}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Each page is of another process, which may show somebody again to be sure.
			seen := map[string]bool{}
			for next, page := "", 0; page == 0 || next != ""; page++ {
				request, err := json.Marshal(map[string]string{"resource_type_id": "user", "page_token": next})
				require.NoError(t, err)
				result := execute(t, c.env, "baton-host", append([]string{"call", c.plugin[0], "ResourcesService/ListResources", string(request)}, c.plugin[1:]...)...)
				require.Equal(t, 0, result.status, result.stderr)
				require.Empty(t, result.stderr)
				var answer called
				require.NoError(t, json.Unmarshal([]byte(result.stdout), &answer))
				for _, one := range answer.List {
					require.True(t, people[one.ID.Resource])
					seen[one.ID.Resource] = true
				}
				next = answer.Next
			}
			require.Len(t, seen, len(people))
		})
	}
}

func TestCallReachesAConnectorThatKeepsNotes(t *testing.T) {
	t.Parallel()
	result := execute(t, []string{"BATON_NAME=mine"}, "baton-host", "call", filepath.Join(bin, "baton-notes"),
		"ListResources", `{"resource_type_id": "user", "active_sync_id": "000000000000000000000000000"}`)
	require.Equal(t, 0, result.status, result.stderr)
	var answer called
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
  shut: { app: ledger, config: { ledger: `+filepath.Join(dir, "shut")+` } }
  open: { app: ledger, provisioning: true, config: { ledger: `+filepath.Join(dir, "open")+` } }
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
		"open":  {"open", "Grant", "-", "--config", config},
		"shut":  {"shut", "Grant", "-", "--config", config, "--provisioning"},
		"named": {"ledger", "Grant", "-", "--provisioning"},
	} {
		result := grant(args...)
		require.Equal(t, 0, result.status, result.stderr)
		require.Contains(t, result.stdout, `"group:g1:member:user:u2"`)
		did, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, "grant group:g1:member to user/u2\n", string(did))
	}
}

func TestCallWithBadInput(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "right"})
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(busy.Close)
	entry := func(name, url, token string) string {
		return "  " + name + ": { app: fullstory, config: { scim-base-url: \"" + url + "\", scim-token: \"" + token + "\" } }\n"
	}
	config := writeConfig(t, "plugins:\n"+entry("people", app.url, "right")+entry("wrong", app.url, "mistaken-secret-81")+entry("busy", busy.URL, "right")+
		"  crash: { path: "+script(t, "echo where are my shoes >&2; exit 4")+" }\n  rules: { app: fullstory, config: { scim-base-url: \"http://scim.example.com\", scim-token: x } }\n")
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
		"an unknown resource type":  {with("people", "ListResources", `{"resource_type_id": "robot"}`), []string{`plugin "people"`, "ResourcesService/ListResources failed with ", "robot"}},
		"a request against a rule":  {with("people", "ListResources", `{"resource_type_id": "`+strings.Repeat("x", 2000)+`"}`), []string{`plugin "people"`, "INVALID_ARGUMENT"}},
		"wrong credentials":         {with("wrong", "Validate"), []string{`plugin "wrong"`, "ConnectorService/Validate failed with UNAUTHENTICATED: ", "SCIM Token"}},
		"an app that is busy":       {with("busy", "Validate"), []string{`plugin "busy"`, "failed with UNAVAILABLE: ", "RateLimitDescription"}},
		"a plugin that ends":        {with("crash", "Validate"), []string{`plugin "crash"`, "exit status 4", "where are my shoes"}},
		"a refused configuration":   {with("rules", "Validate"), []string{"baton-host.yaml:6:", "https"}},
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

// TestCallStartsOnlyWhatIsLocked: a command for debugging gives secrets to a
// plugin as the others do.
func TestCallStartsOnlyWhatIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "baton-ledger")
	copied, err := os.ReadFile(filepath.Join(bin, "baton-ledger"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, copied, 0o700)) //nolint:gosec // It must be executable.
	config := writeConfig(t, "plugins: { books: { path: "+binary+", config: { ledger: "+filepath.Join(dir, "books")+" } } }\n")
	require.Equal(t, 0, execute(t, nil, "baton-host", "lock", "--config", config).status)
	validate := []string{"call", "books", "Validate", "--config", config}
	require.Equal(t, 0, execute(t, nil, "baton-host", validate...).status)

	file, err := os.OpenFile(binary, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("another build")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	requireSentence(t, execute(t, nil, "baton-host", validate...), []string{`plugin "books"`, "baton-host lock"})
	requireSentence(t, execute(t, nil, "baton-host", "call", "books", "Describe", "--config", config), []string{`plugin "books"`, "baton-host lock"})
	require.Equal(t, 0, execute(t, nil, "baton-host", append(validate, "--unlocked")...).status)
}
