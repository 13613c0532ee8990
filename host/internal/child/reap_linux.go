package child

import (
	"errors"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Reap waits for a program to end that leads a group, and ends what is left of the group
// before its number is given back: until it is, the kernel gives it to no other group.
func Reap(cmd *exec.Cmd) error {
	for errors.Is(unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
	_ = KillGroup(cmd.Process.Pid)
	return cmd.Wait()
}
