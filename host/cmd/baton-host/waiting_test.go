package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// awayOnce is an app that is out of order when it is asked first. It returns the variables
// of its connector.
func awayOnce(t *testing.T) []string {
	t.Helper()
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
	return []string{"BATON_SCIM_BASE_URL=" + listener.URL + server.BasePath(), "BATON_SCIM_TOKEN=tok"}
}

func TestSync_ShowsThatItWaitsForAnApp(t *testing.T) {
	t.Parallel()
	result := execute(t, awayOnce(t), "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "x.c1z"))
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `fullstory: fullstory: trying again in [0-9.]+m?s \(.*503`, result.stderr)
	require.NotContains(t, result.stderr, "rpc error")
}

// TestSync_WritesNothingButJSONWhereItsLogIs: a shipper of logs must be able to read every
// line.
func TestSync_WritesNothingButJSONWhereItsLogIs(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"asked for":          {"--log-format", "json"},
		"with a level":       {"--log-level", "info"},
		"with both":          {"--log-level", "warn", "--log-format", "json"},
		"with everything":    {"--log-level", "debug"},
		"with errors of it":  {"--log-level", "error"},
		"a failure":          {"--log-format", "json", "--retry-for", "0"},
		"a failure, at info": {"--log-level", "info", "--retry-for", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, awayOnce(t), "baton-host", append([]string{"sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "x.c1z")}, args...)...)
			fails := slices.Contains(args, "--retry-for")
			require.Equal(t, fails, result.status != 0, result.stderr)
			waits := 0
			for line := range strings.Lines(result.stderr) {
				var fields map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &fields), "%s", line)
				if message, _ := fields["msg"].(string); fields["level"] == "warn" && strings.Contains(message, "trying again") {
					waits++
				}
			}
			if !fails && !slices.Contains(args, "error") {
				require.Equal(t, 1, waits, "once, in the log or beside it:\n%s", result.stderr)
			}
		})
	}
}
