package config

import (
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/secret"
)

// Settings is the configuration of one plugin as the file gives it, with its
// references resolved. What it means only the plugin's schema knows: see Bind.
// It prints as nothing but a placeholder.
type Settings struct {
	plugin     string
	dir        string  // of the file; relative paths start there
	place      Problem // of the key config, or of the plugin's name without one
	entries    []setting
	references []secret.Reference
	exposure   *secret.Exposure

	// environment is set for a plugin that no file configures (ByName); then
	// nothing else is.
	environment func(name string) (string, bool)
}

// setting is a key under config, at any depth, or an item of a list, which has
// no key.
type setting struct {
	key      string
	keyPlace Problem
	value    value
}

// value is what stands under a key.
type value struct {
	place Problem
	kind  yaml.Kind // scalar, sequence or mapping; 0: not given
	// tag is what YAML takes a scalar for, for example "!!int"; a quoted one and
	// one with references is always "!!str".
	tag string
	// written says that the text was written down as one line without a
	// reference in it.
	written bool
	text    secret.Text
	content []setting
	// references are those in the text.
	references []secret.Reference
}

// Format writes a placeholder, whatever the verb.
func (*Settings) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "(settings)") }

// MarshalJSON returns a placeholder as a JSON string.
func (*Settings) MarshalJSON() ([]byte, error) { return []byte(`"(settings)"`), nil }

func (l *loader) settings(plugin string, e entry) *Settings {
	s := &Settings{plugin: plugin, dir: l.dir, place: l.place(e.key), exposure: l.exposure}
	for _, e := range l.entries(e.value, "config") {
		s.entries = append(s.entries, setting{e.key.Value, l.place(e.key), l.value(e.value, s)})
	}
	return s
}

func (l *loader) place(n *yaml.Node) Problem {
	return Problem{File: l.file, Line: n.Line, Column: n.Column}
}

func (l *loader) value(n *yaml.Node, s *Settings) value {
	v := value{place: l.place(n)}
	if isNull(n) || n.Kind == yaml.AliasNode {
		return v
	}
	v.kind = n.Kind
	switch n.Kind {
	case yaml.MappingNode:
		for _, e := range l.entries(n, "this") {
			v.content = append(v.content, setting{e.key.Value, l.place(e.key), l.value(e.value, s)})
		}
	case yaml.SequenceNode:
		for _, child := range n.Content {
			v.content = append(v.content, setting{value: l.value(child, s)})
		}
	case yaml.ScalarNode:
		l.scalar(n, s, &v)
	}
	return v
}

func (l *loader) scalar(n *yaml.Node, s *Settings, v *value) {
	v.tag = n.Tag
	text, references, errs := l.resolver.Expand(n.Value)
	for _, err := range errs {
		l.report(n, "%s", err.Error())
	}
	v.written = len(references) == 0 && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0
	v.text = secret.New(text)
	v.references = references
	s.references = append(s.references, references...)
}
