//go:build !linux

package proc

import (
	"errors"
	"os/exec"

	"github.com/batonhost/baton-host/host/internal/child"
)

// ReapOrphans does nothing: it is for the first process of a container.
func ReapOrphans() {}

// launch starts the process.
func launch(cmd *exec.Cmd) error { return cmd.Start() }

// forget does nothing: the processes that were launched are not kept.
func forget(*exec.Cmd) {}

// reap waits for the process to end and ends what is left of its group.
func (r *Process) reap() {
	_ = r.cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = child.KillGroup(r.pid)
	r.reaped = true
}

// Memory fails: it is known on Linux only.
func (*Process) Memory() (uint64, error) {
	return 0, errors.New("this system has no /proc")
}
