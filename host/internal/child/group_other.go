//go:build !unix

package child

import (
	"os"
	"os/exec"
)

// OwnGroup does nothing: the platform has no process groups of this kind.
func OwnGroup(*exec.Cmd) {}

// KillGroup ends the process alone.
func KillGroup(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Kill()
}

// InheritsDescriptors says whether a child can be given a lifeline.
const InheritsDescriptors = false
