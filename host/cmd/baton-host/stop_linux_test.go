package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// childrenOf are the process ids of a process's children.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var children []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // It has ended meanwhile.
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		var state string
		var parent int
		_, err = fmt.Sscan(rest, &state, &parent)
		require.NoError(t, err)
		if parent == pid {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(t, err)
			children = append(children, child)
		}
	}
	return children
}

// TestASecondSignalEndsTheHostAtOnce stops the plugin, so that the host has to
// wait for it.
func TestASecondSignalEndsTheHostAtOnce(t *testing.T) {
	t.Parallel()
	sync := startHangingSync(t, t.TempDir(), temporaryDir(t))
	children := childrenOf(t, sync.cmd.Process.Pid)
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

func TestAHostThatWaitsForItsConfigurationCanBeInterrupted(t *testing.T) {
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
