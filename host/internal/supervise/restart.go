package supervise

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/backoff"
)

// keep starts another process for one that has ended until the plugin is stopped. It
// begins with a process that runs, or with why there is none.
func (p *Plugin) keep(process *Process, err error) {
	policy := restarts{limit: p.settings.Restarts, window: p.settings.RestartWindow}
	for {
		var lived time.Duration
		ran := process != nil
		if ran {
			exit, rested, its := p.watch(process)
			switch {
			case rested != nil:
				if process, err = p.sleep(rested); process == nil && err == nil {
					return
				}
				if process != nil {
					continue
				}
				ran = false
			case exit == nil:
				return
			case exit.attached:
				p.lose(exit)
				return
			default:
				p.leave()
				err, lived = exit, its
			}
		}
		if !p.pause(&policy, err, ran, lived) {
			return
		}
		p.logger().Info("starting the plugin again")
		p.begin(false)
		process, err = p.start(p.ctx)
		if p.stopped() {
			if process != nil {
				process.Stop(context.Background())
			}
			p.end()
			return
		}
		restarts := p.setAgain(process, err)
		p.end()
		if err != nil {
			continue
		}
		p.logger().Info("the plugin runs again", zap.Int("pid", process.PID()), zap.Int("restarts", restarts))
	}
}

// watch returns how the process ended that calls go to, and how long they went to it, or the
// process that is to end as the plugin has nothing to do; neither if the plugin was stopped.
// It begins with this process, and goes on with one that replaces it.
func (p *Plugin) watch(process *Process) (exit *ExitError, rested *Process, lived time.Duration) {
	outdated := process.outdated
	var idle <-chan time.Time
	var timer *time.Timer
	if p.isOnDemand() {
		timer = time.NewTimer(p.settings.IdleAfter)
		defer timer.Stop()
		idle = timer.C
	}
	for {
		select {
		case <-p.ctx.Done():
			return nil, nil, 0
		case <-outdated:
			current := process
			p.kept.Go(func() { p.renew(current) })
			outdated = nil
			continue
		case <-idle:
			if !p.rest(p.settings.IdleAfter) {
				timer.Reset(p.restLater())
			}
			continue
		case <-process.rested:
			return nil, process, 0
		case <-process.superseded:
			process = process.next // The old one is its replacement's to end.
			outdated = process.outdated
			continue
		case <-process.Exited():
		}
		lived, isCurrent := p.missing(process)
		if !isCurrent && !p.stopped() {
			continue // It was to end, or was replaced, just before.
		}
		process.end()
		if p.stopped() {
			return nil, nil, 0
		}
		return process.exit(), nil, lived
	}
}

// missing takes in that a process has ended, unless calls go to it no longer. From then on
// none can replace it, as the next one is to be started.
func (p *Plugin) missing(process *Process) (lived time.Duration, isCurrent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != process {
		return 0, false
	}
	if !p.stopped() {
		p.process = nil
	}
	return time.Since(p.since), true
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
		what := "the plugin refuses its configuration; it will be tried again"
		if _, ok := errors.AsType[*UnresolvedError](why); ok {
			what = "the plugin's secrets cannot be resolved; it will be tried again"
		}
		log.Error(what, zap.Duration("pause", wait))
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

// fail gives the plugin up until an operator revives it.
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

// Revive starts a plugin at once that has failed or waits for its next start. One that is
// idle stays so.
func (p *Plugin) Revive() {
	if state := p.Status().State; state == Ready || state == Idle {
		return
	}
	select {
	case p.revived <- struct{}{}:
	default:
	}
}

const (
	// DefaultRestarts is how often a plugin is started again within the window
	// where its Settings do not say.
	DefaultRestarts = 5
	// DefaultRestartWindow is that window.
	DefaultRestartWindow = 10 * time.Minute

	// The pauses before a plugin that ended is started again: each twice the one
	// before, until a process has lived for a clean run.
	firstPause = time.Second
	lastPause  = time.Minute
	cleanRun   = time.Minute

	// Those before a plugin is started again that has refused its configuration.
	// It is not broken, and what it waits for may take hours.
	firstRefusedPause = 5 * time.Second
	lastRefusedPause  = 5 * time.Minute
)

// restarts decides whether and when a plugin is started again.
type restarts struct {
	limit  int
	window time.Duration

	ends  []time.Time // within the window
	pause time.Duration
}

// ended takes in that a process ended that had lived that long. It returns how
// long to wait before the next start; ok is false if there must be none.
func (r *restarts) ended(now time.Time, lived time.Duration) (pause time.Duration, ok bool) {
	for len(r.ends) > 0 && now.Sub(r.ends[0]) > r.window {
		r.ends = r.ends[1:]
	}
	r.ends = append(r.ends, now)
	if len(r.ends) > r.limit {
		return 0, false
	}
	if lived >= cleanRun {
		r.pause = 0
	}
	r.pause = next(r.pause, firstPause, lastPause)
	return backoff.Jittered(r.pause), true
}

// refused returns how long to wait after a refusal.
func (r *restarts) refused() time.Duration {
	r.pause = next(r.pause, firstRefusedPause, lastRefusedPause)
	return backoff.Jittered(r.pause)
}

// forget lets a plugin that has failed begin again.
func (r *restarts) forget() {
	r.ends, r.pause = nil, 0
}

func next(pause, first, last time.Duration) time.Duration {
	return min(max(2*pause, first), last)
}
