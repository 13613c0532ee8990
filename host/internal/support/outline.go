package support

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// mostConfig is how many bytes of a configuration are read.
const mostConfig = 1 << 20

// Outline is what a configuration file has, by the table of its keys, whether it loads or not.
type Outline struct {
	root *yaml.Node // nil: it cannot be read as a mapping
}

// OutlineOf reads the outline of a configuration file. What cannot be read has an empty one: why,
// the error of loading it says. Only a regular file is opened: a pipe is read once.
func OutlineOf(path string) Outline {
	data, err := files.ReadRegular(path, mostConfig)
	if err != nil {
		return Outline{}
	}
	document := &yaml.Node{}
	if yaml.Unmarshal(data, document) != nil || len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return Outline{}
	}
	return Outline{root: document.Content[0]}
}

// StateDir returns the state directory that the file names; empty: none.
func (o Outline) StateDir() string {
	dir := ""
	pairs(o.root, func(key, value *yaml.Node) {
		if key.Value == "state-dir" && value.Kind == yaml.ScalarNode {
			dir = value.Value
		}
	})
	return dir
}

// pairs calls do for each pair of a mapping.
func pairs(n *yaml.Node, do func(key, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		do(n.Content[i], n.Content[i+1])
	}
}

// outliner writes an outline, line by line.
type outliner struct {
	*censor
	lines []string
}

func (o *outliner) line(depth int, key, value string) {
	o.lines = append(o.lines, strings.TrimRight(strings.Repeat("  ", depth)+key+": "+value, " "))
}

// lines returns the outline in lines. Names get their aliases in the order of the file.
func (o Outline) lines(of *censor) []string {
	if o.root == nil {
		return nil
	}
	// An upload may stand before the plugins that it names, and a reference before its store.
	pairs(o.root, func(key, value *yaml.Node) {
		kind := of.kindOf(key.Value)
		pairs(value, func(name, _ *yaml.Node) {
			if kind != nil && name.Kind == yaml.ScalarNode {
				kind.alias(name.Value)
			}
		})
	})
	out := &outliner{censor: of}
	out.section(o.root, config.KeyFile.Keys, 0)
	return out.lines
}

// kindOf returns the aliases of the names that a section of the file has.
func (c *censor) kindOf(section string) *aliases {
	return map[string]*aliases{
		config.NamePlugins: c.plugins, config.NameUploads: c.uploads, config.NameStores: c.stores,
		config.NameHelpers: c.helpers, config.NameFields: c.fields, "resource-types": c.types,
	}[section]
}

// section writes the keys of a mapping that the table has.
func (o *outliner) section(n *yaml.Node, keys []config.Key, depth int) {
	pairs(n, func(key, value *yaml.Node) {
		at := slices.IndexFunc(keys, func(one config.Key) bool {
			return one.Name == key.Value || one.Formerly != "" && one.Formerly == key.Value
		})
		if at < 0 {
			o.line(depth, "(a key that is unknown here)", o.kindOfValue(value))
			return
		}
		o.value(keys[at], value, depth)
	})
}

// value writes a key of the table with what may be shown of its value.
func (o *outliner) value(key config.Key, n *yaml.Node, depth int) {
	isMapping := n.Kind == yaml.MappingNode
	switch {
	case key.Kind == config.KindSection && isMapping:
		o.line(depth, key.Name, "")
		o.section(n, key.Keys, depth+1)
	case key.Kind == config.KindNamed && isMapping:
		o.line(depth, key.Name, "")
		names := o.kindOf(key.Name)
		pairs(n, func(name, value *yaml.Node) {
			alias := "(name)"
			if names != nil && name.Kind == yaml.ScalarNode {
				alias = names.alias(name.Value)
			}
			if value.Kind != yaml.MappingNode {
				o.line(depth+1, alias, o.scalar(key, value))
				return
			}
			o.line(depth+1, alias, "")
			o.section(value, key.Keys, depth+2)
		})
	case key.Kind == config.KindFields && isMapping:
		o.line(depth, key.Name, "")
		pairs(n, func(name, value *yaml.Node) { o.line(depth+1, o.field(name), o.kindOfValue(value)) })
	case key.Kind == config.KindTexts && key.Names == config.NameForm && n.Kind == yaml.SequenceNode:
		var names []string
		for _, one := range n.Content {
			if one.Kind != yaml.ScalarNode {
				names = append(names, o.kindOfValue(one))
				continue
			}
			names = append(names, o.plugins.alias(one.Value))
		}
		o.line(depth, key.Name, "["+strings.Join(names, ", ")+"]")
	default:
		o.line(depth, key.Name, o.scalar(key, n))
	}
}

// field returns the name of a connector's field: as it is if it has nothing but words of the
// host, as most fields have, as a secret may stand in the place of a key.
func (o *outliner) field(n *yaml.Node) string {
	parts := strings.FieldsFunc(n.Value, func(r rune) bool { return strings.ContainsRune("-_.", r) })
	if n.Kind == yaml.ScalarNode && len(parts) > 0 && !slices.ContainsFunc(parts, func(part string) bool { return !ownWords()[strings.ToLower(part)] }) {
		return n.Value
	}
	return o.fields.alias(n.Value)
}

var size = regexp.MustCompile(`^\d{1,15}(\.\d{1,6})? ?[KMGT]?i?B?$`)

// scalar returns a value that cannot be a secret, a name or an address as it is, and of others
// their kind.
func (o *outliner) scalar(key config.Key, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return o.kindOfValue(n)
	}
	fits := false
	switch key.Kind {
	case config.KindSwitch:
		fits = n.Value == "true" || n.Value == "false"
	case config.KindWhole:
		const mostDigits = 10
		_, err := strconv.ParseUint(n.Value, 10, 64)
		fits = err == nil && len(n.Value) <= mostDigits
	case config.KindDuration:
		_, err := time.ParseDuration(n.Value)
		const mostBytes = 20
		fits = err == nil && len(n.Value) <= mostBytes
	case config.KindSize:
		fits = size.MatchString(n.Value)
	case config.KindChoice, config.KindSection, config.KindNamed:
		fits = slices.Contains(key.Allowed, n.Value)
	default:
		return o.kindOfValue(n)
	}
	if !fits {
		return "(does not fit)"
	}
	if n.Value == "" {
		return `""`
	}
	return n.Value
}

// kindOfValue returns of what kind a value is.
func (o *outliner) kindOfValue(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return fmt.Sprintf("(mapping of %d)", len(n.Content)/2)
	case n.Kind == yaml.SequenceNode:
		return fmt.Sprintf("(list of %d)", len(n.Content))
	case n.Kind != yaml.ScalarNode:
		return "(alias)"
	case n.Tag == "!!null" || n.Value == "":
		return "(empty)"
	}
	template, errs := secret.Parse(n.Value)
	var schemes []string
	for _, one := range template.References() {
		schemes = append(schemes, o.scheme(one.Scheme))
	}
	switch {
	case len(errs) > 0:
		return "(a reference that is malformed)"
	case len(schemes) == 1 && strings.HasPrefix(n.Value, "${") && strings.Index(n.Value, "}") == len(n.Value)-1:
		return "(reference: " + schemes[0] + ")"
	case len(schemes) > 0:
		return "(text with references: " + strings.Join(schemes, ", ") + ")"
	}
	return "(text)"
}

// scheme returns the scheme of a reference, which may be the name of a store.
func (c *censor) scheme(name string) string {
	if slices.Contains([]string{secret.SchemeEnv, secret.SchemeFile, secret.SchemeExec, secret.SchemeKeyring}, name) {
		return name
	}
	return c.stores.alias(name)
}
