package main_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// onDisk has a command run with a small disk at dir, of which so much is taken. The
// disk is the process's own and goes with it. The test is skipped where a user may
// not make one.
func onDisk(t *testing.T, cmd *exec.Cmd, dir, size, taken string) {
	t.Helper()
	private := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	mount := `mount -t tmpfs -o size=` + size + ` none "$0"`
	trial := exec.CommandContext(t.Context(), shell, "-c", mount, dir) //nolint:gosec // Our own words.
	trial.SysProcAttr = private
	if output, err := trial.CombinedOutput(); err != nil {
		t.Skipf("no disk can be made here: %v: %s", err, output)
	}
	cmd.Args = append([]string{"sh", "-c", mount + ` && { head -c ` + taken + ` /dev/zero >"$0/taken" || :; } 2>/dev/null && exec "$@"`, dir, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.SysProcAttr = shell, private
}

func TestRun_ExplainsAStateDirectoryWithoutRoom(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, s *singleApp, size, taken string) *service {
		t.Helper()
		dir := t.TempDir()
		cmd := runCommand(t, dir, s.env, "--plugin", "fullstory", "--state-dir", s.state)
		onDisk(t, cmd, s.state, size, taken)
		return startService(t, dir, cmd)
	}
	t.Run("at the start", func(t *testing.T) {
		t.Parallel()
		s := newSingle(t)
		host := start(t, s, "1M", "2M")
		require.Equal(t, 1, host.ends())
		require.Contains(t, lastError(t, host.output.String()), "the state directory "+s.state+" cannot be written to: ")
		require.Contains(t, host.output.String(), "no space left on device; make room there, or name another with --state-dir")
		require.Empty(t, s.Events(), "C1 hears nothing of it")
	})
	t.Run("for a sync", func(t *testing.T) {
		t.Parallel()
		s := newSingle(t)
		host := start(t, s, "40M", "20M")
		for range 2 {
			failed := s.finished(t, s.fullSync(t, "fullstory"))
			require.False(t, failed.Succeeded)
			require.False(t, failed.NonRetryable, "another host may have room")
			require.Contains(t, failed.Status.GetMessage(), "nearly full")
			require.Empty(t, failed.Uploads)
		}
		host.says(`"msg":"sync failed"`)
		host.stop()
		require.Empty(t, s.Violations())
	})
}
