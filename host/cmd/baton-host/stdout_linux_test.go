package main_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestStandardOutput_HidesNoFailureWhereItIsFull gives the commands a standard output
// that takes nothing: what went wrong must be on standard error all the same.
func TestStandardOutput_HidesNoFailureWhereItIsFull(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "right"})
	config := writeConfig(t, `
plugins: { fullstory: { config: { scim-base-url: "`+app.url+`", scim-token: wrong } } }
uploads: { workforce: { plugins: [fullstory] } }
`)
	for _, name := range []string{"sync", "check"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			require.NoError(t, err)
			t.Cleanup(func() { _ = full.Close() })
			cmd := command(t.Context(), t, nil, "baton-host", name, "--config", config)
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = full, &stderr
			require.Error(t, cmd.Run())
			require.Equal(t, 1, cmd.ProcessState.ExitCode())
			require.Contains(t, stderr.String(), `plugin "fullstory"`)
			require.Contains(t, stderr.String(), "SCIM Token")
			require.Contains(t, stderr.String(), "standard output")
			require.Contains(t, stderr.String(), "no space left on device")
		})
	}
}
