package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/conductorone/baton-sdk/pkg/crypto"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

func (l *loader) uploads(n *yaml.Node, declared map[string]*Plugin) {
	for _, e := range l.entries(n, "uploads") {
		l.config.Uploads = append(l.config.Uploads, l.upload(e, declared))
	}
}

func (l *loader) upload(e entry, declared map[string]*Plugin) *Upload {
	upload := NewUpload(e.key.Value)
	what := "upload " + settings.QuotedName(upload.Name)
	l.checkName(e.key, "upload name")
	given := section(l, e.value, what, "", uploadRows, upload)
	l.uploadCredentials(upload, what, given[NameClientID], given[NameClientSecret])

	plugins := given[NameUploadPlugins]
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
	if len(l.problems) >= settings.MaxSuggestions {
		l.report(name.node, "this plugin is not defined under plugins")
		return
	}
	message := settings.QuotedName(name.text) + " is not defined under plugins"
	if near := errtext.Nearest(name.text, slices.Sorted(maps.Keys(declared))); near != "" {
		message += "; did you mean " + settings.QuotedName(near) + "?"
	}
	l.report(name.node, "%s", message)
}

func (l *loader) uploadCredentials(upload *Upload, what string, id, key entry) {
	switch {
	case isNull(id.value) && !isNull(key.value):
		l.report(key.key, "%s has a client-secret but no client-id; give both or neither", what)
	case !isNull(id.value) && isNull(key.value):
		l.report(id.key, "%s has a client-id but no client-secret; give both or neither", what)
	}
	upload.ClientID, _, _ = l.credential(id.value, "client-id")
	text, references, ok := l.credential(key.value, "client-secret")
	if text != "" {
		upload.ClientSecret = secret.New(text)
	}
	if ok {
		l.exposure.Secret("client-secret of "+what, len(references) == 0, references)
	}
	if upload.ClientID != "" && upload.ClientSecret.Reveal() != "" {
		l.checkCredentials(upload, id.value, key.value)
	}
}

// credential is empty, and its references are not resolved, where credentials are
// not asked for. It is not ok where none is given or something is wrong.
func (l *loader) credential(n *yaml.Node, what string) (text string, references []secret.Reference, ok bool) {
	text, ok = l.text(n, what)
	if !ok {
		return "", nil, false
	}
	expand := l.resolver.Expand
	if !l.credentials {
		expand = l.resolver.Check
	}
	text, references, errs := expand(text)
	for _, err := range errs {
		l.report(n, "%s", err.Error())
	}
	return text, references, len(errs) == 0
}

func (l *loader) onPluginFailure(e entry, upload *Upload) {
	switch policy, ok := l.plainText(e.value, "on-plugin-failure"); {
	case !ok || policy == "fail":
	case policy == "last-good":
		upload.LastGood = true
	default:
		l.report(e.value, `on-plugin-failure must be "fail" or "last-good"`)
	}
}

// clientIDForm is the form that C1 gives out: name@host[:port]/use.
var clientIDForm = regexp.MustCompile(`^[^@/\s]+@[^@/\s]+/\S+$`)

const (
	badClientID     = "is not of the form name@tenant.conductor.one/use; copy it from C1 as it is"
	badClientSecret = "is not one that C1 gives out, or not the whole of one; copy it from C1 as it is"
)

func goodClientSecret(text string) bool {
	_, err := crypto.ParseClientSecret([]byte(text), false)
	return err == nil
}

// CheckClientID says what is wrong with a client id, without quoting it.
func CheckClientID(text string) error {
	if !clientIDForm.MatchString(text) {
		return errors.New("the client id " + badClientID)
	}
	return nil
}

// CheckClientSecret says what is wrong with a client secret, without quoting it.
func CheckClientSecret(text string) error {
	if !goodClientSecret(text) {
		return errors.New("the client secret " + badClientSecret)
	}
	return nil
}

// TakeCredentials gives the upload credentials from the environment. The error
// says what is wrong with them and quotes neither.
func (u *Upload) TakeCredentials(id, clientSecret string) error {
	switch {
	case id == "" || clientSecret == "":
		return fmt.Errorf("upload %q has no credentials for C1: set BATON_CLIENT_ID and BATON_CLIENT_SECRET, or client-id and client-secret in its entry", u.Name)
	case !clientIDForm.MatchString(id):
		return errors.New("BATON_CLIENT_ID " + badClientID)
	case !goodClientSecret(clientSecret):
		return errors.New("BATON_CLIENT_SECRET " + badClientSecret)
	}
	u.ClientID, u.ClientSecret = id, secret.New(clientSecret)
	return nil
}

// checkCredentials reports what C1 would refuse anyway, without quoting it.
func (l *loader) checkCredentials(upload *Upload, id, secret *yaml.Node) {
	if !clientIDForm.MatchString(upload.ClientID) {
		l.report(id, "client-id %s", badClientID)
	}
	if !goodClientSecret(upload.ClientSecret.Reveal()) {
		l.report(secret, "client-secret %s", badClientSecret)
	}
	for _, other := range l.config.Uploads {
		if other.ClientID == upload.ClientID {
			l.report(id, "client-id is the one of upload %s; each upload is its own connector in C1, with its own credentials", settings.QuotedName(other.Name))
		}
	}
}

// Unused returns the names of the plugins that are in no upload, in the order of the
// file: nothing ever syncs them. A file without uploads is for commands that sync
// nothing, and has none.
func (c *Config) Unused() []string {
	var unused []string
	if len(c.Uploads) == 0 {
		return nil
	}
	for _, plugin := range c.Plugins {
		used := func(upload *Upload) bool { return slices.Contains(upload.Plugins, plugin) }
		if !slices.ContainsFunc(c.Uploads, used) {
			unused = append(unused, plugin.Name)
		}
	}
	return unused
}
