//go:build !linux

package proc

import "os/exec"

// ReapOrphans does nothing: it is for the first process of a container.
func ReapOrphans() {}

// launch starts the process.
func launch(cmd *exec.Cmd) error { return cmd.Start() }
