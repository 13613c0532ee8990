package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// Replace starts another process with the configuration that the owner returns now, and
// has it validated. Then calls go to it, and the old process ends once its calls in flight
// have. On an error the old process stays, and a plugin that is idle stays so. Another plugin
// without a process is started at once, and the error is why it is not ready then. One that is attached to is never replaced.
// Callers at the same time wait for each other.
func (p *Plugin) Replace(ctx context.Context, validate func(context.Context, grpc.ClientConnInterface) error) error {
	if p.settings.Attach != nil {
		return fmt.Errorf("plugin %q is attached to, and not started by this host; restart it where it was started", p.settings.Instance)
	}
	p.mu.Lock()
	if p.stopped() || !p.keeping {
		defer p.mu.Unlock()
		return p.status.Err
	}
	p.kept.Add(1) // Stop waits.
	p.mu.Unlock()
	defer p.kept.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()

	p.begin(false)
	defer p.end()
	replaced, err := p.replace(ctx, validate)
	if replaced || err != nil {
		return err
	}
	return p.reviveAndWait(ctx)
}

// replace returns false where there is no process to replace.
func (p *Plugin) replace(ctx context.Context, validate func(context.Context, grpc.ClientConnInterface) error) (replaced bool, err error) {
	if err := p.starting.Acquire(ctx, 1); err != nil {
		return false, fmt.Errorf("replace the process of plugin %q: %w", p.settings.Instance, err)
	}
	defer p.starting.Release(1)
	switch {
	case p.current() != nil:
	case p.Status().State == Idle:
		return true, p.fill(ctx, validate)
	default:
		return false, nil
	}
	process, err := p.startNow(ctx)
	if err != nil {
		return false, err
	}
	if err := validate(ctx, process.Conn()); err != nil {
		process.Stop(context.WithoutCancel(ctx))
		return false, err
	}
	old := p.takeOver(process)
	if old == nil {
		process.Stop(context.WithoutCancel(ctx))
		return false, p.ctx.Err()
	}
	p.logger().Info("another process of the plugin has taken over", zap.Int("pid", process.PID()), zap.Int("replaced_pid", old.PID()))
	return true, nil
}

// fill starts and validates a process of an idle plugin. The caller holds starting, so that no
// call can have one started meanwhile.
func (p *Plugin) fill(ctx context.Context, validate func(context.Context, grpc.ClientConnInterface) error) error {
	p.mu.Lock()
	ending := p.use.ending
	p.mu.Unlock()
	select {
	case <-ending:
	case <-ctx.Done():
		return fmt.Errorf("start another process of plugin %q: %w", p.settings.Instance, ctx.Err())
	}
	if err := p.enter(ctx); err != nil {
		return fmt.Errorf("start another process of plugin %q: %w", p.settings.Instance, err)
	}
	process, err := p.startNow(ctx)
	if err == nil {
		if err = validate(ctx, process.Conn()); err != nil {
			process.Stop(context.WithoutCancel(ctx))
		}
	}
	if err != nil {
		p.leave()
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logger().Info("another process of the plugin runs", zap.Int("pid", process.PID()))
	p.setLocked(Ready, process, nil)
	p.wake() // keep looks after it, and Stop ends it.
	return nil
}

// takeOver has calls go to a process, and returns the one before, which ends by itself;
// nil: that has ended meanwhile, or the plugin is stopped.
func (p *Plugin) takeOver(process *Process) *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.process
	if old == nil || p.stopped() {
		return nil
	}
	p.setLocked(Ready, process, nil)
	old.next = process
	close(old.superseded)
	p.kept.Go(func() { p.retireProcess(old) })
	return old
}

// retireProcess stops a process that was replaced once its calls have ended, which is
// within the call timeout, or the plugin is stopped.
func (p *Plugin) retireProcess(old *Process) {
	ended := make(chan struct{})
	go func() {
		old.calls.Wait()
		close(ended)
	}()
	longest := time.NewTimer(old.spec.CallTimeout)
	defer longest.Stop()
	select {
	case <-ended:
	case <-longest.C:
	case <-old.Exited():
	case <-p.ctx.Done():
	}
	old.Stop(context.Background())
	p.logger().Debug("the process that was replaced has ended", zap.Int("pid", old.PID()))
}

// reviveAndWait starts a plugin at once that has no process, and waits for the end of a
// start.
func (p *Plugin) reviveAndWait(ctx context.Context) error {
	p.mu.Lock()
	before := p.status.Restarts
	p.mu.Unlock()
	for {
		p.mu.Lock()
		status, changed := p.status, p.changed
		p.mu.Unlock()
		switch {
		case (status.State == Ready || status.State == Idle) && status.Restarts > before:
			return nil
		case status.State == Stopped, status.Restarts > before && status.Err != nil:
			return status.Err
		}
		p.Revive()
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), status.Err)
		}
	}
}
