package settings

import (
	"fmt"
	"io"

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
	references []secret.Reference
}

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

// Problem puts a plugin's finding about this configuration where it belongs: at
// the field's value if one is given, else at the plugin's config. Values of
// secrets and of references that a careless plugin repeats are blanked.
func (b *Bound) Problem(d *pluginv1.Diagnostic) Problem {
	message := d.GetSummary()
	if d.GetDetail() != "" {
		message += ": " + d.GetDetail()
	}
	problem := b.source.at(d.GetField())
	problem.Message = b.source.finding(d.GetField(), b.blank(message))
	return problem
}

// blank writes a reference in place of what it resolved to, and a placeholder in
// place of other secrets.
func (b *Bound) blank(message string) string {
	var values []redact.Value
	for _, reference := range b.references {
		values = append(values, redact.Value{Text: reference.Result.Reveal(), Instead: reference.Source})
	}
	for _, secret := range b.Secrets.Reveal() {
		for _, text := range redact.Texts(secret) {
			values = append(values, redact.Value{Text: text, Instead: redact.Hidden})
		}
	}
	return redact.New(values...).Blank(message)
}
