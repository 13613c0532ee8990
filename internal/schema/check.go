package schema

import (
	"maps"
	"math"
	"slices"
	"strings"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Check reports what is wrong with a request that can be seen without the rules: names
// that are no field's, secrets among the values and the other way round, and values
// of another type. The findings are in the order of the schema's fields; none of
// them holds a value.
func Check(of *pluginv1.ConfigurationSchema, request *pluginv1.ConfigureRequest) []*pluginv1.Diagnostic {
	known := map[string]*pluginv1.Field{}
	for _, f := range of.GetFields() {
		known[f.GetName()] = f
	}
	var findings []*pluginv1.Diagnostic
	check := func(given map[string]*pluginv1.Value, secret bool) {
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if wrong := wrongWith(known[name], given[name], secret); wrong != "" {
				findings = append(findings, &pluginv1.Diagnostic{Severity: pluginv1.Severity_SEVERITY_ERROR, Field: name, Summary: wrong})
			}
		}
	}
	check(request.GetValues(), false)
	check(request.GetSecrets(), true)
	return inOrder(of, findings)
}

// inOrder sorts findings as a person sees the fields, those about no field last.
func inOrder(of *pluginv1.ConfigurationSchema, findings []*pluginv1.Diagnostic) []*pluginv1.Diagnostic {
	position := map[string]int{}
	for i, f := range of.GetFields() {
		position[f.GetName()] = i - len(of.GetFields())
	}
	slices.SortStableFunc(findings, func(a, b *pluginv1.Diagnostic) int {
		return position[a.GetField()] - position[b.GetField()]
	})
	return findings
}

// wrongWith reports in a sentence what is wrong with one value, or "".
func wrongWith(f *pluginv1.Field, value *pluginv1.Value, secret bool) string {
	switch {
	case f == nil:
		return "there is no such field"
	case f.GetSecret() && !secret:
		return "the field is secret: its value must travel among the secrets"
	case !f.GetSecret() && secret:
		return "the field is not secret: its value must not travel among the secrets"
	case value.GetKind() == nil || hasType(value, f.GetType()):
		return ""
	default:
		return "the value must be " + typeNames[f.GetType()]
	}
}

// hasType reports whether a value has the form that a type of field wants.
func hasType(value *pluginv1.Value, fieldType pluginv1.FieldType) bool {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_STRING
	case *pluginv1.Value_BoolValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_BOOL
	case *pluginv1.Value_IntValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_INT && kind.IntValue >= math.MinInt && kind.IntValue <= math.MaxInt
	case *pluginv1.Value_StringList:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_STRING_LIST
	case *pluginv1.Value_MapValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_MAP
	case *pluginv1.Value_FileContent:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_FILE
	default:
		return false
	}
}

// TypeName is the short name of a type, for files and tables: "string-list".
func TypeName(of pluginv1.FieldType) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(of.String(), "FIELD_TYPE_"), "_", "-"))
}

var typeNames = map[pluginv1.FieldType]string{
	pluginv1.FieldType_FIELD_TYPE_STRING:      "a string",
	pluginv1.FieldType_FIELD_TYPE_BOOL:        "true or false",
	pluginv1.FieldType_FIELD_TYPE_INT:         "a whole number",
	pluginv1.FieldType_FIELD_TYPE_STRING_LIST: "a list of strings",
	pluginv1.FieldType_FIELD_TYPE_MAP:         "a map",
	pluginv1.FieldType_FIELD_TYPE_FILE:        "the content of a file",
}
