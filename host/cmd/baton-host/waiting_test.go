package main_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestCheckSaysThatAnAppIsSlow(t *testing.T) {
	t.Parallel()
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	config := writeConfig(t, `plugins: { fullstory: { config: { scim-base-url: "`+hanging.URL+`", scim-token: x } } }`)
	result := execute(t, nil, "baton-host", "check", "--config", config, "--timeout", "300ms")
	requireSentence(t, result, []string{`plugin "fullstory"`, "did not answer within 300ms", "--timeout"})
	require.NotContains(t, result.stderr, "context deadline")
	require.NotContains(t, result.stderr, "RST_STREAM")
	requireSentence(t, execute(t, nil, "baton-host", "check", "--config", config, "--timeout", "0s"), []string{"--timeout"})
}

// unavailableFirst answers so many times that the service is away.
func unavailableFirst(t *testing.T, times int) (app, *atomic.Int32) {
	t.Helper()
	server, err := scim.New(scim.Options{App: "fullstory", Accounts: 5, Seed: 1, Token: "tok"})
	require.NoError(t, err)
	asked := &atomic.Int32{}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if int(asked.Add(1)) <= times {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	return app{url: listener.URL + "/scim/v2", token: "tok", server: server}, asked
}

func TestASyncSaysInWordsThatItWaitsForAnApp(t *testing.T) {
	t.Parallel()
	app, _ := unavailableFirst(t, 1)
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "x.c1z"))
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `fullstory: fullstory: trying again in [0-9.]+m?s \(.*503`, result.stderr)
	require.NotContains(t, result.stderr, "rpc error")
}

func TestWithoutRetriesAnAppThatIsAwayIsAskedOnce(t *testing.T) {
	t.Parallel()
	app, asked := unavailableFirst(t, 1)
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "--retry-for", "0s", "-f", filepath.Join(t.TempDir(), "x.c1z"))
	requireSentence(t, result, []string{`plugin "fullstory"`, "503"})
	require.Equal(t, int32(1), asked.Load())
}
