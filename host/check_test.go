package host_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestCheckReportsEveryProblemTogether(t *testing.T) {
	t.Parallel()
	good := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1})
	wrong := &app{url: good.url, token: "wrong"}
	config := configuration(t, []string{
		good.entry("good"), wrong.entry("wrong-token"),
		"  no-token: { path: " + self + ", env: [" + pluginVariable + "], config: { scim-base-url: \"" + good.url + "\" } }\n",
		"  no-plugin: { app: nobody-has-this }\n",
	}, "workforce: { plugins: [good, wrong-token] }")
	seen := &recorder{}
	checked, err := check(t, config, host.Options{Observer: seen, StateDir: t.TempDir()}, t.TempDir())
	requireSentence(t, err, `plugin "wrong-token"`, "SCIM Token", "baton-host.yaml:10:", "scim-token", `plugin "no-plugin"`, "baton-nobody-has-this")
	require.Contains(t, seen.warned(), `plugin "no-plugin" is in no upload`)
	failed := map[string]bool{}
	for _, one := range checked {
		failed[one.Name] = one.Err != nil
	}
	require.Equal(t, map[string]bool{"good": false, "wrong-token": true, "no-token": true, "no-plugin": true}, failed)
}

// TestSyncExplainsBadInput: what a person got wrong is answered with a sentence, and
// nothing is written. It is what Check answers too.
func TestSyncExplainsBadInput(t *testing.T) {
	t.Parallel()
	good := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "right"})
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!DOCTYPE html><title>Sign in</title>"))
	}))
	t.Cleanup(html.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	scripts := t.TempDir()

	const uploads = "\nuploads: { workforce: { plugins: [fullstory] } }\n"
	ours := "path: " + self + ", env: [" + pluginVariable + "]"
	plugin := func(keys string) string { return "plugins:\n  fullstory: { " + keys + " }" + uploads }
	settings := func(url, token string) string {
		return plugin(ours + ", config: { scim-base-url: \"" + url + "\", scim-token: \"" + token + "\" }")
	}
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"an unknown key":             {plugin("conifg: {}"), []string{"baton-host.yaml:2:", `"conifg"`, `"config"`}},
		"a wrong type":               {plugin("start-timeout: [1]"), []string{"baton-host.yaml:2:"}},
		"an unknown field":           {plugin(ours + ", config: { scim-base-url: \"" + good.url + "\", scim-token: right, scim-tokn: x }"), []string{"baton-host.yaml:2:", `"scim-tokn"`, `"scim-token"`}},
		"a missing field":            {plugin(ours + ", config: { scim-base-url: \"" + good.url + "\" }"), []string{"baton-host.yaml:2:", `at least one of "scim-token", "scim-username" and "scim-client-id" must be given`}},
		"a missing variable":         {settings(good.url, "${env:NOT_SET_ANYWHERE}"), []string{"baton-host.yaml:2:", "NOT_SET_ANYWHERE"}},
		"a missing file":             {settings(good.url, "${file:/no/such/token}"), []string{"baton-host.yaml:2:", "/no/such/token"}},
		"a missing binary":           {plugin("app: nobody-has-this"), []string{`plugin "fullstory"`, "baton-nobody-has-this", "--plugin-dir"}},
		"a path of nothing":          {plugin("path: /no/such/baton-fullstory"), []string{`plugin "fullstory"`, "/no/such/baton-fullstory"}},
		"no plugin":                  {plugin("path: " + program(t, scripts, "hello", "echo hello; exec sleep 60")), []string{`plugin "fullstory"`, "no baton-host plugin"}},
		"a plugin that ends":         {plugin("path: " + program(t, scripts, "shoes", "echo where are my shoes >&2; exit 4")), []string{`plugin "fullstory"`, "exit status 4", "where are my shoes"}},
		"a plugin without handshake": {plugin("start-timeout: 300ms, path: " + program(t, scripts, "mute", "exec sleep 60")), []string{`plugin "fullstory"`, "did not shake hands within 300ms"}},
		"a wrong token":              {settings(good.url, "wrong"), []string{`plugin "fullstory"`, "SCIM Token"}},
		"HTML in place of SCIM":      {settings(html.URL, "right"), []string{`plugin "fullstory"`, "HTML", "SCIM Base URL"}},
		"an app that is not there":   {settings(gone.URL+"/scim/v2", "right"), []string{`plugin "fullstory"`, "SCIM Base URL"}},
		"an address without https":   {settings("http://scim.example.com", "right"), []string{"baton-host.yaml:2:", "https"}},
		"two plugins of one name":    {"plugins:\n  fullstory: {}\n  fullstory: {}" + uploads, []string{"baton-host.yaml:3:3: ", `"fullstory"`}},
		"types that clash": {
			"plugins:\n" +
				"  one: { " + ours + ", namespace: \"\", config: { scim-groups: false, scim-base-url: \"" + good.url + "\", scim-token: right } }\n" +
				"  two: { " + ours + ", namespace: \"\", config: { scim-groups: false, scim-base-url: \"" + good.url + "\", scim-token: right } }\n" +
				"uploads: { workforce: { plugins: [one, two] } }\n",
			[]string{`"one"`, `"two"`, `"user"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, dir := writeFile(t, c.config), filepath.Join(t.TempDir(), "out")
			_, err := oneShot(t, config, dir, host.Options{})
			requireSentence(t, err, c.want...)
			require.Empty(t, namesIn(t, dir))
			_, err = check(t, config, host.Options{StateDir: t.TempDir()}, dir)
			requireSentence(t, err, c.want...)
		})
	}
}

func TestOpenExplainsBadInput(t *testing.T) {
	t.Parallel()
	config := writeFile(t, "plugins: { people: { app: fullstory } }\nuploads: { workforce: { plugins: [people] } }\n")
	empty := writeFile(t, "plugins: { fullstory: {} }\n")
	dir := t.TempDir()
	idle := program(t, dir, "baton-idle", "")
	require.NoError(t, os.Chmod(idle, 0o600))
	for name, c := range map[string]struct {
		selection host.Selection
		want      []string
	}{
		"an unknown upload":         {host.Selection{ConfigFile: config, Upload: "workfroce"}, []string{`no upload "workfroce"`, `did you mean "workforce"?`}},
		"an upload of another kind": {host.Selection{ConfigFile: config, Upload: "x"}, []string{`no upload "x"`, "it has workforce"}},
		"an upload of none":         {host.Selection{ConfigFile: empty, Upload: "x"}, []string{"there is nothing to sync: it has no uploads"}},
		"no configuration file":     {host.Selection{ConfigFile: filepath.Join(dir, "none.yaml")}, []string{"none.yaml", "--config"}},
		"an unknown plugin":         {host.Selection{ConfigFile: config, Plugin: "peopel"}, []string{config, `no plugin "peopel"`, `did you mean "people"?`}},
		"a path in a file":          {host.Selection{ConfigFile: config, Plugin: idle}, []string{"is a path; with --config, name the plugin as the configuration does"}},
		"a path of nothing":         {host.Selection{Plugin: "./baton-none"}, []string{"./baton-none", "no such file"}},
		"an unknown app":            {host.Selection{Plugin: "nobody-has-this"}, []string{"baton-nobody-has-this", "--plugin-dir"}},
		"a binary without its mode": {host.Selection{Plugin: "idle"}, []string{idle, "not executable"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := host.Open(t.Context(), c.selection, host.Options{Secrets: host.PluginSecrets, PluginDirs: []string{dir}})
			requireSentence(t, err, c.want...)
		})
	}
	t.Run("no uploads", func(t *testing.T) {
		t.Parallel()
		_, err := oneShot(t, empty, t.TempDir(), host.Options{})
		requireSentence(t, err, "there is nothing to sync: it has no uploads")
	})
}
