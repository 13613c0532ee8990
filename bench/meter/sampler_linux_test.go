package meter

import (
	"bufio"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSampler_AddsTheMemoryOfAllDescendants looks at a process and its child, of which
// each has 16 MiB to itself.
func TestSampler_AddsTheMemoryOfAllDescendants(t *testing.T) {
	t.Parallel()
	const (
		inner  = `y=$(head -c 16777216 /dev/zero | tr "\0" y); echo ready; read -r _; : "$y"`
		middle = `x=$(head -c 16777216 /dev/zero | tr "\0" x); sh -c "$INNER"; : "$x"`
	)
	shell := exec.CommandContext(t.Context(), "sh", "-c", `sh -c "$MIDDLE"; :`)
	shell.Env = append(os.Environ(), "MIDDLE="+middle, "INNER="+inner)
	stdin, err := shell.StdinPipe()
	require.NoError(t, err)
	stdout, err := shell.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = shell.Wait()
	})
	_, err = bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)

	// Other tests have processes too, so only those below the shell are looked at.
	s, now := newSampler(shell.Process.Pid), time.Now()
	s.look(now)
	require.Len(t, s.at, 2)
	require.Greater(t, s.peak, int64(2*16<<20))
	require.Greater(t, s.resident, s.peak)
	require.Greater(t, s.ownPeak, int64(2*16<<20))
	require.Less(t, s.ownPeak, s.peak, "the pages of the shell's program are not its own")
	for _, size := range s.at {
		require.Greater(t, size, int64(16<<20))
	}
	require.False(t, borrowed(shell.Process.Pid))
	require.Contains(t, descendants(os.Getpid()), shell.Process.Pid)
	require.Equal(t, 1, s.readings)

	s.look(now)
	require.Equal(t, 1, s.readings, "nothing has grown")
	s.look(now.Add(readEvery + rest*s.took))
	require.Equal(t, 2, s.readings, "the last reading is long ago")
}

// TestSampler_SkipsAProcessInItsParentsMemory looks at one that was made and has not
// begun its program.
func TestSampler_SkipsAProcessInItsParentsMemory(t *testing.T) {
	t.Parallel()
	shell := exec.CommandContext(t.Context(), "sh", "-c", "(read -r _); :")
	stdin, err := shell.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = shell.Wait()
	})
	var child int
	require.Eventually(t, func() bool {
		below := descendants(shell.Process.Pid)
		if len(below) == 1 {
			child = below[0]
		}
		return child != 0
	}, time.Minute, time.Millisecond)
	require.True(t, borrowed(child))
	s := newSampler(shell.Process.Pid)
	s.look(time.Now())
	require.Empty(t, s.at)
}
