package conformance

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Request makes a configuration of Go values by field name: string, bool, int,
// []string, map[string]any; for a file []byte or string, its content.
func Request(schema *pluginv1.ConfigurationSchema, values map[string]any) (*pluginv1.ConfigureRequest, error) {
	request := &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{}, Secrets: map[string]*pluginv1.Value{}}
	fields := map[string]*pluginv1.Field{}
	for _, field := range schema.GetFields() {
		fields[field.GetName()] = field
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field, ok := fields[name]
		if !ok {
			wrong = append(wrong, fmt.Errorf("the configuration of this test has a value for %q, and the schema no such field", name))
			continue
		}
		value, err := valueOf(field, values[name])
		if err != nil {
			// The value itself is not shown: it may be a secret.
			wrong = append(wrong, fmt.Errorf("the configuration of this test has for %s a value that it cannot have: %w", name, err))
			continue
		}
		put(request, field, value)
	}
	return request, errors.Join(wrong...)
}

func valueOf(field *pluginv1.Field, value any) (*pluginv1.Value, error) {
	isFile := field.GetType() == pluginv1.FieldType_FIELD_TYPE_FILE
	switch value := value.(type) {
	case string:
		if isFile {
			return &pluginv1.Value{Kind: &pluginv1.Value_FileContent{FileContent: []byte(value)}}, nil
		}
		return text(value), nil
	case []byte:
		if isFile {
			return &pluginv1.Value{Kind: &pluginv1.Value_FileContent{FileContent: value}}, nil
		}
	case bool:
		return &pluginv1.Value{Kind: &pluginv1.Value_BoolValue{BoolValue: value}}, nil
	case int:
		return &pluginv1.Value{Kind: &pluginv1.Value_IntValue{IntValue: int64(value)}}, nil
	case []string:
		return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: value}}}, nil
	case map[string]any:
		fields, err := structpb.NewStruct(value)
		if err != nil {
			return nil, errors.New("a map holds what JSON has no word for")
		}
		return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: fields}}, nil
	}
	return nil, fmt.Errorf("a %T", value)
}
