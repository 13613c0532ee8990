package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
)

const (
	// DefaultStartTimeout is how long a plugin may take to start where the
	// configuration does not say.
	DefaultStartTimeout = 10 * time.Second
	// DefaultMaxStale is how old the answers of a last good sync may be where the
	// configuration does not say.
	DefaultMaxStale = 72 * time.Hour
)

var (
	nameForm     = regexp.MustCompile(NameForm)
	variableForm = regexp.MustCompile(secret.VariableForm)
)

// loader makes a Config of the nodes of a file.
type loader struct {
	walker
	dir         string // of the file
	resolver    *secret.Resolver
	credentials bool
	exposure    *secret.Exposure
	config      *Config
}

func (l *loader) load(root *yaml.Node) {
	l.structure(root, 0)
	var plugins, uploads entry
	l.mapping(root, "the file", "", handlers{
		KeyPluginDirs.Name: l.pluginDirs,
		KeyStateDir.Name:   l.stateDir,
		KeyPlugins.Name:    func(e entry) { plugins = e },
		KeyUploads.Name:    func(e entry) { uploads = e },
	})
	// Uploads refer to plugins, wherever in the file the two stand.
	declared := l.plugins(root, plugins)
	l.uploads(uploads.value, declared)
}

func (l *loader) stateDir(e entry) {
	if dir, ok := l.plainText(e.value, "state-dir"); ok {
		l.config.StateDir = files.Within(l.dir, dir)
	}
}

func (l *loader) pluginDirs(e entry) {
	for _, dir := range l.texts(e.value, "plugin-dirs") {
		l.config.PluginDirs = append(l.config.PluginDirs, files.Within(l.dir, dir.text))
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
	plugin := newPlugin(name)
	settings := entry{key: e.key}
	var path, command entry
	const hint = "the app's own fields belong under config"
	known := handlers{
		KeyApp.Name:           func(e entry) { l.app(e, plugin) },
		KeyPath.Name:          func(e entry) { path = e },
		KeyCommand.Name:       func(e entry) { command = e },
		KeyNamespace.Name:     func(e entry) { l.namespace(e, plugin) },
		KeyStartTimeout.Name:  func(e entry) { l.startTimeout(e, plugin) },
		KeyLogLevel.Name:      func(e entry) { l.logLevel(e, plugin) },
		KeyEnv.Name:           func(e entry) { l.env(e, plugin) },
		KeyProvisioning.Name:  func(e entry) { l.yes(e, KeyProvisioning, &plugin.Provisioning) },
		KeyUnmodified.Name:    func(e entry) { l.yes(e, KeyUnmodified, &plugin.Unmodified) },
		KeyDeletionGuard.Name: func(e entry) { l.deletionGuard(e, plugin) },
		KeyConfig.Name:        func(e entry) { settings = e },
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
		plugin.Path = files.Within(l.dir, path)
	}
}

// yes sets a switch that is off where the file does not say.
func (l *loader) yes(e entry, key Key, to *bool) {
	switch text, ok := l.plainText(e.value, key.Name); {
	case !ok || text == "false":
	case text == "true":
		*to = true
	default:
		l.report(e.value, "%s must be true or false", key.Name)
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
	if timeout, ok := l.duration(e.value, KeyStartTimeout); ok {
		plugin.StartTimeout = timeout
	}
}

func (l *loader) logLevel(e entry, plugin *Plugin) {
	level, ok := l.plainText(e.value, "log-level")
	switch {
	case !ok:
	case slices.Contains(KeyLogLevel.Allowed, level):
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
	if len(n.Value) <= MaxName && nameForm.MatchString(n.Value) {
		return true
	}
	l.report(n, "the %s %s is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most %d characters",
		what, quotedName(n.Value), MaxName)
	return false
}

// quotedName is a name as a message may repeat it.
func quotedName(name string) string {
	if len(name) > MaxName {
		name = strings.ToValidUTF8(name[:MaxName], "") + "…"
	}
	return fmt.Sprintf("%q", name)
}
