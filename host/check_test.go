package host_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/c1"
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
	require.Equal(t, map[string]bool{"good": false, "wrong-token": true, "no-token": true, "no-plugin": true, "workforce": false}, failed)
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
	const gone = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
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
		"an app that is not there":   {settings(gone+"/scim/v2", "right"), []string{`plugin "fullstory"`, "SCIM Base URL"}},
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

// TestCheck_TriesTheCredentialsOfUploads: refused credentials, a C1 that is away and a clock
// that is wrong are different sentences; an upload without credentials is not checked.
func TestCheck_TriesTheCredentialsOfUploads(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		options c1.Options
		fault   *c1.Fault
		without bool // the upload has no credentials
		away    bool
		want    []string // empty: nothing is wrong
		warning string
	}{
		"good":                   {},
		"none":                   {without: true},
		"refused":                {fault: &c1.Fault{Call: c1.TokenCall, HTTPStatus: http.StatusUnauthorized}, want: []string{"C1 refuses the client id and secret"}},
		"C1 is broken":           {fault: &c1.Fault{Call: c1.TokenCall, HTTPStatus: http.StatusBadGateway}, want: []string{"token endpoint answers 502"}},
		"C1 is away":             {away: true, want: []string{"cannot be reached"}},
		"the clock is ahead":     {options: c1.Options{ClockAhead: -10 * time.Minute}, want: []string{"the clock of this machine is", "ahead of that of C1"}},
		"the clock is behind":    {options: c1.Options{ClockAhead: 10 * time.Minute}, want: []string{"the clock of this machine is", "behind that of C1"}},
		"the clock is a bit off": {options: c1.Options{ClockAhead: 2 * time.Minute}, warning: "behind that of C1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, c := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3}), startC1(t, row.options)
			upload := "workforce: { plugins: [fullstory] }"
			if !row.without {
				upload = "workforce: { plugins: [fullstory], " + c.credentials(t, "workforce") + " }"
			}
			if row.fault != nil {
				c.Inject(*row.fault)
			}
			if row.away {
				c.Close()
			}
			seen := &recorder{}
			checked, err := check(t, configuration(t, []string{app.entry("fullstory")}, upload), host.Options{StateDir: t.TempDir(), Observer: seen}, t.TempDir())
			require.Len(t, checked, 2)
			require.Equal(t, host.CheckedUpload, checked[1].Kind)
			require.Equal(t, "workforce", checked[1].Name)
			require.Equal(t, row.without, checked[1].Skipped == "no client-id")
			if row.warning == "" {
				require.Empty(t, seen.warned())
			} else {
				require.Contains(t, seen.warned(), row.warning)
			}
			if row.want == nil {
				require.NoError(t, err)
				return
			}
			requireSentence(t, err, append(row.want, `upload "workforce"`)...)
			require.ErrorIs(t, err, checked[1].Err)
			require.NoError(t, checked[0].Err)
		})
	}
}

// TestCheck_ReadsTheBeginningOfEveryList: a token that may read users and no groups passes
// Validate and fails every sync.
func TestCheck_ReadsTheBeginningOfEveryList(t *testing.T) {
	t.Parallel()
	server, err := scimsandbox.New(scimsandbox.Options{App: "fullstory", Accounts: 3, Groups: 2, Token: "right"})
	require.NoError(t, err)
	// It notes what connectors note, which is swept when a check was killed.
	var found leftovers
	found.leave(t, os.TempDir(), "baton-host-check-")
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusBadRequest} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			withoutGroups := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/Groups") {
					http.Error(w, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"%d"}`, status), status)
					return
				}
				server.ServeHTTP(w, r)
			}))
			t.Cleanup(withoutGroups.Close)
			app := &app{url: withoutGroups.URL + server.BasePath(), token: "right", groups: true}
			_, err := check(t, configuration(t, []string{app.entry("fullstory")}, "workforce: { plugins: [fullstory] }"), host.Options{StateDir: t.TempDir()}, t.TempDir())
			requireSentence(t, err, `plugin "fullstory"`, `listing resources of type "group"`, strconv.Itoa(status))
			found.requireSwept(t)
			app.groups = false
			_, err = check(t, configuration(t, []string{app.entry("fullstory")}, "workforce: { plugins: [fullstory] }"), host.Options{StateDir: t.TempDir()}, t.TempDir())
			require.NoError(t, err)
		})
	}
}

// TestCheck_OfOneUploadNeedsNothingOfTheOthers: neither their plugins nor their secrets.
func TestCheck_OfOneUploadNeedsNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	good, bad := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3}), &app{url: "http://127.0.0.1:1", token: "${env:NOT_SET_ANYWHERE}"}
	config := configuration(t, []string{good.entry("good"), bad.entry("bad")}, "one: { plugins: [good] }",
		`other: { plugins: [bad], client-id: "${file:/no/such/id}", client-secret: "${file:/no/such/secret}" }`)
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: config, Upload: "one"}, host.Options{StateDir: t.TempDir()})
	require.NoError(t, err)
	defer h.Close(t.Context())
	checked, err := h.Check(t.Context(), host.CheckOptions{Timeout: time.Minute, OutputDir: t.TempDir()})
	require.NoError(t, err)
	require.Equal(t, []host.Checked{{Kind: host.CheckedPlugin, Name: "good", App: "good", Sandbox: "on: " + sandbox.Kernel().String()}, {Kind: host.CheckedUpload, Name: "one", Skipped: "no client-id"}}, checked)
	_, err = check(t, config, host.Options{StateDir: t.TempDir()}, t.TempDir())
	requireSentence(t, err, "NOT_SET_ANYWHERE", "/no/such/id")
}
