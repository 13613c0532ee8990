package supervise

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// DefaultIdleAfter is how long a plugin that runs on demand has nothing to do before its
// process ends.
const DefaultIdleAfter = 10 * time.Minute

// longestAction is how long an action may go on in a process behind the call that began it:
// the SDK's limit for the handler of an action.
const longestAction = time.Hour

// waitNotice is how long a plugin waits for a place before that is logged.
const waitNotice = time.Minute

// use is what a plugin has to do: while it has something, its process does not end for want
// of work. The plugin's mutex guards it.
type use struct {
	busy      int           // calls that wait or are in flight, listings that are open, replacements
	quiet     time.Time     // since when there are none of them
	until     time.Time     // the process does an action, or knows how one has ended, until then
	ending    chan struct{} // closed once the process has ended of a plugin that has become idle
	wanted    chan struct{} // has an element where a call waits for a process of an idle plugin
	metadata  *v2.ConnectorServiceGetMetadataResponse
	described [sha256.Size]byte // the configuration of the process that has answered it
}

// isOnDemand reports whether the plugin's process ends where it has nothing to do.
func (p *Plugin) isOnDemand() bool { return p.settings.IdleAfter > 0 && p.settings.Attach == nil }

// begin counts something that the plugin has to do. If it is idle and wake is set, a process
// is started for it.
func (p *Plugin) begin(wake bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.use.busy++
	if wake && p.status.State == Idle {
		p.wake()
	}
}

// wake has keep start a process. The caller holds mu.
func (p *Plugin) wake() {
	select {
	case p.use.wanted <- struct{}{}:
	default:
	}
}

// end counts what has been done.
func (p *Plugin) end() {
	p.mu.Lock()
	p.use.busy--
	isQuiet := p.use.busy == 0
	if isQuiet {
		p.use.quiet = time.Now()
	}
	p.mu.Unlock()
	if isQuiet && p.settings.Room != nil && p.settings.Room.isWaitedFor() {
		p.settings.Room.look()
	}
}

// quietSince returns since when a process that runs has had nothing to do; ok is false where
// it has something to do, or there is none.
func (p *Plugin) quietSince() (since time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quietLocked()
}

func (p *Plugin) quietLocked() (since time.Time, ok bool) {
	if p.process == nil || p.use.busy > 0 || p.stopped() || !p.keeping || !p.isOnDemand() || time.Now().Before(p.use.until) {
		return time.Time{}, false
	}
	since = p.use.quiet
	if p.since.After(since) {
		since = p.since
	}
	return since, true
}

// rest has the process end if it has had nothing to do for that long. From then on calls
// wait for another.
func (p *Plugin) rest(least time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	since, ok := p.quietLocked()
	if !ok || time.Since(since) < least {
		return false
	}
	process := p.process
	p.setLocked(Idle, nil, nil)
	p.use.ending = make(chan struct{})
	close(process.rested)
	return true
}

// restLater returns when the process may have had nothing to do for long enough.
func (p *Plugin) restLater() time.Duration {
	wait := p.settings.IdleAfter
	if since, ok := p.quietSince(); ok {
		wait -= time.Since(since)
	}
	return max(wait, time.Millisecond)
}

// sleep ends a process that has nothing to do, and returns the next one once a call needs it,
// or why that did not start; neither where the plugin is stopped.
func (p *Plugin) sleep(rested *Process) (*Process, error) {
	p.logger().Debug("the plugin has nothing to do, so its process ends until it is called", zap.Int("pid", rested.PID()))
	rested.Stop(context.Background())
	p.leave()
	p.mu.Lock()
	close(p.use.ending)
	p.mu.Unlock()
	for {
		select {
		case <-p.use.wanted:
		case <-p.ctx.Done():
			return nil, nil //nolint:nilnil // See above.
		}
		process, err := p.awake()
		switch {
		case p.stopped():
			if process != nil {
				process.Stop(context.Background())
			}
			return nil, nil //nolint:nilnil // See above.
		case process != nil || err != nil:
			return process, err
		}
	}
}

// awake starts a process for the calls that wait, unless none waits any more or Replace has
// started one.
func (p *Plugin) awake() (*Process, error) {
	if err := p.starting.Acquire(p.ctx, 1); err != nil {
		return nil, err
	}
	defer p.starting.Release(1)
	if current := p.current(); current != nil {
		return current, nil
	}
	if err := p.enter(p.ctx); err != nil {
		return nil, err
	}
	if !p.isBusy() {
		p.leave()
		return nil, nil //nolint:nilnil // There is neither.
	}
	p.set(Starting, nil, nil)
	process, err := p.startNow(p.ctx)
	if err != nil {
		p.leave()
		p.set(stateFor(err), nil, err)
		return nil, err
	}
	p.set(Ready, process, nil)
	return process, nil
}

// current returns the process that calls go to, or nil.
func (p *Plugin) current() *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.process
}

func (p *Plugin) isBusy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.use.busy > 0
}

// enter waits for a place for the plugin's process, if it needs one.
func (p *Plugin) enter(ctx context.Context) error {
	room := p.settings.Room
	if room == nil || !p.isOnDemand() {
		return nil
	}
	notice := time.AfterFunc(waitNotice, func() {
		p.logger().Warn("the plugin waits until another one has nothing to do, as max-running processes of plugins run; raise max-running if there is memory for more", zap.Duration("waited", waitNotice))
	})
	defer notice.Stop()
	if err := room.enter(ctx, p); err != nil {
		return err
	}
	p.mu.Lock()
	p.placed = true
	p.mu.Unlock()
	return nil
}

// leave returns the place of a process that has ended, if it had one.
func (p *Plugin) leave() {
	p.mu.Lock()
	placed := p.placed
	p.placed = false
	p.mu.Unlock()
	if placed {
		p.settings.Room.leave(p)
	}
}

// Hold keeps the process of the plugin for several calls, one that is started meanwhile too.
// release ends that, and is called once.
func (p *Plugin) Hold() (release func()) {
	p.begin(false)
	return p.end
}

// AwaitTurn waits until there is a place for the process of an idle plugin, which is started
// then, for who holds it: to wait for others is no time that the plugin takes.
func (p *Plugin) AwaitTurn(ctx context.Context) error {
	for {
		p.mu.Lock()
		isIdle, changed := p.status.State == Idle, p.changed
		if isIdle {
			p.wake()
		}
		p.mu.Unlock()
		if !isIdle {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answersIdle answers a call in place of a process, where none need be started for it: what a
// process keeps of a sync has ended with it, and what the connector reports of itself is what
// the last process with the same configuration reported.
func (p *Plugin) answersIdle(method string, reply any) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.State != Idle {
		return false
	}
	switch method {
	case v2.ConnectorService_Cleanup_FullMethodName:
		return true
	case v2.ConnectorService_GetMetadata_FullMethodName:
		answer, ok := reply.(*v2.ConnectorServiceGetMetadataResponse)
		if !ok || p.use.metadata == nil {
			return false
		}
		proto.Reset(answer)
		proto.Merge(answer, p.use.metadata)
		return true
	}
	return false
}

// noteAnswer takes in an answer of the process: what it reports of itself, and that an
// action may go on in it.
func (p *Plugin) noteAnswer(reply any) {
	if !p.isOnDemand() {
		return
	}
	switch answer := reply.(type) {
	case *v2.ConnectorServiceGetMetadataResponse:
		p.mu.Lock()
		p.use.metadata = proto.CloneOf(answer)
		p.mu.Unlock()
	case *v2.InvokeActionResponse:
		p.noteAction(answer.GetStatus())
	case *v2.GetActionStatusResponse:
		p.noteAction(answer.GetStatus())
	}
}

// noteAction keeps the process that does an action, or knows how one has ended, for a while:
// another one would know nothing of it.
func (p *Plugin) noteAction(status v2.BatonActionStatus) {
	lasts := p.settings.IdleAfter
	if status == v2.BatonActionStatus_BATON_ACTION_STATUS_PENDING || status == v2.BatonActionStatus_BATON_ACTION_STATUS_RUNNING {
		lasts = longestAction
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.use.until = time.Now().Add(lasts)
}

// noteConfiguration forgets what a process with another configuration has reported of itself.
func (p *Plugin) noteConfiguration(manifest *pluginv1.Manifest, request *pluginv1.ConfigureRequest) {
	if !p.isOnDemand() {
		return
	}
	of, failed := sha256.New(), error(nil)
	for _, message := range []proto.Message{manifest, request} {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		failed = errors.Join(failed, err)
		_, _ = of.Write(raw)
	}
	digest := [sha256.Size]byte(of.Sum(nil))
	p.mu.Lock()
	defer p.mu.Unlock()
	if failed != nil || digest != p.use.described {
		p.use.described, p.use.metadata = digest, nil
	}
}
