package settings

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/plugin/redact"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Bound is a configuration in the form that a plugin takes.
type Bound struct {
	// Values are the values of fields that are not secret, for
	// ConfigureRequest.values.
	Values map[string]*pluginv1.Value
	// Secrets are the values of secret fields, for ConfigureRequest.secrets.
	Secrets SecretValues

	source     source
	references []secret.Resolved
	files      []string
}

// Files returns the files, as absolute paths, whose content is a value.
func (b *Bound) Files() []string { return b.files }

// Equal reports whether a plugin would get the same values.
func (b *Bound) Equal(other *Bound) bool {
	return maps.EqualFunc(b.Values, other.Values, equalValues) && maps.EqualFunc(b.Secrets.Reveal(), other.Secrets.Reveal(), equalValues)
}

func equalValues(one, other *pluginv1.Value) bool { return proto.Equal(one, other) }

// Request is the request with which the plugin is configured. Make it for the
// call and do not keep it: unlike a Bound it can be printed.
func (b *Bound) Request(host *pluginv1.Host) *pluginv1.ConfigureRequest {
	return &pluginv1.ConfigureRequest{Values: b.Values, Secrets: b.Secrets.Reveal(), Host: host}
}

// SecretValues are values by field name that are not printed by accident: every
// way of formatting or encoding them gives "(secret)". The zero value has none.
type SecretValues struct {
	// A function, for the reason that Secret has one.
	reveal func() map[string]*pluginv1.Value
}

func newSecretValues(values map[string]*pluginv1.Value) SecretValues {
	return SecretValues{reveal: func() map[string]*pluginv1.Value { return values }}
}

// Reveal returns the values. Call it where they are used, and nowhere else.
func (s SecretValues) Reveal() map[string]*pluginv1.Value {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Format writes "(secret)", whatever the verb.
func (SecretValues) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redact.Hidden) }

// MarshalText returns "(secret)".
func (SecretValues) MarshalText() ([]byte, error) { return []byte(redact.Hidden), nil }

// MarshalJSON returns "(secret)" as a JSON string.
func (SecretValues) MarshalJSON() ([]byte, error) { return []byte(`"` + redact.Hidden + `"`), nil }

// Problem puts a plugin's finding about this configuration where it belongs: at the value of
// its field, or of the first field that it names in parentheses, else at the plugin's config. Values of
// secrets and of references that a careless plugin repeats are blanked.
func (b *Bound) Problem(d *pluginv1.Diagnostic) Problem {
	message := d.GetSummary()
	if d.GetDetail() != "" {
		message += ": " + d.GetDetail()
	}
	problem := b.source.at(cmp.Or(d.GetField(), b.fieldIn(message)))
	problem.Field, problem.Message = d.GetField(), b.source.finding(d.GetField(), b.blank(message))
	return problem
}

// fieldIn returns the first field that has a value and is named in parentheses; empty: none is.
func (b *Bound) fieldIn(message string) (first string) {
	at := len(message)
	for _, field := range slices.AppendSeq(slices.Collect(maps.Keys(b.Values)), maps.Keys(b.Secrets.Reveal())) {
		if i := strings.Index(message, "("+field+")"); i >= 0 && i < at {
			at, first = i, field
		}
	}
	return first
}

// Credentials returns how the credentials of this configuration are: its references, and
// the secret values that are no reference and are known to end.
func (b *Bound) Credentials() []secret.Credential {
	all := secret.CredentialsOf(b.references)
	values := b.Secrets.Reveal()
	for _, field := range slices.Sorted(maps.Keys(values)) {
		first := secret.Credential{Field: strings.Trim(b.source.label(field), `"`)}
		for _, text := range redact.Texts(values[field]) {
			if b.isResolved(text) {
				continue
			}
			if issued, expires := secret.LifeOf(secret.New(text)); secret.Earliest(first.Expires, expires) != first.Expires {
				first.Issued, first.Expires = issued, expires
			}
		}
		if !first.Expires.IsZero() {
			all = append(all, first)
		}
	}
	return all
}

// isResolved reports whether a text has in it what a reference resolved to.
func (b *Bound) isResolved(text string) bool {
	return slices.ContainsFunc(b.references, func(one secret.Resolved) bool { return strings.Contains(text, one.Text.Reveal()) })
}

// blank writes a reference in place of what it resolved to, and a placeholder in
// place of other secrets.
func (b *Bound) blank(message string) string {
	var values []redact.Value
	for _, reference := range b.references {
		values = append(values, redact.Value{Text: reference.Text.Reveal(), Instead: reference.Reference.String()})
	}
	for _, secret := range b.Secrets.Reveal() {
		for _, text := range redact.Texts(secret) {
			values = append(values, redact.Value{Text: text, Instead: redact.Hidden})
		}
	}
	return redact.New(values...).Blank(message)
}
