package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/prometheus/procfs"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// launched are the processes that launch has started and that have not been waited
// for, as *exec.Cmd by process id.
var launched sync.Map

// ReapOrphans has this process do what the first one of a container must: wait for
// the processes whose parents have ended, which the kernel makes its children.
// Without that they stay as zombies, and their process ids are taken, until the
// container ends. It does nothing in a process that is given no orphans, and
// otherwise works until the process ends. Call it once.
//
// A child that this process has started itself is left to who started it, whose Wait
// would fail otherwise.
func ReapOrphans() {
	var adopts int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&adopts)), 0, 0, 0) //nolint:gosec // The kernel writes there.
	if os.Getpid() != 1 && (err != nil || adopts == 0) {
		return
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go func() {
		warned := false
		for ; ; <-ended {
			done := make(chan error)
			// No process is being started meanwhile that is not among the launched yet.
			launcher() <- func() { done <- reapOrphans() }
			if err := <-done; err != nil && !warned {
				warned = true
				zap.L().Warn("processes whose parents have ended are not reaped; mount /proc, or start the container with an init (docker run --init)", zap.Error(err))
			}
		}
	}()
}

// reapOrphans waits for the children that have ended and that no one else in this
// process waits for.
func reapOrphans() error {
	zombies, err := endedChildren()
	if err != nil || len(zombies) == 0 {
		return err
	}
	// After the look at the children: what is waited for since is none of them any more.
	waited, err := waitedFor()
	if err != nil {
		return err
	}
	for _, pid := range zombies {
		if _, ours := launched.Load(pid); !ours && !waited[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
	return nil
}

// endedChildren are the children of this process that have ended and have not been
// waited for.
func endedChildren() ([]int, error) {
	processes, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var ended []int
	for _, process := range processes {
		// A process may be gone between any two looks at it.
		if stat, err := process.Stat(); err == nil && stat.PPID == os.Getpid() && stat.State == "Z" {
			ended = append(ended, process.PID)
		}
	}
	return ended, nil
}

// waitedFor are the children that this process waits for, or is going to wait for:
// package os keeps a descriptor of each process that it starts (a pidfd) until then.
// On kernels before 5.4 it has none, and only the launched ones are known.
func waitedFor() (map[int]bool, error) {
	files, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		return nil, fmt.Errorf("list the descriptors of processes: %w", err)
	}
	waited := map[int]bool{}
	for _, file := range files {
		info, err := os.ReadFile(filepath.Join("/proc/self/fdinfo", file.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // It has been closed.
			continue
		case err != nil:
			return nil, fmt.Errorf("list the descriptors of processes: %w", err)
		}
		for line := range strings.Lines(string(info)) {
			if text, ok := strings.CutPrefix(line, "Pid:"); ok {
				pid, _ := strconv.Atoi(strings.TrimSpace(text))
				waited[pid] = true
			}
		}
	}
	return waited, nil
}
