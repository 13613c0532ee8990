package plugin

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSyncFile_HoldsTheTimeItsSyncEnded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out.c1z")
	before := time.Now()
	require.False(t, holdsSyncSince(t.Context(), file, before), "there is no file")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "--base-url", "https://app.example.com", "-f", file) //nolint:gosec // The test's own binary.
	cmd.Env = []string{"BATON_TEST_CONNECTOR=plain", "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}
	cmd.Dir = t.TempDir()
	require.NoError(t, cmd.Run())
	require.True(t, holdsSyncSince(t.Context(), file, before))
	require.False(t, holdsSyncSince(t.Context(), file, time.Now()))
}
