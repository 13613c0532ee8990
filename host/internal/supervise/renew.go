package supervise

import (
	"context"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// leastRenewal is how long after one process has taken over because of a replaced file
// another one may: a file that is replaced all the time must not keep a plugin from its work.
const leastRenewal = time.Minute

// watchFiles closes outdated once a file is replaced that the sandbox of the process opens
// by its path, such as /etc/resolv.conf: the process would be denied the new one. It returns
// then, or when the process is gone.
func (p *Process) watchFiles() {
	pause := time.NewTicker(min(longestCheckPause, p.spec.HealthTimeout))
	defer pause.Stop()
	for {
		select {
		case <-p.runner.Exited():
			return
		case <-pause.C:
		}
		if path := p.opened.Replaced(); path != "" {
			p.log.Info("a file was replaced that the sandbox of the plugin opens by its path; another process of the plugin is to take over", zap.String("path", path))
			close(p.outdated)
			return
		}
	}
}

// renew has another process take over from one that is outdated, and tries again until one
// has.
func (p *Plugin) renew(outdated *Process) {
	p.mu.Lock()
	pause := max(0, leastRenewal-time.Since(p.renewed))
	p.mu.Unlock()
	for failures := firstRefusedPause; ; failures = min(2*failures, lastRefusedPause) {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-outdated.superseded:
		case <-outdated.Exited():
		case <-p.ctx.Done():
		}
		timer.Stop()
		p.mu.Lock()
		isCurrent := p.process == outdated && !p.stopped()
		if isCurrent {
			p.renewed = time.Now()
		}
		p.mu.Unlock()
		if !isCurrent {
			return
		}
		err := p.Replace(p.ctx, func(context.Context, grpc.ClientConnInterface) error { return nil })
		if err == nil {
			return
		}
		p.logger().Warn("no other process of the plugin could take over after a file was replaced; it will be tried again", zap.Error(err), zap.Duration("pause", failures))
		pause = failures
	}
}
