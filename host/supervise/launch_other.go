//go:build !linux

package supervise

import "os/exec"

// launch starts the process.
func launch(cmd *exec.Cmd) error { return cmd.Start() }
