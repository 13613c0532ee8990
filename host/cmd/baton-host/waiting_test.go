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

func TestSync_ShowsThatItWaitsForAnApp(t *testing.T) {
	t.Parallel()
	server, err := scim.New(scim.Options{App: "fullstory", Accounts: 5, Seed: 1, Token: "tok"})
	require.NoError(t, err)
	var asked atomic.Int32
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	env := []string{"BATON_SCIM_BASE_URL=" + listener.URL + server.BasePath(), "BATON_SCIM_TOKEN=tok"}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "x.c1z"))
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `fullstory: fullstory: trying again in [0-9.]+m?s \(.*503`, result.stderr)
	require.NotContains(t, result.stderr, "rpc error")
}
