package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

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
	references []reference
}

// SecretValues are values by field name that are not printed by accident.
type SecretValues map[string]*pluginv1.Value

// Format writes a placeholder, whatever the verb.
func (SecretValues) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, hidden) }

// MarshalJSON returns a placeholder as a JSON string.
func (SecretValues) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

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

// shortestBlanked is the least length of a text that is blanked: to blank
// shorter ones would garble the message and hide nothing.
const shortestBlanked = 4

func (b *Bound) blank(message string) string {
	type pair struct{ text, instead string }
	var pairs []pair
	add := func(text, instead string) {
		quoted := strings.Trim(strconv.Quote(text), `"`)
		for _, form := range append(strings.Split(text, "\n"), text, quoted) {
			if len(form) >= shortestBlanked {
				pairs = append(pairs, pair{form, instead})
			}
		}
	}
	for _, value := range b.Secrets {
		for _, text := range texts(value) {
			add(text, hidden)
		}
	}
	for _, reference := range b.references {
		add(reference.result.Reveal(), reference.source)
	}
	// The longest first, for one may hold another.
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(len(b.text), len(a.text)), strings.Compare(a.text, b.text), strings.Compare(a.instead, b.instead))
	})
	replacements := make([]string, 0, 2*len(pairs))
	for _, p := range pairs {
		replacements = append(replacements, p.text, p.instead)
	}
	return strings.NewReplacer(replacements...).Replace(message)
}

// texts are the texts in a value.
func texts(value *pluginv1.Value) []string {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return []string{kind.StringValue}
	case *pluginv1.Value_StringList:
		return kind.StringList.GetValues()
	case *pluginv1.Value_FileContent:
		return []string{string(kind.FileContent)}
	case *pluginv1.Value_MapValue:
		return textsOfMap(structpb.NewStructValue(kind.MapValue))
	default:
		return nil
	}
}

func textsOfMap(value *structpb.Value) []string {
	var found []string
	switch kind := value.GetKind().(type) {
	case *structpb.Value_StringValue:
		found = append(found, kind.StringValue)
	case *structpb.Value_ListValue:
		for _, item := range kind.ListValue.GetValues() {
			found = append(found, textsOfMap(item)...)
		}
	case *structpb.Value_StructValue:
		for _, item := range kind.StructValue.GetFields() {
			found = append(found, textsOfMap(item)...)
		}
	}
	return found
}
