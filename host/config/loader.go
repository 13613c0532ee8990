package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	// DefaultStartTimeout is how long a plugin may take to start where the
	// configuration does not say.
	DefaultStartTimeout = 10 * time.Second
	maxStartTimeout     = 10 * time.Minute
	// DefaultMaxStale is how old the answers of a last good sync may be where the
	// configuration does not say.
	DefaultMaxStale = 72 * time.Hour
	maxMaxStale     = 90 * 24 * time.Hour
	maxName         = 64
)

// Names become parts of resource type ids and of file names.
var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$`)

// loader makes a Config of the nodes of a file.
type loader struct {
	walker
	dir         string // of the file
	resolver    *resolver
	credentials bool
	exposure    *exposure
	config      *Config
}

func (l *loader) load(root *yaml.Node) {
	l.structure(root, 0)
	var plugins, uploads entry
	l.mapping(root, "the file", "", handlers{
		"plugin-dirs": l.pluginDirs,
		"state-dir":   l.stateDir,
		"plugins":     func(e entry) { plugins = e },
		"uploads":     func(e entry) { uploads = e },
	})
	// Uploads refer to plugins, wherever in the file the two stand.
	declared := l.plugins(root, plugins)
	l.uploads(uploads.value, declared)
}

func (l *loader) stateDir(e entry) {
	if dir, ok := l.plainText(e.value, "state-dir"); ok {
		l.config.StateDir = within(l.dir, dir)
	}
}

func (l *loader) pluginDirs(e entry) {
	for _, dir := range l.texts(e.value, "plugin-dirs") {
		l.config.PluginDirs = append(l.config.PluginDirs, within(l.dir, dir.text))
	}
}

// plugins returns the plugins by name, those with problems too, so that uploads
// that name one of them are not said to be wrong.
func (l *loader) plugins(root *yaml.Node, plugins entry) map[string]*Plugin {
	declared := map[string]*Plugin{}
	if plugins.key == nil {
		l.report(root, "plugins is missing; the file must define at least one plugin")
		return declared
	}
	if emptyCollection(plugins.value) {
		l.report(plugins.key, "plugins is empty; define at least one plugin")
		return declared
	}
	for _, e := range l.entries(plugins.value, "plugins") {
		plugin := l.plugin(e)
		declared[plugin.Name] = plugin
		l.config.Plugins = append(l.config.Plugins, plugin)
	}
	return declared
}

// emptyCollection says that the value holds nothing because nothing was written.
func emptyCollection(n *yaml.Node) bool {
	return isNull(n) || (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && len(n.Content) == 0
}

func (l *loader) plugin(e entry) *Plugin {
	name := e.key.Value
	l.checkName(e.key, "plugin name")
	plugin := &Plugin{Name: name, App: name, Namespace: name, StartTimeout: DefaultStartTimeout, DeletionGuard: DefaultDeletionGuard(), Limits: DefaultLimits()}
	settings := entry{key: e.key}
	var path, command entry
	const hint = "the app's own fields belong under config"
	known := handlers{
		"app":            func(e entry) { l.app(e, plugin) },
		"path":           func(e entry) { path = e },
		"command":        func(e entry) { command = e },
		"namespace":      func(e entry) { l.namespace(e, plugin) },
		"start-timeout":  func(e entry) { l.startTimeout(e, plugin) },
		"log-level":      func(e entry) { l.logLevel(e, plugin) },
		"env":            func(e entry) { l.env(e, plugin) },
		"provisioning":   func(e entry) { l.yes(e, "provisioning", &plugin.Provisioning) },
		"unmodified":     func(e entry) { l.yes(e, "unmodified", &plugin.Unmodified) },
		"deletion-guard": func(e entry) { l.deletionGuard(e, plugin) },
		"config":         func(e entry) { settings = e },
	}
	maps.Copy(known, l.limitKeys(&plugin.Limits))
	l.mapping(e.value, "plugin "+quotedName(name), hint, known)
	if path.key != nil && command.key != nil {
		l.report(command.key, "path and command are two ways to say what is started; give one of them")
	} else {
		l.path(path, plugin)
		l.command(command, plugin)
	}
	plugin.Settings = l.settings(name, settings)
	return plugin
}

func (l *loader) app(e entry, plugin *Plugin) {
	app, ok := l.plainText(e.value, "app")
	if !ok {
		return
	}
	if l.checkName(e.value, "app") {
		plugin.App = app
	}
}

func (l *loader) path(e entry, plugin *Plugin) {
	if path, ok := l.plainText(e.value, "path"); ok {
		plugin.Path = within(l.dir, path)
	}
}

// yes sets a switch that is off where the file does not say.
func (l *loader) yes(e entry, name string, to *bool) {
	switch text, ok := l.plainText(e.value, name); {
	case !ok || text == "false":
	case text == "true":
		*to = true
	default:
		l.report(e.value, "%s must be true or false", name)
	}
}

func (l *loader) namespace(e entry, plugin *Plugin) {
	if e.value.Kind == yaml.ScalarNode && e.value.Value == "" && !isNull(e.value) {
		plugin.Namespace = ""
		return
	}
	l.report(e.value, `namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`)
}

func (l *loader) startTimeout(e entry, plugin *Plugin) {
	if timeout, ok := l.duration(e.value, "start-timeout", time.Millisecond, maxStartTimeout, "10s or 1m30s"); ok {
		plugin.StartTimeout = timeout
	}
}

// logLevels are those that the contract has (Host.log_level).
var logLevels = []string{"debug", "info", "warn", "error"}

func (l *loader) logLevel(e entry, plugin *Plugin) {
	level, ok := l.plainText(e.value, "log-level")
	switch {
	case !ok:
	case slices.Contains(logLevels, level):
		plugin.LogLevel = level
	default:
		l.report(e.value, "log-level must be debug, info, warn or error")
	}
}

func (l *loader) env(e entry, plugin *Plugin) {
	for _, variable := range l.texts(e.value, "env") {
		if !variableForm.MatchString(variable.text) {
			l.report(variable.node, "env takes names of environment variables (letters, digits and _), without values")
			continue
		}
		plugin.Env = append(plugin.Env, variable.text)
	}
}

// checkName reports a name that is not allowed.
func (l *loader) checkName(n *yaml.Node, what string) bool {
	if len(n.Value) <= maxName && nameForm.MatchString(n.Value) {
		return true
	}
	l.report(n, "the %s %s is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most %d characters",
		what, quotedName(n.Value), maxName)
	return false
}

// quotedName is a name as a message may repeat it.
func quotedName(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return fmt.Sprintf("%q", name)
}
