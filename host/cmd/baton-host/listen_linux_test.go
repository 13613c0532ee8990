package main_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRunListens: what it serves is tested in package host; the versions in it are the
// program's.
func TestRunListens(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	host := s.run(t, "--listen", "0.0.0.0:0", "--listen-any")
	require.Len(t, s.synced(t, s.fullSync(t, "fullstory")), 30)
	metrics := metricsOf(t, host)
	for _, line := range []string{
		`baton_host_accounts{plugin="fullstory",upload="fullstory"} 30`,
		`baton_host_info{sdk_version="v0.25.0",version="dev"} 1`,
		`baton_host_plugin_info{connector="baton-fullstory",plugin="fullstory",sdk_version="v0.25.0",version="dev"} 1`,
	} {
		require.Contains(t, metrics, line+"\n")
	}
	for _, path := range []string{"/", "/status.json", "/healthz", "/readyz"} {
		code, _ := host.serves(path)
		require.Equal(t, http.StatusOK, code, path)
	}
	host.stop()
	require.Empty(t, s.Violations())
}
