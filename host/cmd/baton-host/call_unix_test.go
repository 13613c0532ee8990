//go:build unix

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestCallReachesAPluginInADebugger: that is how an author steps through one call.
func TestCallReachesAPluginInADebugger(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	d := startDebuggee(t, "baton-fullstory")
	env := []string{"BATON_HOST_REATTACH=" + d.value, "BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	for _, method := range []string{"Validate", "Describe", "Validate"} {
		result := execute(t, env, "baton-host", "call", "fullstory", method)
		require.Equal(t, 0, result.status, result.stderr)
		require.Contains(t, result.stderr, `plugin "fullstory" is attached to`)
	}
	require.NoError(t, d.cmd.Process.Kill())
	_ = d.cmd.Wait()
	requireSentence(t, execute(t, env, "baton-host", "call", "fullstory", "Validate"), []string{`plugin "fullstory"`, "the process is gone"})
}
