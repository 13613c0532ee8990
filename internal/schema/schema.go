package schema

import (
	"fmt"
	"slices"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	"github.com/conductorone/baton-sdk/pkg/field"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// AuthMethod is the name of the field that chooses among field groups. The SDK
// adds the field to every connector's command line; in the contract it is
// described where there is something to choose.
const AuthMethod = "auth-method"

// Of is the schema that an author wrote.
func Of(schema field.Configuration) (*pluginv1.ConfigurationSchema, error) {
	encoded, err := encode(schema)
	if err != nil {
		return nil, err
	}
	wire, err := Translate(encoded)
	if err != nil {
		return nil, err
	}
	// The SDK's encoding does not know this.
	for i, f := range schema.Fields {
		wire.GetFields()[i].Hidden = f.SyncerConfig.Hidden
	}
	return wire, nil
}

// encode is the SDK's own encoding of the whole schema: it leaves out what C1's
// form does not show, so everything is made to be shown.
func encode(schema field.Configuration) (*configv1.Configuration, error) {
	whole := schema
	whole.Fields = slices.Clone(schema.Fields)
	for i := range whole.Fields {
		whole.Fields[i].ExportTarget = field.ExportTargetGUI
	}
	whole.FieldGroups = slices.Clone(schema.FieldGroups)
	for i := range whole.FieldGroups {
		whole.FieldGroups[i].ExportTarget = field.ExportTargetGUI
	}
	encoded, err := whole.Marshal()
	if err != nil {
		return nil, err
	}
	decoded := &configv1.Configuration{}
	if err := proto.Unmarshal(encoded, decoded); err != nil {
		return nil, err
	}
	return decoded, nil
}

// Translate puts the SDK's encoding of a schema, which is what the `config`
// command of every connector prints, into the contract's words. Fields that are
// for operators (Field.is_ops) become hidden ones.
func Translate(schema *configv1.Configuration) (*pluginv1.ConfigurationSchema, error) {
	wire := &pluginv1.ConfigurationSchema{}
	for _, f := range schema.GetFields() {
		translated, err := wireField(f)
		if err != nil {
			return nil, fmt.Errorf("the field %s: %w", f.GetName(), err)
		}
		wire.Fields = append(wire.Fields, translated)
	}
	for _, constraint := range schema.GetConstraints() {
		kind, ok := relationKinds[constraint.GetKind()]
		if !ok {
			return nil, fmt.Errorf("a relation between the fields %v is invalid", constraint.GetFieldNames())
		}
		wire.Relations = append(wire.Relations, &pluginv1.Relation{
			Kind:   kind,
			Fields: constraint.GetFieldNames(),
			Needs:  constraint.GetSecondaryFieldNames(),
		})
	}
	for _, group := range schema.GetFieldGroups() {
		wire.FieldGroups = append(wire.FieldGroups, &pluginv1.FieldGroup{
			Name:      group.GetName(),
			Label:     group.GetDisplayName(),
			Help:      group.GetHelpText(),
			Fields:    shown(group.GetFields(), wire),
			IsDefault: group.GetDefault(),
		})
	}
	isAuthMethod := func(f *pluginv1.Field) bool { return f.GetName() == AuthMethod }
	if len(wire.GetFieldGroups()) > 0 && !slices.ContainsFunc(wire.GetFields(), isAuthMethod) {
		wire.Fields = append(wire.Fields, authMethod(wire.GetFieldGroups()))
	}
	return wire, nil
}

// shown are those names of a group that the schema has: the SDK's encoding leaves out a
// field that its author has kept to the command line, and not its name in the groups.
func shown(names []string, wire *pluginv1.ConfigurationSchema) []string {
	has := map[string]bool{}
	for _, f := range wire.GetFields() {
		has[f.GetName()] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !has[name] })
}

func authMethod(groups []*pluginv1.FieldGroup) *pluginv1.Field {
	names := make([]string, 0, len(groups))
	for _, group := range groups {
		names = append(names, group.GetName())
	}
	return &pluginv1.Field{
		Name:  AuthMethod,
		Label: "Authentication method",
		Help:  "Which set of fields applies.",
		Type:  pluginv1.FieldType_FIELD_TYPE_STRING,
		Rules: &pluginv1.Rules{AllowedValues: names},
	}
}

var relationKinds = map[configv1.ConstraintKind]pluginv1.RelationKind{
	configv1.ConstraintKind_CONSTRAINT_KIND_REQUIRED_TOGETHER:  pluginv1.RelationKind_RELATION_KIND_REQUIRED_TOGETHER,
	configv1.ConstraintKind_CONSTRAINT_KIND_MUTUALLY_EXCLUSIVE: pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE,
	configv1.ConstraintKind_CONSTRAINT_KIND_AT_LEAST_ONE:       pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE,
	configv1.ConstraintKind_CONSTRAINT_KIND_DEPENDENT_ON:       pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON,
}

func wireField(f *configv1.Field) (*pluginv1.Field, error) {
	fieldType, defaultValue, err := typeOf(f)
	if err != nil {
		return nil, err
	}
	if f.GetIsSecret() {
		defaultValue = nil
	}
	return &pluginv1.Field{
		Name:           f.GetName(),
		Label:          f.GetDisplayName(),
		Help:           f.GetDescription(),
		Type:           fieldType,
		Required:       f.GetIsRequired(),
		Secret:         f.GetIsSecret(),
		DefaultValue:   defaultValue,
		Placeholder:    f.GetPlaceholder(),
		Rules:          wireRules(f),
		Hidden:         f.GetIsOps(),
		FileExtensions: f.GetStringField().GetAllowedExtensions(),
	}, nil
}

// typeOf is the type of a field and its default value, if it has one: the SDK's
// zero values stand for none.
func typeOf(f *configv1.Field) (pluginv1.FieldType, *pluginv1.Value, error) {
	switch {
	case f.HasStringField():
		text := f.GetStringField()
		if text.GetType() == configv1.StringFieldType_STRING_FIELD_TYPE_FILE_UPLOAD {
			return pluginv1.FieldType_FIELD_TYPE_FILE, nil, nil
		}
		if text.GetDefaultValue() == "" {
			return pluginv1.FieldType_FIELD_TYPE_STRING, nil, nil
		}
		return pluginv1.FieldType_FIELD_TYPE_STRING, &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: text.GetDefaultValue()}}, nil
	case f.HasBoolField():
		if !f.GetBoolField().GetDefaultValue() {
			return pluginv1.FieldType_FIELD_TYPE_BOOL, nil, nil
		}
		return pluginv1.FieldType_FIELD_TYPE_BOOL, &pluginv1.Value{Kind: &pluginv1.Value_BoolValue{BoolValue: true}}, nil
	case f.HasIntField():
		number := f.GetIntField().GetDefaultValue()
		if number == 0 {
			return pluginv1.FieldType_FIELD_TYPE_INT, nil, nil
		}
		return pluginv1.FieldType_FIELD_TYPE_INT, &pluginv1.Value{Kind: &pluginv1.Value_IntValue{IntValue: number}}, nil
	case f.HasStringSliceField():
		list := f.GetStringSliceField().GetDefaultValue()
		if len(list) == 0 {
			return pluginv1.FieldType_FIELD_TYPE_STRING_LIST, nil, nil
		}
		return pluginv1.FieldType_FIELD_TYPE_STRING_LIST, &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: list}}}, nil
	case f.HasStringMapField():
		value, err := mapDefault(f.GetStringMapField().GetDefaultValue())
		return pluginv1.FieldType_FIELD_TYPE_MAP, value, err
	default:
		return 0, nil, fmt.Errorf("a configuration cannot have its type")
	}
}

// mapDefault is the default value of a map. The SDK packs its items into Any.
func mapDefault(items map[string]*anypb.Any) (*pluginv1.Value, error) {
	if len(items) == 0 {
		return nil, nil
	}
	fields := map[string]*structpb.Value{}
	for key, packed := range items {
		item := &structpb.Value{}
		if err := packed.UnmarshalTo(item); err != nil {
			return nil, fmt.Errorf("its default value: %w", err)
		}
		fields[key] = item
	}
	return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: &structpb.Struct{Fields: fields}}}, nil
}
