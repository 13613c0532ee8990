package supervise

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// keep replaces processes that end until the plugin is stopped. It begins with a
// process that runs, or with why there is none.
func (p *Plugin) keep(process *Process, err error) {
	policy := restarts{limit: p.settings.Restarts, window: p.settings.RestartWindow}
	since := time.Now()
	for {
		if process != nil {
			exit := p.watch(process)
			if exit == nil {
				return
			}
			if process.attached {
				p.lose(exit)
				return
			}
			err = exit
		}
		if !p.pause(&policy, err, process != nil, time.Since(since)) {
			return
		}
		p.logger().Info("starting the plugin again")
		process, err = p.start(p.ctx)
		since = time.Now()
		if p.stopped() {
			if process != nil {
				process.Stop(context.Background())
			}
			return
		}
		restarts := p.startedAgain()
		if err != nil {
			p.set(stateFor(err), nil, err)
			continue
		}
		p.set(Ready, process, nil)
		p.logger().Info("the plugin runs again", zap.Int("pid", process.PID()), zap.Int("restarts", restarts))
	}
}

// watch returns how the process ended, or nil if the plugin was stopped.
func (p *Plugin) watch(process *Process) *ExitError {
	select {
	case <-p.ctx.Done():
		return nil
	case <-process.Exited():
	}
	process.end()
	if p.stopped() {
		return nil
	}
	return process.exit()
}

// stopped says that Stop was called.
func (p *Plugin) stopped() bool { return p.ctx.Err() != nil }

// pause waits until the plugin is to be started again that has run, or did not
// even start. It returns false if that will never be.
func (p *Plugin) pause(policy *restarts, why error, ran bool, lived time.Duration) bool {
	log := p.logger().With(zap.Error(why))
	var wait time.Duration
	if stateFor(why) == Refusing {
		wait = policy.refused()
		log.Error("the plugin refuses its configuration; it will be tried again", zap.Duration("pause", wait))
	} else {
		pause, ok := policy.ended(time.Now(), lived)
		if !ok {
			return p.fail(policy, log, why)
		}
		wait = pause
		p.forgetRevival()
		what := "the plugin does not start; it will be tried again"
		if ran {
			what = "the plugin ended; it is started again"
		}
		level := zap.ErrorLevel
		if errors.Is(why, context.Canceled) {
			level = zap.InfoLevel // The first start was called off: the host is stopping.
		}
		log.Log(level, what, zap.Duration("pause", wait))
		p.set(Starting, nil, why)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.revived:
	case <-p.ctx.Done():
		return false
	}
	return true
}

// fail gives the plugin up until somebody revives it.
func (p *Plugin) fail(policy *restarts, log *zap.Logger, why error) bool {
	p.forgetRevival()
	failed := &FailedError{Instance: p.settings.Instance, Ends: len(policy.ends), Window: policy.window, Last: why}
	log.Error("the plugin has failed: it ended too often, and is not started again before an operator acts",
		zap.Int("ends", failed.Ends), zap.Duration("window", failed.Window))
	p.set(Failed, nil, failed)
	select {
	case <-p.revived:
		policy.forget()
		log.Info("the plugin gets another chance")
		p.set(Starting, nil, why)
		return true
	case <-p.ctx.Done():
		return false
	}
}

// forgetRevival forgets a Revive from before what has just happened.
func (p *Plugin) forgetRevival() {
	select {
	case <-p.revived:
	default:
	}
}

// Revive starts a plugin at once that has failed or waits for its next start.
func (p *Plugin) Revive() {
	if p.Status().State == Ready {
		return
	}
	select {
	case p.revived <- struct{}{}:
	default:
	}
}
