package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/host/upload"
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
	namespace    string
	env          []string
	startTimeout time.Duration
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
		namespace:    plugin.Namespace,
		env:          plugin.Env,
		startTimeout: plugin.StartTimeout,
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
	return wanted{instance: name, app: name, namespace: name, guard: upload.DefaultGuard(), bind: bindEnvironment}
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
	flags.StringSliceVar(accept, "accept-deletions", nil, "let this plugin list far fewer accounts than last time, once; may be repeated")
}

// acceptDeletions marks the plugins whose deletions an operator accepts.
func acceptDeletions(plugins []wanted, accept []string) error {
	var names []string
	for _, plugin := range plugins {
		names = append(names, plugin.instance)
	}
	for _, name := range accept {
		i := slices.Index(names, name)
		if i < 0 {
			return fmt.Errorf("--accept-deletions %s: there is no such plugin in what is to be synced; there is %s", name, joinNames(names))
		}
		plugins[i].accept = true
	}
	return nil
}

// member is one plugin of a fleet. Either it is ready to be called, or err or
// problems say why not.
type member struct {
	wanted
	process  *supervise.Process
	manifest *pluginv1.Manifest
	// appName is the app's name for people, as the configured connector says it.
	appName  string
	problems config.Problems // with its configuration: for a person to mend
	refused  bool            // the problems are what the plugin says, not its schema
	err      error           // with the plugin itself
}

// failure is why the plugin cannot be called, or nil.
func (m *member) failure() error {
	if m.err != nil {
		return m.err
	}
	return m.problems.Err()
}

// failed says that the plugin cannot be called.
func (m *member) failed() bool { return m.failure() != nil }

// fleet is the plugins of one command, in the order in which they were wanted.
type fleet struct {
	members []*member
}

// startFleet finds, starts, describes and configures plugins, several at a
// time. What fails is noted in the member, so that everything that is wrong can
// be said at once.
func startFleet(ctx context.Context, finder *supervise.Finder, plugins []wanted, logLevel string) *fleet {
	supervise.Sweep()
	f := &fleet{}
	var starting errgroup.Group
	starting.SetLimit(runtime.GOMAXPROCS(0))
	for _, plugin := range plugins {
		m := &member{wanted: plugin}
		f.members = append(f.members, m)
		starting.Go(func() error {
			m.start(ctx, finder, logLevel)
			return nil
		})
	}
	_ = starting.Wait() // Errors are in the members.
	return f
}

func (m *member) start(ctx context.Context, finder *supervise.Finder, logLevel string) {
	path := m.path
	if path == "" {
		found, err := finder.Find(m.app)
		if err != nil {
			m.err = fmt.Errorf("plugin %q: %w", m.instance, err)
			return
		}
		path = found
	}
	process, err := supervise.Start(ctx, supervise.Spec{
		Instance: m.instance, Path: path, Env: m.env, StartTimeout: m.startTimeout,
	})
	if err != nil {
		m.err = err
		return
	}
	m.process = process
	m.manifest, m.err = process.Describe(ctx)
	if m.err != nil {
		return
	}
	m.configure(ctx, logLevel)
}

func (m *member) configure(ctx context.Context, logLevel string) {
	bound, err := m.bind(m.manifest.GetConfiguration())
	if err != nil {
		if !errors.As(err, &m.problems) {
			m.err = err
		}
		return
	}
	diagnostics, err := m.process.Configure(ctx, &pluginv1.ConfigureRequest{
		Values:  bound.Values,
		Secrets: bound.Secrets,
		Host:    &pluginv1.Host{UserAgent: "baton-host/" + version, LogLevel: logLevel},
	})
	m.err = err
	for _, diagnostic := range diagnostics {
		if diagnostic.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
			m.problems = append(m.problems, bound.Problem(diagnostic))
			m.refused = true
		}
	}
	if !m.failed() {
		m.appName = m.askAppName(ctx)
	}
}

// askAppName asks the configured connector, as a generic one learns the app's
// name only then. It is for people only, so what the manifest says does too.
func (m *member) askAppName(ctx context.Context) string {
	response, err := connectorv2.NewConnectorServiceClient(m.process.Conn()).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	if err != nil {
		ctxzap.Extract(ctx).Warn("the plugin does not tell its app's name", zap.String("plugin", m.instance), zap.Error(err))
	}
	return cmp.Or(response.GetMetadata().GetDisplayName(), m.manifest.GetDisplayName(), m.manifest.GetName())
}

// stop stops all plugins, at the same time. It works after the command's own
// context has ended.
func (f *fleet) stop(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	var stopping sync.WaitGroup
	for _, m := range f.members {
		if m.process != nil {
			stopping.Go(func() { m.process.Stop(ctx) })
		}
	}
	stopping.Wait()
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

// named are the members with these instance names.
func (f *fleet) named(instances []string) []*member {
	var members []*member
	for _, m := range f.members {
		if slices.Contains(instances, m.instance) {
			members = append(members, m)
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

// behind is the member as one plugin behind an aggregate.
func (m *member) behind() aggregate.Plugin {
	plugin := aggregate.Plugin{Instance: m.instance, Namespace: m.namespace, DisplayName: m.appName, Provisioning: m.provisioning, Err: m.failure()}
	if plugin.Err == nil {
		plugin.Conn = m.process.Conn()
	}
	return plugin
}

// uploadPlugins are members as an upload wants them.
func uploadPlugins(members []*member) []upload.Plugin {
	plugins := make([]upload.Plugin, 0, len(members))
	for _, m := range members {
		plugins = append(plugins, upload.Plugin{Plugin: m.behind(), Guard: m.guard, AcceptDeletions: m.accept})
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

// joinNames is a list of names as a sentence has it.
func joinNames(names []string) string {
	return strings.Join(names, ", ")
}
