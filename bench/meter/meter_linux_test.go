package meter_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/bench/meter"
)

// burnt is how much CPU time the command "burn" takes at least.
const burnt = 200 * time.Millisecond

// TestMain is the measuring process, and the commands that the tests measure.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	var err error
	switch os.Args[1] {
	case meter.ChildCommand:
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err = meter.Child(ctx, os.Stdin, os.Stdout)
		stop()
	case "burn":
		err = burn()
	case "kill":
		err = startAndKill()
	case "leave":
		err = leave()
	case "hang":
		time.Sleep(time.Hour) // Without cgo, a program that waits for nothing is a deadlock.
	case "fail":
		_, _ = fmt.Fprintln(os.Stderr, "the reason")
		os.Exit(3)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// burn computes until it has taken its time, then reports that and waits.
func burn() error {
	for {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			return err
		}
		if time.Duration(usage.Utime.Nano()+usage.Stime.Nano()) >= burnt {
			break
		}
	}
	_, _ = os.Stdout.WriteString("burnt\n")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// startAndKill kills its child as the SDK does: without waiting for it.
func startAndKill() error {
	child, stdout, err := startMyself("burn")
	if err != nil {
		return err
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		return err
	}
	return child.Process.Kill()
}

// leave leaves a child behind, in a separate session, and its number in a file.
func leave() error {
	child, _, err := startMyself("hang")
	if err != nil {
		return err
	}
	return os.WriteFile("left", []byte(strconv.Itoa(child.Process.Pid)), 0o600)
}

// startMyself starts a child whose input does not end before this process does.
func startMyself(as string) (*exec.Cmd, io.Reader, error) {
	child := exec.CommandContext(context.Background(), os.Args[0], as) //nolint:gosec // The test's own binary.
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdout, err := child.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if _, err := child.StdinPipe(); err != nil {
		return nil, nil, err
	}
	return child, stdout, child.Start()
}

func command(dir, as string) meter.Command {
	return meter.Command{Args: []string{os.Args[0], as}, Env: os.Environ(), Dir: dir}
}

func TestMeter_CountsAProcessThatItsParentDoesNotWaitFor(t *testing.T) {
	t.Parallel()
	usage, err := meter.Measure(t.Context(), meter.Work{Commands: []meter.Command{command(t.TempDir(), "kill")}, Limit: time.Minute})
	require.NoError(t, err)
	require.GreaterOrEqual(t, usage.CPU, burnt)
	require.Positive(t, usage.Wall)
	require.Positive(t, usage.Memory)
	require.Zero(t, usage.Left)
}

func TestMeter_RunsCommandsTogetherOrInTurn(t *testing.T) {
	t.Parallel()
	for name, oneByOne := range map[string]bool{"at once": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commands := []meter.Command{command(t.TempDir(), "kill"), command(t.TempDir(), "kill"), command(t.TempDir(), "kill")}
			usage, err := meter.Measure(t.Context(), meter.Work{Commands: commands, OneByOne: oneByOne, Limit: time.Minute})
			require.NoError(t, err)
			require.GreaterOrEqual(t, usage.CPU, 3*burnt)
		})
	}
}

func TestMeter_LeavesNoProcessBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	usage, err := meter.Measure(t.Context(), meter.Work{Commands: []meter.Command{command(dir, "leave")}, Limit: time.Minute})
	require.NoError(t, err)
	require.Equal(t, 1, usage.Left)
	requireGone(t, dir)
}

func requireGone(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadFile(filepath.Join(dir, "left"))
	require.NoError(t, err)
	status, err := os.ReadFile(filepath.Join("/proc", string(left), "cmdline"))
	if err == nil {
		require.NotContains(t, string(status), "hang")
	}
}

func TestMeter_EndsCommandsAtTheirDeadline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := meter.Measure(t.Context(), meter.Work{
		Commands: []meter.Command{command(dir, "leave"), command(t.TempDir(), "hang")}, Limit: 2 * time.Second,
	})
	require.ErrorContains(t, err, "not done within 2s")
	requireGone(t, dir)
}

func TestMeter_ReportsAFailureWithItsOutput(t *testing.T) {
	t.Parallel()
	for name, oneByOne := range map[string]bool{"at once": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := meter.Measure(t.Context(), meter.Work{
				Commands: []meter.Command{command(t.TempDir(), "fail"), command(t.TempDir(), "hang")}, OneByOne: oneByOne, Limit: time.Minute,
			})
			require.ErrorContains(t, err, "ended with status 3: the reason")
		})
	}
}

func TestMeter_RefusesAMissingProgram(t *testing.T) {
	t.Parallel()
	_, err := meter.Measure(t.Context(), meter.Work{
		Commands: []meter.Command{{Args: []string{"/does/not/exist"}, Dir: t.TempDir()}, command(t.TempDir(), "hang")}, Limit: time.Minute,
	})
	require.ErrorContains(t, err, "/does/not/exist")
}

func TestMeter_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := meter.Measure(ctx, meter.Work{Commands: []meter.Command{command(dir, "leave"), command(t.TempDir(), "hang")}, Limit: time.Minute})
		ended <- err
	}()
	require.Eventually(t, func() bool {
		left, err := os.ReadFile(filepath.Join(dir, "left"))
		return err == nil && strings.TrimSpace(string(left)) != ""
	}, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	requireGone(t, dir)
}
