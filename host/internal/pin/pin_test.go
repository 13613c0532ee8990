package pin

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
)

// TestImage_IsAPrivateCopyWithoutMemory is for systems that forbid
// it, which the tests' need not.
func TestImage_IsAPrivateCopyWithoutMemory(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("true")
	require.NoError(t, err)
	pin, err := Measure(path, nil)
	require.NoError(t, err)

	dir := t.TempDir()
	made, err := pin.copied(Program{Instance: "test", Path: path}, dir)
	require.NoError(t, err)
	process := proc.New(proc.Command{Path: path, Image: made, Output: io.Discard}, pluginlog.New(zap.NewNop(), nil))
	require.NoError(t, process.Start(t.Context()))
	<-process.Exited()
	require.True(t, process.State().Success())
	require.Equal(t, dir, filepath.Dir(process.Executed()))
	info, err := os.Stat(process.Executed())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o500), info.Mode().Perm())

	_, err = pin.copied(Program{Instance: "test", Path: os.Args[0]}, t.TempDir())
	require.ErrorContains(t, err, "is not started")
}
