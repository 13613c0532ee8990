package config

import (
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

func (l *loader) uploads(n *yaml.Node, declared map[string]*Plugin) {
	for _, e := range l.entries(n, "uploads") {
		l.config.Uploads = append(l.config.Uploads, l.upload(e, declared))
	}
}

func (l *loader) upload(e entry, declared map[string]*Plugin) *Upload {
	upload := &Upload{Name: e.key.Value}
	what := "upload " + quotedName(upload.Name)
	l.checkName(e.key, "upload name")
	var id, secret, plugins entry
	l.mapping(e.value, what, "", handlers{
		"client-id":         func(e entry) { id = e },
		"client-secret":     func(e entry) { secret = e },
		"plugins":           func(e entry) { plugins = e },
		"on-plugin-failure": l.onPluginFailure,
	})
	l.uploadCredentials(upload, what, id, secret)

	if emptyCollection(plugins.value) {
		l.report(e.key, "%s needs plugins: a list of at least one plugin name", what)
		return upload
	}
	for _, name := range l.texts(plugins.value, "plugins") {
		plugin, ok := declared[name.text]
		if !ok {
			l.undeclared(name, declared)
			continue
		}
		upload.Plugins = append(upload.Plugins, plugin)
	}
	return upload
}

func (l *loader) undeclared(name item, declared map[string]*Plugin) {
	if len(l.problems) >= maxSuggestions {
		l.report(name.node, "this plugin is not defined under plugins")
		return
	}
	message := quotedName(name.text) + " is not defined under plugins"
	if near := nearest(name.text, slices.Sorted(maps.Keys(declared))); near != "" {
		message += "; did you mean " + quotedName(near) + "?"
	}
	l.report(name.node, "%s", message)
}

func (l *loader) uploadCredentials(upload *Upload, what string, id, secret entry) {
	switch {
	case isNull(id.value) && !isNull(secret.value):
		l.report(secret.key, "%s has a client-secret but no client-id; give both or neither", what)
	case !isNull(id.value) && isNull(secret.value):
		l.report(id.key, "%s has a client-id but no client-secret; give both or neither", what)
	}
	upload.ClientID = l.credential(id.value, "client-id")
	if text := l.credential(secret.value, "client-secret"); text != "" {
		upload.ClientSecret = NewSecret(text)
	}
}

func (l *loader) credential(n *yaml.Node, what string) string {
	text, ok := l.text(n, what)
	if !ok {
		return ""
	}
	expand := l.resolver.expand
	if !l.credentials {
		expand = l.resolver.checkOnly
	}
	text, _, errs := expand(text)
	for _, err := range errs {
		l.report(n, "%s", err.Error())
	}
	if !l.credentials {
		return ""
	}
	return text
}

func (l *loader) onPluginFailure(e entry) {
	switch policy, ok := l.plainText(e.value, "on-plugin-failure"); {
	case !ok || policy == "fail":
	case policy == "last-good":
		l.report(e.value, `on-plugin-failure: last-good is not available in this version; use "fail", which is also the default`)
	default:
		l.report(e.value, `on-plugin-failure must be "fail"`)
	}
}
