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

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Plugin is one configured plugin of a fleet: its entry as it is configured, and its
// processes once the fleet was started.
type Plugin struct {
	*config.Plugin

	pin    *pin.Pin           // nil: not pinned
	attach *plugin.Attachment // nil: started

	options Options           // of its fleet, once it was started
	running *supervise.Plugin // nil before Start
	key     *broker.Key       // which opens passwords; nil if keyErr says why not
	keyErr  error
	bound   *settings.Bound // the configuration of the last process

	// started is closed once the first start has ended. Why the plugin was not ready
	// then is written before, and is empty otherwise.
	started  chan struct{}
	problems settings.Problems // with its configuration: for a person to fix
	refused  bool              // the problems are what the plugin says, not its schema
	err      error             // with the plugin itself

	naming  sync.Mutex
	appName string // for people, as the configured connector says it; "" if not asked yet
}

// Of returns plugins for entries of a configuration.
func Of(entries []*config.Plugin) []*Plugin {
	plugins := make([]*Plugin, 0, len(entries))
	for _, entry := range entries {
		plugins = append(plugins, &Plugin{Plugin: entry, started: make(chan struct{})})
	}
	return plugins
}

// hasStarted reports whether its first start has ended, well or not.
func (p *Plugin) hasStarted() bool {
	select {
	case <-p.started:
		return true
	default:
		return false
	}
}

// IsAttached reports whether it is attached to, and so nothing is started.
func (p *Plugin) IsAttached() bool { return p.attach != nil }

// IsBare reports whether its ids have no prefix.
func (p *Plugin) IsBare() bool { return p.Namespace == "" }

// Spec is what is started, or attached to.
func (p *Plugin) Spec() supervise.Spec {
	return supervise.Spec{
		Instance: p.Name, Path: p.Path, Args: p.Args, Unmodified: p.Unmodified, Fields: p.Fields, Pin: p.pin, Attach: p.attach, Env: p.Env,
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
	p.options = options
	p.key, p.keyErr = broker.NewKey()
	spec := p.Spec()
	spec.Telemetry = options.Telemetry
	return supervise.Settings{
		Spec: spec, Owner: p,
		Restarts: restarts, RestartWindow: p.Limits.RestartWindow, Concurrency: p.Limits.Concurrency,
		Persistent: options.Persistent,
	}
}

// Find returns the path of the binary; see [supervise.Owner].
func (p *Plugin) Find() (string, error) { return p.options.Finder.Find(p.App) }

// Configure returns the plugin's configuration in the form that its schema asks for.
func (p *Plugin) Configure(manifest *pluginv1.Manifest) (*pluginv1.ConfigureRequest, error) {
	if p.keyErr != nil {
		return nil, p.keyErr
	}
	bound, problems := p.Settings.Bind(manifest.GetConfiguration())
	if err := problems.Err(); err != nil {
		return nil, err
	}
	p.bound = bound
	return bound.Request(&pluginv1.Host{
		UserAgent: "baton-host/" + p.options.Version, LogLevel: cmp.Or(p.LogLevel, p.options.LogLevel), PasswordKey: p.key.Private(),
	}), nil
}

// Refused returns what the plugin objects to, with the places in the configuration.
func (p *Plugin) Refused(diagnostics []*pluginv1.Diagnostic) error {
	var problems settings.Problems
	for _, diagnostic := range diagnostics {
		if diagnostic.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
			problems = append(problems, p.bound.Problem(diagnostic))
		}
	}
	return problems.Err()
}

// Changed reports a change of state to the fleet's observer.
func (p *Plugin) Changed(is supervise.Status) {
	if p.options.Observer != nil {
		p.options.Observer.PluginChanged(is.Instance, string(is.State), is.Restarts, is.Manifest, is.Err)
	}
}

// Single is the plugin for calls by hand: not started yet, never started again, with
// its own session store.
func (p *Plugin) Single(ctx context.Context, options Options, sessions batonv1.BatonSessionServiceServer) *supervise.Plugin {
	settings := p.settings(options)
	settings.Sessions = sessions
	settings.Restarts = -1
	return supervise.New(ctx, settings)
}

// start makes the first start.
func (p *Plugin) start(ctx context.Context) {
	defer close(p.started)
	err := p.running.Start(ctx)
	_, p.refused = errors.AsType[*supervise.RefusedError](err)
	if err != nil && !errors.As(err, &p.problems) {
		p.err = err
	}
	if err == nil {
		p.nameApp(ctx)
	}
}

// Failure is why the plugin was not ready after its first start, or why it could not
// validate; nil if neither. The start must have ended; see [Await].
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

// aggregate is the plugin as one behind the aggregate of an upload: as it is now, and
// calls wait for one that is being started again. It is the only place that makes an
// aggregate.Plugin of a configured one.
func (p *Plugin) aggregate(ctx context.Context, upload *config.Upload) aggregate.Plugin {
	return aggregate.Plugin{
		Instance: p.Name, Namespace: p.Namespace, Provisioning: p.Provisioning,
		IdleTimeout: p.Limits.IdleTimeout, MaxRows: int64(p.Limits.MaxRows),
		ReadAhead: p.Limits.ReadAhead, Listings: p.running, RequireProven: p.RequireEvidence == config.RequireProven,
		DisplayName: p.nameApp(ctx), Conn: p.running.Conn(), Err: p.running.Err(),
		Passwords: p.key.For(upload.Name, upload.ClientSecret, p.running),
	}
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
