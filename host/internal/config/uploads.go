package config

import (
	"context"
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
		l.report(key.key, "%s has client-secret but no client-id; give client-id and client-secret, or neither of them", what)
	case !isNull(id.value) && isNull(key.value):
		l.report(id.key, "%s has client-id but no client-secret; give client-id and client-secret, or neither of them", what)
	}
	upload.credentials = credentials{
		stores: l.describedStores, dir: l.dir,
		id: l.credential(id, NameClientID), secret: l.credential(key, NameClientSecret),
	}
	if upload.credentials.secret.given {
		l.exposure.Secret("client-secret of "+what, upload.credentials.secret.template)
	}
}

// credential is a text with references and its place; nothing where none is given or
// something is wrong.
func (l *loader) credential(e entry, what string) placedText {
	text, ok := l.text(e.value, what)
	if !ok {
		return placedText{}
	}
	return placedText{given: true, place: l.place(e.value), template: l.template(e.value, text)}
}

// credentials are those of an upload as the file has them, to be resolved.
type credentials struct {
	id, secret placedText
	stores     string // as in settings.File
	dir        string // of the configuration file
}

type placedText struct {
	given    bool
	place    settings.Problem
	template secret.Template
}

// expand resolves the text.
func (t placedText) expand(ctx context.Context, round *secret.Round) (expansion secret.Expansion, problems settings.Problems) {
	expansion, errs := round.Expand(ctx, t.template)
	for _, err := range errs {
		problem := t.place
		problem.Unresolve(err)
		problems = append(problems, problem)
	}
	return expansion, problems
}

// Resolve returns the upload with the credentials that its references have in this round;
// the upload itself stays as it is. An upload without credentials in the file keeps what
// [Upload.TakeCredentials] gave it.
func (u *Upload) Resolve(ctx context.Context, round *secret.Round) (*Upload, settings.Problems) {
	resolved, given := *u, u.credentials
	if !given.id.given || !given.secret.given {
		return &resolved, nil
	}
	id, problems := given.id.expand(ctx, round)
	key, more := given.secret.expand(ctx, round)
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, problems
	}
	resolved.ClientID, resolved.ClientSecret = id.Text.Reveal(), key.Text
	resolved.Resolved = slices.Concat(id.Resolved, key.Resolved)
	report := func(place settings.Problem, message string) {
		place.Message = message
		problems = append(problems, place)
	}
	if !clientIDForm.MatchString(resolved.ClientID) {
		report(given.id.place, "client-id "+badClientID)
	}
	if !goodClientSecret(resolved.ClientSecret.Reveal()) {
		report(given.secret.place, "client-secret "+badClientSecret)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return &resolved, nil
}

// Credentials returns how the references of the credentials are.
func (u *Upload) Credentials() []secret.Credential { return secret.CredentialsOf(u.Resolved) }

// HasCredentials reports whether the file or the environment has credentials for the
// upload; they may yet have to be resolved.
func (u *Upload) HasCredentials() bool {
	return u.ClientID != "" || u.credentials.id.given && u.credentials.secret.given
}

// References are the references of the credentials, as they are written.
func (u *Upload) References() []secret.Reference {
	if !u.credentials.id.given || !u.credentials.secret.given {
		return nil
	}
	return slices.Concat(u.credentials.id.template.References(), u.credentials.secret.template.References())
}

// Files returns the files that references of the credentials name, as absolute paths.
func (u *Upload) Files() []string { return settings.FilesOf(u.credentials.dir, u.References()) }

// HasReferences reports whether there is anything to resolve again.
func (u *Upload) HasReferences() bool { return len(u.References()) > 0 }

// sharedCredentials reports uploads that have the client id of another.
func sharedCredentials(uploads []*Upload) settings.Problems {
	var problems settings.Problems
	for i, upload := range uploads {
		for _, other := range uploads[:i] {
			if upload.ClientID != "" && other.ClientID == upload.ClientID {
				problems = append(problems, upload.SharedWith(other.Name))
			}
		}
	}
	return problems
}

// SharedWith returns the problem that the client id is the one of another upload.
func (u *Upload) SharedWith(other string) settings.Problem {
	problem := u.credentials.id.place
	problem.Message = fmt.Sprintf("client-id is the one of upload %s; each upload is its own connector in C1, with its own credentials", settings.QuotedName(other))
	return problem
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
	id, clientSecret = secret.WithoutLineEnd(id), secret.WithoutLineEnd(clientSecret) // As ${env:} reads them.
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
