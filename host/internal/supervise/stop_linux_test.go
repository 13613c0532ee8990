package supervise_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

// gone says whether a process has ended; one that nobody has reaped yet has.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

func TestStop_EndsWhateverThePluginDoes(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, process *supervise.Process){
		"it is stopped by a signal": func(t *testing.T, process *supervise.Process) {
			t.Helper()
			require.NoError(t, syscall.Kill(process.PID(), syscall.SIGSTOP))
		},
		"it is gone already": func(t *testing.T, process *supervise.Process) {
			t.Helper()
			require.NoError(t, syscall.Kill(process.PID(), syscall.SIGKILL))
			<-process.Exited()
		},
		"it ignores SIGTERM, which is not what ends it": func(t *testing.T, process *supervise.Process) {
			t.Helper()
			require.NoError(t, syscall.Kill(process.PID(), syscall.SIGTERM))
		},
	}
	for name, disturb := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			process := started(t, ctx, spec("good"))
			disturb(t, process)
			stopsInTime(t, ctx, process)
			require.True(t, gone(process.PID()))
		})
	}
}

func TestStop_EndsChildrenThatHoldThePipes(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	process := started(t, ctx, spec("fork"))
	require.NoError(t, validate(ctx, process))
	child, err := strconv.Atoi(strings.TrimPrefix(awaitLine(t, logs, "child ").Message, "child "))
	require.NoError(t, err)
	require.False(t, gone(child))

	process.Stop(ctx)
	require.True(t, gone(process.PID()))
	require.Eventually(t, func() bool { return gone(child) }, time.Minute, 5*time.Millisecond)
}

func TestProcess_DoesNotOutliveAKilledHost(t *testing.T) {
	t.Parallel()
	host := exec.Command(os.Args[0], "role-host") //nolint:gosec,noctx // The test's own binary, killed below.
	host.Env = append(os.Environ(), "TMPDIR="+shortDir(t))
	pid, err := strconv.Atoi(readLine(t, host))
	require.NoError(t, err)
	require.False(t, gone(pid))

	require.NoError(t, host.Process.Kill())
	_ = host.Wait()
	require.Eventually(t, func() bool { return gone(pid) }, time.Minute, 5*time.Millisecond)
}
