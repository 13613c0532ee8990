package pin

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestImage_ReadsAChangedFileAgain changes a file in ways that leave no other trace
// than the times of its inode: those that an attacker would choose.
func TestImage_ReadsAChangedFileAgain(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(-time.Hour)
	for name, change := range map[string]func(t *testing.T, path string){
		"in place, of the same size, with its old time": func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte("evil"), 0o600))
			require.NoError(t, os.Chtimes(path, long, long))
		},
		"replaced by one of the same size and time": func(t *testing.T, path string) {
			t.Helper()
			other := path + ".new"
			require.NoError(t, os.WriteFile(other, []byte("evil"), 0o600))
			require.NoError(t, os.Chtimes(other, long, long))
			require.NoError(t, os.Rename(other, path))
		},
		"gone": func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "plugin")
			require.NoError(t, os.WriteFile(path, []byte("good"), 0o600))
			require.NoError(t, os.Chtimes(path, long, long))
			sum, err := sumOf(path, io.Discard)
			require.NoError(t, err)
			pin, program := &Pin{Executable: sum}, Program{Instance: "test", Path: path}
			remembered, err := inodeOf(path)
			require.NoError(t, err)
			known := &sealed{from: map[string]inode{path: remembered}}
			require.NoError(t, known.verify(pin, program))
			require.Contains(t, known.from, path, "it was not read again")

			change(t, path)
			require.Error(t, known.verify(pin, program))
			require.NotContains(t, known.from, path)
		})
	}
}

// TestImage_DoesNotRememberAFreshFile is about a change in the same step of
// the clock, which leaves no trace.
func TestImage_DoesNotRememberAFreshFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plugin")
	require.NoError(t, os.WriteFile(path, []byte("good"), 0o600))
	sum, err := sumOf(path, io.Discard)
	require.NoError(t, err)
	known := &sealed{from: map[string]inode{}}
	require.NoError(t, known.read(&Pin{Executable: sum}, Program{Instance: "test", Path: path}, io.Discard))
	require.Empty(t, known.from)
}

// TestImage_StaysUntilItsLastPinIsClosed: a host that is reloaded with other binaries keeps
// none of those before.
func TestImage_StaysUntilItsLastPinIsClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "plugin")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n# of TestImage_StaysUntilItsLastPinIsClosed\n"), 0o700)) //nolint:gosec // It is a program.
	one, err := Measure(path, nil)
	require.NoError(t, err)
	two := *one
	open := func(pin *Pin) {
		t.Helper()
		_, err := pin.Open(Program{Instance: "test", Path: path}, dir)
		require.NoError(t, err)
	}
	inMemory := func() *os.File {
		images.Lock()
		defer images.Unlock()
		if known := images.bySum[one.Executable]; known != nil {
			return known.memory
		}
		return nil
	}
	open(one)
	open(&two)
	memory := inMemory()
	if memory == nil {
		t.Skip("this system has no memory that can be sealed")
	}
	one.Close()
	one.Close()
	require.Same(t, memory, inMemory())
	two.Close()
	require.Nil(t, inMemory())
	_, err = memory.Stat()
	require.ErrorIs(t, err, os.ErrClosed)
	open(one)
	require.NotNil(t, inMemory())
	one.Close()
}
