package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// somebody is whom an app that is out of order names.
const somebody = "ada.lovelace@example.com"

// outage is in front of a SCIM service. While it is down, requests behind the
// first ones that it still lets through are answered 500, or held up.
type outage struct {
	app
	down    atomic.Bool
	passes  atomic.Int64 // requests still let through while it is down
	barrier atomic.Pointer[barrier]
}

// barrier is what requests wait for.
type barrier struct {
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
			if barrier := flaky.barrier.Load(); barrier != nil {
				barrier.once.Do(func() { close(barrier.reached) })
				select {
				case <-barrier.release:
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
	barrier := &barrier{reached: make(chan struct{}), release: make(chan struct{})}
	o.barrier.Store(barrier)
	o.fail(after)
	return barrier.reached, sync.OnceFunc(func() {
		o.down.Store(false)
		o.barrier.Store(nil)
		close(barrier.release)
	})
}

// keepOnly removes all accounts but the first ones.
func keepOnly(t *testing.T, server *scim.Server, n int) {
	t.Helper()
	for _, account := range server.Accounts()[n:] {
		require.NoError(t, server.Remove(account.ID))
	}
}

// TestSyncShowsWhatAPersonMustKnow: that there was no baseline, what is stale, what was
// refused, and that an upload is empty. The rules are tests of package host.
func TestSyncShowsWhatAPersonMustKnow(t *testing.T) {
	t.Parallel()
	fullstory := startFlakyApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40, PageCap: 10})
	design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25})
	config, env := twoApps(t, fullstory.app, design)
	appendTo(t, config, "    on-plugin-failure: last-good\n")
	out := t.TempDir()
	again := func(more ...string) run {
		return execute(t, env, "baton-host", append([]string{"sync", "--plugin-dir", bin, "--config", config, "--output-dir", out, "--retry-for", "0"}, more...)...)
	}
	first := again()
	require.Equal(t, 0, first.status, first.stderr)
	require.Contains(t, first.stderr, "workforce: First sync: there is no baseline yet, so the change guard had nothing to compare.\n")

	fullstory.fail(3)
	second := again()
	require.Equal(t, 0, second.status, second.stderr)
	require.NotContains(t, second.stderr, "First sync")
	require.Contains(t, second.stderr, "workforce: fullstory failed and falls back to its baseline (20")
	require.Regexp(t, `fullstory +40 +complete in .*; STALE: \d+ of these are as of 20`, second.stdout)
	require.Regexp(t, `design-tool +25 +complete in [^;]*\n`, second.stdout)

	fullstory.down.Store(false)
	keepOnly(t, fullstory.server, 0)
	keepOnly(t, design.server, 0)
	refused := again()
	require.Equal(t, 1, refused.status)
	require.Contains(t, refused.stderr, `baton-host: upload "workforce": every plugin of upload "workforce" failed`)
	require.Contains(t, refused.stderr, "--accept-deletions design-tool")
	require.Regexp(t, `workforce +fullstory, design-tool +- +FAILED: no file was written`, refused.stdout)
	accepted := again("--accept-deletions", "fullstory,design-tool")
	require.Equal(t, 0, accepted.status, accepted.stderr)
	require.Contains(t, accepted.stderr, `workforce: warning: upload "workforce" has not a single account`)
	require.Empty(t, accountsIn(t, filepath.Join(out, "workforce.c1z")))
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(before, text...), 0o600))
}

func withoutLastLogins(accounts []shownAccount) []shownAccount {
	for i := range accounts {
		accounts[i].LastLogin = nil
	}
	return accounts
}
