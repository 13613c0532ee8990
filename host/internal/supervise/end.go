package supervise

import (
	"context"
	"time"

	"go.uber.org/zap"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// waitExit returns how the process ended, or nil if it still runs after the
// time given, or when nobody waits any more.
func (p *Process) waitExit(ctx context.Context, wait time.Duration) *ExitError {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-p.runner.Exited():
	case <-ctx.Done():
		if !p.gone() {
			return nil
		}
	}
	return p.exit()
}

// exit is how the process ended. Call it after it has.
func (p *Process) exit() *ExitError {
	if p.attached {
		return p.detached()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return &ExitError{
		Instance: p.spec.Instance, Reason: p.reason, LastLines: p.logs.LastLines(),
		State: p.runner.State().String(), ExitCode: p.runner.State().ExitCode(),
	}
}

// condemn ends the process at once, with all its group, for a reason: the rest
// of a sentence that begins with "it". The first reason counts.
func (p *Process) condemn(reason string) {
	p.mu.Lock()
	if p.reason == "" {
		p.reason = reason
	}
	p.mu.Unlock()
	_ = p.runner.Kill()
}

// gone says that the process has ended.
func (p *Process) gone() bool { return p.runner.IsGone() }

// Stop asks the plugin to finish, gives its process a moment to end and then
// ends it with what is left of its process group. It returns within about
// eleven seconds, whatever the plugin does, and earlier if the context ends.
func (p *Process) Stop(ctx context.Context) {
	p.stopOnce.Do(func() {
		stopCtx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if _, err := p.client.Stop(stopCtx, &pluginv1.StopRequest{}); err != nil {
			p.log.Debug("the plugin did not stop when asked", zap.Error(p.logs.BlankError(err)))
		}
		p.end()
	})
}

// end makes the process go: what asks it to, go-plugin's Kill above all, can wait
// for ever for a process that does not answer.
func (p *Process) end() {
	if p.attached {
		p.detach()
		return
	}
	timer := time.AfterFunc(killAfter, func() { _ = p.runner.Kill() })
	p.hangUp()
	timer.Stop()
	// After a start that failed go-plugin may know of no process, and its Kill does
	// nothing.
	_ = p.runner.Kill()
	_ = p.socketDir.Remove()
}

// Kill ends the process at once, with all its group. Stop is called nevertheless.
func (p *Process) Kill() { _ = p.runner.Kill() }
