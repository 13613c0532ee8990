package supervise_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

func init() { habits = habitualRole }

// habitualRole is a host with plugins that would all like to outlive it, which
// starts and stops them again and again until it is killed. It says which of
// them runs.
func habitualRole() {
	ctx := context.Background()
	fmt.Println("begins")
	for {
		var running sync.WaitGroup
		for _, habit := range []string{"good", "fork", "deaf", "frozen", "foreign", "unmodified"} {
			running.Go(func() {
				s := spec(habit)
				switch habit {
				case "frozen":
					s = spec("good")
				case "unmodified":
					s = unmodifiedSpec("good")
				case "foreign": // It knows nothing of a lifeline, nor of a handshake.
					s = supervise.Spec{Instance: "test", Path: "/bin/sleep", Args: []string{"3600"}, StartTimeout: time.Second}
				}
				if habit == "fork" || habit == "foreign" || habit == "unmodified" {
					s.Sandbox.Mode = sandbox.Warn // Nothing answers their calls any more.
				}
				process, err := supervise.Start(ctx, s)
				if err != nil {
					return
				}
				if _, err := configure(ctx, process); err != nil {
					return
				}
				if err := validate(ctx, process); err != nil {
					return
				}
				if habit == "frozen" {
					_ = syscall.Kill(process.PID(), syscall.SIGSTOP)
				}
				fmt.Println("runs:", habit)
				time.Sleep(300 * time.Millisecond)
				process.Stop(ctx)
			})
		}
		running.Wait()
	}
}

// TestProcess_EndsWithAKilledHost kills hosts at random moments: while they start
// plugins, use them or stop them. TestLongProcess_EndsWithAKilledHost kills more.
func TestProcess_EndsWithAKilledHost(t *testing.T) {
	t.Parallel()
	killHosts(t, 4)
}

// allHabits are those of the plugins of a host in whose time it is seen that they run.
var allHabits = []string{"good", "fork", "deaf", "frozen", "unmodified"}

// killHosts kills so many hosts, each with plugins of every habit; the first one only
// when all that it has run.
func killHosts(t *testing.T, killedHosts int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	hosts := make(chan int)
	var mu sync.Mutex
	var worst time.Duration
	found, seen := 0, map[string]bool{}
	var killing sync.WaitGroup
	for range 4 {
		killing.Go(func() {
			for n := range hosts {
				random := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // To be repeated.
				dir, err := os.MkdirTemp("", "orphan")
				if err != nil {
					t.Error(err)
					return
				}
				plugins := random.IntN(len(allHabits) + 1)
				if n == 0 {
					plugins = len(allHabits)
				}
				processes, said, took := killHost(t, dir, plugins, time.Duration(random.IntN(300))*time.Millisecond)
				mu.Lock()
				found += processes
				worst = max(worst, took)
				for line := range strings.Lines(said) {
					seen[strings.TrimSpace(line)] = true
				}
				mu.Unlock()
				_ = os.RemoveAll(dir)
			}
		})
	}
	for n := range killedHosts {
		hosts <- n
	}
	close(hosts)
	killing.Wait()
	t.Logf("%d hosts killed with %d processes; the last of them was gone after %s", killedHosts, found, worst.Round(time.Millisecond))
	require.Less(t, worst, mayOutlive)
	require.Greater(t, found, killedHosts, "or there was nothing to outlive them")
	for _, habit := range allHabits {
		require.True(t, seen["runs: "+habit], habit)
	}
}

// killHost starts a host, kills it a while after so many of its plugins run, and
// returns how many processes it had, what it said and how long the last of them
// lived.
func killHost(t *testing.T, dir string, plugins int, after time.Duration) (processes int, said string, lived time.Duration) {
	t.Helper()
	var out strings.Builder
	host := exec.Command(os.Args[0], "role-habits") //nolint:gosec,noctx // The test's own binary, killed below.
	host.Env = []string{"TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), selfVariable + "=" + self}
	pipe, err := host.StdoutPipe()
	if err != nil {
		t.Error(err)
		return 0, "", 0
	}
	if err := host.Start(); err != nil {
		t.Error(err)
		return 0, "", 0
	}
	lines, read := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(read)
		defer close(lines)
		for scanner := bufio.NewScanner(pipe); scanner.Scan(); {
			out.WriteString(scanner.Text() + "\n")
			lines <- scanner.Text()
		}
	}()
	// The first line says that it has begun. A plugin that fails to start on a busy machine
	// is started again, and one that has run may run again before the others have.
	for waited := map[string]bool{}; len(waited) < plugins+1; {
		line, ok := <-lines
		if !ok {
			_ = host.Wait()
			t.Errorf("the host has ended; it said %q", out.String())
			return 0, "", 0
		}
		waited[line] = true
	}
	time.Sleep(after) // The moment is random, not awaited.
	before := processesIn(dir)
	_ = host.Process.Kill()
	killed := time.Now()
	for {
		left := processesIn(dir)
		if len(left) == 0 {
			break
		}
		if time.Since(killed) > time.Minute {
			t.Errorf("these outlived their host: %v", commandsOf(left))
			break
		}
		time.Sleep(time.Millisecond)
	}
	lived = time.Since(killed)
	<-read
	_ = host.Wait()

	// What it left behind goes with the next start there.
	left := exec.Command(os.Args[0], "role-sweep") //nolint:gosec,noctx // It ends at once.
	left.Env = host.Env
	if err := left.Run(); err != nil {
		t.Error(err)
	}
	if entries, _ := filepath.Glob(filepath.Join(dir, "baton-host-*")); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
	return len(before) - 1, out.String(), lived
}

// processesIn are the processes with this TMPDIR: a host, its plugins and theirs.
func processesIn(dir string) []int {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []int
	for _, path := range environs {
		environ, err := os.ReadFile(path)
		if err != nil || !isBelow(dir, string(environ)) {
			continue
		}
		if pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))); !gone(pid) {
			found = append(found, pid)
		}
	}
	return found
}

// isBelow reports whether an environment has a directory for temporary files, or one in it,
// as that of a plugin in a sandbox is.
func isBelow(dir, environ string) bool {
	environ = "\x00" + environ
	return strings.Contains(environ, "\x00TMPDIR="+dir+"\x00") || strings.Contains(environ, "\x00TMPDIR="+dir+"/")
}

func commandsOf(pids []int) []string {
	var commands []string
	for _, pid := range pids {
		line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		commands = append(commands, fmt.Sprintf("%s (%s)", strings.ReplaceAll(string(line), "\x00", " "), stat))
	}
	return commands
}

// TestStop_LeavesNothing is about plugins that are hard to stop.
func TestStop_LeavesNothing(t *testing.T) {
	for _, habit := range []string{"busy", "fork-happy", "fork", "deaf"} {
		t.Run(habit, func(t *testing.T) {
			ctx, _ := logged(t)
			dir := shortDir(t)
			t.Setenv("TMPDIR", dir)
			process := started(t, ctx, spec(habit))
			require.NoError(t, validate(ctx, process))
			if habit == "fork-happy" {
				require.Eventually(t, func() bool { return len(processesIn(dir)) > 20 }, time.Minute, time.Millisecond)
			}
			stopsInTime(t, ctx, process)
			// The kernel ends them one after the other.
			require.Eventually(t, func() bool { return len(processesIn(dir)) == 0 }, time.Minute, time.Millisecond, habit)
		})
	}
}

// TestProcess_LeavesSignalsToTheHost: what signals a whole group, as systemd and
// a terminal do, must not end a plugin in the middle of its work.
func TestProcess_LeavesSignalsToTheHost(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			ctx, _ := logged(t)
			process := started(t, ctx, spec("good"))
			for range 10 {
				require.NoError(t, syscall.Kill(process.PID(), sig))
				require.NoError(t, validate(ctx, process))
			}
			require.False(t, gone(process.PID()))
		})
	}
}
