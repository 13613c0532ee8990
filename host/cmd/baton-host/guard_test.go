package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// somebody is whom an app that is out of order names.
const somebody = "ada.lovelace@example.com"

// outage stands in front of a SCIM service. While it is down, requests behind the
// first ones that it still lets through are answered 500, or held up.
type outage struct {
	app
	down   atomic.Bool
	passes atomic.Int64 // requests still let through while it is down
	held   atomic.Pointer[held]
}

// held is what requests wait for.
type held struct {
	once             sync.Once
	reached, release chan struct{}
}

func startFlakyApp(t *testing.T, options scim.Options) *outage {
	t.Helper()
	if options.Token == "" {
		options.Token = "tok-" + options.App
	}
	server, err := scim.New(options)
	require.NoError(t, err)
	flaky := &outage{}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if flaky.down.Load() && flaky.passes.Add(-1) < 0 {
			if held := flaky.held.Load(); held != nil {
				held.once.Do(func() { close(held.reached) })
				select {
				case <-held.release:
					server.ServeHTTP(w, r)
				case <-r.Context().Done():
				}
				return
			}
			http.Error(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500","detail":"no place left for `+somebody+`"}`, http.StatusInternalServerError)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	flaky.app = app{url: listener.URL + server.BasePath(), token: options.Token, server: server}
	return flaky
}

// fail takes the service down behind this many more requests.
func (o *outage) fail(after int64) {
	o.passes.Store(after)
	o.down.Store(true)
}

// hold holds requests up behind this many more, until they are released; reached
// is closed when there is one.
func (o *outage) hold(after int64) (reached <-chan struct{}, release func()) {
	held := &held{reached: make(chan struct{}), release: make(chan struct{})}
	o.held.Store(held)
	o.fail(after)
	return held.reached, sync.OnceFunc(func() {
		o.down.Store(false)
		o.held.Store(nil)
		close(held.release)
	})
}

// keepOnly removes all accounts but the first ones.
func keepOnly(t *testing.T, server *scim.Server, n int) {
	t.Helper()
	for _, account := range server.Accounts()[n:] {
		require.NoError(t, server.Remove(account.ID))
	}
}

func TestFarFewerAccountsThanLastTimeAreAFailure(t *testing.T) {
	t.Parallel()
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
		"the guard is off":               {before: 40, now: 0, guard: "deletion-guard: off"},
		"a stricter limit":               {before: 40, now: 30, guard: "deletion-guard: { keep-percent: 90 }", trips: true},
		"a stricter limit for this type": {before: 40, now: 30, guard: "deletion-guard: { resource-types: { user: { keep-percent: 90 } } }", trips: true},
		"a greater tolerance":            {before: 40, now: 1, guard: "deletion-guard: { min-missing: 40 }"},
		"a tolerance for short lists":    {before: 18, now: 9, guard: "deletion-guard: { min-missing: 10 }"},
		"G3: none, whatever min-missing": {before: 40, now: 0, guard: "deletion-guard: { min-missing: 41 }", trips: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t, scim.Options{App: "fullstory", Seed: 4, Accounts: c.before})
			config := writeConfig(t, `
plugins:
  fullstory:
    `+c.guard+`
    config: { scim-base-url: "`+app.url+`", scim-token: "${env:TOKEN}" }
uploads:
  workforce: { plugins: [fullstory] }
`)
			env, out := []string{"TOKEN=" + app.token}, t.TempDir()
			path := filepath.Join(out, "workforce.c1z")
			again := func(more ...string) run {
				return execute(t, env, "baton-host", append([]string{"sync", "--plugin-dir", bin, "--config", config, "--output-dir", out}, more...)...)
			}
			first := again()
			require.Equal(t, 0, first.status, first.stderr)
			if c.guard != "deletion-guard: off" {
				require.Contains(t, first.stderr, "workforce: First sync: there is no baseline yet, so the deletion guard had nothing to compare.\n")
			}
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			keepOnly(t, app.server, c.now)

			second := again()
			if !c.trips {
				require.Equal(t, 0, second.status, second.stderr)
				require.NotContains(t, second.stderr, "First sync")
				require.Len(t, accountsIn(t, path), c.now)
				if c.now == 0 {
					require.Contains(t, second.stderr, `workforce: warning: upload "workforce" has not a single account`)
				}
				return
			}
			require.Equal(t, 1, second.status)
			require.Regexp(t, `plugin "fullstory" lists \d+ of type "fullstory.user", but \d+ in the last good sync`, second.stderr)
			require.Contains(t, second.stderr, "--accept-deletions fullstory")
			still, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, kept, still, "the file of before stays")
			entries, err := os.ReadDir(out)
			require.NoError(t, err)
			require.Len(t, entries, 1, "nothing else is left behind")

			accepted := again("--accept-deletions", "fullstory")
			require.Equal(t, 0, accepted.status, accepted.stderr)
			require.Len(t, accountsIn(t, path), c.now)
		})
	}
}

func TestTheLastGoodSyncStandsInForAnAppThatFails(t *testing.T) {
	t.Parallel()
	type step func(t *testing.T, fullstory *outage)
	for name, c := range map[string]struct {
		fails step
		says  string
	}{
		"before its listing":           {func(_ *testing.T, o *outage) { o.fail(0) }, "500"},
		"in the middle of its listing": {func(_ *testing.T, o *outage) { o.fail(3) }, "500"},
		"at the end of its listing":    {func(_ *testing.T, o *outage) { o.fail(5) }, "500"},
		"by listing almost nobody":     {func(t *testing.T, o *outage) { keepOnly(t, o.server, 2) }, "so many deletions at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fullstory := startFlakyApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40, PageCap: 10})
			design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25, PageCap: 10})
			config, env := twoApps(t, fullstory.app, design)
			appendTo(t, config, "    on-plugin-failure: last-good\n")
			out := t.TempDir()
			path := filepath.Join(out, "workforce.c1z")
			again := func() run {
				return execute(t, env, "baton-host", "sync", "--plugin-dir", bin, "--config", config, "--output-dir", out, "--retry-for", "0")
			}
			first := again()
			require.Equal(t, 0, first.status, first.stderr)
			want := withoutNames(append(seeded(fullstory.app, "fullstory", "fullstory.user"), seeded(design, "design-tool", "design-tool.user")[1:]...))

			gone := design.server.Accounts()[0]
			require.NoError(t, design.server.Remove(gone.ID))
			c.fails(t, fullstory)
			second := again()
			require.Equal(t, 0, second.status, second.stderr)
			require.Contains(t, second.stderr, "fullstory failed and is answered for from its last good sync")
			require.Contains(t, second.stderr, c.says)
			require.Regexp(t, `fullstory +40 +complete in .*; STALE: \d+ of these are as of 20`, second.stdout)
			require.Regexp(t, `design-tool +24 +complete in [^;]*\n`, second.stdout)
			require.Equal(t, sorted(want), sorted(withoutLastLogins(withoutNames(accountsIn(t, path)))))
			requireOnlyPair(t, out)

			// Once more from what was answered from: as old as before.
			before := asOf(t, path, "fullstory")
			third := again()
			require.Equal(t, 0, third.status, third.stderr)
			require.Equal(t, before, asOf(t, path, "fullstory"))
			require.Equal(t, sorted(want), sorted(withoutLastLogins(withoutNames(accountsIn(t, path)))))

			// Too old.
			makeOld(t, path, 73*time.Hour)
			fourth := again()
			require.Equal(t, 1, fourth.status)
			require.Contains(t, fourth.stderr, `on-plugin-failure is last-good, but there is no last good sync to answer from`)
			require.Contains(t, fourth.stderr, "longer ago than max-stale (72h0m0s) allows")
			require.Equal(t, sorted(want), sorted(withoutLastLogins(withoutNames(accountsIn(t, path)))))
		})
	}
}

func TestWhenEveryPluginFailsThereIsNothingNewToSync(t *testing.T) {
	t.Parallel()
	fullstory := startFlakyApp(t, scim.Options{App: "fullstory", Accounts: 12})
	design := startFlakyApp(t, scim.Options{App: "design-tool", Accounts: 12})
	config, env := twoApps(t, fullstory.app, design.app)
	appendTo(t, config, "    on-plugin-failure: last-good\n")
	out := t.TempDir()
	args := []string{"sync", "--plugin-dir", bin, "--config", config, "--output-dir", out, "--retry-for", "0"}
	first := execute(t, env, "baton-host", args...)
	require.Equal(t, 0, first.status, first.stderr)
	fullstory.fail(0)
	design.fail(0)
	second := execute(t, env, "baton-host", args...)
	require.Equal(t, 1, second.status)
	require.Contains(t, second.stderr, `every plugin of upload "workforce" failed, so there is nothing new to sync`)
	require.Contains(t, second.stderr, `plugin "fullstory"`)
	require.Contains(t, second.stderr, `plugin "design-tool"`)
}

func TestALastGoodFileThatIsDamagedIsSaidToBe(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, path string) string{
		"the sync file is cut": func(t *testing.T, path string) string {
			require.NoError(t, os.Truncate(path, 100))
			return "cannot be read as a sync file"
		},
		"the record is no JSON": func(t *testing.T, path string) string {
			require.NoError(t, os.WriteFile(path+".json", []byte("{"), 0o600))
			return "the record of the last good sync cannot be used"
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
			fullstory := startFlakyApp(t, scim.Options{App: "fullstory", Accounts: 12})
			design := startApp(t, scim.Options{App: "design-tool", Accounts: 12})
			config, env := twoApps(t, fullstory.app, design)
			appendTo(t, config, "    on-plugin-failure: last-good\n")
			out := t.TempDir()
			args := []string{"sync", "--plugin-dir", bin, "--config", config, "--output-dir", out, "--retry-for", "0"}
			require.Equal(t, 0, execute(t, env, "baton-host", args...).status)
			says := damage(t, filepath.Join(out, "workforce.c1z"))

			fullstory.fail(0)
			failed := execute(t, env, "baton-host", args...)
			require.Equal(t, 1, failed.status)
			require.Contains(t, failed.stderr, says)
			fullstory.down.Store(false)
			healed := execute(t, env, "baton-host", args...)
			require.Equal(t, 0, healed.status, healed.stderr)
			fullstory.fail(0)
			again := execute(t, env, "baton-host", args...)
			require.Equal(t, 0, again.status, "the good sync has replaced what was damaged: %s", again.stderr)
		})
	}
}

func TestDeletionsOfNoPluginCannotBeAccepted(t *testing.T) {
	t.Parallel()
	result := execute(t, nil, "baton-host", "sync", "--plugin", "fullstory", "--accept-deletions", "fulstory")
	requireSentence(t, result, []string{"--accept-deletions fulstory: there is no such plugin in what is to be synced; there is fullstory"})
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(before, text...), 0o600))
}

func withoutLastLogins(accounts []shown) []shown {
	for i := range accounts {
		accounts[i].LastLogin = nil
	}
	return accounts
}

// requireOnlyPair checks that there is the sync file and its record.
func requireOnlyPair(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	require.Equal(t, []string{"workforce.c1z", "workforce.c1z.json"}, names)
}

// asOf is how old the record says the newest parts of a plugin are.
func asOf(t *testing.T, path, instance string) string {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	require.NoError(t, err)
	var record struct {
		Syncs map[string]struct {
			StartedAt string `json:"started_at"`
			Plugins   map[string]struct {
				AsOf string `json:"as_of"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &record))
	var newest, of string
	for _, one := range record.Syncs {
		if one.StartedAt > newest {
			newest, of = one.StartedAt, one.Plugins[instance].AsOf
		}
	}
	require.NotEmpty(t, of)
	return of
}

// makeOld turns the clock of the record back.
func makeOld(t *testing.T, path string, by time.Duration) {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	require.NoError(t, err)
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		if before, rest, ok := strings.Cut(line, `"as_of": "`); ok {
			at, err := time.Parse(time.RFC3339Nano, strings.Trim(rest, `",`))
			require.NoError(t, err)
			lines[i] = before + `"as_of": "` + at.Add(-by).Format(time.RFC3339Nano) + `",`
		}
	}
	require.NoError(t, os.WriteFile(path+".json", []byte(strings.Join(lines, "\n")), 0o600))
}
