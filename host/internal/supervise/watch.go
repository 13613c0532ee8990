package supervise

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

const (
	// DefaultHealthTimeout is how long a plugin may leave a health check
	// unanswered where its Spec does not say: far longer than a machine under
	// load takes.
	DefaultHealthTimeout = 20 * time.Second
	// longestCheckPause is how long a plugin is left alone between two checks.
	longestCheckPause = 5 * time.Second
)

// watchHealth ends the process if it leaves a health check unanswered: it hangs
// as a whole. So it does if it cannot be reached for as long although it is there:
// its socket is gone, or nothing takes connections. go-plugin's own Ping has no
// deadline. It returns when the process is gone.
func (p *Process) watchHealth() {
	health := healthpb.NewHealthClient(p.conn)
	pause := time.NewTicker(min(longestCheckPause, p.spec.HealthTimeout))
	defer pause.Stop()
	reached := time.Now()
	for {
		select {
		case <-p.runner.Exited():
			return
		case <-pause.C:
		}
		p.logs.Forget()
		ctx, cancel := context.WithTimeout(context.Background(), p.spec.HealthTimeout)
		_, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: goplugin.GRPCServiceName})
		cancel()
		switch code := status.Code(err); {
		case code == codes.DeadlineExceeded:
			p.condemn(fmt.Sprintf("did not answer a health check within %s", p.spec.HealthTimeout))
		case code != codes.Unavailable:
			reached = time.Now()
		case time.Since(reached) > p.spec.HealthTimeout && p.runner.IsRunning():
			p.condemn(fmt.Sprintf("took no connection for %s", p.spec.HealthTimeout))
		}
	}
}

// memoryPause is how often the memory of a plugin with a limit is looked at.
const memoryPause = 250 * time.Millisecond

// watchMemory ends the process if it and its children that stayed in its
// process group take more memory than its limit. It returns when the process is
// gone, or where memory cannot be measured.
func (p *Process) watchMemory() {
	pause := time.NewTicker(memoryPause)
	defer pause.Stop()
	for {
		select {
		case <-p.runner.Exited():
			return
		case <-pause.C:
		}
		used, err := p.runner.Memory()
		if err != nil {
			p.log.Warn("the plugin's memory cannot be measured, so that only its soft limit (GOMEMLIMIT) holds", zap.Error(err))
			return
		}
		if used > p.spec.MemoryLimit {
			p.condemn(fmt.Sprintf("took %s of memory, which is more than its memory-limit of %s",
				humanize.IBytes(used), humanize.IBytes(p.spec.MemoryLimit)))
		}
	}
}
