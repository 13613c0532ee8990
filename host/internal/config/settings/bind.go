package settings

import (
	"fmt"
	"slices"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// authMethod is the field whose value chooses among field groups.
const authMethod = "auth-method"

// source is where the values of a plugin's fields come from: a file or the
// environment.
type source interface {
	// read returns a field's value, or nil where none is given or where
	// something is wrong, which the problems report.
	read(field *pluginv1.Field) (*pluginv1.Value, Problems)
	// label is what a person calls the field here.
	label(field string) string
	// at is where a problem of the field belongs; it has no message yet.
	at(field string) Problem
	// missing is the message about a required field without a value.
	missing(field *pluginv1.Field) string
	// finding is the message for what a plugin says about a field.
	finding(field, message string) string
}

// binder checks the values of one source against a plugin's schema.
type binder struct {
	schema   *pluginv1.ConfigurationSchema
	source   source
	values   map[string]*pluginv1.Value
	faulty   map[string]bool // fields whose value could not be read
	problems Problems
}

// bind reads and checks every field, and then what must hold between them. The
// plugin checks everything again: what is found here is what it would find too,
// earlier, all at once and with the place.
func bind(schema *pluginv1.ConfigurationSchema, from source) (*Bound, Problems) {
	b := &binder{
		schema: schema,
		source: from,
		values: map[string]*pluginv1.Value{},
		faulty: map[string]bool{},
	}
	for _, field := range schema.GetFields() {
		value, problems := from.read(field)
		if len(problems) > 0 {
			for _, problem := range problems {
				problem.Field = field.GetName()
				b.problems = append(b.problems, problem)
			}
			b.faulty[field.GetName()] = true
			continue
		}
		if value != nil {
			b.values[field.GetName()] = value
		}
	}

	applies := b.applicable()
	for _, field := range schema.GetFields() {
		if applies(field.GetName()) && !b.faulty[field.GetName()] {
			b.checkField(field)
		}
	}
	b.checkRelations(applies)
	if len(b.problems) > 0 {
		return nil, b.problems
	}
	return b.bound(), nil
}

// bound parts the values as they travel.
func (b *binder) bound() *Bound {
	bound := &Bound{Values: map[string]*pluginv1.Value{}, source: b.source}
	secrets := map[string]*pluginv1.Value{}
	for _, field := range b.schema.GetFields() {
		value, ok := b.values[field.GetName()]
		switch {
		case !ok:
		case field.GetSecret():
			secrets[field.GetName()] = value
		default:
			bound.Values[field.GetName()] = value
		}
	}
	bound.Secrets = newSecretValues(secrets)
	return bound
}

func (b *binder) report(field, format string, arguments ...any) {
	problem := b.source.at(field)
	problem.Field, problem.Message = field, fmt.Sprintf(format, arguments...)
	b.problems = append(b.problems, problem)
}

// applicable says which fields apply: with field groups, those of the chosen
// one.
func (b *binder) applicable() func(field string) bool {
	groups := b.schema.GetFieldGroups()
	if len(groups) == 0 {
		return func(string) bool { return true }
	}
	chosen := chooseGroup(groups, b.values[authMethod].GetStringValue())
	return func(field string) bool {
		return field == authMethod || slices.Contains(chosen.GetFields(), field)
	}
}

func chooseGroup(groups []*pluginv1.FieldGroup, name string) *pluginv1.FieldGroup {
	for _, group := range groups {
		if group.GetName() == name {
			return group
		}
	}
	for _, group := range groups {
		if group.GetIsDefault() {
			return group
		}
	}
	return groups[0]
}

// checkField checks one field that applies.
func (b *binder) checkField(field *pluginv1.Field) {
	name := field.GetName()
	value, given := b.values[name]
	switch {
	case !given && field.GetDefaultValue().GetKind() != nil:
		return
	case !given && field.GetRequired():
		b.report(name, "%s", b.source.missing(field))
		return
	case given && field.GetRequired() && isEmptyContent(value):
		b.report(name, "%s is empty; a value is required", b.source.label(name))
		return
	}
	for _, broken := range brokenRules(field, value) {
		b.report(name, "%s %s", b.source.label(name), broken)
	}
}

// isEmptyContent says that a text, a list, a map or a file is empty. Of a number
// and of true or false no such thing can be said.
func isEmptyContent(value *pluginv1.Value) bool {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return kind.StringValue == ""
	case *pluginv1.Value_StringList:
		return len(kind.StringList.GetValues()) == 0
	case *pluginv1.Value_MapValue:
		return len(kind.MapValue.GetFields()) == 0
	case *pluginv1.Value_FileContent:
		return len(kind.FileContent) == 0
	default:
		return false
	}
}

// isSet is the contract's "set": given and not empty, zero or false.
func isSet(value *pluginv1.Value) bool {
	switch kind := value.GetKind().(type) {
	case nil:
		return false
	case *pluginv1.Value_BoolValue:
		return kind.BoolValue
	case *pluginv1.Value_IntValue:
		return kind.IntValue != 0
	default:
		return !isEmptyContent(value)
	}
}

// described is a field's name with its label, for people.
func described(name string, field *pluginv1.Field) string {
	if field.GetLabel() == "" || field.GetLabel() == field.GetName() {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, field.GetLabel())
}
