//go:build unix

package config_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
)

func namedPipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	return path
}

func TestLoad_ReadsFromAPipe(t *testing.T) {
	t.Parallel()
	path := namedPipe(t)
	go func() { _ = os.WriteFile(path, []byte("plugins: { a: {} }"), 0o600) }()
	loaded, err := config.Load(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, "a", loaded.Plugins[0].Name)
}

func TestLoad_WaitsForASilentPipeUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	path := namedPipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := config.Load(ctx, path)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "not read to its end")
	case <-time.After(time.Minute):
		t.Fatal("the read goes on")
	}
	// Lets the read that stayed behind end.
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
}

func TestReference_RefusesAPipeAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, "plugins: { a: { config: { token: \"${file:"+namedPipe(t)+"}\" } } }", nil)
	require.ErrorContains(t, err, "not a regular file")
}
