package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func start(ctx context.Context, s *Suite) (string, error) {
	if _, err := s.start(ctx); err != nil {
		return "", err
	}
	return "it starts and shakes hands", nil
}

func describeSame(ctx context.Context, s *Suite) (string, error) {
	var first *pluginv1.Manifest
	for range 2 {
		process, err := s.start(ctx)
		if err != nil {
			return "", err
		}
		for range 2 {
			manifest, err := process.Describe(ctx)
			if err != nil {
				return "", fmt.Errorf("its Describe fails before there is a configuration: %w", plain(err))
			}
			if first == nil {
				first = manifest
			}
			if !proto.Equal(first, manifest) {
				return "", errors.New("its Describe does not answer the same every time; it must depend on nothing but the program")
			}
		}
	}
	if first.GetName() == "" || first.GetVersion() == "" {
		return "", errors.New("the manifest has no name, or no version")
	}
	s.manifest = first
	return fmt.Sprintf("%s %s: two processes answer the same, each twice", first.GetName(), first.GetVersion()), nil
}

// fieldName is the form of a field's name.
var fieldName = regexp.MustCompile(`^[a-z0-9]+([-_.][a-z0-9]+)*$`)

func soundSchema(_ context.Context, s *Suite) (string, error) {
	schema := s.manifest.GetConfiguration()
	encoded, err := proto.Marshal(schema)
	if err != nil {
		return "", fmt.Errorf("the schema cannot be encoded: %w", err)
	}
	decoded := &pluginv1.ConfigurationSchema{}
	if err := proto.Unmarshal(encoded, decoded); err != nil || !proto.Equal(schema, decoded) {
		return "", errors.New("the schema is not the same after a round trip")
	}

	var wrong []error
	names := map[string]bool{}
	for _, field := range schema.GetFields() {
		name := field.GetName()
		if names[name] {
			wrong = append(wrong, fmt.Errorf("there are two fields %q", name))
		}
		names[name] = true
		if !fieldName.MatchString(name) {
			wrong = append(wrong, fmt.Errorf("the field name %q is not lower case with dashes", name))
		}
		if _, known := pluginv1.FieldType_name[int32(field.GetType())]; !known || field.GetType() == pluginv1.FieldType_FIELD_TYPE_UNSPECIFIED {
			wrong = append(wrong, fmt.Errorf("field %s has no type", name))
		}
		if value := field.GetDefaultValue(); value.GetKind() != nil {
			if field.GetSecret() {
				wrong = append(wrong, fmt.Errorf("field %s is secret and has a default", name))
			}
			if !fits(field.GetType(), value) {
				wrong = append(wrong, fmt.Errorf("the default of field %s is not of its type", name))
			}
		}
	}
	known := func(where string, fields []string) {
		for _, name := range fields {
			if !names[name] {
				wrong = append(wrong, fmt.Errorf("%s names the field %q, which there is not", where, name))
			}
		}
	}
	for _, relation := range schema.GetRelations() {
		known("a relation", relation.GetFields())
		known("a relation", relation.GetNeeds())
	}
	groups := map[string]bool{}
	for _, group := range schema.GetFieldGroups() {
		if groups[group.GetName()] || group.GetName() == "" {
			wrong = append(wrong, fmt.Errorf("the name %q of a field group is empty or not the only one", group.GetName()))
		}
		groups[group.GetName()] = true
		known("a field group", group.GetFields())
	}
	if len(groups) > 0 {
		known("the choice of a field group", []string{authMethod})
	}
	if err := errors.Join(wrong...); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d fields", len(schema.GetFields())), nil
}

// fits reports whether a value has the type of a field.
func fits(fieldType pluginv1.FieldType, value *pluginv1.Value) bool {
	switch value.GetKind().(type) {
	case *pluginv1.Value_StringValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_STRING
	case *pluginv1.Value_BoolValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_BOOL
	case *pluginv1.Value_IntValue:
		return fieldType == pluginv1.FieldType_FIELD_TYPE_INT
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
