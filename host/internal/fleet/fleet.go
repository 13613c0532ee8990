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
}

// Observer follows the states of plugins, with types of packages below its
// implementation, which knows no supervisor.
type Observer interface {
	// PluginChanged receives every change of a plugin's state, in order; see
	// supervise.Status for what the values are. It must be quick.
	PluginChanged(name, state string, restarts int, manifest *pluginv1.Manifest, err error)
}

// Fleet is the plugins of one command, in the order of their entries.
type Fleet struct {
	plugins  []*Plugin
	sessions *broker.Stores
	abandon  context.CancelFunc // first starts that are under way
	starting sync.WaitGroup
	stopOnce sync.Once
}

// Start finds, starts, describes and configures plugins, at the same time, and returns
// at once; [Await] waits for those that are needed. What fails is noted in the plugin,
// so that everything that is wrong can be reported at once. Stop must be called.
func Start(ctx context.Context, plugins []*Plugin, options Options) *Fleet {
	supervise.Sweep()
	ctx, abandon := context.WithCancel(ctx)
	f := &Fleet{plugins: plugins, sessions: &broker.Stores{}, abandon: abandon}
	for _, p := range plugins {
		settings := p.settings(options)
		settings.Sessions = f.sessions.Plugin(p.Name)
		p.running = supervise.New(ctx, settings)
		f.starting.Go(func() { p.start(ctx) })
	}
	return f
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
func (f *Fleet) Plugins() []*Plugin { return f.plugins }

// Stop stops all plugins, at the same time, and returns when they have ended. It works
// after the command's own context has ended. Later calls do nothing.
func (f *Fleet) Stop(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	f.stopOnce.Do(func() {
		f.abandon()
		f.starting.Wait()
		var stopping sync.WaitGroup
		for _, p := range f.plugins {
			stopping.Go(func() { p.running.Stop(ctx) })
		}
		stopping.Wait()
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
	return behind
}

// Validate lets every plugin that is ready try its credentials, all at once: what fails
// is its Failure. Their first starts must have ended.
func (f *Fleet) Validate(ctx context.Context, timeout time.Duration) {
	var validating sync.WaitGroup
	for _, p := range f.plugins {
		if p.Failure() == nil {
			validating.Go(func() { p.validate(ctx, timeout) })
		}
	}
	validating.Wait()
}

// Revive gives plugins that are not running another chance at once.
func (f *Fleet) Revive() {
	for _, p := range f.plugins {
		p.running.Revive()
	}
}

// Of returns the plugins of an upload, in its order.
func (f *Fleet) Of(upload *config.Upload) []*Plugin {
	var plugins []*Plugin
	for _, entry := range upload.Plugins {
		for _, p := range f.plugins {
			if p.Name == entry.Name {
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
// plugin itself objects to may be due to its app, and pass. A plugin whose first start has
// not ended is left out.
func SchemaErr(plugins []*Plugin) error {
	var problems settings.Problems
	for _, p := range plugins {
		if p.hasStarted() && !p.refused {
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
