package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

func init() {
	for name, do := range map[string]func() error{
		"orphans": reapsOrphans, "plugins": keepsPlugins, "late": keepsWhatIsWaitedForLate, "storm": keepsStatusesInAStorm,
	} {
		aloneIn["reap "+name] = func() error {
			if os.Getpid() == 1 {
				if err := mountProc(); err != nil {
					return err
				}
			} else if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
				return err
			}
			proc.ReapOrphans()
			return do()
		}
	}
}

// TestReapOrphans has a process that is given orphans, as the first of a container
// is, reap these and nothing else.
func TestReapOrphans(t *testing.T) {
	t.Parallel()
	for name, namespaces := range map[string]uintptr{
		"as a subreaper":                   0,
		"as the first process (container)": container,
	} {
		t.Run("H13: orphans are reaped, "+name, func(t *testing.T) {
			t.Parallel()
			doAlone(t, "reap orphans", namespaces)
		})
		t.Run("H13: plugins report their exit status, and their orphans are reaped, "+name, func(t *testing.T) {
			t.Parallel()
			doAlone(t, "reap plugins", namespaces)
		})
		t.Run("H13: a process of others is left to their Wait, "+name, func(t *testing.T) {
			t.Parallel()
			doAlone(t, "reap late", namespaces)
		})
		t.Run("H13: no exit status is lost among many orphans, "+name, func(t *testing.T) {
			t.Parallel()
			doAlone(t, "reap storm", namespaces)
		})
	}
}

// orphan runs a shell command that leaves a process and writes its id.
func orphan(script string) (string, error) {
	said, err := exec.CommandContext(context.Background(), "/bin/sh", "-c", script).Output() //nolint:gosec // A test's own.
	return strings.TrimSpace(string(said)), err
}

// awaitReaped returns when there is no such process any more, not even a zombie.
func awaitReaped(pids ...string) error {
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		var left []string
		for _, pid := range pids {
			if stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat")); err == nil {
				left = append(left, string(stat))
			}
		}
		if len(left) == 0 {
			return nil
		}
		if time.Since(begun) > aloneTime/2 {
			return fmt.Errorf("not reaped: %v", left)
		}
	}
}

func reapsOrphans() error {
	var pids []string
	for _, script := range []string{
		"sleep 0.1 & echo $!",            // It ends after its parent.
		"true & echo $!; exec sleep 0.2", // It ends before its parent, which does not wait for it.
		"(sleep 0.1 & echo $!) & wait",   // Of a parent that is an orphan, or may be.
	} {
		pid, err := orphan(script)
		if err != nil {
			return err
		}
		pids = append(pids, pid)
	}
	return awaitReaped(pids...)
}

func keepsPlugins() error {
	ctx := context.Background()
	for role, want := range map[string]string{"exit-3": "exit status 3", "exit-0": "exit status 0", "panic": "exit status 2"} {
		if _, err := supervise.Start(ctx, spec(role)); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("a plugin that ends with %s: %w", want, err)
		}
	}
	children := make(chan string, 1)
	forking := spec("fork")
	forking.Observe = func(line pluginlog.Line) {
		if pid, ok := strings.CutPrefix(line.Text, "child "); ok {
			children <- pid
		}
	}
	process, err := supervise.Start(ctx, forking)
	if err == nil {
		_, err = configure(ctx, process)
	}
	if err == nil {
		err = validate(ctx, process)
	}
	if err != nil {
		return err
	}
	process.Stop(ctx)
	return awaitReaped(<-children, strconv.Itoa(process.PID()))
}

func keepsWhatIsWaitedForLate() error {
	ours := exec.CommandContext(context.Background(), "/bin/sh", "-c", "exit 5")
	if err := ours.Start(); err != nil {
		return err
	}
	// Orphans on both sides of its end.
	for range 3 {
		pid, err := orphan("sleep 0.05 & echo $!")
		if err == nil {
			err = awaitReaped(pid)
		}
		if err != nil {
			return err
		}
	}
	for begun := time.Now(); !gone(ours.Process.Pid); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > aloneTime/2 {
			return errors.New("it does not end, so this shows nothing")
		}
	}
	if err := ours.Wait(); ours.ProcessState == nil || ours.ProcessState.ExitCode() != 5 {
		return fmt.Errorf("waited too late: %w", err)
	}
	return nil
}

func keepsStatusesInAStorm() error {
	const rounds = 40
	errs := make([]error, 8)
	var storm sync.WaitGroup
	for i := range errs {
		storm.Go(func() {
			for n := range rounds {
				code := 1 + n%100
				ours := exec.CommandContext(context.Background(), "/bin/sh", "-c", fmt.Sprintf("true & true & exit %d", code)) //nolint:gosec // A test's own.
				if err := ours.Run(); ours.ProcessState.ExitCode() != code {
					errs[i] = errors.Join(errs[i], fmt.Errorf("%d became %w", code, err))
				}
			}
		})
	}
	storm.Wait()
	return errors.Join(errs...)
}
