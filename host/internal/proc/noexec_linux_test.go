package proc

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/child"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
)

// notExecutable is memory that the kernel does not execute, whatever is asked of it: what a
// security module makes of all memory.
func notExecutable(t *testing.T, content []byte) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if err != nil { // Kernels before 6.3.
		fd, err = unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	}
	require.NoError(t, err)
	memory := os.NewFile(uintptr(fd), "test")
	t.Cleanup(func() { _ = memory.Close() })
	_, err = memory.Write(content)
	require.NoError(t, err)
	require.NoError(t, memory.Chmod(0o600))
	return memory
}

// TestProcess_ExecutesACopyOfMemory: what is executed in place of it is a private copy of
// the memory, whatever has become of the file since it was verified.
func TestProcess_ExecutesACopyOfMemory(t *testing.T) {
	t.Parallel()
	binary, err := os.ReadFile("/bin/true")
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"H12: a program whose execution in memory is refused": binary,
		"H12: a script whose execution in memory is refused":  []byte("#!/bin/sh\nexit 0\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "baton-changed")
			require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nexit 1\n"), 0o700)) //nolint:gosec // It could be executed.
			made := InMemory(notExecutable(t, content), dir)
			for range 2 {
				r := New(Command{Path: path, Image: made, Output: io.Discard}, pluginlog.New(zap.NewNop(), nil))
				require.NoError(t, r.Start(t.Context()))
				<-r.Exited()
				require.True(t, r.State().Success(), "%s", r.State())
				require.Equal(t, filepath.Join(dir, "plugin"), r.Executed())
			}
			copied, err := os.ReadFile(filepath.Join(dir, "plugin"))
			require.NoError(t, err)
			require.Equal(t, content, copied)
		})
	}
	t.Run("H12: neither memory nor its copy may be executed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		made := InMemory(notExecutable(t, binary), dir)
		copied, err := made.onDisk()
		require.NoError(t, err)
		require.NoError(t, os.Chmod(copied, 0o600)) // As on a file system that allows no programs.
		r := New(Command{Path: "/bin/true", Image: made}, pluginlog.New(zap.NewNop(), nil))
		err = r.Start(t.Context())
		require.ErrorIs(t, err, os.ErrPermission)
		require.Contains(t, fmt.Sprintf("%s%s", child.Obstacle("/bin/true", err), err), "its verified copy may not be executed; set TMPDIR to a directory on a file system that allows programs")
	})
}
