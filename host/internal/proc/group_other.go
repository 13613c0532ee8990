//go:build !unix

package proc

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: the platform has no process groups of this kind.
func ownGroup(*exec.Cmd) {}

// killGroup ends the process alone.
func killGroup(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Kill()
}

// InheritsDescriptors says whether a child can be given a lifeline.
const InheritsDescriptors = false
