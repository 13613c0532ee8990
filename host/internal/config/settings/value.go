package settings

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Bind checks the settings against the plugin's own schema and brings them into
// the form that the plugin takes. It returns either or: the settings bound, or
// everything that is wrong with them.
func (s *Settings) Bind(schema *pluginv1.ConfigurationSchema) (*Bound, Problems) {
	if s.environment != nil {
		return bind(schema, variables(s.environment))
	}
	if !s.isResolved {
		problem := s.file.Place
		problem.Message = "the references of plugin " + QuotedName(s.file.Plugin) + " have not been resolved"
		return nil, Problems{problem}
	}
	unknown := s.unknownFields(schema)
	bound, problems := bind(schema, s)
	if problems = append(unknown, problems...); len(problems) > 0 {
		return nil, problems.Sorted()
	}
	bound.references = s.resolved
	for _, field := range schema.GetFields() {
		if path, ok := s.pathOf(field, s.lookup(field.GetName())); ok {
			bound.files = append(bound.files, path)
		}
		if field.GetSecret() {
			s.watch(field, s.lookup(field.GetName()))
		}
	}
	return bound, nil
}

// watch sees to it that others cannot read where a secret comes from.
func (s *Settings) watch(field *pluginv1.Field, given Value) {
	what := fmt.Sprintf("%s of plugin %s", s.label(field.GetName()), QuotedName(s.file.Plugin))
	for _, inside := range given.Content {
		s.watch(field, inside.Value)
	}
	if given.Kind != yaml.ScalarNode || given.Text.Reveal() == "" {
		return
	}
	if path, ok := s.pathOf(field, given); ok {
		s.file.Exposure.File(what, path)
		return
	}
	s.file.Exposure.Secret(what, given.Template)
}

// pathOf is the path that the value of a file field is, if it is none of the
// content itself.
func (s *Settings) pathOf(field *pluginv1.Field, given Value) (string, bool) {
	text := given.Text.Reveal()
	if field.GetType() != pluginv1.FieldType_FIELD_TYPE_FILE || text == "" || !given.Written || strings.Contains(text, "\n") {
		return "", false
	}
	return files.Within(s.file.Dir, text), true
}

func (s *Settings) unknownFields(schema *pluginv1.ConfigurationSchema) Problems {
	var names []string
	known := map[string]bool{}
	for _, field := range schema.GetFields() {
		known[field.GetName()] = true
		if !field.GetHidden() {
			names = append(names, field.GetName())
		}
	}
	var problems Problems
	for _, entry := range s.file.Entries {
		if known[entry.Key] {
			continue
		}
		problem := entry.KeyPlace
		problem.Message = "unknown key"
		if len(problems) < MaxSuggestions {
			problem.Message = UnknownKey(entry.Key, entry.Value.Kind != 0, names, "the configuration of plugin "+QuotedName(s.file.Plugin))
		}
		problems = append(problems, problem)
	}
	return problems
}

func (s *Settings) label(field string) string { return fmt.Sprintf("%q", field) }

func (s *Settings) at(field string) Problem {
	if given := s.lookup(field); given.Kind != 0 {
		return given.Place
	}
	return s.file.Place
}

func (s *Settings) missing(field *pluginv1.Field) string {
	return fmt.Sprintf("plugin %s needs %s under config", QuotedName(s.file.Plugin), described(s.label(field.GetName()), field))
}

func (s *Settings) finding(field, message string) string {
	if field == "" {
		return fmt.Sprintf("plugin %s: %s", QuotedName(s.file.Plugin), message)
	}
	return fmt.Sprintf("plugin %s: %s: %s", QuotedName(s.file.Plugin), s.label(field), message)
}

func (s *Settings) lookup(field string) Value {
	for _, entry := range s.file.Entries {
		if entry.Key == field {
			return entry.Value
		}
	}
	return Value{}
}

func (s *Settings) read(field *pluginv1.Field) (*pluginv1.Value, Problems) {
	given := s.lookup(field.GetName())
	if given.Kind == 0 {
		return nil, nil
	}
	switch field.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING_LIST:
		return s.readList(field, given)
	case pluginv1.FieldType_FIELD_TYPE_MAP:
		return s.readMap(field, given)
	}
	read, err := s.readScalar(field, given)
	if err != nil {
		return nil, Problems{s.wrong(given.Place, field, err.Error())}
	}
	return read, nil
}

// wrong is the problem that a field's value at this place does not fit.
func (s *Settings) wrong(place Problem, field *pluginv1.Field, why string) Problem {
	place.Message = s.label(field.GetName()) + " " + why
	return place
}

func (s *Settings) readScalar(field *pluginv1.Field, given Value) (*pluginv1.Value, error) {
	text := given.Text.Reveal()
	scalar := given.Kind == yaml.ScalarNode
	switch field.GetType() {
	case pluginv1.FieldType_FIELD_TYPE_STRING:
		if !scalar {
			return nil, errors.New("takes a text, not a list or a mapping")
		}
		return stringValue(text), nil
	case pluginv1.FieldType_FIELD_TYPE_BOOL:
		if !scalar || given.Tag != "!!bool" && given.Tag != "!!str" {
			return nil, errNotBool
		}
		return parseBool(text)
	case pluginv1.FieldType_FIELD_TYPE_INT:
		if !scalar {
			return nil, errNotInt
		}
		return parseInt(text)
	case pluginv1.FieldType_FIELD_TYPE_FILE:
		if !scalar {
			return nil, errors.New("takes the path of a file, or its content as a text")
		}
		return s.readFile(field, given)
	default:
		return nil, errUnknownType
	}
}

// readFile takes a text that is written out on one line for the path of the
// file, as the stand-alone connector does; what a reference gives, and a text of
// several lines, is the content itself.
func (s *Settings) readFile(field *pluginv1.Field, given Value) (*pluginv1.Value, error) {
	text := given.Text.Reveal()
	if path, ok := s.pathOf(field, given); ok {
		return readFileValue(field, path, text)
	}
	if len(text) > secret.MaxFile {
		return nil, fmt.Errorf("is larger than %d MiB", secret.MaxFile>>20)
	}
	return fileValue([]byte(text)), nil
}

func (s *Settings) readList(field *pluginv1.Field, given Value) (*pluginv1.Value, Problems) {
	if given.Kind != yaml.SequenceNode {
		return nil, Problems{s.wrong(given.Place, field, `takes a list: put each item on its own line after "- "`)}
	}
	list := make([]string, 0, len(given.Content))
	var problems Problems
	for _, item := range given.Content {
		switch item.Value.Kind {
		case yaml.ScalarNode:
			list = append(list, item.Value.Text.Reveal())
		case 0:
			problems = append(problems, s.wrong(item.Value.Place, field, "has an empty item"))
		default:
			problems = append(problems, s.wrong(item.Value.Place, field, "takes a list of texts, not of lists or mappings"))
		}
	}
	return listValue(list), problems
}

func (s *Settings) readMap(field *pluginv1.Field, given Value) (*pluginv1.Value, Problems) {
	if given.Kind != yaml.MappingNode {
		return nil, Problems{s.wrong(given.Place, field, `takes a mapping: put each "key: value" on its own line below it`)}
	}
	var problems Problems
	read := s.readAny(field, given, &problems)
	return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: read.GetStructValue()}}, problems
}

// readAny takes a value for what YAML takes it for. A key without a value counts
// as not given.
func (s *Settings) readAny(field *pluginv1.Field, given Value, problems *Problems) *structpb.Value {
	switch given.Kind {
	case yaml.MappingNode:
		fields := map[string]*structpb.Value{}
		for _, entry := range given.Content {
			if entry.Value.Kind != 0 {
				fields[entry.Key] = s.readAny(field, entry.Value, problems)
			}
		}
		return structpb.NewStructValue(&structpb.Struct{Fields: fields})
	case yaml.SequenceNode:
		list := &structpb.ListValue{}
		for _, item := range given.Content {
			list.Values = append(list.Values, s.readAny(field, item.Value, problems))
		}
		return structpb.NewListValue(list)
	case yaml.ScalarNode:
		read, err := scalarOfMap(given.Tag, given.Text.Reveal())
		if err != nil {
			*problems = append(*problems, s.wrong(given.Place, field, err.Error()))
		}
		return read
	default:
		return structpb.NewNullValue()
	}
}

// maxExact is the greatest whole number up to which all are exact in a
// google.protobuf.Value.
const maxExact = 1 << 53

func scalarOfMap(tag, text string) (*structpb.Value, error) {
	switch tag {
	case "!!bool":
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, errors.New("has a value that is neither true nor false; put it in quotes to give it as a text")
		}
		return structpb.NewBoolValue(b), nil
	case "!!int":
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || !wholeForm.MatchString(text) || number > maxExact || number < -maxExact {
			return nil, errInexact
		}
		return structpb.NewNumberValue(float64(number)), nil
	case "!!float":
		number, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			return nil, errInexact
		}
		return structpb.NewNumberValue(number), nil
	default:
		return structpb.NewStringValue(text), nil
	}
}

var (
	errNotBool     = errors.New("takes true or false")
	errNotInt      = errors.New("takes a whole number in decimal digits, such as 10")
	errInexact     = errors.New("has a number that cannot be given exactly; put it in quotes to give it as a text")
	errUnknownType = errors.New("has a type that this version of baton-host does not know; update baton-host")
)

// wholeForm leaves out what YAML reads in ways that surprise, such as 010.
var wholeForm = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)

func parseBool(text string) (*pluginv1.Value, error) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return nil, errNotBool
	}
	return &pluginv1.Value{Kind: &pluginv1.Value_BoolValue{BoolValue: b}}, nil
}

func parseInt(text string) (*pluginv1.Value, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !wholeForm.MatchString(text) {
		return nil, errNotInt
	}
	return &pluginv1.Value{Kind: &pluginv1.Value_IntValue{IntValue: number}}, nil
}

func stringValue(text string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: text}}
}

func listValue(list []string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: list}}}
}

func fileValue(content []byte) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_FileContent{FileContent: content}}
}

// readFileValue reads the file that a field names. A secret field's text is not
// repeated in the error: a person may have put the content where the path
// belongs.
func readFileValue(field *pluginv1.Field, path, written string) (*pluginv1.Value, error) {
	content, err := files.ReadRegular(path, secret.MaxFile)
	switch {
	case err == nil:
		return fileValue(content), nil
	case field.GetSecret():
		return nil, fmt.Errorf("takes the path of a file, but %w", err)
	default:
		return nil, fmt.Errorf("takes the path of a file, but %w: %s", err, written)
	}
}
