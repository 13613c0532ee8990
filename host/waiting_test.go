package host_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// TestTenant_WaitsNoLongerThanItsHost: a test that waits for a host that has failed must
// fail at once, with the host's error.
func TestTenant_WaitsNoLongerThanItsHost(t *testing.T) {
	t.Parallel()
	c := startC1(t, c1.Options{})
	_, err := c.AddClient("workforce")
	require.NoError(t, err)
	id := c.fullSync(t, "workforce")
	failed := &hostService{t: t, ended: make(chan struct{}), err: errors.New("the port is in use"), log: &transcript{changed: make(chan struct{})}}
	ctx, cancel := waitFor(t, failed)
	defer cancel()
	close(failed.ended)
	_, err = c.WaitFinished(ctx, id)
	require.ErrorContains(t, err, "the host has ended: the port is in use")
	require.False(t, failed.log.wait(ctx, "connected", 1))
	c.Expire(id)
	_, err = c.WaitFinished(ctx, id)
	require.NoError(t, err, "what has happened by then is found")
}

func TestCheckReportsAnAppThatIsSlow(t *testing.T) {
	t.Parallel()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	slow := &app{url: hanging.URL, token: "x"}
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: configuration(t, []string{slow.entry("fullstory")}, "workforce: { plugins: [fullstory] }")},
		host.Options{Secrets: host.PluginSecrets, StateDir: t.TempDir()})
	require.NoError(t, err)
	defer h.Close(t.Context())
	checked, err := h.Check(t.Context(), host.CheckOptions{Timeout: 300 * time.Millisecond, OutputDir: t.TempDir()})
	require.Len(t, checked, 2)
	require.ErrorIs(t, err, checked[0].Err)
	for _, text := range []string{`plugin "fullstory"`, "did not answer within 300ms", "--timeout"} {
		require.ErrorContains(t, err, text)
	}
	require.NotContains(t, err.Error(), "context deadline")
	require.NotContains(t, err.Error(), "RST_STREAM")
}

func TestSyncAsksAnAppOnceWithoutRetries(t *testing.T) {
	t.Parallel()
	a := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 5})
	a.fail(0)
	_, err := oneShot(t, configuration(t, []string{a.entry("fullstory")}, "workforce: { plugins: [fullstory] }"), t.TempDir(), host.Options{})
	require.ErrorContains(t, err, `plugin "fullstory"`)
	require.ErrorContains(t, err, "500")
	require.Equal(t, int64(-1), a.passes.Load(), "it was asked once")
}
