package helper_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/secret/helper"
	"github.com/batonhost/baton-host/sandbox/canary"
)

func init() {
	behaviors["fork"] = func(args []string) int { return fork(args, false) }
	behaviors["detach"] = func(args []string) int { return fork(args, true) }
	behaviors["hang with a child"] = func(args []string) int {
		fork(args, false)
		time.Sleep(time.Hour)
		return 0
	}
	behaviors["die"] = func([]string) int {
		write(os.Stdout, canarySecret)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
		return 0
	}
	behaviors["wait for a file"] = func(args []string) int {
		write(os.Stdout, canarySecret)
		write(os.Stderr, canarySecret)
		if err := os.WriteFile(args[0], nil, 0o600); err != nil {
			return 1
		}
		for {
			if _, err := os.Stat(args[1]); err == nil {
				return 0
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// fork starts a child that holds the output and lives on, and writes its number to a file.
func fork(args []string, detached bool) int {
	child := exec.Command(os.Args[0], asHelper, "hang") //nolint:gosec,noctx // The test itself, which is to live on.
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: detached}
	if child.Start() != nil {
		return 1
	}
	if os.WriteFile(args[0], []byte(strconv.Itoa(child.Process.Pid)), 0o600) != nil {
		return 1
	}
	return write(os.Stdout, canarySecret)
}

// forked returns the number of the child, once it is there.
func forked(t *testing.T, path string) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(path)
		if err == nil {
			pid, err = strconv.Atoi(string(content))
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	return pid
}

// hasEnded reports whether a process is gone, or only its entry is left.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestHelper_EndsWhatAProgramLeavesBehind(t *testing.T) {
	t.Parallel()
	for _, behavior := range []string{"fork", "hang with a child"} {
		t.Run(behavior, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			store := helper.New(map[string]helper.Settings{"one": {Path: os.Args[0], Args: []string{asHelper, behavior}, Timeout: patience}})
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			go func() {
				_, err := store.Resolve(ctx, "one "+path)
				failed <- err
			}()
			pid := forked(t, path)
			if behavior != "fork" {
				cancel()
			}
			require.Equal(t, behavior != "fork", secret.IsAway(<-failed))
			require.Eventually(t, func() bool { return hasEnded(pid) }, time.Minute, 10*time.Millisecond)
			cancel()
		})
	}
}

func TestHelper_ReportsAnOutputThatStaysOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	_, err := resolve(t, "detach", path, patience)
	require.NoError(t, syscall.Kill(forked(t, path), syscall.SIGKILL))
	require.EqualError(t, err, "the program has ended, and something that it started holds its output open; have that write elsewhere (>/dev/null 2>&1)")
	require.Empty(t, canary.Find([]byte(err.Error()), canarySecret))
}

func TestHelper_ReportsASignalAndACommandThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := resolve(t, "die", "", patience)
	require.EqualError(t, err, "the program failed with signal: killed, and wrote no reason to standard error")
	require.True(t, secret.IsAway(err))

	_, err = settle(t, helper.Settings{Path: "/bin/sh", Args: []string{"-c"}, Timeout: patience}, "'baton-no-such-command x'")
	require.ErrorContains(t, err, "the program failed with exit status 127 (a command that it runs was not found): ")
	require.ErrorContains(t, err, "baton-no-such-command")
	require.True(t, secret.IsAway(err))
}

// What a process can see of another one has no secret: its arguments and its environment.
func TestHelper_ShowsNoSecretToOtherProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written, goOn := filepath.Join(dir, "written"), filepath.Join(dir, "go-on")
	store := helper.New(map[string]helper.Settings{"one": {Path: os.Args[0], Args: []string{asHelper, "wait for a file"}, Timeout: patience}})
	got := make(chan secret.Value, 1)
	failed := make(chan error, 1)
	go func() {
		value, err := store.Resolve(t.Context(), "one "+written+" "+goOn)
		got <- value
		failed <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(written); return err == nil }, time.Minute, 10*time.Millisecond)
	looked := 0
	for _, name := range []string{"cmdline", "environ"} {
		paths, err := filepath.Glob("/proc/[0-9]*/" + name)
		require.NoError(t, err)
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil || len(content) == 0 {
				continue // Of another user, or it has ended.
			}
			looked++
			// The test itself has it in a variable, which no helper sees.
			if name == "environ" && path != "/proc/"+strconv.Itoa(os.Getpid())+"/environ" || name == "cmdline" {
				require.Empty(t, canary.Find(content, canarySecret), path)
			}
		}
	}
	require.Greater(t, looked, 3)
	require.NoError(t, os.WriteFile(goOn, nil, 0o600))
	require.Equal(t, canarySecret, (<-got).Text.Reveal())
	require.NoError(t, <-failed)
}
