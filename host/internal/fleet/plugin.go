package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	batonv1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/password"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Plugin is one configured plugin of a fleet: its entry as it is configured, and its
// processes once the fleet was started.
type Plugin struct {
	*config.Plugin

	pin    *supervise.Pin     // nil: not pinned
	attach *plugin.Attachment // nil: started

	running *supervise.Plugin // nil before Start
	key     *password.Key     // which opens passwords
	// Why it was not ready when the fleet had started; both are empty otherwise.
	problems config.Problems // with its configuration: for a person to fix
	refused  bool            // the problems are what the plugin says, not its schema
	err      error           // with the plugin itself

	naming  sync.Mutex
	appName string // for people, as the configured connector says it; "" if not asked yet
}

// Of returns plugins for entries of a configuration.
func Of(entries []*config.Plugin) []*Plugin {
	plugins := make([]*Plugin, 0, len(entries))
	for _, entry := range entries {
		plugins = append(plugins, &Plugin{Plugin: entry})
	}
	return plugins
}

// IsAttached reports whether it is attached to, and so nothing is started.
func (p *Plugin) IsAttached() bool { return p.attach != nil }

// IsBare reports whether its ids have no prefix.
func (p *Plugin) IsBare() bool { return p.Namespace == "" }

// Spec is what is started, or attached to.
func (p *Plugin) Spec() supervise.Spec {
	return supervise.Spec{
		Instance: p.Name, Path: p.Path, Args: p.Args, Unmodified: p.Unmodified, Pin: p.pin, Attach: p.attach, Env: p.Env,
		LogLevel: p.LogLevel, StartTimeout: p.StartTimeout, CallTimeout: p.Limits.CallTimeout, HealthTimeout: p.Limits.HealthTimeout,
		MemoryLimit: p.Limits.Memory, MaxAnswer: p.Limits.PageSize,
	}
}

// Found is Spec with the path of the binary.
func (p *Plugin) Found(finder *supervise.Finder) (spec supervise.Spec, err error) {
	spec = p.Spec()
	if spec.Path == "" && spec.Attach == nil {
		if spec.Path, err = finder.Find(p.App); err != nil {
			return spec, fmt.Errorf("plugin %q: %w", p.Name, err)
		}
	}
	return spec, nil
}

// settings are how the plugin is run.
func (p *Plugin) settings(options Options) supervise.Settings {
	restarts := p.Limits.Restarts
	if restarts == 0 {
		restarts = -1 // As Settings have it.
	}
	key, keyErr := password.NewKey()
	p.key = key
	spec := p.Spec()
	spec.Telemetry = options.Telemetry
	return supervise.Settings{
		Spec: spec,
		Find: func() (string, error) { return options.Finder.Find(p.App) },
		Configure: func(manifest *pluginv1.Manifest) (*supervise.Configuration, error) {
			if keyErr != nil {
				return nil, keyErr
			}
			return p.configuration(manifest, options)
		},
		Restarts: restarts, RestartWindow: p.Limits.RestartWindow, Concurrency: p.Limits.Concurrency,
		Persistent: options.Persistent, Changed: options.Changed,
	}
}

// configuration is what the plugin is given, once for every process of it.
func (p *Plugin) configuration(manifest *pluginv1.Manifest, options Options) (*supervise.Configuration, error) {
	bound, problems := p.Settings.Bind(manifest.GetConfiguration())
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &supervise.Configuration{
		Request: bound.Request(&pluginv1.Host{
			UserAgent: "baton-host/" + options.Version, LogLevel: cmp.Or(p.LogLevel, options.LogLevel), PasswordKey: p.key.Private(),
		}),
		Refused: func(diagnostics []*pluginv1.Diagnostic) error {
			var problems config.Problems
			for _, diagnostic := range diagnostics {
				if diagnostic.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
					problems = append(problems, bound.Problem(diagnostic))
				}
			}
			return problems.Err()
		},
	}, nil
}

// Single is the plugin for calls by hand: not started yet, never started again, with
// its own session store.
func (p *Plugin) Single(ctx context.Context, options Options, sessions batonv1.BatonSessionServiceServer) *supervise.Plugin {
	settings := p.settings(options)
	settings.Sessions = sessions
	settings.Restarts = -1
	return supervise.New(ctx, settings)
}

func (p *Plugin) start(ctx context.Context) {
	err := p.running.Start(ctx)
	_, p.refused = errors.AsType[*supervise.RefusedError](err)
	if err != nil && !errors.As(err, &p.problems) {
		p.err = err
	}
	if err == nil {
		p.nameApp(ctx)
	}
}

// Failure is why the plugin was not ready when the fleet had started, or why it could
// not validate; nil if neither.
func (p *Plugin) Failure() error {
	if p.err != nil {
		return p.err
	}
	return p.problems.Err()
}

// Restarts is how often its process has been started again.
func (p *Plugin) Restarts() int { return p.running.Status().Restarts }

// nameApp is the app's name. The configured connector is asked for it, once, as a
// generic one learns it only then. It is for people only, so what the manifest says
// does too.
func (p *Plugin) nameApp(ctx context.Context) string {
	p.naming.Lock()
	defer p.naming.Unlock()
	if p.appName == "" && p.running.Err() == nil {
		manifest := p.running.Manifest()
		response, err := connectorv2.NewConnectorServiceClient(p.running.Conn()).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
		if err != nil {
			ctxzap.Extract(ctx).Warn("the plugin does not report its app's name", zap.String("plugin", p.Name), zap.Error(err))
		}
		p.appName = cmp.Or(response.GetMetadata().GetDisplayName(), manifest.GetDisplayName(), manifest.GetName())
	}
	return p.appName
}

// Aggregate is the plugin as one behind an aggregate for a sync, which must be closed:
// as it is now, and calls wait for one that is being started again. It is the only
// place that makes an aggregate.Plugin of a configured one.
func (p *Plugin) Aggregate(ctx context.Context) aggregate.Plugin {
	return aggregate.Plugin{
		Instance: p.Name, Namespace: p.Namespace, Provisioning: p.Provisioning,
		IdleTimeout: p.Limits.IdleTimeout, MaxRows: int64(p.Limits.MaxRows),
		ReadAhead: p.Limits.ReadAhead, Listings: p.running,
		DisplayName: p.nameApp(ctx), Conn: p.running.Conn(), Err: p.running.Err(),
	}
}

// AggregateFor is Aggregate for an upload, whose passwords the plugin can open.
func (p *Plugin) AggregateFor(ctx context.Context, upload *config.Upload) aggregate.Plugin {
	behind := p.Aggregate(ctx)
	behind.Passwords = p.key.For(upload.Name, upload.ClientSecret.Reveal, p.running.Conceal)
	return behind
}

// validate lets the plugin try its credentials, and notes a failure.
func (p *Plugin) validate(ctx context.Context, timeout time.Duration) {
	// Not a deadline: it would travel with the call, and the plugin's end of the
	// connection may keep it first, with an error that says nothing.
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(timeout, cancel).Stop()
	_, err := connectorv2.NewConnectorServiceClient(p.running.Conn()).Validate(limited, &connectorv2.ConnectorServiceValidateRequest{})
	switch {
	case err == nil:
	case limited.Err() != nil && ctx.Err() == nil:
		// Whatever the connection says about it.
		p.err = fmt.Errorf("plugin %q: the app did not answer within %s; look at its address, or give it longer with --timeout", p.Name, timeout)
	default:
		p.err = fmt.Errorf("plugin %q: %s", p.Name, status.Convert(err).Message())
	}
}
