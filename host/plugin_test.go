package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/call"
	"github.com/batonhost/baton-host/plugin/conformance"
	"github.com/batonhost/baton-host/sandbox/raced"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// callPlugin calls a method of a plugin and returns its only answer.
func callPlugin(t *testing.T, selection host.Selection, options host.Options, name, text string) (answer proto.Message, err error) {
	t.Helper()
	method, err := call.Find(name)
	require.NoError(t, err)
	request, err := method.Request([]byte(text))
	require.NoError(t, err)
	options.Secrets = host.PluginSecrets
	h, err := host.Open(t.Context(), selection, options)
	if err != nil {
		return nil, err
	}
	defer h.Close(t.Context())
	err = h.Call(t.Context(), method, request, false, func(one proto.Message) error {
		answer = one
		return nil
	})
	return answer, err
}

func (l *lockedWorkforce) selection() host.Selection {
	return host.Selection{ConfigFile: l.config, Plugin: "design-tool"}
}

func (l *lockedWorkforce) call(t *testing.T, unlocked bool) error {
	t.Helper()
	options := l.options
	options.Unlocked = unlocked
	_, err := callPlugin(t, l.selection(), options, "Validate", "{}")
	return err
}

func (l *lockedWorkforce) describe(t *testing.T, unlocked bool) error {
	t.Helper()
	options := l.options
	options.Unlocked, options.Secrets = unlocked, host.NoSecrets
	h, err := host.Open(t.Context(), l.selection(), options)
	require.NoError(t, err)
	_, err = h.Describe(t.Context())
	return err
}

func (l *lockedWorkforce) test(t *testing.T, unlocked bool) error {
	t.Helper()
	options := l.options
	options.Unlocked, options.Secrets = unlocked, host.PluginSecrets
	h, err := host.Open(t.Context(), l.selection(), options)
	require.NoError(t, err)
	report, err := h.Test(t.Context(), func(conformance.Outcome) {})
	require.NoError(t, err)
	require.Positive(t, report.Count(conformance.Failed))
	return errors.New(report.Checks[0].Sentence)
}

func TestCallReturnsWhatThePluginAnswers(t *testing.T) {
	t.Parallel()
	app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 2500, Seed: 1})
	path := configuration(t, []string{app.entry("people")}, "workforce: { plugins: [people] }")
	people := map[string]bool{}
	for _, one := range app.server.Accounts() {
		people[one.ID] = true
	}
	// Each page is of another process, which may list an account again to be sure.
	seen := map[string]bool{}
	for next, page := "", 0; page == 0 || next != ""; page++ {
		request, err := json.Marshal(map[string]string{"resource_type_id": "user", "page_token": next})
		require.NoError(t, err)
		answer, err := callPlugin(t, host.Selection{ConfigFile: path, Plugin: "people"}, host.Options{}, "ResourcesService/ListResources", string(request))
		require.NoError(t, err)
		listed, ok := answer.(*connectorv2.ResourcesServiceListResourcesResponse)
		require.True(t, ok)
		for _, one := range listed.GetList() {
			require.True(t, people[one.GetId().GetResource()])
			seen[one.GetId().GetResource()] = true
		}
		next = listed.GetNextPageToken()
	}
	require.Len(t, seen, len(people))
}

// TestCallExplainsWhatFails has no method of the host's in the answer.
func TestCallExplainsWhatFails(t *testing.T) {
	t.Parallel()
	people := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1})
	wrong := &app{url: people.url, token: "mistaken-secret-81"}
	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(limited.Close)
	busy := &app{url: limited.URL, token: "right"}
	rules := &app{url: "http://scim.example.com", token: "x"}
	path := configuration(t, []string{
		people.entry("people"), wrong.entry("wrong"), busy.entry("busy"), rules.entry("rules"),
		"  crash: { path: " + program(t, t.TempDir(), "crash", "echo where are my shoes >&2; exit 4") + " }\n",
	}, "workforce: { plugins: [people] }")
	for name, c := range map[string]struct {
		plugin, method, request string
		want                    []string
	}{
		"an unknown resource type": {"people", "ListResources", `{"resource_type_id": "robot"}`, []string{`plugin "people"`, "ResourcesService/ListResources failed with ", "robot"}},
		"a request against a rule": {"people", "ListResources", `{"resource_type_id": "` + strings.Repeat("x", 2000) + `"}`, []string{`plugin "people"`, "INVALID_ARGUMENT"}},
		"wrong credentials":        {"wrong", "Validate", "{}", []string{`plugin "wrong"`, "ConnectorService/Validate failed with UNAUTHENTICATED: ", "SCIM Token"}},
		"an app that is busy":      {"busy", "Validate", "{}", []string{`plugin "busy"`, "failed with UNAVAILABLE: ", "RateLimitDescription"}},
		"a plugin that ends":       {"crash", "Validate", "{}", []string{`plugin "crash"`, "exit status 4", "where are my shoes"}},
		"a refused configuration":  {"rules", "Validate", "{}", []string{"baton-host.yaml:17:", "https"}},
		"a change":                 {"people", "Grant", "{}", []string{`plugin "people"`, "GrantManagerService/Grant changes something", "--provisioning", "`provisioning: true`"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := callPlugin(t, host.Selection{ConfigFile: path, Plugin: c.plugin}, host.Options{}, c.method, c.request)
			requireSentence(t, err, c.want...)
			require.Nil(t, answer)
			require.NotContains(t, err.Error(), "mistaken-secret-81")
		})
	}
	t.Run("a taker that fails", func(t *testing.T) {
		t.Parallel()
		method, err := call.Find("Validate")
		require.NoError(t, err)
		h, err := host.Open(t.Context(), host.Selection{ConfigFile: path, Plugin: "people"}, host.Options{Secrets: host.PluginSecrets})
		require.NoError(t, err)
		full := errors.New("no place left")
		err = h.Call(t.Context(), method, &connectorv2.ConnectorServiceValidateRequest{}, false, func(proto.Message) error { return full })
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, `plugin "people"`)
	})
}

// TestDescribeNeedsNoConfiguration: neither a secret nor an app that is there.
func TestDescribeNeedsNoConfiguration(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "plugins: { people: { path: "+self+", env: ["+pluginVariable+"], config: { scim-token: \"${env:NOT_SET_ANYWHERE}\" } } }\n")
	h, err := openPlugin(t, path, "people", host.Options{Secrets: host.NoSecrets})
	require.NoError(t, err)
	described, err := h.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, self, described.Binary)
	require.Equal(t, "baton-scim", described.Manifest.GetName())
}

func TestDescribeExplainsWhatIsNoPlugin(t *testing.T) {
	t.Parallel()
	h, err := openPlugin(t, "", "/bin/true", host.Options{Secrets: host.NoSecrets})
	require.NoError(t, err)
	_, err = h.Describe(t.Context())
	requireSentence(t, err, "/bin/true", "no baton-host plugin")
}

func TestDescribeAllDescribesWhatIsInstalledAndConfigured(t *testing.T) {
	t.Parallel()
	dir := installed(t, "one", "two")
	program(t, dir, "baton-broken", "exit 3")
	path := writeFile(t, "plugins: { mine: { path: "+self+", env: ["+pluginVariable+"] }, one: {} }\n")
	for name, c := range map[string]struct {
		config string
		apps   []string
		want   []string
	}{
		"all that are installed": {"", nil, []string{"broken!", "one", "two"}},
		"these apps":             {"", []string{"two"}, []string{"two"}},
		"with a file":            {path, []string{"one"}, []string{"mine", "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := host.DescribeAll(t.Context(), c.config, c.apps, host.Options{Secrets: host.NoSecrets, PluginDirs: []string{dir}})
			require.NoError(t, err)
			var got []string
			for _, one := range all {
				name := one.Instance
				if name == "" {
					name = one.App
				}
				if one.Err != nil {
					name += "!"
				} else {
					require.Equal(t, "baton-scim", one.Manifest.GetName())
				}
				if strings.Contains("broken! one two mine", name) { // What else is along PATH is not the test's.
					got = append(got, name)
				}
			}
			require.Equal(t, c.want, got)
		})
	}
	_, err := host.DescribeAll(t.Context(), "", []string{"nobody-has-this"}, host.Options{PluginDirs: []string{dir}})
	requireSentence(t, err, "baton-nobody-has-this")
}

func TestTestPassesAPluginThatConforms(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ accounts, skipped int }{
		"several pages": {2100, 0},
		"one page":      {30, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.accounts > 1000 {
				raced.LeaveOut(t)
			}
			app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: c.accounts, Seed: 1})
			path := configuration(t, []string{app.entry("people")}, "workforce: { plugins: [people] }")
			h, err := openPlugin(t, path, "people", host.Options{Secrets: host.PluginSecrets})
			require.NoError(t, err)
			reported := 0
			report, err := h.Test(t.Context(), func(conformance.Outcome) { reported++ })
			require.NoError(t, err)
			require.Equal(t, "baton-scim", report.Plugin)
			require.Len(t, report.Checks, reported)
			require.Equal(t, 26, reported)
			for _, outcome := range report.Checks {
				require.NotEmpty(t, outcome.Sentence, outcome.Check)
				require.NotEqual(t, conformance.Failed, outcome.Result, "%s: %s", outcome.Check, outcome.Sentence)
			}
			require.Equal(t, c.skipped, report.Count(conformance.Skipped))
		})
	}
}

func TestTestReportsWhatCannotBeTested(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "plugins:\n  bare: { path: "+self+", env: ["+pluginVariable+"] }\n  script: { path: "+program(t, t.TempDir(), "script", "echo hello; exec sleep 60")+" }\n")
	for name, instance := range map[string]string{"no configuration": "bare", "no plugin": "script"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := openPlugin(t, path, instance, host.Options{Secrets: host.PluginSecrets})
			require.NoError(t, err)
			report, err := h.Test(t.Context(), func(conformance.Outcome) {})
			require.NoError(t, err)
			require.Equal(t, 1, report.Count(conformance.Failed))
		})
	}
}

// TestOpenFindsASinglePlugin: in the named file, else in the file in the current
// directory, else by the name of an app, else by its path.
func TestOpenFindsASinglePlugin(t *testing.T) {
	here := t.TempDir()
	t.Chdir(here)
	require.NoError(t, os.WriteFile(filepath.Join(here, host.DefaultConfigFile), []byte("plugins: { mine: { path: "+self+", env: ["+pluginVariable+"] } }\n"), 0o600))
	named := writeFile(t, "plugins: { yours: { path: "+self+", env: ["+pluginVariable+"] } }\n")
	dir := installed(t, "notes")
	for name, selection := range map[string]host.Selection{
		"of the named file": {ConfigFile: named, Plugin: "yours"},
		"of the file here":  {Plugin: "mine"},
		"an app":            {Plugin: "notes"},
		"a path":            {Plugin: filepath.Join(dir, "baton-notes")},
		"a relative path":   {Plugin: "./" + relativeTo(t, here, filepath.Join(dir, "baton-notes"))},
	} {
		h, err := host.Open(t.Context(), selection, host.Options{Secrets: host.NoSecrets, PluginDirs: []string{dir}})
		require.NoError(t, err, name)
		described, err := h.Describe(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, "baton-scim", described.Manifest.GetName(), name)
	}
	for name, c := range map[string]struct {
		selection host.Selection
		want      []string
	}{
		"in no file and no app": {host.Selection{Plugin: "ghost"}, []string{`no plugin "ghost"`, "baton-ghost"}},
		"not in the named file": {host.Selection{ConfigFile: named, Plugin: "notes"}, []string{`no plugin "notes"`}},
	} {
		_, err := host.Open(t.Context(), c.selection, host.Options{Secrets: host.NoSecrets, PluginDirs: []string{dir}})
		requireSentence(t, err, c.want...)
		require.NotContains(t, err.Error(), "mines", name)
	}
}

func relativeTo(t *testing.T, base, path string) string {
	t.Helper()
	relative, err := filepath.Rel(base, path)
	require.NoError(t, err)
	return relative
}

// TestPluginDirs_AreRelativeToTheirPlace: of the host's options, seen from where it
// runs, and of a file, seen from there.
func TestPluginDirs_AreRelativeToTheirPlace(t *testing.T) {
	app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 3, Seed: 1})
	for name, c := range map[string]struct {
		keys, from string // where the host runs, seen from the directory of the plugin and the file
		dirs       []string
	}{
		"H6: of the options": {from: "..", dirs: []string{"here"}},
		"H6: of the file":    {keys: "plugin-dirs: [.]\n", from: "../.."},
	} {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(t.TempDir(), "installed", "here")
			require.NoError(t, os.MkdirAll(at, 0o700))
			require.NoError(t, os.Symlink(filepath.Join(installed(t, "people"), "baton-people"), filepath.Join(at, "baton-people")))
			path := filepath.Join(at, "hosted.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.keys+"plugins: { people: { config: { scim-base-url: "+app.url+", scim-token: "+app.token+", scim-groups: false } } }\nuploads: { all: { plugins: [people] } }\n"), 0o600))
			t.Chdir(filepath.Join(at, c.from))
			options := host.Options{PluginDirs: c.dirs, StateDir: t.TempDir()}
			h, err := openPlugin(t, path, "people", options)
			require.NoError(t, err)
			_, err = h.Describe(t.Context())
			require.NoError(t, err)
			_, err = lock(t, path, options, false)
			require.NoError(t, err)
			_, err = check(t, path, options, t.TempDir())
			require.NoError(t, err)
			_, err = callPlugin(t, host.Selection{ConfigFile: path, Plugin: "people"}, options, "Validate", "{}")
			require.NoError(t, err)
			results, err := oneShot(t, path, t.TempDir(), options)
			require.NoError(t, err)
			require.Equal(t, map[string]int{"people": 3}, results[0].Accounts)
		})
	}
}

// TestHostRefusesWhatWasNotSelected: a method for another selection is an error, and never
// a panic.
func TestHostRefusesWhatWasNotSelected(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "plugins: { one: { app: scim }, two: { app: scim } }\n")
	binary := program(t, t.TempDir(), "baton-scim", "")
	whole, single := host.Selection{ConfigFile: file}, host.Selection{Plugin: binary}
	for name, c := range map[string]struct {
		selection host.Selection
		use       func(context.Context, *host.Host) error
		says      string
	}{
		"a sync of a single plugin": {single, func(ctx context.Context, h *host.Host) error {
			_, err := h.Sync(ctx, host.SyncOptions{})
			return err
		}, "a single plugin was selected"},
		"to serve a single plugin": {single, func(ctx context.Context, h *host.Host) error {
			return h.Serve(ctx, host.ServeOptions{})
		}, "a single plugin was selected"},
		"to lock without a file": {single, func(ctx context.Context, h *host.Host) error {
			_, err := h.Lock(ctx, true)
			return err
		}, "a lock file is that of a configuration file"},
		"to describe a whole file": {whole, func(ctx context.Context, h *host.Host) error {
			_, err := h.Describe(ctx)
			return err
		}, "a host of one plugin, and there are 2"},
		"to call a whole file": {whole, func(ctx context.Context, h *host.Host) error {
			return h.Call(ctx, call.Method{}, nil, false, nil)
		}, "a host of one plugin, and there are 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := host.Open(t.Context(), c.selection, host.Options{Secrets: host.NoSecrets})
			require.NoError(t, err)
			requireSentence(t, c.use(t.Context(), h), c.says)
		})
	}
}
