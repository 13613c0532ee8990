package config

import (
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
)

func (l *loader) settings(plugin string, e entry) *settings.Settings {
	file := settings.File{Plugin: plugin, Dir: l.dir, Place: l.place(e.key), Exposure: l.exposure, Stores: l.describedStores}
	for _, e := range l.entries(e.value, "config") {
		file.Entries = append(file.Entries, settings.Entry{Key: e.key.Value, KeyPlace: l.place(e.key), Value: l.value(e.value)})
	}
	return settings.FromFile(file)
}

func (l *loader) place(n *yaml.Node) settings.Problem {
	return settings.Problem{File: l.file, Line: n.Line, Column: n.Column}
}

func (l *loader) value(n *yaml.Node) settings.Value {
	v := settings.Value{Place: l.place(n)}
	if isNull(n) || n.Kind == yaml.AliasNode {
		return v
	}
	v.Kind = n.Kind
	switch n.Kind {
	case yaml.MappingNode:
		for _, e := range l.entries(n, "this") {
			v.Content = append(v.Content, settings.Entry{Key: e.key.Value, KeyPlace: l.place(e.key), Value: l.value(e.value)})
		}
	case yaml.SequenceNode:
		for _, child := range n.Content {
			v.Content = append(v.Content, settings.Entry{Value: l.value(child)})
		}
	case yaml.ScalarNode:
		l.scalar(n, &v)
	}
	return v
}

func (l *loader) scalar(n *yaml.Node, v *settings.Value) {
	v.Tag = n.Tag
	v.Template = l.template(n, n.Value)
	v.Written = v.Template.IsLiteral() && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// template finds the references of a text, and reports what is wrong with their forms.
func (l *loader) template(n *yaml.Node, text string) secret.Template {
	template, errs := secret.Parse(text)
	l.templates = append(l.templates, placedTemplate{n, template})
	for _, err := range errs {
		l.report(n, "%s", err.Error())
	}
	return template
}

// placedTemplate is a text with references, and where it stands.
type placedTemplate struct {
	node     *yaml.Node
	template secret.Template
}

// checkReferences reports references that the file's stores cannot resolve, wherever in the
// file the two stand.
func (l *loader) checkReferences() {
	for _, one := range l.templates {
		for _, err := range l.config.resolver.Check(one.template) {
			l.report(one.node, "%s", err.Error())
		}
	}
}
