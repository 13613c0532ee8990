package plugin_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// standAlone is a run of the test connector by a person.
func standAlone(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	return standAloneAs(t, "plain", args...)
}

func standAloneAs(t *testing.T, role string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // The test's own binary.
	cmd.Env = []string{roleVariable + "=" + role, "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}
	cmd.Dir = t.TempDir()
	output := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, output
}

func TestOneShotSync_ExitsZeroOnlyIfComplete(t *testing.T) {
	t.Parallel()
	// The SDK loses the status sometimes, more often where much runs at once.
	for range 6 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "out.c1z")
			good, output := standAlone(t, "--base-url", "https://app.example.com", "-f", file)
			require.NoError(t, good.Run(), output)
			require.FileExists(t, file)

			bad, output := standAlone(t, "--base-url", brokenURL, "-f", file)
			require.Error(t, bad.Run(), "an older sync in the file must not count")
			require.Positive(t, bad.ProcessState.ExitCode())
			require.Contains(t, output.String(), "the app refuses to list")
		})
	}
}
