package schema

import (
	"encoding/json"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// fields is the schema of a plugin's config.
func fields(configuration *pluginv1.ConfigurationSchema, title string) Object {
	properties := Object{}
	needed := required(configuration)
	for _, field := range configuration.GetFields() {
		one := fieldOf(field)
		if !contains(needed, field.GetName()) {
			one["type"] = append(list(one["type"]), "null")
		}
		if field.GetRequired() && len(configuration.GetFieldGroups()) == 0 {
			notEmpty(one, field.GetType())
		}
		properties[field.GetName()] = one
	}
	schema := Object{"title": title, "type": []any{"object", "null"}, "properties": properties, "additionalProperties": false}
	if len(needed) > 0 {
		schema["type"], schema["required"] = "object", needed
	}
	return schema
}

// required are the fields that every configuration must have. With field groups it
// depends on the chosen one, which the plugin knows best.
func required(configuration *pluginv1.ConfigurationSchema) []any {
	var names []any
	if len(configuration.GetFieldGroups()) > 0 {
		return nil
	}
	for _, field := range configuration.GetFields() {
		if field.GetRequired() && field.GetDefaultValue().GetKind() == nil {
			names = append(names, field.GetName())
		}
	}
	return names
}

func contains(names []any, name string) bool {
	for _, one := range names {
		if one == name {
			return true
		}
	}
	return false
}

// notEmpty refuses a value that is empty.
func notEmpty(schema Object, kind pluginv1.FieldType) {
	switch kind {
	case pluginv1.FieldType_FIELD_TYPE_STRING, pluginv1.FieldType_FIELD_TYPE_FILE:
		schema["minLength"] = 1
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		schema["minItems"] = 1
	case pluginv1.FieldType_FIELD_TYPE_MAP:
		schema["minProperties"] = 1
	}
}

// fieldOf is the schema of one field's value.
func fieldOf(field *pluginv1.Field) Object {
	schema := typeOf(field)
	if field.GetLabel() != "" {
		schema["title"] = field.GetLabel()
	}
	if said := explained(field); said != "" {
		schema["description"] = said
	}
	if assumed := plain(field.GetDefaultValue()); assumed != nil {
		schema["default"] = assumed
	}
	if field.GetPlaceholder() != "" {
		schema["examples"] = []any{field.GetPlaceholder()}
	}
	return schema
}

func explained(field *pluginv1.Field) string {
	said := []string{field.GetHelp()}
	if field.GetSecret() {
		said = append(said, "This is a secret: refer to it with ${env:NAME} or ${file:PATH}.")
	}
	if field.GetType() == pluginv1.FieldType_FIELD_TYPE_FILE {
		said = append(said, "The path of a file, from the directory of this one, or its content.")
	}
	return strings.TrimSpace(strings.Join(said, " "))
}

func typeOf(field *pluginv1.Field) Object {
	rules := field.GetRules()
	if rules == nil {
		rules = &pluginv1.Rules{}
	}
	switch field.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING:
		return given(Object{"type": []any{"string", "number", "boolean"}}, textRules(rules), rules.GetCheckEmpty())
	case pluginv1.FieldType_FIELD_TYPE_BOOL:
		return given(Object{"type": []any{"boolean", "string"}}, Object{"pattern": `^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$`}, true)
	case pluginv1.FieldType_FIELD_TYPE_INT:
		schema := given(Object{"type": []any{"integer", "string"}}, Object{"pattern": `^[-+]?(0|[1-9][0-9]*)$`}, true)
		// 0 counts as not given.
		if rules.Minimum != nil && (rules.GetCheckEmpty() || rules.GetMinimum() <= 0) {
			schema["minimum"] = rules.GetMinimum()
		}
		if rules.Maximum != nil && (rules.GetCheckEmpty() || rules.GetMaximum() >= 0) {
			schema["maximum"] = rules.GetMaximum()
		}
		return schema
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		schema := Object{"type": []any{"array"}, "items": given(Object{"type": []any{"string", "number", "boolean"}}, textRules(rules), false)}
		if rules.MaxItems != nil {
			schema["maxItems"] = rules.GetMaxItems()
		}
		return schema
	case pluginv1.FieldType_FIELD_TYPE_MAP:
		return Object{"type": []any{"object"}}
	default: // A file, or what only a newer host knows.
		return Object{"type": []any{"string", "number", "boolean"}}
	}
}

// given has the rules hold for a text without a reference, which may stand for
// any value, and for an empty one
// only if that is checked too.
func given(schema, rules Object, checkEmpty bool) Object {
	if len(rules) == 0 {
		return schema
	}
	least := 1
	if checkEmpty {
		least = 0
	}
	schema["if"] = Object{"type": "string", "minLength": least, "not": Object{"pattern": `\$\{`}}
	schema["then"] = rules
	return schema
}

// textRules are the rules of a text that a JSON Schema can express, none of them
// stricter than the host's. Lengths are in bytes there and in characters here.
func textRules(rules *pluginv1.Rules) Object {
	schema := Object{}
	if allowed := rules.GetAllowedValues(); len(allowed) > 0 {
		schema["enum"] = texts(allowed)
	}
	if rules.MaxLength != nil {
		schema["maxLength"] = rules.GetMaxLength()
	}
	if rules.MinLength != nil {
		schema["minLength"] = (rules.GetMinLength() + 3) / 4
	}
	var all []any
	for _, pattern := range []string{anchored(rules.GetPrefix(), "^%"), anchored(rules.GetSuffix(), "%$"), anchored(rules.GetContains(), "%"), portable(rules.GetPattern())} {
		if pattern != "" {
			all = append(all, Object{"pattern": pattern})
		}
	}
	if len(all) > 0 {
		schema["allOf"] = all
	}
	return schema
}

func anchored(text, form string) string {
	if text == "" {
		return ""
	}
	return strings.Replace(form, "%", quoteMeta(text), 1)
}

// quoteMeta is regexp.QuoteMeta for the regular expressions of JSON Schema, where
// nothing else may be escaped.
func quoteMeta(text string) string { return strings.ReplaceAll(regexp.QuoteMeta(text), `\-`, "-") }

// notPortable is what POSIX's regular expressions and those of JSON Schema mean
// differently, or the latter refuse.
var notPortable = regexp.MustCompile(`\[\[?[:.=]|\\[^\\^$.*+?()\[\]{}|/]|\\$|\(\?|\[\^?\]|\{[^0-9]|\{$|\{,`)

func portable(pattern string) string {
	if notPortable.MatchString(pattern) {
		return ""
	}
	if _, err := regexp.CompilePOSIX(pattern); err != nil {
		return ""
	}
	return pattern
}

// plain is a value as JSON has it, nil for none.
func plain(value *pluginv1.Value) any {
	switch kind := value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return kind.StringValue
	case *pluginv1.Value_BoolValue:
		return kind.BoolValue
	case *pluginv1.Value_IntValue:
		return kind.IntValue
	case *pluginv1.Value_StringList:
		return texts(kind.StringList.GetValues())
	case *pluginv1.Value_MapValue:
		encoded, err := protojson.Marshal(kind.MapValue)
		if err != nil {
			return nil
		}
		return json.RawMessage(encoded)
	default:
		return nil
	}
}
