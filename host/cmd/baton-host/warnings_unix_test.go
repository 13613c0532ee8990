//go:build unix

package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestWarnings_NameAConfigurationThatOthersMayRead has a secret in a file that
// others may read: it is shown to a person, and logged.
func TestWarnings_NameAConfigurationThatOthersMayRead(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	dir, err := os.MkdirTemp("/tmp", "exposed-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // That others get at it is the point.
	config := dir + "/baton-host.yaml"
	require.NoError(t, os.WriteFile(config, []byte("plugins:\n  fullstory:\n    config: { scim-base-url: \""+app.url+"\", scim-token: "+app.token+" }\nuploads: { w: { plugins: [fullstory] } }\n"), 0o600))

	const warning = `holds a secret as plain text (\"scim-token\" of plugin \"fullstory\"), and others may read the file (mode 0644)`
	for name, c := range map[string]struct {
		mode os.FileMode
		args []string
		want string // once
	}{
		"check, private":        {0o600, []string{"check"}, ""},
		"check":                 {0o644, []string{"check"}, "baton-host: warning: " + config + " " + strings.ReplaceAll(warning, `\`, "")},
		"check, with a log":     {0o644, []string{"check", "--log-level", "warn"}, `"msg":"` + config + " " + warning},
		"check, errors only":    {0o644, []string{"check", "--log-level", "error"}, ""},
		"sync":                  {0o644, []string{"sync", "--output-dir", "."}, "baton-host: warning: " + config + " " + strings.ReplaceAll(warning, `\`, "")},
		"sync, with a JSON log": {0o644, []string{"sync", "--output-dir", ".", "--log-level", "info", "--log-format", "json"}, `"level":"warn"`},
	} {
		// One after the other: they share the file.
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Chmod(config, c.mode))
			result := execute(t, nil, "baton-host", append(c.args, "--config", config)...)
			require.Equal(t, 0, result.status, result.stderr)
			if c.want == "" {
				require.NotContains(t, result.stderr, "plain text")
				return
			}
			require.Equal(t, 1, strings.Count(result.stderr, "plain text"), result.stderr)
			require.Contains(t, result.stderr, c.want)
			require.NotContains(t, result.stderr, app.token)
		})
	}
}
