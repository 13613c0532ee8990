package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

var (
	nameForm     = regexp.MustCompile(NameForm)
	fieldForm    = regexp.MustCompile(FieldForm)
	variableForm = regexp.MustCompile(secret.VariableForm)
)

// loader makes a Config of the nodes of a file.
type loader struct {
	walker
	dir       string // of the file
	lookup    func(string) (string, bool)
	exposure  *secret.Exposure
	config    *Config
	templates []placedTemplate // of the whole file
	before    *secret.Resolver // of the configuration before; nil: there was none
	// describedStores is another text where the helpers or stores of the file are others.
	describedStores string
}

func (l *loader) load(root *yaml.Node) {
	l.structure(root, 0)
	given := section(l, root, "the file", "", fileRows, l.config)
	if len(l.config.Trust.Repositories) == 0 {
		l.config.Trust.Repositories = []string{usualRepository}
	}
	l.config.storeFiles = l.filesNamedIn(given[NameHelpers].value, given[NameStores].value)
	l.describedStores = describe(given[NameHelpers].value, given[NameStores].value)
	// Uploads refer to plugins, wherever in the file the two stand.
	declared := l.plugins(root, given[NamePlugins])
	l.uploads(given[NameUploads].value, declared)
	l.config.resolver = secret.NewResolver(l.stores(given[NameHelpers].value, given[NameStores].value))
	l.config.resolver.Follow(l.before)
	l.checkReferences()
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
	given := section(l, e.value, "plugin "+settings.QuotedName(name), "the app's own fields belong under "+NameConfig, pluginRows, plugin)
	l.checkInstalled(plugin, given)
	settings, ok := given[NameConfig]
	if !ok {
		settings.key = e.key
	}
	plugin.Settings = l.settings(name, settings)
	return plugin
}

func (l *loader) namespace(e entry, plugin *Plugin) {
	if e.value.Kind == yaml.ScalarNode && e.value.Value == "" && !isNull(e.value) {
		plugin.Namespace = ""
		return
	}
	l.report(e.value, `namespace can only be "" (written with the quotes), which leaves resource types without a prefix; otherwise the prefix is the plugin's name`)
}

// fields are what an operator writes down of a connector's configuration.
func (l *loader) fields(e entry, plugin *Plugin) {
	if !plugin.Unmodified {
		l.report(e.key, "fields are for a connector that does not describe its own; write unmodified: true beside them, or leave fields out")
	}
	for _, e := range l.entries(e.value, NameFields) {
		if name := e.key.Value; !fieldForm.MatchString(name) || len(name) > MaxName {
			l.report(e.key, "the name of a field is that of the connector's flag without the dashes: letters, digits, - . and _ only, at most %d characters", MaxName)
			continue
		}
		field := &pluginv1.Field{Name: e.key.Value}
		setDefaults(fieldRows, field)
		section(l, e.value, "field "+settings.QuotedName(field.GetName()), "", fieldRows, field)
		plugin.Fields = append(plugin.Fields, field)
	}
}

// FieldTypes are the names of the types that a field can have, as schema.TypeName has
// them, the default first.
var FieldTypes = []string{"string", "bool", "int", "string-list", "map", "file"}

func (l *loader) fieldType(e entry, field *pluginv1.Field) {
	text, ok := l.plainText(e.value, "type")
	if !ok {
		return
	}
	for number := range pluginv1.FieldType_name {
		if fieldType := pluginv1.FieldType(number); schema.TypeName(fieldType) == text && slices.Contains(FieldTypes, text) {
			field.Type = fieldType
			return
		}
	}
	last := len(FieldTypes) - 1
	l.report(e.value, "a field's type must be %s or %s", strings.Join(FieldTypes[:last], ", "), FieldTypes[last])
}

// command is a program with arguments: an interpreter and a script, say. The
// program is a path or found along PATH. An argument that names an existing file,
// seen from the configuration, is that file.
func (l *loader) command(e entry, plugin *Plugin) {
	plugin.Path, plugin.Args = l.words(e)
}

// words are the path of a program and its arguments.
func (l *loader) words(e entry) (path string, args []string) {
	nodes := l.list(e.value, NameCommand)
	if e.key != nil && emptyCollection(e.value) {
		l.report(e.key, "command needs the program to start, and its arguments if there are any")
	}
	for i, node := range nodes {
		text, ok := l.plainText(node, "an item of command")
		switch {
		case !ok:
		case i > 0:
			args = append(args, l.argument(text))
		case strings.ContainsRune(text, filepath.Separator):
			path = files.Within(l.dir, text)
		default:
			found, err := exec.LookPath(text)
			if err != nil {
				l.report(node, "there is no program %s along PATH; give its path", settings.QuotedName(text))
				continue
			}
			path = found
		}
	}
	return path, args
}

// argument is the argument, or what follows its "=", as an absolute path where it
// names a file.
func (l *loader) argument(text string) string {
	flag, value := "", text
	if strings.HasPrefix(text, "-") {
		name, after, found := strings.Cut(text, "=")
		if !found {
			return text
		}
		flag, value = name+"=", after
	}
	if _, err := os.Stat(files.Within(l.dir, value)); value == "" || err != nil {
		return text
	}
	return flag + files.Within(l.dir, value)
}

func (l *loader) changeGuard(e entry, plugin *Plugin) {
	guard := &plugin.ChangeGuard
	name := e.key.Value
	if l.isOff(e.value, name, "keep-percent, min-missing and window") {
		guard.Off = true
		return
	}
	if e.value.Kind == yaml.ScalarNode && !isNull(e.value) {
		return
	}
	given := section(l, e.value, name, "", allGuardRows, guard)
	for _, row := range limitRows {
		if e, ok := given[row.Name]; ok {
			row.read(l, e, &guard.Limits)
		}
	}
	guard.Limits.Explicit = isGiven(given, nameMinMissing)
	// Behind the limits of the guard, which are those of a type that has no others.
	l.guardsByType(given[nameResourceTypes], guard)
}

// sandbox is one of its modes, or what a plugin in a sandbox may reach beside.
func (l *loader) sandbox(e entry, plugin *Plugin) {
	if e.value.Kind != yaml.ScalarNode || isNull(e.value) {
		section(l, e.value, nameSandbox, "", sandboxRows, &plugin.Sandbox)
		if !isNull(e.value) {
			plugin.Sandbox.Mode = SandboxOn
		}
		return
	}
	if !slices.Contains(sandboxModes, e.value.Value) {
		l.report(e.value, "sandbox must be on, warn or off, or a mapping with read, write and connect")
		return
	}
	plugin.Sandbox.Mode = e.value.Value
}

func isGiven(given map[string]entry, name string) bool {
	e, ok := given[name]
	return ok && !isNull(e.value)
}

// isOff says that off stands in the place of a section. Any other text is reported.
func (l *loader) isOff(n *yaml.Node, name, keys string) bool {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		return false
	}
	if n.Value != off {
		l.report(n, `%s must be "off", or a mapping with %s`, name, keys)
	}
	return n.Value == off
}

func (l *loader) lostAttributes(e entry, guard *ChangeGuard) {
	switch text, ok := l.plainText(e.value, "attributes"); {
	case !ok || text == "warn":
	case text == refuse:
		guard.RefuseAttributes = true
	default:
		l.report(e.value, `attributes must be "warn" or "refuse"`)
	}
}

func (l *loader) guardsByType(e entry, guard *ChangeGuard) {
	for _, e := range l.entries(e.value, nameResourceTypes) {
		what := "the change-guard of resource type " + settings.QuotedName(e.key.Value)
		limits := guard.Limits
		switch {
		case l.isOff(e.value, what, "keep-percent and min-missing"):
			limits = GuardLimits{}
		case e.value.Kind == yaml.ScalarNode && !isNull(e.value):
			continue
		default:
			given := section(l, e.value, what, "", limitRows, &limits)
			limits.Explicit = limits.Explicit || isGiven(given, nameMinMissing)
		}
		if guard.ByType == nil {
			guard.ByType = map[string]GuardLimits{}
		}
		guard.ByType[e.key.Value] = limits
	}
}

// checkName reports a name that is not allowed.
func (l *loader) checkName(n *yaml.Node, what string) bool {
	if len(n.Value) <= MaxName && nameForm.MatchString(n.Value) {
		return true
	}
	l.report(n, "the %s %s is not allowed: it must have lower-case letters, digits, - and _ only, begin and end with a letter or a digit, and have at most %d characters",
		what, settings.QuotedName(n.Value), MaxName)
	return false
}
