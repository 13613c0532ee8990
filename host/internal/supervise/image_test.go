package supervise

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPrivateCopyServesWhereMemoryCannotBeExecuted is for systems that forbid
// it, which the tests' need not.
func TestAPrivateCopyServesWhereMemoryCannotBeExecuted(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("true")
	require.NoError(t, err)
	pin, err := Measure(path, nil)
	require.NoError(t, err)

	dir := t.TempDir()
	made, err := pin.copied(Program{Instance: "test", Path: path}, dir)
	require.NoError(t, err)
	require.Equal(t, dir, filepath.Dir(made.path))
	info, err := os.Stat(made.path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o500), info.Mode().Perm())
	require.NoError(t, exec.CommandContext(t.Context(), made.path).Run()) //nolint:gosec // It is true.

	_, err = pin.copied(Program{Instance: "test", Path: os.Args[0]}, t.TempDir())
	require.ErrorContains(t, err, "is not started")
}
