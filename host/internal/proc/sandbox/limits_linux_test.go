package sandbox

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestSandbox_LimitsWhatAProgramTakes also for root, who could raise a limit again.
func TestSandbox_LimitsWhatAProgramTakes(t *testing.T) {
	t.Parallel()
	if obstacle := Kernel().Obstacle; obstacle != "" {
		t.Skip(obstacle)
	}
	top := func(resource int, most uint64) uint64 {
		var limit unix.Rlimit
		require.NoError(t, unix.Getrlimit(resource, &limit))
		return min(limit.Max, most)
	}
	const block, usualFiles = 512, 1024
	files := top(unix.RLIMIT_NOFILE, MostFiles)
	var out strings.Builder
	cmd := &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "ulimit -H -n; ulimit -S -n; ulimit -H -f; ulimit -H -c"}, Dir: "/", Stdout: &out}
	held, err := (&Policy{}).Start(cmd, (*exec.Cmd).Start)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.NoError(t, held.Close())
	require.Equal(t, fmt.Sprintf("%d\n%d\n%d\n0\n", files, min(files, usualFiles), top(unix.RLIMIT_FSIZE, MostFileSize)/block), out.String())
}

// TestEveryAccess_HasWhatAVersionKnows: a kernel refuses a ruleset with more than that.
func TestEveryAccess_HasWhatAVersionKnows(t *testing.T) {
	t.Parallel()
	for version, bits := range map[int]int{1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16, 9: 17} {
		require.Equal(t, uint64(1)<<bits-1, everyAccess(version), "Landlock %d", version)
	}
}
