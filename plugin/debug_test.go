package plugin_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDebugPlugin_IsInTheHelpAndExclusive(t *testing.T) {
	t.Parallel()
	help, output := standAlone(t, "--help")
	require.NoError(t, help.Run())
	require.Contains(t, output.String(), "--debug-plugin ")

	const secret = "tok-canary-2f6b80d1"
	both, output := standAlone(t, "--debug-plugin", "--api-token", secret)
	require.Error(t, both.Run())
	require.Equal(t, 1, both.ProcessState.ExitCode())
	require.Contains(t, output.String(), "--debug-plugin (or BATON_DEBUG_PLUGIN) goes with no other argument")
	require.NotContains(t, output.String(), secret)
}
