package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/host/workdir"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Configuration is what a plugin is given once it has said what it takes.
type Configuration struct {
	Request *pluginv1.ConfigureRequest
	// Refused puts the plugin's objections into an error for a person; nil if
	// none of them stands in the way.
	Refused func([]*pluginv1.Diagnostic) error
}

// Settings say how one plugin instance is run.
type Settings struct {
	Spec

	// Find looks for the binary where Spec.Path is empty, at every start.
	Find func() (path string, err error)
	// Configure makes the configuration of a process that says of itself what
	// the manifest does. It is called for every process.
	Configure func(*pluginv1.Manifest) (*Configuration, error)
	// Restarts is how often the plugin is started again within RestartWindow
	// before it has failed; zero is DefaultRestarts within DefaultRestartWindow,
	// less than zero is never.
	Restarts      int
	RestartWindow time.Duration
	// Persistent tries a plugin again that does not start the first time.
	Persistent bool
	// Changed is told every change of state, in order. It must be quick and must
	// not call the plugin.
	Changed func(Status)
}

// State is what a plugin is doing.
type State string

// The states of a plugin.
const (
	// Starting is also the time of waiting for the next start.
	Starting State = "starting"
	Ready    State = "ready"
	// Refusing is a plugin that does not take its configuration; it is asked
	// again from time to time.
	Refusing State = "refusing"
	// Failed is a plugin that is not started again before an operator acts.
	Failed  State = "failed"
	Stopped State = "stopped"
)

// Status is how a plugin is.
type Status struct {
	Instance string
	State    State
	// PID is the running process, 0 if none is.
	PID int
	// Restarts is how often it has been started again.
	Restarts int
	// Err is why it is not ready.
	Err error
}

// Plugin is one plugin instance over as many processes as it takes: one that
// ends is replaced by another with the same configuration. Its methods may be
// called concurrently.
type Plugin struct {
	settings Settings
	cancel   context.CancelFunc
	ctx      context.Context //nolint:containedctx // It ends with Stop and carries the log; no call's context does.
	kept     sync.WaitGroup  // the goroutine that replaces processes
	revived  chan struct{}

	scratch *workdir.Dir // nil until Start

	mu       sync.Mutex
	status   Status
	once     bool               // it has been ready
	process  *Process           // nil or the last one
	manifest *pluginv1.Manifest // of the last process that told
	changed  chan struct{}      // closed at the next change
}

// New makes a plugin that is not started yet. Log lines go to the context's
// logger; its end does not stop the plugin.
func New(ctx context.Context, settings Settings) *Plugin {
	if settings.Restarts == 0 {
		settings.Restarts = DefaultRestarts
	}
	settings.RestartWindow = orDefault(settings.RestartWindow, DefaultRestartWindow)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &Plugin{
		settings: settings, ctx: ctx, cancel: cancel,
		revived: make(chan struct{}, 1),
		status:  Status{Instance: settings.Instance, State: Starting},
		changed: make(chan struct{}),
	}
}

// Start makes the first start, within ctx, and returns when the plugin is ready
// or why it is not. A plugin that was ready once, and a persistent one, is kept
// from then on, until Stop. Call it once.
func (p *Plugin) Start(ctx context.Context) error {
	scratch, err := workdir.Make(os.TempDir(), scratchPrefix)
	if err != nil {
		err = fmt.Errorf("plugin %q needs a directory among the temporary files: %w; make room there, or set TMPDIR", p.settings.Instance, err)
		p.set(Status{State: Failed, Err: err}, nil)
		return err
	}
	p.scratch = scratch
	p.settings.ScratchDir = scratch.Path()
	process, err := p.start(ctx)
	switch {
	case err == nil:
		p.set(Status{State: Ready, PID: process.PID()}, process)
	case p.settings.Persistent:
		p.set(Status{State: stateFor(err), Err: err}, nil)
	default:
		p.set(Status{State: Failed, Err: err}, nil)
		return err
	}
	p.kept.Go(func() { p.keep(process, err) })
	return err
}

// stateFor is the state of a plugin that did not start.
func stateFor(err error) State {
	if _, ok := errors.AsType[*RefusedError](err); ok {
		return Refusing
	}
	return Starting
}

// start starts a process and configures it.
func (p *Plugin) start(ctx context.Context) (*Process, error) {
	spec := p.settings.Spec
	if spec.Path == "" {
		path, err := p.settings.Find()
		if err != nil {
			return nil, fmt.Errorf("plugin %q: %w", spec.Instance, err)
		}
		spec.Path = path
	}
	process, err := Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := p.prepare(ctx, process); err != nil {
		process.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return process, nil
}

// prepare makes a process ready for calls.
func (p *Plugin) prepare(ctx context.Context, process *Process) error {
	manifest, err := process.Describe(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.manifest = manifest
	p.mu.Unlock()

	configuration, err := p.settings.Configure(manifest)
	if err != nil {
		return err
	}
	diagnostics, err := process.Configure(ctx, configuration.Request)
	if err != nil {
		return err
	}
	if err := configuration.Refused(diagnostics); err != nil {
		return &RefusedError{Instance: p.settings.Instance, Err: err}
	}
	return nil
}

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
		restarts := p.Status().Restarts + 1
		if err != nil {
			p.set(Status{State: stateFor(err), Err: err, Restarts: restarts}, nil)
			continue
		}
		p.set(Status{State: Ready, PID: process.PID(), Restarts: restarts}, process)
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
		what := "the plugin does not start; it will be tried again"
		if ran {
			what = "the plugin ended; it is started again"
		}
		log.Error(what, zap.Duration("pause", wait))
		p.set(Status{State: Starting, Err: why, Restarts: p.Status().Restarts}, nil)
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
	failed := &FailedError{Instance: p.settings.Instance, Ends: len(policy.ends), Window: policy.window, Last: why}
	log.Error("the plugin has failed: it ended too often, and is not started again before an operator acts",
		zap.Int("ends", failed.Ends), zap.Duration("window", failed.Window))
	p.set(Status{State: Failed, Err: failed, Restarts: p.Status().Restarts}, nil)
	select {
	case <-p.revived:
		policy.forget()
		log.Info("the plugin gets another chance")
		p.set(Status{State: Starting, Err: why, Restarts: p.Status().Restarts}, nil)
		return true
	case <-p.ctx.Done():
		return false
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

// Stop stops the plugin for good: see [Process.Stop] for how long that takes.
func (p *Plugin) Stop(ctx context.Context) {
	p.cancel()
	p.kept.Wait()
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	if process != nil {
		process.Stop(ctx)
	}
	if p.scratch != nil {
		_ = p.scratch.Remove()
	}
	p.set(Status{State: Stopped, Err: &stoppedError{p.settings.Instance}, Restarts: p.Status().Restarts}, nil)
}

// Instance is the plugin's name in the configuration.
func (p *Plugin) Instance() string { return p.settings.Instance }

// Status is how the plugin is now.
func (p *Plugin) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Manifest is what the plugin said of itself last, or nil.
func (p *Plugin) Manifest() *pluginv1.Manifest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.manifest
}

// set makes the plugin's state known. process is the one that calls go to.
func (p *Plugin) set(status Status, process *Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	status.Instance = p.settings.Instance
	p.status = status
	p.process = process
	p.once = p.once || status.State == Ready
	close(p.changed)
	p.changed = make(chan struct{})
	if p.settings.Changed != nil {
		p.settings.Changed(status)
	}
}

func (p *Plugin) logger() *zap.Logger {
	return ctxzap.Extract(p.ctx).With(zap.String("plugin", p.settings.Instance))
}

// Err is why calls fail at once, or nil: calls to a plugin that has been ready
// wait while it is started again, and those to one that is started for the first
// time do, but not until one that did not start is tried again.
func (p *Plugin) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err()
}

func (p *Plugin) err() error {
	switch p.status.State {
	case Ready:
		return nil
	case Starting:
		if p.once {
			return nil
		}
	}
	return p.status.Err
}

// ready waits for a process that can be called.
func (p *Plugin) ready(ctx context.Context) (*Process, error) {
	for {
		p.mu.Lock()
		status, process, changed, err := p.status, p.process, p.changed, p.err()
		p.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case status.State == Ready && !process.gone():
			return process, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Conn reaches the plugin's process of the moment. A call waits while the
// plugin is started again, as far as its context lets it. One whose process
// ends under it fails with an [*ExitError] whose Replaced method says that
// another may be tried.
func (p *Plugin) Conn() grpc.ClientConnInterface { return steadyConnection{p} }

type steadyConnection struct{ plugin *Plugin }

func (c steadyConnection) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	process, err := c.plugin.ready(ctx)
	if err != nil {
		return err
	}
	return c.plugin.replaced(process.Conn().Invoke(ctx, method, request, reply, options...))
}

func (c steadyConnection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	process, err := c.plugin.ready(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := process.Conn().NewStream(ctx, desc, method, options...)
	return stream, c.plugin.replaced(err)
}

// replaced marks the end of a process that another one follows.
func (p *Plugin) replaced(err error) error {
	if exit, ok := errors.AsType[*ExitError](err); ok {
		exit.replaced = !p.stopped()
	}
	return err
}
