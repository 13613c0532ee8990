package plugin

import (
	"fmt"

	"github.com/conductorone/baton-sdk/pkg/field"

	"github.com/batonhost/baton-host/plugin/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func wireType(f field.SchemaField) (pluginv1.FieldType, error) {
	switch f.Variant {
	case field.StringVariant:
		if f.ConnectorConfig.FieldType == field.FileUpload {
			return pluginv1.FieldType_FIELD_TYPE_FILE, nil
		}
		return pluginv1.FieldType_FIELD_TYPE_STRING, nil
	case field.BoolVariant:
		return pluginv1.FieldType_FIELD_TYPE_BOOL, nil
	case field.IntVariant:
		return pluginv1.FieldType_FIELD_TYPE_INT, nil
	case field.StringSliceVariant:
		return pluginv1.FieldType_FIELD_TYPE_STRING_LIST, nil
	case field.StringMapVariant:
		return pluginv1.FieldType_FIELD_TYPE_MAP, nil
	default:
		return 0, fmt.Errorf("field %s has the unknown type %q", f.FieldName, f.Variant)
	}
}

// schemaNames is the set of names that a configuration may use.
func schemaNames(of field.Configuration) map[string]field.SchemaField {
	names := map[string]field.SchemaField{}
	for _, f := range of.Fields {
		names[f.FieldName] = f
	}
	if len(of.FieldGroups) > 0 {
		if _, ok := names[schema.AuthMethod]; !ok {
			names[schema.AuthMethod] = field.StringField(schema.AuthMethod)
		}
	}
	return names
}
