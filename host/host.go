package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/watch"
	"github.com/batonhost/baton-host/internal/telemetry"
	"github.com/batonhost/baton-host/plugin"
)

// DefaultConfigFile is the configuration file where none is named.
const DefaultConfigFile = "baton-host.yaml"

// Selection is what a host is opened for: a configuration file, a single app, or one
// plugin. Exactly one of ConfigFile, App and Plugin is given; ConfigFile may also be
// beside Plugin. With [Options.StateDir] none need be given, for [Host.Status] and
// [Host.Restart], which then need no configuration that is right.
type Selection struct {
	// ConfigFile is the path of a configuration file.
	ConfigFile string
	// Upload is the only upload of the file that is meant; empty: all.
	Upload string
	// App is a single app without a file. Its plugin is configured by the BATON_*
	// variables of the stand-alone connector.
	App string
	// Plugin is a single plugin: the path of its binary, its name in the configuration
	// file, or an app. Without ConfigFile, [DefaultConfigFile] is read if it is there.
	Plugin string
}

// Secrets selects which references of a configuration are resolved.
type Secrets int

// Which references are resolved.
const (
	// AllSecrets resolves every reference, for [Host.Check] and [Host.Serve].
	AllSecrets Secrets = iota
	// PluginSecrets leaves the credentials of uploads out, for [Host.Sync] and for
	// calls.
	PluginSecrets
	// NoSecrets resolves no reference, for what configures no plugin.
	NoSecrets
)

// Options are how a host works.
type Options struct {
	// Version is the host's own, which plugins and C1 see.
	Version string
	// PluginDirs are the directories that are searched first for plugin binaries.
	PluginDirs []string
	// LogLevel is the level of plugins whose entry has none.
	LogLevel  string
	Telemetry telemetry.Settings
	Secrets   Secrets
	// StoresMayBeAway leaves secrets in stores that cannot be asked unresolved, for
	// [Host.Serve], which waits for them.
	StoresMayBeAway bool
	// ReferencesMayFail leaves secrets that cannot be resolved for whatever reason, for
	// [Host.Check], which reports each by who needs it.
	ReferencesMayFail bool
	// Attach attaches to the plugins that BATON_HOST_REATTACH names, which run in a
	// debugger, instead of starting them.
	Attach bool
	// Unlocked starts plugins without regard to the lock file; for development only.
	Unlocked bool
	// Install installs connectors that the lock file has and that are not installed, before
	// they are started; Installing is called while that goes on, and may be nil.
	Install    bool
	Installing func(InstallEvent)
	// AcceptDeletions are the plugins whose deletions are accepted once.
	AcceptDeletions []string
	// RetryFor is how long an app is retried that does not answer; 0 tries once.
	RetryFor time.Duration
	// StateDir is where the service keeps its baselines; empty: that of the file,
	// $STATE_DIRECTORY or the user's own.
	StateDir string
	// Observer follows the work; it may be nil.
	Observer Observer

	// before is the configuration that a reload may replace: stores of secrets that stay the
	// same keep their logins.
	before *config.Config
}

// Observer follows the work of a host for a person. Its methods may be called
// concurrently and must be quick.
type Observer interface {
	// Warning receives, in a sentence, what an operator must look at. It is logged too.
	Warning(text string)
	// Syncing begins a sync of an upload, whose progress is reported until its End.
	Syncing(upload string, plugins []string) Progress
}

// Progress follows one sync.
type Progress interface {
	// Listed counts a page that a plugin has listed.
	Listed(plugin string, page ListedPage)
	// Retrying reports a call that failed and is repeated after the wait; the wait is 0
	// where another process of the plugin goes on with it.
	Retrying(plugin string, wait time.Duration, reason error)
	// FellBack reports a plugin that failed and whose part is that of its baseline.
	FellBack(plugin string, asOf time.Time, reason error)
	// Missing reports a plugin that failed and that the sync goes without, as the baseline
	// has nothing of it.
	Missing(plugin string, reason error)
	// End ends the sync with its result.
	End(result *SyncResult)
}

// ListedPage is what is on a page of a plugin's listing, which has rows of one kind.
type ListedPage struct {
	// Accounts are the resources that are accounts, Others those that are not.
	Accounts, Others     int
	Entitlements, Grants int
}

// Host is a host over a configuration. Check, Sync, Serve and what is done with a single
// plugin start the plugins that they need; call one of them, once.
type Host struct {
	options   Options
	selection Selection
	// What was opened. A host in Serve may have reloaded it; see [Host.served].
	cfg     *config.Config // nil without a file
	uploads []*config.Upload
	plugins []*fleet.Plugin // all that are meant
	finder  *supervise.Finder
	app     string // of a host without a file: its only app
	// seen is what the files of the configuration held before they were read.
	seen watch.Sums
	// configured reports that the single plugin is in a configuration file.
	configured bool
	// selected reports that one upload of a configuration file is meant.
	selected bool

	mu      sync.Mutex
	running *fleet.Fleet  // nil: nothing is started
	serving *serving      // nil: it does not serve
	opened  *state.Places // of a command; nil: it has not needed them
	scratch *files.Dir    // of the copy that opened has; nil: it needs none
}

// Open reads what is selected. It starts nothing. An error of the configuration is
// problems, one to a line.
func Open(ctx context.Context, selection Selection, options Options) (*Host, error) {
	h := &Host{options: options, selection: selection, finder: supervise.NewFinder(options.PluginDirs)}
	switch {
	case selection == Selection{} && options.StateDir != "":
		return h, nil
	case selection.Plugin != "":
		return h, h.openPlugin(ctx, selection)
	case selection.App != "":
		entry := config.ByName(selection.App, os.LookupEnv)
		h.app = selection.App
		h.uploads = []*config.Upload{config.NewUpload(selection.App, entry)}
		h.plugins = fleet.Of(h.uploads[0].Plugins)
		return h, nil
	}
	if err := h.load(ctx, selection.ConfigFile, config.ForUpload(selection.Upload)); err != nil {
		return nil, err
	}
	h.uploads, h.plugins = h.cfg.Uploads, fleet.Of(h.cfg.Plugins)
	if options.Secrets != NoSecrets {
		h.warnUnused(ctx)
	}
	if selection.Upload == "" {
		return h, nil
	}
	one, err := h.upload(selection.Upload)
	if err != nil {
		return nil, err
	}
	h.uploads, h.selected = []*config.Upload{one}, true
	return h, nil
}

// warnUnused warns of plugins that nothing syncs.
func (h *Host) warnUnused(ctx context.Context) {
	for _, name := range h.cfg.Unused() {
		h.warn(ctx, fmt.Sprintf("%s: plugin %q is in no upload, so it is never synced; add it to the plugins of an upload, or remove its entry", h.cfg.Path, name))
	}
}

// load reads a configuration file. needed says whose references are resolved.
func (h *Host) load(ctx context.Context, path string, needed ...config.Option) error {
	read := append(needed, config.WithWarnings(func(text string) { h.warn(ctx, text) }))
	if h.options.Secrets >= PluginSecrets {
		read = append(read, config.WithoutCredentials())
	}
	if h.options.Secrets == NoSecrets {
		read = append(read, config.WithoutReferences())
	}
	if h.options.StoresMayBeAway {
		read = append(read, config.StoresMayBeAway())
	}
	if h.options.ReferencesMayFail {
		read = append(read, config.ReferencesMayFail())
	}
	if h.options.before != nil {
		read = append(read, config.KeepingStores(h.options.before))
	}
	h.seen = watch.Of(watchedOf(path)...)
	cfg, err := config.Load(ctx, path, read...)
	if err != nil {
		return err
	}
	h.cfg, h.finder = cfg, supervise.NewFinder(slices.Concat(h.options.PluginDirs, cfg.PluginDirs))
	return nil
}

// upload returns the upload of that name.
func (h *Host) upload(name string) (*config.Upload, error) {
	var names []string
	for _, one := range h.cfg.Uploads {
		if one.Name == name {
			return one, nil
		}
		names = append(names, one.Name)
	}
	if len(names) == 0 {
		return nil, h.nothingToSync()
	}
	if near := errtext.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("%s: there is no upload %q; did you mean %q?", h.cfg.Path, name, near)
	}
	return nil, fmt.Errorf("%s: there is no upload %q; it has %s", h.cfg.Path, name, strings.Join(names, ", "))
}

func (h *Host) nothingToSync() error {
	if h.cfg == nil {
		return errors.New("there is nothing to sync: a single plugin was selected; select its app, or a configuration file")
	}
	return fmt.Errorf("%s: there is nothing to sync: it has no uploads", h.cfg.Path)
}

// openPlugin selects one plugin.
func (h *Host) openPlugin(ctx context.Context, selection Selection) error {
	name, path := selection.Plugin, selection.ConfigFile
	if strings.ContainsRune(name, filepath.Separator) {
		if path != "" {
			return fmt.Errorf("%s is a path; with --config, name the plugin as the configuration does", name)
		}
		return h.openBinary(name)
	}
	if path == "" {
		path = DefaultConfigFile
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return h.openApp(name)
		}
	}
	if err := h.load(ctx, path, config.ForPlugin(name)); err != nil {
		return err
	}
	entry, unknown := h.cfg.Plugin(name)
	switch {
	case unknown == nil:
		h.plugins, h.configured = fleet.Of([]*config.Plugin{entry}), true
		return nil
	case selection.ConfigFile != "":
		return unknown
	}
	h.cfg, h.finder = nil, supervise.NewFinder(h.options.PluginDirs)
	if err := h.openApp(name); err != nil {
		return errors.Join(unknown, err)
	}
	return nil
}

func (h *Host) openBinary(path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(absolute); err != nil {
		return fmt.Errorf("there is no plugin binary %s: %w", path, err)
	}
	entry := config.ByName(filepath.Base(absolute), os.LookupEnv)
	entry.Path = absolute
	h.plugins = fleet.Of([]*config.Plugin{entry})
	return nil
}

func (h *Host) openApp(app string) error {
	h.plugins = fleet.Of([]*config.Plugin{config.ByName(app, os.LookupEnv)})
	if h.options.Attach && os.Getenv(plugin.ReattachEnv) != "" {
		return nil // What is attached to needs no binary.
	}
	_, err := h.finder.Find(app)
	return err
}

// warn logs a warning and reports it to the observer, without control characters: names
// of files may have them.
func (h *Host) warn(ctx context.Context, text string) {
	text = errtext.Printable(text, "")
	ctxzap.Extract(ctx).Warn(text)
	if h.options.Observer != nil {
		h.options.Observer.Warning(text)
	}
}

// prepare attaches plugins to what runs already, if that is allowed, and pins the others
// to what is locked beside the configuration. Without a lock file nothing is pinned.
func (h *Host) prepare(ctx context.Context, plugins []*fleet.Plugin) error {
	if h.options.before == nil { // A reload has the environment of the start.
		if err := h.checkEnvironment(ctx); err != nil {
			return err
		}
	}
	if h.options.Attach {
		warnings, err := fleet.Attach(os.Getenv(plugin.ReattachEnv), h.cfg, plugins)
		if h.options.Observer != nil { // The log has its own warning of the attaching.
			for _, warning := range warnings {
				h.options.Observer.Warning(warning)
			}
		}
		if err != nil {
			return err
		}
	}
	h.hide(plugins)
	if h.cfg == nil {
		return nil
	}
	if h.options.Install {
		if err := h.installLocked(ctx, plugins); err != nil {
			return err
		}
	}
	lock, err := h.lock()
	if err != nil {
		return err
	}
	switch err = lock.Pin(plugins); {
	case errors.Is(err, os.ErrNotExist):
		ctxzap.Extract(ctx).Debug("there is no lock file, so the plugins' binaries are not verified")
		return nil
	case errors.Is(err, fleet.ErrUnlocked):
		h.warn(ctx, fmt.Sprintf("%s is ignored (--unlocked): any binary is started and given secrets", pin.PathFor(h.cfg.Path)))
		return nil
	}
	return err
}

// start starts plugins that were prepared. What keeps them running until Close is
// returned.
func (h *Host) start(ctx context.Context, plugins []*fleet.Plugin, persistent bool, observer fleet.Observer) *fleet.Fleet {
	options := h.fleetOptions()
	options.Persistent, options.Observer = persistent, observer
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = fleet.Start(ctx, plugins, options)
	return h.running
}

func (h *Host) fleetOptions() fleet.Options {
	options := fleet.Options{Version: h.options.Version, Finder: h.finder, LogLevel: h.options.LogLevel, Telemetry: h.options.Telemetry, Config: h.cfg}
	if h.cfg != nil {
		options.MaxRunning = h.cfg.MaxRunning
	}
	return options
}

// needed returns the plugins of these uploads, each once, in the order of the file.
func (h *Host) needed(uploads []*config.Upload) []*fleet.Plugin {
	return slices.DeleteFunc(slices.Clone(h.plugins), func(p *fleet.Plugin) bool {
		return !slices.ContainsFunc(uploads, func(upload *config.Upload) bool { return slices.Contains(upload.Plugins, p.Plugin) })
	})
}

// Revive starts plugins at once that have failed or wait for their next start.
func (h *Host) Revive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running != nil {
		h.running.Revive()
	}
}

// Close stops the plugins, returns when they have ended, and logs out of stores of secrets. It
// works after the context has ended.
func (h *Host) Close(ctx context.Context) {
	h.mu.Lock()
	running, scratch := h.running, h.scratch
	h.mu.Unlock()
	if running != nil {
		running.Stop(ctx)
	}
	if scratch != nil {
		_ = scratch.Remove()
	}
	if h.cfg != nil {
		h.cfg.CloseStores(ctx, nil)
	}
}

// namesOf returns the plugins of an upload, by name.
func namesOf(upload *config.Upload) []string {
	names := make([]string, 0, len(upload.Plugins))
	for _, entry := range upload.Plugins {
		names = append(names, entry.Name)
	}
	return names
}

// acceptCommand returns the command that locks what is there.
func acceptCommand(configFile string) string {
	if configFile == DefaultConfigFile {
		return "baton-host lock"
	}
	return "baton-host lock --config " + configFile
}
