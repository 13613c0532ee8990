//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// OwnGroup makes the process the leader of a new process group, so that its
// children can be ended with it and the terminal's Ctrl-C does not reach it.
func OwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// KillGroup ends the process group that pid leads, at once.
func KillGroup(pid int) error {
	return syscall.Kill(-pid, syscall.SIGKILL)
}

// InheritsDescriptors says whether a child can be given a lifeline.
const InheritsDescriptors = true
