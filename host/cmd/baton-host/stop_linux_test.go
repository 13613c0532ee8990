package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStop_IsAtOnceAtASecondSignal stops the plugin, so that the host has to
// wait for it.
func TestStop_IsAtOnceAtASecondSignal(t *testing.T) {
	t.Parallel()
	sync := startHangingSync(t, t.TempDir(), temporaryDir(t))
	children := slices.Collect(maps.Keys(childrenOf(sync.cmd.Process.Pid)))
	require.Len(t, children, 1)
	plugin := children[0]
	require.NoError(t, syscall.Kill(plugin, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(plugin, syscall.SIGKILL) })

	ended := make(chan struct{})
	go func() { _ = sync.cmd.Wait(); close(ended) }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for waiting := true; waiting; {
		_ = sync.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			waiting = false
		case <-ticker.C:
		}
	}
	status, ok := sync.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled(), "%s", sync.cmd.ProcessState)
	require.Equal(t, syscall.SIGTERM, status.Signal())
}

func TestStop_InterruptsAHostThatWaitsForItsConfiguration(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{"sync", "check"} {
		cmd := command(t.Context(), t, nil, "baton-host", name, "--config", pipe)
		require.NoError(t, cmd.Start())
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		// This opens once the host has opened the other end.
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatal("the host waits on")
		}
		require.Equal(t, 130, cmd.ProcessState.ExitCode(), "%s", cmd.ProcessState)
		require.NoError(t, writer.Close())
	}
}
