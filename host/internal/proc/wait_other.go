//go:build !linux

package proc

// reap waits for the process to end and ends what is left of its group.
func (r *Process) reap() {
	_ = r.cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = killGroup(r.pid)
	r.reaped = true
}
