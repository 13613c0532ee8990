package config

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
)

// Trust is whose connectors are installed; see registry.Trust, which it becomes.
type Trust struct {
	// Issuer is the URL of who vouches for the workflow.
	Issuer string
	// Workflow is the identity of the workflow that signs, in which a * stands for any
	// characters.
	Workflow string
	// Repositories are the source repositories, in which a * stands for the name of the
	// connector.
	Repositories []string
	// Root is the path of a trusted root of Sigstore, as an absolute path; empty: that of the
	// public instance.
	Root string
}

// The forms of what is installed, as regular expressions of RE2 and of JSON Schema.
const (
	versionForm = `^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`
	// imageForm needs a registry, which has a dot or a port, and a tag or a digest: what other
	// tools assume where they are missing is a guess.
	imageForm    = `^(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+:[0-9]+)(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$`
	releasesForm = `^(https://[^/?#@\s]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[^?#\s]*)?$`
	issuerForm   = `^https://[^/?#@*\s]+(/[^?#*\s]*)?$`
	// workflowForm has an owner that is no pattern: a * there would trust everybody.
	workflowForm   = `^https://[^/?#@*\s]+/[^/*\s]+/\S+$`
	repositoryForm = `^https://[^/?#@*\s]+(/[^/*\s]+)+/([^/*\s]+\*?|\*)$`
)

// usualRepository is the default of the repositories, which their Meaning has to explain.
const usualRepository = "https://github.com/ConductorOne/*"

var repositoryPattern = regexp.MustCompile(repositoryForm)

var trustRows = []row[Trust]{
	patterned(Key{
		Name: "issuer", Pattern: issuerForm, Default: "https://token.actions.githubusercontent.com",
		Meaning: "who vouches for the workflow that signs: the issuer in its certificate",
	}, "the URL of an issuer, such as https://token.actions.githubusercontent.com", func(t *Trust) *string { return &t.Issuer }),
	patterned(Key{
		Name: "workflow", Pattern: workflowForm, Default: "https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@*",
		Meaning: "the workflow that signs, as its certificate names it; `*` stands for any characters, but not in the owner",
	}, "the identity of a workflow, such as https://github.com/OWNER/REPOSITORY/.github/workflows/release.yaml@*", func(t *Trust) *string { return &t.Workflow }),
	special(Key{
		Name: "repositories", Kind: KindTexts, Pattern: repositoryForm, Example: "[https://github.com/example/*]",
		Meaning: "the source repositories that a connector may be built from; `*` stands for the name of the connector that is installed, such as `baton-github`. Default: `" + usualRepository + "`",
	}, (*loader).repositories),
	path(Key{
		Name: "trusted-root", Example: "trusted_root.json",
		Meaning: "a file with Sigstore's trusted root, from the directory of this file. Default: that of Sigstore's public instance",
	}, func(t *Trust) *string { return &t.Root }),
}

// patterned is a text of the key's pattern, which what describes.
func patterned[Section any](key Key, what string, field func(*Section) *string) row[Section] {
	pattern := regexp.MustCompile(key.Pattern)
	return plain(key, func(l *loader, n *yaml.Node, text string, into *Section) {
		if !pattern.MatchString(text) {
			l.report(n, "%s must be %s", key.Name, what)
			return
		}
		*field(into) = text
	})
}

func (l *loader) repositories(e entry, trust *Trust) {
	if e.value.Kind == yaml.SequenceNode && len(e.value.Content) == 0 {
		l.report(e.value, "repositories is empty, so that nothing would be trusted; name one, such as %s, or leave it out for the default", usualRepository)
	}
	for _, one := range l.texts(e.value, "repositories") {
		if !repositoryPattern.MatchString(one.text) {
			l.report(one.node, "an item of repositories must be the URL of a repository, such as https://github.com/OWNER/*, where * stands for the connector's name")
			continue
		}
		trust.Repositories = append(trust.Repositories, one.text)
	}
}

// connectorPrefix begins the name of every connector.
const connectorPrefix = "baton-"

// checkInstalled reports what does not fit a plugin that is installed, or is not, and gives
// one that is installed from an image the app that the image is named after.
func (l *loader) checkInstalled(plugin *Plugin, given map[string]entry) {
	if e, ok := given[nameProvenance]; ok && !isGiven(given, NameVersion) && !isGiven(given, NameImage) {
		l.report(e.key, "provenance is about a version or an image; give one of them, or leave it out")
	}
	if plugin.Image == "" || isGiven(given, NameApp) {
		return
	}
	repository, _, _ := strings.Cut(plugin.Image, "@")
	name, _, _ := strings.Cut(repository[strings.LastIndex(repository, "/")+1:], ":")
	app, isNamed := strings.CutPrefix(name, connectorPrefix)
	if !isNamed || len(app) > MaxName || !nameForm.MatchString(app) {
		l.report(given[NameImage].value, "which app the connector in this image is for is not known: its name %s is not baton-<app>; write app: beside it", settings.QuotedName(name))
		return
	}
	plugin.App = app
}
