package plugin

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	"github.com/conductorone/baton-sdk/pkg/field"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// authMethodField chooses among field groups. The SDK adds the field to every
// connector's command line; on the wire it is described where there is
// something to choose.
const authMethodField = "auth-method"

// wireSchema is the author's schema in the words of the contract.
func wireSchema(schema field.Configuration) (*pluginv1.ConfigurationSchema, error) {
	rules, err := rulesByField(schema)
	if err != nil {
		return nil, err
	}

	wire := &pluginv1.ConfigurationSchema{}
	for _, f := range schema.Fields {
		fieldType, err := wireType(f)
		if err != nil {
			return nil, err
		}
		defaultValue, err := wireDefault(f)
		if err != nil {
			return nil, err
		}
		wire.Fields = append(wire.Fields, &pluginv1.Field{
			Name:           f.FieldName,
			Label:          f.ConnectorConfig.DisplayName,
			Help:           f.Description,
			Type:           fieldType,
			Required:       f.Required,
			Secret:         f.Secret,
			DefaultValue:   defaultValue,
			Placeholder:    f.ConnectorConfig.Placeholder,
			Rules:          rules[f.FieldName],
			Hidden:         f.SyncerConfig.Hidden,
			FileExtensions: f.ConnectorConfig.BonusStrings,
		})
	}
	for _, relation := range schema.Constraints {
		kind, ok := relationKinds[relation.Kind]
		if !ok {
			return nil, fmt.Errorf("a relation between the fields %v is invalid", fieldNames(relation.Fields))
		}
		wire.Relations = append(wire.Relations, &pluginv1.Relation{
			Kind:   kind,
			Fields: fieldNames(relation.Fields),
			Needs:  fieldNames(relation.ExpectedFields),
		})
	}
	for _, group := range schema.FieldGroups {
		wire.FieldGroups = append(wire.FieldGroups, &pluginv1.FieldGroup{
			Name:      group.Name,
			Label:     group.DisplayName,
			Help:      group.HelpText,
			Fields:    fieldNames(group.Fields),
			IsDefault: group.Default,
		})
	}
	if len(wire.GetFieldGroups()) > 0 {
		wire.Fields = append(wire.Fields, authMethod(wire.GetFieldGroups()))
	}
	return wire, nil
}

func authMethod(groups []*pluginv1.FieldGroup) *pluginv1.Field {
	names := make([]string, 0, len(groups))
	for _, group := range groups {
		names = append(names, group.GetName())
	}
	return &pluginv1.Field{
		Name:  authMethodField,
		Label: "Authentication method",
		Help:  "Which set of fields applies.",
		Type:  pluginv1.FieldType_FIELD_TYPE_STRING,
		Rules: &pluginv1.Rules{AllowedValues: names},
	}
}

var relationKinds = map[field.Relationship]pluginv1.RelationKind{
	field.RequiredTogether:  pluginv1.RelationKind_RELATION_KIND_REQUIRED_TOGETHER,
	field.MutuallyExclusive: pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE,
	field.AtLeastOne:        pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE,
	field.Dependents:        pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON,
}

func fieldNames(fields []field.SchemaField) []string {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.FieldName)
	}
	return names
}

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

// wireDefault leaves out the SDK's zero values: a field without a default has
// none on the wire.
func wireDefault(f field.SchemaField) (*pluginv1.Value, error) {
	if f.Secret {
		return nil, nil
	}
	switch value := f.DefaultValue.(type) {
	case nil:
		return nil, nil
	case string:
		if value == "" || f.ConnectorConfig.FieldType == field.FileUpload {
			return nil, nil
		}
		return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: value}}, nil
	case bool:
		if !value {
			return nil, nil
		}
		return &pluginv1.Value{Kind: &pluginv1.Value_BoolValue{BoolValue: value}}, nil
	case int:
		if value == 0 {
			return nil, nil
		}
		return &pluginv1.Value{Kind: &pluginv1.Value_IntValue{IntValue: int64(value)}}, nil
	case []string:
		if len(value) == 0 {
			return nil, nil
		}
		return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: value}}}, nil
	case map[string]any:
		if len(value) == 0 {
			return nil, nil
		}
		fields, err := structpb.NewStruct(value)
		if err != nil {
			return nil, fmt.Errorf("the default value of field %s: %w", f.FieldName, err)
		}
		return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: fields}}, nil
	default:
		return nil, fmt.Errorf("the default value of field %s has the type %T", f.FieldName, value)
	}
}

// rulesByField reads the rules out of the SDK's own encoding of the schema: the
// schema's Go fields that hold them are not exported.
func rulesByField(schema field.Configuration) (map[string]*pluginv1.Rules, error) {
	exported := field.Configuration{Fields: slices.Clone(schema.Fields)}
	for i := range exported.Fields {
		// The encoding leaves out what C1's own form does not show.
		exported.Fields[i].ExportTarget = field.ExportTargetGUI
	}
	encoded, err := exported.Marshal()
	if err != nil {
		return nil, err
	}
	decoded := &configv1.Configuration{}
	if err := proto.Unmarshal(encoded, decoded); err != nil {
		return nil, err
	}

	rules := map[string]*pluginv1.Rules{}
	for _, f := range decoded.GetFields() {
		if wire := wireRules(f); wire != nil {
			rules[f.GetName()] = wire
		}
	}
	return rules, nil
}

func wireRules(f *configv1.Field) *pluginv1.Rules {
	rules := &pluginv1.Rules{}
	switch {
	case f.HasStringField():
		addStringRules(rules, f.GetStringField().GetRules())
	case f.HasIntField():
		addIntRules(rules, f.GetIntField().GetRules())
	case f.HasBoolField():
		if r := f.GetBoolField().GetRules(); r.HasEq() {
			rules.AllowedValues = []string{strconv.FormatBool(r.GetEq())}
		}
	case f.HasStringSliceField():
		addListRules(rules, f.GetStringSliceField().GetRules())
	case f.HasStringMapField():
		rules.CheckEmpty = f.GetStringMapField().GetRules().GetValidateEmpty()
	}
	if proto.Equal(rules, &pluginv1.Rules{}) {
		return nil
	}
	return rules
}

func addStringRules(rules *pluginv1.Rules, r *configv1.StringRules) {
	if r == nil {
		return
	}
	rules.AllowedValues = r.GetIn()
	rules.ForbiddenValues = r.GetNotIn()
	rules.Pattern = r.GetPattern()
	rules.Prefix = r.GetPrefix()
	rules.Suffix = r.GetSuffix()
	rules.Contains = r.GetContains()
	rules.Format = stringFormats[r.GetWellKnown()]
	rules.CheckEmpty = r.GetValidateEmpty()
	if r.HasEq() {
		rules.AllowedValues = []string{r.GetEq()}
	}
	if r.HasMinLen() {
		rules.MinLength = proto.Uint64(r.GetMinLen())
	}
	if r.HasMaxLen() {
		rules.MaxLength = proto.Uint64(r.GetMaxLen())
	}
	if r.HasLen() {
		rules.MinLength = proto.Uint64(r.GetLen())
		rules.MaxLength = proto.Uint64(r.GetLen())
	}
}

var stringFormats = map[configv1.WellKnownString]pluginv1.StringFormat{
	configv1.WellKnownString_WELL_KNOWN_STRING_EMAIL:    pluginv1.StringFormat_STRING_FORMAT_EMAIL,
	configv1.WellKnownString_WELL_KNOWN_STRING_HOSTNAME: pluginv1.StringFormat_STRING_FORMAT_HOSTNAME,
	configv1.WellKnownString_WELL_KNOWN_STRING_IP:       pluginv1.StringFormat_STRING_FORMAT_IP,
	configv1.WellKnownString_WELL_KNOWN_STRING_IPV4:     pluginv1.StringFormat_STRING_FORMAT_IPV4,
	configv1.WellKnownString_WELL_KNOWN_STRING_IPV6:     pluginv1.StringFormat_STRING_FORMAT_IPV6,
	configv1.WellKnownString_WELL_KNOWN_STRING_URI:      pluginv1.StringFormat_STRING_FORMAT_URI,
	configv1.WellKnownString_WELL_KNOWN_STRING_ADDRESS:  pluginv1.StringFormat_STRING_FORMAT_HOSTNAME,
	configv1.WellKnownString_WELL_KNOWN_STRING_UUID:     pluginv1.StringFormat_STRING_FORMAT_UUID,
}

func addIntRules(rules *pluginv1.Rules, r *configv1.Int64Rules) {
	if r == nil {
		return
	}
	rules.AllowedValues = decimals(r.GetIn())
	rules.ForbiddenValues = decimals(r.GetNotIn())
	rules.CheckEmpty = r.GetValidateEmpty()
	if r.HasEq() {
		rules.AllowedValues = decimals([]int64{r.GetEq()})
	}
	if r.HasGt() && r.GetGt() < math.MaxInt64 {
		rules.Minimum = proto.Int64(r.GetGt() + 1)
	}
	if r.HasGte() {
		rules.Minimum = proto.Int64(r.GetGte())
	}
	if r.HasLt() && r.GetLt() > math.MinInt64 {
		rules.Maximum = proto.Int64(r.GetLt() - 1)
	}
	if r.HasLte() {
		rules.Maximum = proto.Int64(r.GetLte())
	}
}

func decimals(values []int64) []string {
	var texts []string
	for _, value := range values {
		texts = append(texts, strconv.FormatInt(value, 10))
	}
	return texts
}

func addListRules(rules *pluginv1.Rules, r *configv1.RepeatedStringRules) {
	if r == nil {
		return
	}
	addStringRules(rules, r.GetItemRules())
	rules.UniqueItems = r.GetUnique()
	rules.CheckEmpty = r.GetValidateEmpty()
	if r.HasMinItems() {
		rules.MinItems = proto.Uint64(r.GetMinItems())
	}
	if r.HasMaxItems() {
		rules.MaxItems = proto.Uint64(r.GetMaxItems())
	}
}

// schemaNames is the set of names that a configuration may use.
func schemaNames(schema field.Configuration) map[string]field.SchemaField {
	names := map[string]field.SchemaField{}
	for _, f := range schema.Fields {
		names[f.FieldName] = f
	}
	if len(schema.FieldGroups) > 0 {
		if _, ok := names[authMethodField]; !ok {
			names[authMethodField] = field.StringField(authMethodField)
		}
	}
	return names
}
