package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/internal/telemetry"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Options are what holds for all plugins of a fleet.
type Options struct {
	// Version is the host's own, which plugins see in the user agent.
	Version string
	// Finder looks for the binaries of plugins whose entry names none.
	Finder *supervise.Finder
	// LogLevel is what plugins log at whose entry does not say.
	LogLevel  string
	Telemetry telemetry.Settings
	// Persistent retries plugins that do not start the first time.
	Persistent bool
	// Observer follows the plugins' states; it may be nil.
	Observer Observer
	// Config is the configuration whose references are resolved again; nil without one.
	Config *config.Config
	// MaxRunning is how many plugins run at the same time; 0 is what memory and cores allow.
	MaxRunning int
}

// Observer follows the states of plugins, with types of packages below its
// implementation, which knows no supervisor.
type Observer interface {
	// PluginChanged receives every change of a plugin's state, in order; see
	// supervise.Status for what the values are. It must be quick.
	PluginChanged(name, state string, restarts int, manifest *pluginv1.Manifest, err error)
	// Sandboxed receives what of a sandbox a plugin is in, before each change of its state.
	Sandboxed(name string, state sandbox.State)
	// Credentials receives how the credentials of a plugin are now; upload is empty.
	Credentials(plugin, upload string, credentials []secret.Credential)
}

// Fleet is the plugins of one command, in the order of their entries; those that were added
// later come last.
type Fleet struct {
	sessions *broker.Stores
	ctx      context.Context    //nolint:containedctx // It ends with Stop and carries the log; no call's context does.
	abandon  context.CancelFunc // first starts that are under way
	starting sync.WaitGroup
	stopOnce sync.Once

	mu      sync.Mutex
	plugins []*Plugin
	room    *room
	stopped bool
}

// Start finds, starts, describes and configures plugins, as many at the same time as may run,
// and returns at once; [Await] waits for those that are needed. What fails is noted in the plugin,
// so that everything that is wrong can be reported at once. Stop must be called.
func Start(ctx context.Context, plugins []*Plugin, options Options) *Fleet {
	supervise.Sweep()
	ctx, abandon := context.WithCancel(ctx)
	f := &Fleet{sessions: &broker.Stores{}, ctx: ctx, abandon: abandon, room: &room{Room: supervise.NewRoom(1), most: options.MaxRunning}}
	f.add(plugins, options, true)
	return f
}

// Add starts more plugins, as Start does: also one with the name of a plugin that is still
// needed. The observer follows them from [Plugin.Show] on. In a fleet that has been stopped
// nothing is started.
func (f *Fleet) Add(plugins []*Plugin, options Options) error {
	if !f.add(plugins, options, false) {
		return errors.New("the host is stopping")
	}
	return nil
}

func (f *Fleet) add(plugins []*Plugin, options Options, shown bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return false
	}
	f.plugins = append(slices.Clone(f.plugins), plugins...)
	f.resize()
	for _, p := range plugins {
		of := options
		if options.Observer != nil {
			p.stage = &stage{observer: options.Observer}
			of.Observer = p.stage
		}
		if shown {
			p.Show()
		}
		settings := p.settings(of)
		settings.Sessions, settings.Room = f.sessions.Plugin(p.Name), f.room.Room
		p.room = f.room
		p.running = supervise.New(f.ctx, settings)
		starting, abandon := context.WithCancel(f.ctx)
		p.abandon = abandon
		f.starting.Go(func() {
			defer abandon()
			p.start(starting)
		})
	}
	return true
}

// Remove stops plugins, at the same time, and returns when they have ended. Nothing may
// use them any more.
func (f *Fleet) Remove(ctx context.Context, plugins []*Plugin) {
	f.mu.Lock()
	removed := slices.DeleteFunc(slices.Clone(f.plugins), func(p *Plugin) bool { return !slices.Contains(plugins, p) })
	f.plugins = slices.DeleteFunc(slices.Clone(f.plugins), func(p *Plugin) bool { return slices.Contains(plugins, p) })
	f.resize()
	f.mu.Unlock()
	stop(ctx, removed)
}

// stop stops plugins that were started, also where their first start is under way.
func stop(ctx context.Context, plugins []*Plugin) {
	ctx = context.WithoutCancel(ctx)
	var stopping sync.WaitGroup
	for _, p := range plugins {
		stopping.Go(func() {
			p.abandon()
			<-p.started
			p.running.Stop(ctx)
			if p.pin != nil {
				p.pin.Close()
			}
		})
	}
	stopping.Wait()
}

// awaitInterval is how often it is logged that plugins are waited for.
const awaitInterval = 15 * time.Second

// Await returns when the first start of each of these plugins has ended, or with the
// context's error. It logs which ones it waits for.
func Await(ctx context.Context, plugins []*Plugin) error {
	log, begun := ctxzap.Extract(ctx), time.Now()
	ticker := time.NewTicker(awaitInterval)
	defer ticker.Stop()
	for waited := false; ; waited = true {
		pending := slices.DeleteFunc(slices.Clone(plugins), (*Plugin).hasStarted)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case len(pending) == 0:
			return nil
		case !waited:
			log.Info("waiting for plugins to start", zap.Strings("plugins", names(pending)))
		}
		select {
		case <-pending[0].started:
		case <-ticker.C:
			log.Warn("still waiting for plugins to start", zap.Strings("plugins", names(pending)), zap.Duration("waited", time.Since(begun)))
		case <-ctx.Done():
		}
	}
}

// Plugins are all plugins of the fleet.
func (f *Fleet) Plugins() []*Plugin {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.plugins // It is replaced, never changed.
}

// Stop stops all plugins, at the same time, and returns when they have ended. It works
// after the command's own context has ended. Later calls do nothing.
func (f *Fleet) Stop(ctx context.Context) {
	f.stopOnce.Do(func() {
		f.mu.Lock()
		f.stopped = true
		plugins := f.plugins
		f.mu.Unlock()
		f.abandon()
		f.starting.Wait()
		stop(ctx, plugins)
	})
}

// Aggregate returns plugins as those behind the aggregate of an upload, as they are
// now. The aggregate must be closed where the plugins read ahead.
func Aggregate(ctx context.Context, plugins []*Plugin, upload *config.Upload) []aggregate.Plugin {
	behind := make([]aggregate.Plugin, len(plugins))
	var naming sync.WaitGroup // A configured connector is asked for its app's name.
	for i, p := range plugins {
		naming.Go(func() { behind[i] = p.aggregate(ctx, upload) })
	}
	naming.Wait()
	if isCrowded(plugins) {
		for i := range behind {
			behind[i].OneVisit = plugins[i].isOnDemand()
		}
	}
	return behind
}

// Validate lets every plugin that is ready try its credentials, all at once: what fails
// is its Failure. Their first starts must have ended.
func (f *Fleet) Validate(ctx context.Context, timeout time.Duration) {
	var validating sync.WaitGroup
	for _, p := range f.Plugins() {
		if p.Failure() == nil {
			validating.Go(func() { p.validate(ctx, timeout, f.sessions) })
		}
	}
	validating.Wait()
}

// Revive gives plugins that have failed, or wait for their next start, another chance at once.
func (f *Fleet) Revive() {
	for _, p := range f.Plugins() {
		p.running.Revive()
	}
}

// Of returns the plugins of exactly the entries that an upload has, in its order: beside
// one of them there may be another plugin of its name.
func (f *Fleet) Of(upload *config.Upload) []*Plugin {
	var plugins []*Plugin
	for _, entry := range upload.Plugins {
		for _, p := range f.Plugins() {
			if p.Plugin == entry {
				plugins = append(plugins, p)
			}
		}
	}
	return plugins
}

// ConfigurationErr returns everything that must be fixed in the configuration of these
// plugins, or nil: what their schemas say and what the configured plugins object to. A
// plugin whose first start has not ended is left out.
func ConfigurationErr(plugins []*Plugin) error {
	var problems settings.Problems
	for _, p := range plugins {
		if p.hasStarted() {
			problems = append(problems, p.problems...)
		}
	}
	return problems.Err()
}

// SchemaErr returns what must be fixed before these plugins can run, or nil. What a
// plugin itself objects to may be due to its app, and pass, as may what a store of secrets
// does. A plugin whose first start has
// not ended is left out.
func SchemaErr(plugins []*Plugin) error {
	var problems settings.Problems
	for _, p := range plugins {
		if p.hasStarted() && !p.mayPass {
			problems = append(problems, p.problems...)
		}
	}
	return problems.Err()
}

// StartErr returns every plugin of these that cannot be called, or nil.
func StartErr(plugins []*Plugin) error {
	var failed []error
	for _, p := range plugins {
		failed = append(failed, p.err)
	}
	return errors.Join(failed...)
}

// Sessions has the session stores of the fleet's syncs.
func (f *Fleet) Sessions() *broker.Stores { return f.sessions }
