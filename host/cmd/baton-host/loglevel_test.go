package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestLogLevel_HoldsForEachPlugin makes one of two plugins chatty, where the host
// logs nothing and where it logs little.
func TestLogLevel_HoldsForEachPlugin(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	config := writeConfig(t, `
plugins:
  loud:
    app: fullstory
    log-level: debug
    config: { scim-base-url: "`+app.url+`", scim-token: "${env:TOKEN}" }
  quiet:
    app: fullstory
    config: { scim-base-url: "`+app.url+`", scim-token: "${env:TOKEN}" }
`)
	for name, args := range map[string][]string{"silent": nil, "warn": {"--log-level", "warn"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, []string{"TOKEN=" + app.token}, "baton-host", append([]string{"check", "--config", config}, args...)...)
			require.Equal(t, 0, result.status, result.stderr)
			levels := map[string]int{}
			for line := range strings.Lines(result.stderr) {
				var entry struct {
					Level, Plugin string
					PID           int
				}
				require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
				require.Equal(t, "loud", entry.Plugin, line)
				require.NotZero(t, entry.PID, line)
				levels[entry.Level]++
			}
			require.NotZero(t, levels["debug"], result.stderr)
		})
	}
}
