package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/session"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin/telemetry"
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
	// Changed receives every change of a plugin's state; see supervise.Settings. nil:
	// none wants them.
	Changed func(supervise.Status)
}

// Fleet is the plugins of one command, in the order of their entries.
type Fleet struct {
	plugins  []*Plugin
	sessions *session.Stores
	stopOnce sync.Once
}

// Start finds, starts, describes and configures plugins, at the same time, and returns
// when each is ready or has failed. What fails is noted in the plugin, so that
// everything that is wrong can be reported at once. Stop must be called.
func Start(ctx context.Context, plugins []*Plugin, options Options) *Fleet {
	supervise.Sweep()
	f := &Fleet{plugins: plugins, sessions: &session.Stores{}}
	var starting sync.WaitGroup
	for _, p := range plugins {
		settings := p.settings(options)
		settings.Sessions = f.sessions.Plugin(p.Name)
		p.running = supervise.New(ctx, settings)
		starting.Go(func() { p.start(ctx) })
	}
	starting.Wait() // Errors are in the plugins.
	return f
}

// Stop stops all plugins, at the same time, and returns when they have ended. It works
// after the command's own context has ended. Later calls do nothing.
func (f *Fleet) Stop(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	f.stopOnce.Do(func() {
		var stopping sync.WaitGroup
		for _, p := range f.plugins {
			stopping.Go(func() { p.running.Stop(ctx) })
		}
		stopping.Wait()
	})
}

// Validate lets every plugin that is ready try its credentials, all at once: what fails
// is its Failure.
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

// ConfigurationErr returns everything that must be fixed in the configuration, or nil:
// what the plugins' schemas say and what the configured plugins object to.
func (f *Fleet) ConfigurationErr() error {
	var problems config.Problems
	for _, p := range f.plugins {
		problems = append(problems, p.problems...)
	}
	return problems.Err()
}

// SchemaErr returns what must be fixed before anything can run, or nil. What a plugin
// itself objects to may be due to its app, and pass.
func (f *Fleet) SchemaErr() error {
	var problems config.Problems
	for _, p := range f.plugins {
		if !p.refused {
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

// Sessions makes the session store of one sync file.
func (f *Fleet) Sessions() aggregate.Sessions { return f.sessions.Begin() }
