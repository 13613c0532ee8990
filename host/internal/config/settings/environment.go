package settings

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// variablePrefix begins the name of every variable that the stand-alone
// connector reads.
const variablePrefix = "BATON_"

// environment gives a plugin's fields from texts: the variables that configure the
// stand-alone connector, or what a person has answered.
type environment struct {
	lookup func(label string) (string, bool)
	// labels says what a field is called.
	labels func(field string) string
	// given says how a value comes here: "set", "given".
	given string
}

// variables returns the source of a plugin's fields that the stand-alone connector takes
// them from: the variables BATON_ and the field's name in upper case with underscores. A
// variable that is empty counts as not set. A list is comma separated (CSV); a map is
// key=value, comma separated, or a JSON object; a file is the path of one.
func variables(lookup func(string) (string, bool)) *environment {
	return &environment{lookup: lookup, labels: Variable, given: "set"}
}

// FromTexts takes a plugin's configuration from texts by field name, in the form
// that variables have for [ByName]. An empty text counts as not given. If anything is
// wrong the error is [Problems], without places, and has everything that is.
func FromTexts(schema *pluginv1.ConfigurationSchema, texts map[string]string) (*Bound, error) {
	lookup := func(field string) (string, bool) {
		text, ok := texts[field]
		return text, ok
	}
	from := &environment{lookup: lookup, labels: func(field string) string { return field }, given: "given"}
	bound, problems := bind(schema, from)
	return bound, problems.Err()
}

// Variable is the variable from which the stand-alone connector takes a field.
func Variable(field string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(field, "-", "_"))
}

func (e *environment) label(field string) string { return e.labels(field) }

func (e *environment) at(string) Problem { return Problem{} }

func (e *environment) missing(field *pluginv1.Field) string {
	return described(e.label(field.GetName()), field) + " must be " + e.given
}

func (e *environment) finding(field, message string) string {
	if field == "" {
		return message
	}
	return e.label(field) + ": " + message
}

func (e *environment) read(field *pluginv1.Field) (*pluginv1.Value, Problems) {
	text, ok := e.lookup(e.label(field.GetName()))
	if !ok || text == "" {
		return nil, nil
	}
	value, err := parseVariable(field, text)
	if err != nil {
		return nil, Problems{{Message: e.label(field.GetName()) + " " + err.Error()}}
	}
	return value, nil
}

func parseVariable(field *pluginv1.Field, text string) (*pluginv1.Value, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("is not UTF-8 text")
	}
	switch field.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING:
		return stringValue(text), nil
	case pluginv1.FieldType_FIELD_TYPE_BOOL:
		return parseBool(text)
	case pluginv1.FieldType_FIELD_TYPE_INT:
		return parseInt(text)
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		list, err := parseCSV(text)
		if err != nil {
			return nil, errors.New(`takes a comma-separated list; an item that holds a comma or a quote goes in double quotes`)
		}
		return listValue(list), nil
	case pluginv1.FieldType_FIELD_TYPE_MAP:
		return parseMap(text)
	case pluginv1.FieldType_FIELD_TYPE_FILE:
		return readFileValue(field, text, text)
	default:
		return nil, errUnknownType
	}
}

func parseCSV(text string) ([]string, error) {
	return csv.NewReader(strings.NewReader(text)).Read()
}

// parseMap takes both forms that the SDK's command line takes: key=value pairs
// as in a flag, a JSON object as in the variable.
func parseMap(text string) (*pluginv1.Value, error) {
	errForm := errors.New(`takes key=value pairs, comma separated, or a JSON object`)
	values := map[string]any{}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			return nil, errForm
		}
	} else {
		pairs, err := parseCSV(text)
		if err != nil {
			return nil, errForm
		}
		for _, pair := range pairs {
			key, value, ok := strings.Cut(pair, "=")
			if !ok || key == "" {
				return nil, errForm
			}
			values[key] = value
		}
	}
	fields, err := structpb.NewStruct(values)
	if err != nil {
		return nil, errForm
	}
	return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: fields}}, nil
}
