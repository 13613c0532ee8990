package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
)

func (l *loader) settings(plugin string, e entry) *settings.Settings {
	file := settings.File{Plugin: plugin, Dir: l.dir, Place: l.place(e.key), Exposure: l.exposure}
	for _, e := range l.entries(e.value, "config") {
		file.Entries = append(file.Entries, settings.Entry{Key: e.key.Value, KeyPlace: l.place(e.key), Value: l.value(e.value, &file)})
	}
	return settings.FromFile(file)
}

func (l *loader) place(n *yaml.Node) settings.Problem {
	return settings.Problem{File: l.file, Line: n.Line, Column: n.Column}
}

func (l *loader) value(n *yaml.Node, of *settings.File) settings.Value {
	v := settings.Value{Place: l.place(n)}
	if isNull(n) || n.Kind == yaml.AliasNode {
		return v
	}
	v.Kind = n.Kind
	switch n.Kind {
	case yaml.MappingNode:
		for _, e := range l.entries(n, "this") {
			v.Content = append(v.Content, settings.Entry{Key: e.key.Value, KeyPlace: l.place(e.key), Value: l.value(e.value, of)})
		}
	case yaml.SequenceNode:
		for _, child := range n.Content {
			v.Content = append(v.Content, settings.Entry{Value: l.value(child, of)})
		}
	case yaml.ScalarNode:
		l.scalar(n, of, &v)
	}
	return v
}

func (l *loader) scalar(n *yaml.Node, of *settings.File, v *settings.Value) {
	v.Tag = n.Tag
	text, references, errs := l.resolver.Expand(n.Value)
	for _, err := range errs {
		l.report(n, "%s", err.Error())
	}
	v.Written = len(references) == 0 && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0
	v.Text = secret.New(text)
	v.References = references
	of.References = append(of.References, references...)
}
