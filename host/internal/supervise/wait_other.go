//go:build !linux

package supervise

// reap waits for the process to end and ends what is left of its group.
func (r *runner) reap() {
	_ = r.cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = killGroup(r.pid)
	r.reaped = true
}
