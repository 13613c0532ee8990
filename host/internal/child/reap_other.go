//go:build !linux

package child

import "os/exec"

// Reap waits for a program to end that leads a group, and ends what is left of the group.
func Reap(cmd *exec.Cmd) error {
	err := cmd.Wait()
	_ = KillGroup(cmd.Process.Pid)
	return err
}
