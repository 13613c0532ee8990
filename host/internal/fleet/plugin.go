package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	batonv1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// Plugin is one configured plugin of a fleet: its entry as it is configured, and its
// processes once the fleet was started.
type Plugin struct {
	*config.Plugin

	pin     *pin.Pin           // nil: not pinned
	program string             // that was installed for it; "" for the others
	attach  *plugin.Attachment // nil: started
	hidden  []string           // from its processes

	options Options           // of its fleet, once it was started
	stage   *stage            // its observer; nil without one
	abandon func()            // ends a first start that is under way
	running *supervise.Plugin // nil before Start
	key     *broker.Key       // which opens passwords; nil if keyErr says why not
	keyErr  error

	rotation

	// started is closed once the first start has ended. Why the plugin was not ready
	// then is written before, and is empty otherwise.
	started  chan struct{}
	problems settings.Problems // with its configuration: for a person to fix
	mayPass  bool              // the problems are what the plugin says, or a store, not its schema
	err      error             // with the plugin itself

	types *aggregate.KnownTypes
	room  *room // of its fleet, once it was started

	naming  sync.Mutex
	appName string // for people, as the configured connector says it; "" if not asked yet
}

// Of returns plugins for entries of a configuration.
func Of(entries []*config.Plugin) []*Plugin {
	plugins := make([]*Plugin, 0, len(entries))
	for _, entry := range entries {
		plugins = append(plugins, &Plugin{
			Plugin: entry, types: &aggregate.KnownTypes{}, started: make(chan struct{}), abandon: func() {},
			rotation: rotation{refreshing: semaphore.NewWeighted(1), search: secret.NewSearch(), written: entry.Settings},
		})
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

// IsSame reports whether another plugin, which need not be started, is configured and pinned
// as this one is. What its references resolve to does not count.
func (p *Plugin) IsSame(other *Plugin) bool {
	return p.Plugin.IsSame(other.Plugin) && p.program == other.program && reflect.DeepEqual(p.pin, other.pin) && reflect.DeepEqual(p.attach, other.attach)
}

// IsLookedUp reports whether its program is looked for by its app, along the plugin
// directories.
func (p *Plugin) IsLookedUp() bool { return p.Spec().Path == "" && p.attach == nil }

// Spec is what is started, or attached to.
func (p *Plugin) Spec() supervise.Spec {
	return supervise.Spec{
		Instance: p.Name, Path: cmp.Or(p.program, p.Path), Args: p.Args, Unmodified: p.Unmodified, Fields: p.Fields, Pin: p.pin, Attach: p.attach, Env: p.Env,
		LogLevel: p.LogLevel, StartTimeout: p.StartTimeout, CallTimeout: p.Limits.CallTimeout, HealthTimeout: p.Limits.HealthTimeout,
		MemoryLimit: p.Limits.Memory, MaxAnswer: p.Limits.PageSize, Sandbox: p.sandbox(),
	}
}

// KeepFrom names what lies beside the programs of plugins, perhaps, and is not for them: the
// configuration and the state directory. Call it before the plugin is started.
func (p *Plugin) KeepFrom(paths ...string) { p.hidden = paths }

// Opens reports whether its processes can read what the other one's must not: the same
// plugin, as it is in a configuration that was read again.
func (p *Plugin) Opens(other *Plugin) bool { return p.Spec().Opens(other.hidden) }

// sandbox is what its processes may reach.
func (p *Plugin) sandbox() supervise.Sandbox {
	entry := p.Plugin.Sandbox
	policy := sandbox.Policy{Read: entry.Read, Write: entry.Write, Hidden: p.hidden}
	for _, port := range entry.Connect {
		policy.Connect = append(policy.Connect, uint16(port)) //nolint:gosec // The configuration takes no other number.
	}
	return supervise.Sandbox{Mode: sandbox.Mode(entry.Mode), Policy: policy}
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
	p.options, p.config = options, options.Config
	p.key, p.keyErr = broker.NewKey()
	spec := p.Spec()
	spec.Telemetry = options.Telemetry
	var idleAfter time.Duration
	if p.isOnDemand() {
		idleAfter = supervise.DefaultIdleAfter
	}
	return supervise.Settings{
		Spec: spec, Owner: p, IdleAfter: idleAfter,
		Restarts: restarts, RestartWindow: p.Limits.RestartWindow, Concurrency: p.Limits.Concurrency,
		Persistent: options.Persistent,
	}
}

// Find returns the path of the binary; see [supervise.Owner].
func (p *Plugin) Find() (string, error) { return p.options.Finder.Find(p.App) }

// Restart has another process take over from the one that runs, once it is configured and
// its credentials are valid. Otherwise the one that runs goes on, and the error says why. A
// plugin that has failed or waits for its next start is started at once; then replaced is
// false. It is the only place that replaces a process because an operator asks for it.
func (p *Plugin) Restart(ctx context.Context) (replaced bool, err error) {
	if p.IsAttached() {
		return false, fmt.Errorf("plugin %q is attached to, so its process is not the host's; restart it where it was started", p.Name)
	}
	if !p.IsReady() {
		p.running.Revive()
		return false, nil
	}
	if err := p.running.Replace(ctx, validateProcess); err != nil {
		return false, fmt.Errorf("plugin %q is not restarted, and its process goes on: %w", p.Name, err)
	}
	return true, nil
}

// Single is the plugin for calls by hand: not started yet, never started again, with
// its own session store.
func (p *Plugin) Single(ctx context.Context, options Options, sessions batonv1.BatonSessionServiceServer) *supervise.Plugin {
	settings := p.settings(options)
	settings.Sessions = sessions
	settings.Restarts, settings.IdleAfter = -1, 0
	return supervise.New(ctx, settings)
}

// start makes the first start.
func (p *Plugin) start(ctx context.Context) {
	defer close(p.started)
	defer p.running.Hold()() // Its app's name is asked for too.
	err := p.running.Start(ctx)
	_, isRefused := errors.AsType[*supervise.RefusedError](err)
	_, isUnresolved := errors.AsType[*supervise.UnresolvedError](err)
	p.mayPass = isRefused || isUnresolved
	if err != nil && !errors.As(err, &p.problems) {
		p.err = err
	}
	if err == nil {
		p.nameApp(ctx)
		if p.room.isCrowded.Load() {
			p.learnTypes(ctx)
		}
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

// SandboxState is what of a sandbox its process is in, or was in last; empty of a plugin that
// the host has not started.
func (p *Plugin) SandboxState() sandbox.State { return p.running.Status().Sandbox }

// Restarts is how often its process has been started again.
func (p *Plugin) Restarts() int { return p.running.Status().Restarts }

// longestAppName is how many bytes of an app's name are used. It stands before names of
// the app's resource types, which may have 1,024.
const longestAppName = 128

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
		p.appName = errtext.Cut(errtext.Printable(cmp.Or(response.GetMetadata().GetDisplayName(), manifest.GetDisplayName(), manifest.GetName()), ""), longestAppName)
	}
	return p.appName
}

// aggregate is the plugin as one behind the aggregate of an upload: as it is now, and
// calls wait for one that is being started again. It is the only place that makes an
// aggregate.Plugin of a configured one.
func (p *Plugin) aggregate(ctx context.Context, upload *config.Upload) aggregate.Plugin {
	behind := aggregate.Plugin{
		Instance: p.Name, Namespace: p.Namespace, Provisioning: p.Provisioning,
		IdleTimeout: p.Limits.IdleTimeout, MaxRows: int64(p.Limits.MaxRows),
		ReadAhead: p.Limits.ReadAhead, Listings: p.running, Process: p.running, KnownTypes: p.types, SDKVersion: p.running.Manifest().GetSdkVersion(), RequireProven: p.RequireEvidence == config.RequireProven,
		DisplayName: p.nameApp(ctx), Conn: p.running.Conn(), Err: p.running.Err(),
		Passwords: p.key.For(upload.Name, upload.ClientSecret, p.running),
	}
	if p.mayRotate() {
		behind.Credentials = p
	}
	return behind
}

// validate lets the plugin try its credentials and read the beginning of each of its lists,
// and notes a failure.
func (p *Plugin) validate(ctx context.Context, timeout time.Duration, sessions *broker.Stores) {
	// Not a deadline: it would travel with the call, and the plugin's end of the
	// connection may keep it first, with an error that says nothing.
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.running.Hold()()
	_ = p.running.AwaitTurn(ctx) // Where ctx has ended, the call fails too.
	defer time.AfterFunc(timeout, cancel).Stop()
	listing := ""
	err := validateProcess(limited, p.running.Conn())
	if err == nil {
		listing, err = p.readBeginnings(limited, sessions)
	}
	switch {
	case err == nil:
	case limited.Err() != nil && ctx.Err() == nil:
		// Whatever the connection says about it.
		p.err = fmt.Errorf("plugin %q: the app did not answer within %s; look at its address, or give it longer with --timeout", p.Name, timeout)
	default:
		p.err = fmt.Errorf("plugin %q: %s%s", p.Name, listing, status.Convert(err).Message())
	}
}
