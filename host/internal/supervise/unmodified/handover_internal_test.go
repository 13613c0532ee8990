//go:build unix

package unmodified

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// beyondAPipe is more than the system keeps of what has been written and not been read.
var beyondAPipe = bytes.Repeat([]byte("setting: value\n"), 1<<15)

func TestHandover_IsReadOnce(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{"small": []byte("token: x\n"), "more than a pipe holds": beyondAPipe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handover := &Handover{dir: t.TempDir()}
			require.NoError(t, handover.add(content))
			read, err := os.ReadFile(handover.Path())
			require.NoError(t, err)
			require.Equal(t, content, read)
			require.NoError(t, handover.Discard())
			require.NoFileExists(t, handover.Path())
		})
	}
}

func TestHandover_IsDiscarded(t *testing.T) {
	t.Parallel()
	t.Run("without a reader", func(t *testing.T) {
		t.Parallel()
		handover := &Handover{dir: t.TempDir()}
		require.NoError(t, handover.add([]byte("token: x\n")))
		require.NoError(t, handover.Discard())
		require.NoFileExists(t, handover.Path())
		require.NoError(t, handover.Discard(), "once more")
	})
	t.Run("with a reader that reads nothing", func(t *testing.T) {
		t.Parallel()
		handover := &Handover{dir: t.TempDir()}
		require.NoError(t, handover.add(beyondAPipe))
		reader, err := os.Open(handover.Path())
		require.NoError(t, err)
		defer func() { _ = reader.Close() }()
		require.NoError(t, handover.Discard())
	})
}

func TestHandover_FailsWhereItCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "gone")
	require.NoError(t, os.Mkdir(dir, 0o700))
	handover := &Handover{dir: dir}
	require.NoError(t, handover.add([]byte("token: x\n")))
	require.NoError(t, os.RemoveAll(dir))
	require.ErrorIs(t, <-handover.Failed(), syscall.ENOENT)
	require.ErrorIs(t, handover.Discard(), syscall.ENOENT)
}

// TestHandover_WritesIntoNothingElse: a connector can write to the directory, and has something
// else in the place of the pipe.
func TestHandover_WritesIntoNothingElse(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(t *testing.T, path, victim string){
		"a link to a file": func(t *testing.T, path, victim string) {
			t.Helper()
			require.NoError(t, os.Symlink(victim, path))
		},
		"another name of a file": func(t *testing.T, path, victim string) {
			t.Helper()
			require.NoError(t, os.Link(victim, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			require.NoError(t, os.WriteFile(victim, []byte("of another plugin"), 0o600))
			handover := &Handover{dir: dir}
			require.NoError(t, handover.add([]byte("token: x\n")))
			aside := filepath.Join(dir, "aside") // So that there is always something at the path.
			replace(t, aside, victim)
			require.NoError(t, os.Rename(aside, handover.Path()))
			require.Error(t, <-handover.Failed())
			content, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "of another plugin", string(content))
			_ = handover.Discard()
		})
	}
}
