package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/state/objects"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Config is a configuration without problems.
type Config struct {
	// Path is the file's path as it was given to Load.
	Path string
	// PluginDirs are the directories, as absolute paths, where plugin binaries
	// are looked for before all others.
	PluginDirs []string
	// PluginStore is the directory of installed connectors, as an absolute path; empty: the
	// user's own.
	PluginStore string
	// PluginReleases is the URL below which the releases of connectors are.
	PluginReleases string
	// Trust is whose connectors are installed.
	Trust Trust
	// Plugins are the plugins in the order of the file. There is at least one.
	Plugins []*Plugin
	// Uploads are the uploads in the order of the file. There may be none.
	Uploads []*Upload
	// StateDir is where the service keeps the baselines, as an absolute
	// path; empty if the file does not say.
	StateDir string
	// State is where hosts share what the service keeps; nil: nothing is shared.
	State *objects.Location
	// MaxRunning is how many plugins run at the same time; 0 is what memory and cores allow.
	MaxRunning int
	// Notify is the webhook that events are reported to; nil if the file has none.
	Notify *Notify

	resolver   *secret.Resolver
	storeFiles []string // see StoreFiles
	stores     []string
	unresolved settings.Problems
	exposure   *secret.Exposure // nil: nothing was warned of
}

// Plugin is one plugin instance.
type Plugin struct {
	// Name is the instance's name. It is permanent and safe as a file name.
	Name string
	// App says which binary serves it: baton-<App>.
	App string
	// Path is the binary itself, as an absolute path. Empty: App is looked up.
	Path string
	// Args are its arguments; those that name a file do so by an absolute path.
	Args []string
	// Version is the tag of the release that is installed, and Image the reference of the
	// image; at most one of Path, Version and Image is given.
	Version, Image string
	// Provenance is WithoutProvenance where the release or image need not be signed.
	Provenance string
	// Unmodified says that it is a connector that knows no host, where that cannot be
	// read from the binary: behind a script, say.
	Unmodified bool
	// Fields are those of an unmodified connector that does not describe them itself;
	// only where Unmodified is set.
	Fields []*pluginv1.Field
	// Namespace is what its resource types are prefixed with: its name, or
	// nothing where the configuration opts out.
	Namespace string
	// StartTimeout is how long it may take to start.
	StartTimeout time.Duration
	// LogLevel is the least level that it logs at: debug, info, warn or error.
	// Empty is the host's own.
	LogLevel string
	// Env names the environment variables that it may see beyond those that
	// every plugin sees.
	Env []string
	// Provisioning allows what changes something in the app.
	Provisioning bool
	// RequireEvidence is what its connector must report on each of its lists: RequireProven,
	// or nothing where it is empty.
	RequireEvidence string
	// ChangeGuard is when it counts as failed for having changed too much.
	ChangeGuard ChangeGuard
	// KeepRunning is KeepAuto or KeepAlways: whether its process ends where it has nothing to
	// do.
	KeepRunning string
	// Limits are what it may take.
	Limits Limits
	// Sandbox is what it may reach.
	Sandbox Sandbox
	// Settings is its own configuration, resolved as far as Load was asked to.
	Settings *settings.Settings
}

// ByName is the entry of a plugin that no file configures: of this app, with every
// default, configured by the variables of the stand-alone connector.
func ByName(app string, lookup func(name string) (string, bool)) *Plugin {
	plugin := newPlugin(app)
	plugin.Settings = settings.FromEnvironment(lookup)
	return plugin
}

// IsInstalled reports whether its binary is one that `baton-host install` has installed.
func (p *Plugin) IsInstalled() bool { return p.Version != "" || p.Image != "" }

// newPlugin returns an entry with every default.
func newPlugin(name string) *Plugin {
	plugin := &Plugin{Name: name, App: name, Namespace: name}
	setDefaults(pluginRows, plugin)
	setDefaults(limitRows, &plugin.ChangeGuard.Limits)
	setDefaults(guardRows, &plugin.ChangeGuard)
	return plugin
}

// DefaultChangeGuard returns the guard of a plugin whose entry does not say.
func DefaultChangeGuard() ChangeGuard { return newPlugin("").ChangeGuard }

// Limits are what one plugin may take, and how it is treated that takes more.
type Limits struct {
	// CallTimeout is how long a call to the plugin may take before it counts as
	// hanging.
	CallTimeout time.Duration
	// IdleTimeout is how long a listing may go on without a row.
	IdleTimeout time.Duration
	// HealthTimeout is how long the plugin may leave a health check unanswered.
	HealthTimeout time.Duration
	// Memory is how many bytes its processes may take; 0 is no limit.
	Memory uint64
	// PageSize is the size in bytes of the greatest page.
	PageSize int
	// ReadAhead is how many pages of its listings it is asked for before they are
	// needed.
	ReadAhead int
	// Concurrency is how many of its listings are read at the same time; 0 is what it
	// declares.
	Concurrency int
	// MaxRows is how many rows one of its listings may have.
	MaxRows int
	// Restarts is how often it is started again within RestartWindow.
	Restarts      int
	RestartWindow time.Duration
}

// Sandbox is what the processes of one plugin may reach.
type Sandbox struct {
	// Mode is SandboxOn, SandboxWarn or SandboxOff; empty: the entry does not say.
	Mode string
	// Read and Write are absolute paths that are opened beside what every plugin needs.
	Read, Write []string
	// Connect are the only TCP ports that it may connect to; empty: all.
	Connect []int
}

// ChangeGuard is when a plugin whose part of a sync differs too much from the syncs
// before counts as failed.
type ChangeGuard struct {
	// Off switches it off.
	Off bool
	// Limits are those of every resource type.
	Limits GuardLimits
	// Window is how far back a sync is compared with those before it.
	Window time.Duration
	// RefuseAttributes says that accounts which lose their e-mail addresses, logins or
	// names in great numbers count too; otherwise they are warned of.
	RefuseAttributes bool
	// ByType are the limits of single resource types, by the plugin's own ids; the zero
	// value is of a type that is not guarded.
	ByType map[string]GuardLimits
}

// GuardLimits are exceeded where less than KeepPercent is left and at least MinMissing
// are missing, where nothing is left, and where a short list loses half. The zero value
// is never exceeded.
type GuardLimits struct {
	KeepPercent int // 1 to 100
	MinMissing  int // at least 1
	// Explicit says that the file has MinMissing: it then holds for short listings too.
	Explicit bool
}

// Upload is one aggregated upload, the same as one connector of C1.
type Upload struct {
	// Name is safe as a file name.
	Name string
	// ClientID is empty where no credentials are configured, and where they are not
	// resolved.
	ClientID string
	// ClientSecret is given exactly if ClientID is.
	ClientSecret secret.Text
	// Resolved are the references of the two with their values.
	Resolved []secret.Resolved
	// Plugins are the plugins that it aggregates, in the order of the file, at
	// least one.
	Plugins []*Plugin
	// LastGood has a plugin that fails fall back to the baseline, in place of failing
	// the sync.
	LastGood bool
	// MaxStale is how old the baseline may be then.
	MaxStale time.Duration
	// NewPlugin is what LastGood means for a plugin that fails and of which the baseline
	// has nothing: JoinWhenReady or WaitForNew.
	NewPlugin string

	credentials credentials
}

// NewUpload returns an upload with every default.
func NewUpload(name string, plugins ...*Plugin) *Upload {
	upload := &Upload{Name: name, Plugins: plugins}
	setDefaults(uploadRows, upload)
	return upload
}

// Plugin returns the plugin of this name, or an error with the names that there are.
func (c *Config) Plugin(name string) (*Plugin, error) {
	names := make([]string, 0, len(c.Plugins))
	for _, plugin := range c.Plugins {
		if plugin.Name == name {
			return plugin, nil
		}
		names = append(names, plugin.Name)
	}
	if near := errtext.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("%s has no plugin %q; did you mean %q?", c.Path, name, near)
	}
	return nil, fmt.Errorf("%s has no plugin %q; it has %s", c.Path, name, strings.Join(names, ", "))
}

// Option changes how Load reads a configuration.
type Option func(*options)

type options struct {
	lookup      func(string) (string, bool)
	credentials bool
	references  bool
	upload      string
	plugin      string
	later       func(settings.Problems) bool
	before      *Config
	warn        func(string)
}

// WithEnvironment resolves ${env:NAME} by this function instead of
// os.LookupEnv.
func WithEnvironment(lookup func(string) (string, bool)) Option {
	return func(o *options) { o.lookup = lookup }
}

// WithoutCredentials does not resolve the credentials of uploads.
func WithoutCredentials() Option {
	return func(o *options) { o.credentials = false }
}

// WithWarnings gives the function that gets a sentence for each file that
// holds a secret and that others may read. It may be called until the last
// [Settings.Bind] has returned, and concurrently.
func WithWarnings(warn func(string)) Option {
	return func(o *options) { o.warn = warn }
}

// WithoutReferences resolves no reference at all, for commands that configure no
// plugin.
func WithoutReferences() Option {
	return func(o *options) { o.references = false }
}

// ForUpload resolves only what this upload and its plugins refer to; empty: everything.
func ForUpload(name string) Option {
	return func(o *options) { o.upload = name }
}

// ForPlugin resolves only what this plugin refers to; empty: everything.
func ForPlugin(name string) Option {
	return func(o *options) { o.plugin = name }
}

// StoresMayBeAway leaves what is in a store that cannot be asked unresolved, to be resolved
// when it is needed.
func StoresMayBeAway() Option {
	return func(o *options) { o.later = settings.Problems.Away }
}

// ReferencesMayFail leaves what cannot be resolved for whatever reason; see
// [Config.Unresolved].
func ReferencesMayFail() Option {
	return func(o *options) { o.later = settings.Problems.Unresolved }
}

// KeepingStores has the stores of secrets of a configuration whose entries are the same, with
// their logins, and does not repeat its warnings of files that others may read. It must be of
// the same file.
func KeepingStores(of *Config) Option {
	return func(o *options) { o.before = of }
}

// Load reads a configuration of at most 1 MiB and resolves its references. If
// anything is wrong the error is [settings.Problems] and has everything that is. The
// file may be a pipe or a terminal; the context bounds the wait for it, and for stores.
// Files that it refers to must be regular files.
func Load(ctx context.Context, path string, opts ...Option) (*Config, error) {
	options := options{lookup: os.LookupEnv, references: true, credentials: true, later: func(settings.Problems) bool { return false }}
	for _, option := range opts {
		option(&options)
	}

	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, settings.Problems{{File: path, Message: err.Error()}}
	}
	root, problem := readRoot(ctx, path)
	if problem != nil {
		return nil, settings.Problems{*problem}
	}

	l := &loader{
		walker: walker{file: path},
		dir:    filepath.Dir(absolute),
		lookup: options.lookup,
		config: newConfig(path),
	}
	if options.before != nil {
		l.before = options.before.resolver
	}
	if options.warn != nil {
		var before *secret.Exposure
		if options.before != nil {
			before = options.before.exposure
		}
		l.exposure = secret.NewExposure(options.warn, path, absolute, before)
		l.config.exposure = l.exposure
	}
	l.load(root)
	problems := append(l.problems, l.config.resolve(ctx, options)...)
	if len(problems) > 0 {
		l.config.CloseStores(ctx, options.before)
		return nil, unique(problems.Sorted())
	}
	return l.config, nil
}

// newConfig returns a configuration with every default.
func newConfig(path string) *Config {
	config := &Config{Path: path}
	setDefaults(fileRows, config)
	setDefaults(trustRows, &config.Trust)
	return config
}

// unique drops problems that are there twice: the form of a reference is checked before it
// is resolved.
func unique(problems settings.Problems) settings.Problems {
	seen := map[settings.Problem]bool{}
	return slices.DeleteFunc(problems, func(problem settings.Problem) bool {
		twice := seen[problem]
		seen[problem] = true
		return twice
	})
}

// Round begins a round in which references are resolved.
func (c *Config) Round() *secret.Round { return c.resolver.Round() }

// Stores returns the names of the configured stores of secrets, in the order of the file.
func (c *Config) Stores() []string { return c.stores }

// TryStores logs in to the stores that have a login, and returns what came of it, by name.
func (c *Config) TryStores(ctx context.Context) map[string]error { return c.resolver.Try(ctx) }

// CloseStores ends the logins of the stores that another configuration, or nil, does not
// have. It is bounded in time, and works after the context has ended.
func (c *Config) CloseStores(ctx context.Context, kept *Config) {
	if kept == nil {
		c.resolver.Close(ctx, nil)
		return
	}
	c.resolver.Close(ctx, kept.resolver)
}

// Unresolved are the problems with references that were left; see [StoresMayBeAway] and
// [ReferencesMayFail].
func (c *Config) Unresolved() settings.Problems { return c.unresolved }

// resolve resolves what is asked for.
func (c *Config) resolve(ctx context.Context, options options) settings.Problems {
	if !options.references {
		return nil
	}
	var problems settings.Problems
	report := func(found settings.Problems) {
		if options.later(found) {
			c.unresolved = append(c.unresolved, found...)
		} else {
			problems = append(problems, found...)
		}
	}
	round := c.Round()
	uploads := slices.DeleteFunc(slices.Clone(c.Uploads), func(upload *Upload) bool {
		return options.upload != "" && upload.Name != options.upload
	})
	needed := func(plugin *Plugin) bool {
		switch {
		case options.plugin != "":
			return plugin.Name == options.plugin
		case options.upload != "":
			return slices.ContainsFunc(uploads, func(upload *Upload) bool { return slices.Contains(upload.Plugins, plugin) })
		}
		return true
	}
	// At the same time, as each may have another store to wait for.
	resolvedSettings, found := make([]*settings.Settings, len(c.Plugins)), make([]settings.Problems, len(c.Plugins))
	var resolving sync.WaitGroup
	for i, plugin := range c.Plugins {
		if needed(plugin) {
			resolving.Go(func() { resolvedSettings[i], found[i] = plugin.Settings.Resolve(ctx, round) })
		}
	}
	resolving.Wait()
	for i, plugin := range c.Plugins {
		if report(found[i]); resolvedSettings[i] != nil {
			plugin.Settings = resolvedSettings[i]
		}
	}
	if !options.credentials || options.plugin != "" {
		return problems
	}
	for _, upload := range uploads {
		resolved, found := upload.Resolve(ctx, round)
		if report(found); resolved != nil {
			*upload = *resolved
		}
	}
	return append(problems, sharedCredentials(uploads)...)
}
