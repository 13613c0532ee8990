package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Plugin is one plugin instance over as many processes as it takes: one that
// ends is replaced by another with the same configuration. Its methods may be
// called concurrently.
type Plugin struct {
	settings Settings
	cancel   context.CancelFunc
	ctx      context.Context //nolint:containedctx // It ends with Stop and carries the log; no call's context does.
	kept     sync.WaitGroup  // the goroutines that look after processes
	revived  chan struct{}
	listings *semaphore.Weighted // see BeginListing
	starting *semaphore.Weighted // of one: who starts a process holds it
	retired  *pluginlog.Retired  // the secrets of processes that were replaced

	scratch *files.Dir // nil until Start

	mu       sync.Mutex
	status   Status
	once     bool      // it has been ready
	reported bool      // it was logged what of a sandbox it is in
	renewed  time.Time // when a process was last replaced because a file was
	keeping  bool      // a process that ends is followed by another
	process  *Process  // the one that calls go to, nil if there is none
	placed   bool      // it has a place in the room
	use      use
	since    time.Time          // when calls began to go to it
	secrets  []string           // of the configuration of the last process that was ready
	manifest *pluginv1.Manifest // of the last process that described itself
	changed  chan struct{}      // closed at the next change

	concealed []string
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
		revived:  make(chan struct{}, 1),
		listings: semaphore.NewWeighted(wholeCapacity),
		starting: semaphore.NewWeighted(1),
		retired:  &pluginlog.Retired{},
		status:   Status{Instance: settings.Instance, State: Starting},
		changed:  make(chan struct{}),
		use:      use{wanted: make(chan struct{}, 1)},
	}
}

// Start makes the first start, within ctx, and returns when the plugin is ready
// or why it is not. A plugin that was ready once, and a persistent one, is kept
// from then on, until Stop. Call it once.
func (p *Plugin) Start(ctx context.Context) error {
	scratch, err := files.Make(os.TempDir(), scratchPrefix)
	if err != nil {
		err = fmt.Errorf("plugin %q needs a directory among the temporary files: %w; make room there, or set TMPDIR", p.settings.Instance, err)
		p.set(Failed, nil, err)
		return err
	}
	p.scratch = scratch
	p.settings.ScratchDir = scratch.Path()
	p.begin(false)
	defer p.end()
	process, err := p.start(ctx)
	switch {
	case err == nil:
		p.set(Ready, process, nil)
	case p.settings.Persistent:
		p.set(stateFor(err), nil, err)
	default:
		p.set(Failed, nil, err)
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped() {
		p.keeping = true
		p.kept.Go(func() { p.keep(process, err) })
	}
	return err
}

// stateFor is the state of a plugin that did not start.
func stateFor(err error) State {
	if _, ok := errors.AsType[*RefusedError](err); ok {
		return Refusing
	}
	if _, ok := errors.AsType[*UnresolvedError](err); ok {
		return Refusing
	}
	return Starting
}

// start starts a process and configures it. It waits for another start of the plugin.
func (p *Plugin) start(ctx context.Context) (*Process, error) {
	if err := p.starting.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("start plugin %q: %w", p.settings.Instance, err)
	}
	defer p.starting.Release(1)
	if err := p.enter(ctx); err != nil {
		return nil, fmt.Errorf("start plugin %q: %w", p.settings.Instance, err)
	}
	process, err := p.startNow(ctx)
	if err != nil {
		p.leave()
	}
	return process, err
}

// startNow is start for who holds starting, and has a place in the room.
func (p *Plugin) startNow(ctx context.Context) (*Process, error) {
	spec := p.settings.Spec
	if spec.Path == "" && spec.Attach == nil {
		path, err := p.settings.Owner.Find()
		if err != nil {
			return nil, fmt.Errorf("plugin %q: %w", spec.Instance, err)
		}
		spec.Path = path
	}
	p.showSandbox(spec)
	process, err := Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	process.logs.Share(p.retired)
	if err := p.prepare(ctx, process); err != nil {
		process.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return process, nil
}

// showSandbox makes known what of a sandbox the plugin is in, and logs it at the first start.
func (p *Plugin) showSandbox(spec Spec) {
	state := spec.SandboxState()
	p.mu.Lock()
	isFirst := !p.reported
	p.status.Sandbox, p.reported = state, true
	p.mu.Unlock()
	if isFirst {
		spec.reportSandbox(state, p.logger())
	}
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

	request, err := p.settings.Owner.Configure(ctx, manifest)
	if err != nil {
		return err
	}
	p.noteConfiguration(manifest, request)
	diagnostics, err := process.Configure(ctx, request)
	if err != nil {
		return err
	}
	for _, diagnostic := range diagnostics {
		diagnostic.Summary, diagnostic.Detail = p.retired.Blank(diagnostic.GetSummary()), p.retired.Blank(diagnostic.GetDetail())
	}
	if err := p.settings.Owner.Refused(diagnostics); err != nil {
		return &RefusedError{Instance: p.settings.Instance, Err: err}
	}
	return nil
}

// Stop stops the plugin for good: see [Process.Stop] for how long that takes.
func (p *Plugin) Stop(ctx context.Context) {
	p.mu.Lock()
	p.cancel() // Nothing is kept any more that was not kept before.
	p.mu.Unlock()
	p.kept.Wait()
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	if process != nil {
		process.Stop(ctx)
	}
	p.leave()
	if p.scratch != nil {
		_ = p.scratch.Remove()
	}
	p.set(Stopped, nil, &stoppedError{p.settings.Instance})
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

// set makes the plugin's state known: the process that calls go to, or why there
// is none.
func (p *Plugin) set(state State, process *Process, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setLocked(state, process, err)
}

// setLocked is set for who holds mu.
func (p *Plugin) setLocked(state State, process *Process, err error) {
	p.status.State, p.status.PID, p.status.Err, p.status.Manifest = state, 0, err, p.manifest
	if process != nil {
		p.status.PID = process.PID()
		process.logs.Conceal(p.concealed)
		p.retire(process.logs.Secrets())
		p.since = time.Now()
	}
	p.process = process
	p.once = p.once || state == Ready
	close(p.changed)
	p.changed = make(chan struct{})
	p.settings.Owner.Changed(p.status)
}

// retire takes in the secrets of the process that calls go to from now on. Those of the one
// before that it does not have are still blanked for a while. The caller holds mu.
func (p *Plugin) retire(now []string) {
	p.retired.Add(slices.DeleteFunc(slices.Clone(p.secrets), func(one string) bool { return slices.Contains(now, one) }))
	p.secrets = now
}

// setAgain counts a start after the first, makes known how it ended, and returns the count.
func (p *Plugin) setAgain(process *Process, err error) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Restarts++
	if err != nil {
		p.setLocked(stateFor(err), nil, err)
	} else {
		p.setLocked(Ready, process, nil)
	}
	return p.status.Restarts
}

func (p *Plugin) logger() *zap.Logger {
	return ctxzap.Extract(p.ctx).With(zap.String("plugin", p.settings.Instance))
}

// mostConcealed is how many texts are concealed at a time: more than there can be
// in what a process has logged last.
const mostConcealed = 100

// Conceal blanks a text from now on in what the plugin logs and in its errors, as
// the secrets of its configuration are: a password that is on its way to it. The
// latest hundred are.
func (p *Plugin) Conceal(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.concealed, text) {
		return
	}
	// A new list: the one before is in use.
	kept := p.concealed[max(0, len(p.concealed)+1-mostConcealed):]
	p.concealed = append(slices.Clone(kept), text)
	if p.process != nil {
		p.process.logs.Conceal(p.concealed)
	}
}

// wholeCapacity is the weight of all listings that a plugin serves at the same time. It
// is more than the square of plugin.MaxConcurrency, so that a part of it, rounded down,
// fits exactly as often as it should.
const wholeCapacity = 1 << 20

// BeginListing waits until another listing of the plugin may begin, in the order of the
// calls, and returns what ends it; end must be called once. All syncs of the plugin
// count towards one limit: a connector may bind the pages of a listing to a cursor or a
// connection of the app that the next listing takes over. The limit is the operator's,
// else the one that the plugin declares, else one listing at a time, which is what the
// SDK does stand-alone. The process stays until the listing has ended: what its pages depend
// on may be in its memory. It returns the context's error if that ends first.
func (p *Plugin) BeginListing(ctx context.Context) (end func(), err error) {
	weight := int64(wholeCapacity / p.concurrency())
	if err := p.listings.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	p.begin(false)
	return func() {
		p.end()
		p.listings.Release(weight)
	}, nil
}

// concurrency is how many listings are read at the same time.
func (p *Plugin) concurrency() int {
	declared := p.settings.Concurrency
	if declared == 0 {
		declared = int(p.Manifest().GetListingConcurrency())
	}
	return min(max(declared, 1), plugin.MaxConcurrency)
}
