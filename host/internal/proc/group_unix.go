//go:build unix

package proc

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the process the leader of a new process group, so that its
// children can be ended with it and the terminal's Ctrl-C does not reach it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// killGroup ends the process group that pid leads, at once.
func killGroup(pid int) error {
	return syscall.Kill(-pid, syscall.SIGKILL)
}

// InheritsDescriptors says whether a child can be given a lifeline.
const InheritsDescriptors = true
