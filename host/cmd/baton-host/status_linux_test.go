package main_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/status"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// statusOf reads the status in its form for programs.
func statusOf(t *testing.T, host *service) status.Snapshot {
	t.Helper()
	code, body := host.serves("/status.json")
	require.Equal(t, http.StatusOK, code)
	var s status.Snapshot
	require.NoError(t, json.Unmarshal([]byte(body), &s))
	return s
}

// becomes waits until the first upload is so.
func becomes(t *testing.T, host *service, so func(status.Upload) bool) status.Upload {
	t.Helper()
	var last status.Upload
	require.Eventually(t, func() bool {
		last = statusOf(t, host).Uploads[0]
		return so(last)
	}, guard, tick)
	return last
}

func inState(state status.State) func(status.Upload) bool {
	return func(u status.Upload) bool { return u.State == state && len(u.Syncing) == 0 }
}

// TestTheStatusFollowsWhatHappens takes a service through the states of an upload,
// with an app that names somebody in its errors.
func TestTheStatusFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	host := p.run(t, "--listen", "127.0.0.1:0")
	becomes(t, host, func(u status.Upload) bool { return u.State == status.Waiting && u.Connection.Connected })
	_, page := host.serves("/")
	require.Contains(t, page, "<title>Waiting for the first sync – baton-host</title>")

	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	syncing := becomes(t, host, func(u status.Upload) bool {
		return len(u.Syncing) == 1 && u.Syncing[0].Plugins[1].Accounts == 25
	})
	require.Equal(t, status.Waiting, syncing.State)
	require.True(t, syncing.Syncing[0].Whole)
	require.Equal(t, id, syncing.Syncing[0].Task)
	require.Less(t, syncing.Syncing[0].Plugins[0].Accounts, 40)
	_, page = host.serves("/")
	require.Contains(t, page, "<title>Syncing – Waiting for the first sync – baton-host</title>")
	release()
	require.True(t, p.finished(t, id).Succeeded)
	fresh := becomes(t, host, inState(status.Fresh))
	require.Equal(t, 65, fresh.Last.Accounts)
	require.Equal(t, map[string]int{"fullstory": 40, "design-tool": 25}, fresh.Last.ByPlugin)

	p.fullstory.fail(0)
	require.True(t, p.sync(t).Succeeded)
	stale := becomes(t, host, inState(status.Stale))
	require.Equal(t, status.Stale, stale.Parts[0].State)
	require.Equal(t, status.Fresh, stale.Parts[1].State)
	require.Contains(t, stale.Why, "the answer was 500 Internal Server Error")
	_, page = host.serves("/")
	require.Contains(t, page, "<title>workforce is stale – baton-host</title>")
	require.Contains(t, page, "C1 has 65 accounts, but those of fullstory are from")

	p.design.fail(0)
	require.False(t, p.sync(t).Succeeded)
	failed := becomes(t, host, inState(status.Failed))
	require.Equal(t, status.Failed, failed.Parts[0].State)
	require.Len(t, failed.History, 3)
	host.says(somebody)
	for _, path := range []string{"/", "/status.json", "/metrics"} {
		_, body := host.serves(path)
		require.NotContains(t, strings.ToLower(body), "lovelace", path)
		require.NotContains(t, body, p.fullstory.token, path)
	}
	host.stop()

	p.fullstory.down.Store(false)
	again := p.run(t, "--listen", "127.0.0.1:0")
	kept := becomes(t, again, func(u status.Upload) bool { return u.Last != nil })
	require.Equal(t, status.Stale, kept.State, "the last good sync is known")
	require.Equal(t, 65, kept.Last.Accounts)
	require.WithinDuration(t, stale.Last.At, kept.Last.At, guard)
	p.design.down.Store(false)
	require.True(t, p.sync(t).Succeeded)
	becomes(t, again, inState(status.Fresh))
	again.stop()
	require.Empty(t, p.Violations())
}

// TestAnUploadWhoseCredentialsAreRefusedIsSeenToBeStopped has another upload go on.
func TestAnUploadWhoseCredentialsAreRefusedIsSeenToBeStopped(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	config, env := companies(t, tenant,
		startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40}),
		startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25}),
		startApp(t, scim.Options{App: "wiki", Seed: 3, Accounts: 15}))
	defer tenant.Inject(c1.Fault{Call: c1.TokenCall, Client: "workforce", HTTPStatus: http.StatusUnauthorized})()
	host := startRun(t, env, "--config", config, "--state-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	stopped := becomes(t, host, func(u status.Upload) bool { return u.State == status.Stopped })
	require.Equal(t, "workforce", stopped.Name)
	require.Contains(t, stopped.Why, "C1 refuses the client id and secret (its token endpoint answers 401)")
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "contractors")), 40)
	code, _ := host.serves("/readyz")
	require.Equal(t, http.StatusOK, code, "the other upload is served")
	_, page := host.serves("/")
	require.Contains(t, page, "<title>workforce is stopped – baton-host</title>")
	host.stop()
}
