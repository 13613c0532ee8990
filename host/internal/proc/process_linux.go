package proc

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/child"
)

// launcher runs what it is sent on one thread that never ends, which starts all
// processes: a parent-death signal is sent when the thread ends that started the
// process.
var launcher = sync.OnceValue(func() chan<- func() {
	launches := make(chan func())
	go func() {
		runtime.LockOSThread()
		for launch := range launches {
			launch()
		}
	}()
	return launches
})

// launch starts the process, which the kernel kills when this one ends, however
// that comes: the belt beside the lifeline, for plugins that do not follow it.
func launch(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	launcher() <- func() {
		err := cmd.Start()
		if err == nil {
			launched.Store(cmd.Process.Pid, cmd)
		}
		done <- err
	}
	return <-done
}

// forget forgets a process that was launched and has been waited for.
func forget(cmd *exec.Cmd) { launched.CompareAndDelete(cmd.Process.Pid, cmd) }

// reap waits for the process to end and ends what is left of its group before
// its number is given back: until it is, the kernel gives it to no other group.
func (r *Process) reap() {
	for errors.Is(unix.Waitid(unix.P_PID, r.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = child.KillGroup(r.pid)
	_ = r.cmd.Wait()
	launched.CompareAndDelete(r.pid, r.cmd)
	r.reaped = true
}

// Memory returns the memory, in bytes, that the processes of the group hold for
// themselves: not the pages of files, which the kernel can drop, nor those of an
// executable that lies in memory (see Image).
func (r *Process) Memory() (uint64, error) {
	group := r.PID()
	processes, err := procfs.AllProcs()
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	var sum uint64
	for _, process := range processes {
		// A process may end between any two looks at it.
		stat, err := process.Stat()
		if err != nil || stat.PGRP != group {
			continue
		}
		status, err := process.NewStatus()
		if err != nil {
			continue
		}
		own := status.RssAnon
		if own == 0 {
			own = status.VmRSS // A kernel that does not list them apart.
		}
		sum += own + status.VmSwap
	}
	return sum, nil
}
