package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/password"
	"github.com/batonhost/baton-host/host/session"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/host/upload"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/telemetry"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// binding checks the values of a plugin's configuration, wherever they come
// from, against the plugin's own schema.
type binding func(schema *pluginv1.ConfigurationSchema) (*config.Bound, error)

// wanted is one plugin that a command needs.
type wanted struct {
	instance     string
	app          string
	path         string // "" looks the app up
	args         []string
	unmodified   bool               // a connector that knows no host, if the binary does not tell
	pin          *supervise.Pin     // nil is not pinned
	attach       *plugin.Attachment // nil is started
	namespace    string
	env          []string
	startTimeout time.Duration
	limits       config.Limits
	logLevel     string // "" is the host's
	guard        upload.Guard
	provisioning bool
	accept       bool // whatever the guard would say
	bind         binding
}

func wantedOf(plugin *config.Plugin) wanted {
	return wanted{
		instance:     plugin.Name,
		app:          plugin.App,
		path:         plugin.Path,
		args:         plugin.Args,
		unmodified:   plugin.Unmodified,
		namespace:    plugin.Namespace,
		env:          plugin.Env,
		startTimeout: plugin.StartTimeout,
		limits:       plugin.Limits,
		logLevel:     plugin.LogLevel,
		guard:        guardOf(plugin.DeletionGuard),
		provisioning: plugin.Provisioning,
		bind: func(schema *pluginv1.ConfigurationSchema) (*config.Bound, error) {
			bound, problems := plugin.Settings.Bind(schema)
			return bound, problems.Err()
		},
	}
}

// wantedByName is a plugin that is configured by BATON_* variables alone.
func wantedByName(name string) wanted {
	return wanted{instance: name, app: name, namespace: name, limits: config.DefaultLimits(), guard: upload.DefaultGuard(), bind: bindEnvironment}
}

func guardOf(guard config.DeletionGuard) upload.Guard {
	byType := map[string]upload.Limits{}
	for typeID, limits := range guard.ByType {
		byType[typeID] = upload.Limits(limits)
	}
	return upload.Guard{Off: guard.Off, Limits: upload.Limits(guard.Accounts), ByType: byType}
}

// addAcceptFlag adds the flag that overrules deletion guards.
func addAcceptFlag(flags *pflag.FlagSet, accept *[]string) {
	flags.StringSliceVar(accept, "accept-deletions", nil, "let this plugin list far fewer accounts than last time, or be gone from the upload, once; may be repeated")
}

// member is one plugin of a fleet, kept running until the fleet is stopped.
type member struct {
	wanted
	plugin *supervise.Plugin
	key    *password.Key // what it opens passwords with
	// Why it was not ready when the fleet had started; both are empty otherwise.
	problems config.Problems // with its configuration: for a person to mend
	refused  bool            // the problems are what the plugin says, not its schema
	err      error           // with the plugin itself

	naming  sync.Mutex
	appName string // for people, as the configured connector says it; "" if not asked yet
}

// failure is why the plugin was not ready when the fleet had started, or nil.
func (m *member) failure() error {
	if m.err != nil {
		return m.err
	}
	return m.problems.Err()
}

// failed says that the plugin was not ready when the fleet had started.
func (m *member) failed() bool { return m.failure() != nil }

// fleet is the plugins of one command, in the order in which they were wanted.
type fleet struct {
	members  []*member
	sessions *session.Stores
	stopOnce sync.Once
}

// fleetOptions are what a command wants of all its plugins.
type fleetOptions struct {
	finder    *supervise.Finder
	logLevel  string
	telemetry telemetry.Settings
	// persistent tries plugins again that do not start.
	persistent bool
	// changed is told every change of a plugin's state.
	changed func(supervise.Status)
}

// startFleet finds, starts, describes and configures plugins, at the same time.
// What fails is noted in the member, so that everything that is wrong can be said
// at once.
func startFleet(ctx context.Context, plugins []wanted, options fleetOptions) *fleet {
	supervise.Sweep()
	f := &fleet{sessions: &session.Stores{}}
	var starting sync.WaitGroup
	for _, plugin := range plugins {
		m := &member{wanted: plugin}
		settings := m.settings(options)
		settings.Sessions = f.sessions.Plugin(m.instance)
		m.plugin = supervise.New(ctx, settings)
		f.members = append(f.members, m)
		starting.Go(func() { m.start(ctx) })
	}
	starting.Wait() // Errors are in the members.
	return f
}

func (m *member) settings(options fleetOptions) supervise.Settings {
	restarts := m.limits.Restarts
	if restarts == 0 {
		restarts = -1 // As Settings have it.
	}
	key, keyErr := password.NewKey()
	m.key = key
	spec := m.spec()
	spec.Telemetry = options.telemetry
	return supervise.Settings{
		Spec: spec,
		Find: func() (string, error) { return options.finder.Find(m.app) },
		Configure: func(manifest *pluginv1.Manifest) (*supervise.Configuration, error) {
			if keyErr != nil {
				return nil, keyErr
			}
			return m.configuration(manifest, cmp.Or(m.logLevel, options.logLevel))
		},
		Restarts: restarts, RestartWindow: m.limits.RestartWindow, Concurrency: m.limits.Concurrency,
		Persistent: options.persistent, Changed: options.changed,
	}
}

// spec is what is started, or attached to.
func (w wanted) spec() supervise.Spec {
	return supervise.Spec{
		Instance: w.instance, Path: w.path, Args: w.args, Unmodified: w.unmodified, Pin: w.pin, Attach: w.attach, Env: w.env,
		LogLevel: w.logLevel, StartTimeout: w.startTimeout, CallTimeout: w.limits.CallTimeout, HealthTimeout: w.limits.HealthTimeout,
		MemoryLimit: w.limits.Memory, MaxAnswer: w.limits.PageSize,
	}
}

// configuration is what the plugin is given, once for every process of it.
func (m *member) configuration(manifest *pluginv1.Manifest, logLevel string) (*supervise.Configuration, error) {
	bound, err := m.bind(manifest.GetConfiguration())
	if err != nil {
		return nil, err
	}
	return &supervise.Configuration{
		Request: bound.Request(&pluginv1.Host{UserAgent: "baton-host/" + version, LogLevel: logLevel, PasswordKey: m.key.Private()}),
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

func (m *member) start(ctx context.Context) {
	err := m.plugin.Start(ctx)
	_, m.refused = errors.AsType[*supervise.RefusedError](err)
	if err != nil && !errors.As(err, &m.problems) {
		m.err = err
	}
	if err == nil {
		m.nameApp(ctx)
	}
}

// nameApp is the app's name. The configured connector is asked for it, once, as a
// generic one learns it only then. It is for people only, so what the manifest
// says does too.
func (m *member) nameApp(ctx context.Context) string {
	m.naming.Lock()
	defer m.naming.Unlock()
	if m.appName == "" && m.plugin.Err() == nil {
		manifest := m.plugin.Manifest()
		response, err := connectorv2.NewConnectorServiceClient(m.plugin.Conn()).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
		if err != nil {
			ctxzap.Extract(ctx).Warn("the plugin does not tell its app's name", zap.String("plugin", m.instance), zap.Error(err))
		}
		m.appName = cmp.Or(response.GetMetadata().GetDisplayName(), manifest.GetDisplayName(), manifest.GetName())
	}
	return m.appName
}

// stop stops all plugins, at the same time, and returns when they have ended. It
// works after the command's own context has ended.
func (f *fleet) stop(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	f.stopOnce.Do(func() {
		var stopping sync.WaitGroup
		for _, m := range f.members {
			stopping.Go(func() { m.plugin.Stop(ctx) })
		}
		stopping.Wait()
	})
}

// configurationErr is everything that a person has to mend in the
// configuration, or nil.
func (f *fleet) configurationErr() error {
	var problems config.Problems
	for _, m := range f.members {
		problems = append(problems, m.problems...)
	}
	return problems.Err()
}

// revive gives plugins that are not running another chance at once.
func (f *fleet) revive() {
	for _, m := range f.members {
		m.plugin.Revive()
	}
}

// named are the members with these instance names, in the order of the names.
func (f *fleet) named(instances []string) []*member {
	var members []*member
	for _, instance := range instances {
		for _, m := range f.members {
			if m.instance == instance {
				members = append(members, m)
			}
		}
	}
	return members
}

// startErr is every plugin that cannot be called, or nil.
func startErr(members []*member) error {
	var failed []error
	for _, m := range members {
		failed = append(failed, m.err)
	}
	return errors.Join(failed...)
}

// behind is the member as one plugin behind an aggregate that is closed, as it is now:
// one that is being started again is waited for by the calls.
func (m *member) behind(ctx context.Context) aggregate.Plugin {
	return aggregate.Plugin{
		Instance: m.instance, Namespace: m.namespace, Provisioning: m.provisioning,
		IdleTimeout: m.limits.IdleTimeout, MaxRows: int64(m.limits.MaxRows),
		ReadAhead: m.limits.ReadAhead, Listings: m.plugin,
		DisplayName: m.nameApp(ctx), Conn: m.plugin.Conn(), Err: m.plugin.Err(),
	}
}

// isBare says that its ids have no prefix.
func (m *member) isBare() bool { return m.namespace == "" }

// restarts is how often its process has been started again.
func (m *member) restarts() int { return m.plugin.Status().Restarts }

// uploadPlugins are members as an upload's full sync wants them.
func uploadPlugins(ctx context.Context, members []*member) []upload.Plugin {
	plugins := make([]upload.Plugin, 0, len(members))
	for _, m := range members {
		plugins = append(plugins, upload.Plugin{Plugin: m.behind(ctx), Guard: m.guard, AcceptDeletions: m.accept, Restarts: m.restarts})
	}
	return plugins
}

// pluginLogLevel is the level that plugins log at: the host's own, or "error"
// where the host is silent, as a plugin's last words explain its crash.
func (o *rootOptions) pluginLogLevel() string {
	level, err := logging.NormalizeLogLevel(o.level())
	if err != nil || level == silent {
		return "error"
	}
	return level
}

// bindEnvironment takes the values from BATON_* variables, for a single plugin
// without a configuration file.
func bindEnvironment(schema *pluginv1.ConfigurationSchema) (*config.Bound, error) {
	return config.FromEnvironment(schema, os.LookupEnv)
}

// sessionStore makes the session store of one sync file.
func (f *fleet) sessionStore() aggregate.Sessions { return f.sessions.Begin() }

// joinNames is a list of names as a sentence has it.
func joinNames(names []string) string {
	return strings.Join(names, ", ")
}
