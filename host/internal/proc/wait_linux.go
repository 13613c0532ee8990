package proc

import (
	"errors"

	"golang.org/x/sys/unix"
)

// reap waits for the process to end and ends what is left of its group before
// its number is given back: until it is, the kernel gives it to no other group.
func (r *Process) reap() {
	for errors.Is(unix.Waitid(unix.P_PID, r.pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = killGroup(r.pid)
	_ = r.cmd.Wait()
	launched.CompareAndDelete(r.pid, r.cmd)
	r.reaped = true
}
