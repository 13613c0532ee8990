package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func TestBind_ChecksTheRulesOfAField(t *testing.T) {
	t.Parallel()
	const (
		texts   = pluginv1.FieldType_FIELD_TYPE_STRING
		truths  = pluginv1.FieldType_FIELD_TYPE_BOOL
		numbers = pluginv1.FieldType_FIELD_TYPE_INT
		lists   = pluginv1.FieldType_FIELD_TYPE_STRING_LIST
	)
	format := func(format pluginv1.StringFormat) *pluginv1.Rules { return &pluginv1.Rules{Format: format} }
	for name, test := range map[string]struct {
		fieldType pluginv1.FieldType
		rules     *pluginv1.Rules
		good, bad []string // values; the empty text: none given
		want      string
	}{
		"allowed texts":     {texts, &pluginv1.Rules{AllowedValues: []string{"eu", "us"}}, []string{"eu", "us", "", "''"}, []string{"EU", "e"}, `must be one of "eu", "us"`},
		"one allowed text":  {texts, &pluginv1.Rules{AllowedValues: []string{"eu"}}, []string{"eu"}, []string{"us"}, `must be "eu"`},
		"forbidden texts":   {texts, &pluginv1.Rules{ForbiddenValues: []string{"a", "b"}}, []string{"c", "''"}, []string{"a", "b"}, `must be none of "a", "b"`},
		"least length":      {texts, &pluginv1.Rules{MinLength: proto.Uint64(3)}, []string{"abc", "ää", "''", ""}, []string{"ab"}, "must have at least 3 bytes"},
		"greatest length":   {texts, &pluginv1.Rules{MaxLength: proto.Uint64(3)}, []string{"abc"}, []string{"abcd", "ää"}, "must have at most 3 bytes"},
		"prefix":            {texts, &pluginv1.Rules{Prefix: "sk-"}, []string{"sk-1", "''"}, []string{"Sk-1"}, `must begin with "sk-"`},
		"suffix":            {texts, &pluginv1.Rules{Suffix: "/v2"}, []string{"/v2"}, []string{"/v2/"}, `must end with "/v2"`},
		"contained":         {texts, &pluginv1.Rules{Contains: "@"}, []string{"a@b"}, []string{"ab"}, `must contain "@"`},
		"pattern":           {texts, &pluginv1.Rules{Pattern: "^[a-z]+$"}, []string{"abc"}, []string{"abc1"}, `must match the pattern "^[a-z]+$"`},
		"unusable pattern":  {texts, &pluginv1.Rules{Pattern: "("}, []string{"abc"}, nil, ""},
		"e-mail":            {texts, format(pluginv1.StringFormat_STRING_FORMAT_EMAIL), []string{"a@b.example"}, []string{"ab.example"}, "must be an e-mail address"},
		"host name":         {texts, format(pluginv1.StringFormat_STRING_FORMAT_HOSTNAME), []string{"a.example", "10.0.0.1"}, []string{"a_b.example"}, "must be a host name or an IP address"},
		"IP address":        {texts, format(pluginv1.StringFormat_STRING_FORMAT_IP), []string{"10.0.0.1", "'::1'"}, []string{"10.0.0"}, "must be an IP address"},
		"IPv4 address":      {texts, format(pluginv1.StringFormat_STRING_FORMAT_IPV4), []string{"10.0.0.1"}, []string{"'::1'"}, "must be an IPv4 address"},
		"IPv6 address":      {texts, format(pluginv1.StringFormat_STRING_FORMAT_IPV6), []string{"'::1'"}, []string{"x"}, "must be an IPv6 address"},
		"URI":               {texts, format(pluginv1.StringFormat_STRING_FORMAT_URI), []string{"https://a.example/b"}, []string{"a.example"}, "must be an absolute URI, such as https://app.example.com/path"},
		"UUID":              {texts, format(pluginv1.StringFormat_STRING_FORMAT_UUID), []string{"12345678-1234-1234-1234-123456789abc"}, []string{"1234"}, "must be a UUID"},
		"a newer format":    {texts, format(99), []string{"x"}, nil, ""},
		"empty, if checked": {texts, &pluginv1.Rules{MinLength: proto.Uint64(1), CheckEmpty: true}, []string{"a"}, []string{"''", ""}, "must have at least 1 bytes"},
		"allowed truth":     {truths, &pluginv1.Rules{AllowedValues: []string{"true"}}, []string{"true", ""}, []string{"false"}, `must be "true"`},
		"allowed numbers":   {numbers, &pluginv1.Rules{AllowedValues: []string{"1", "2"}}, []string{"1", "'2'", "", "0"}, []string{"3"}, `must be one of "1", "2"`},
		"forbidden numbers": {numbers, &pluginv1.Rules{ForbiddenValues: []string{"1"}}, []string{"2"}, []string{"1"}, `must be none of "1"`},
		"minimum":           {numbers, &pluginv1.Rules{Minimum: proto.Int64(-1)}, []string{"-1", "5"}, []string{"-2"}, "must be at least -1"},
		"maximum":           {numbers, &pluginv1.Rules{Maximum: proto.Int64(100)}, []string{"100"}, []string{"101"}, "must be at most 100"},
		"zero, if checked":  {numbers, &pluginv1.Rules{Minimum: proto.Int64(1), CheckEmpty: true}, []string{"1"}, []string{"0", ""}, "must be at least 1"},
		"least items":       {lists, &pluginv1.Rules{MinItems: proto.Uint64(2)}, []string{"[a, b]", "[]", ""}, []string{"[a]"}, "must have at least 2 items"},
		"greatest items":    {lists, &pluginv1.Rules{MaxItems: proto.Uint64(1)}, []string{"[a]"}, []string{"[a, b]"}, "must have at most 1 items"},
		"unique items":      {lists, &pluginv1.Rules{UniqueItems: true}, []string{"[a, b]"}, []string{"[c, a, a]"}, "has the same item twice: items 2 and 3"},
		"repeated items":    {lists, &pluginv1.Rules{}, []string{"[a, a]"}, nil, ""},
		"rules of items":    {lists, &pluginv1.Rules{Prefix: "x"}, []string{"[x1, x2, '']"}, []string{"[x1, y]"}, `is wrong in item 2, which must begin with "x"`},
		"no items, if checked": {
			lists, &pluginv1.Rules{MinItems: proto.Uint64(1), CheckEmpty: true},
			[]string{"[a]"},
			[]string{"[]", ""},
			"must have at least 1 items",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []bool{false, true} {
				schema := schemaOf(&pluginv1.Field{Name: "field", Type: test.fieldType, Rules: test.rules, Secret: secret})
				for _, value := range test.good {
					_, problems := bind(t, schema, "field: "+value)
					require.Empty(t, problems, value)
				}
				for _, value := range test.bad {
					_, problems := bind(t, schema, "field: "+value)
					place := "baton-host.yaml:4:14"
					if value == "" {
						place = "baton-host.yaml:3:5"
					}
					require.Equal(t, []string{place + `: "field" ` + test.want}, problems, value)
				}
			}
		})
	}
}

func TestBind_ReportsEveryBrokenRule(t *testing.T) {
	t.Parallel()
	schema := schemaOf(&pluginv1.Field{
		Name: "field", Type: pluginv1.FieldType_FIELD_TYPE_STRING,
		Rules: &pluginv1.Rules{Prefix: "a", Suffix: "z", MinLength: proto.Uint64(9)},
	})
	_, problems := bind(t, schema, "field: x")
	require.Equal(t, []string{
		`baton-host.yaml:4:14: "field" must have at least 9 bytes`,
		`baton-host.yaml:4:14: "field" must begin with "a"`,
		`baton-host.yaml:4:14: "field" must end with "z"`,
	}, problems)
}

func TestBind_NeedsNoValueOfAFieldWithADefault(t *testing.T) {
	t.Parallel()
	schema := schemaOf(&pluginv1.Field{
		Name: "field", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, DefaultValue: text("eu"),
		Rules: &pluginv1.Rules{MinLength: proto.Uint64(1), CheckEmpty: true},
	})
	bound, problems := bind(t, schema, "field:")
	require.Empty(t, problems)
	require.Empty(t, bound.Values)
}

func TestBind_ChecksTheRelationsOfFields(t *testing.T) {
	t.Parallel()
	relation := func(kind pluginv1.RelationKind, fields string, needs string) *pluginv1.Relation {
		return &pluginv1.Relation{Kind: kind, Fields: strings.Fields(fields), Needs: strings.Fields(needs)}
	}
	const (
		together  = pluginv1.RelationKind_RELATION_KIND_REQUIRED_TOGETHER
		exclusive = pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE
		oneOf     = pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE
		dependsOn = pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON
	)
	for name, test := range map[string]struct {
		relation *pluginv1.Relation
		lines    []string
		want     []string
	}{
		"together, all":      {relation(together, "a b c", ""), []string{"a: 1", "b: 1", "c: 1"}, nil},
		"together, none":     {relation(together, "a b c", ""), []string{"a: ''"}, nil},
		"together, some":     {relation(together, "a b c", ""), []string{"b: 1"}, []string{`baton-host.yaml:4:10: "b" needs "a" and "c" too`}},
		"together, defaults": {relation(together, "a defaulted", ""), []string{"a: 1"}, nil},
		"together, because of a default": {
			relation(together, "a defaulted", ""), []string{"b: 1"}, nil,
		},
		"exclusive, one":  {relation(exclusive, "a b", ""), []string{"a: 1", "b: ''"}, nil},
		"exclusive, both": {relation(exclusive, "a b", ""), []string{"b: 1", "a: 1"}, []string{`baton-host.yaml:4:10: only one of "a" and "b" may be given`}},
		"exclusive, default": {
			relation(exclusive, "a defaulted", ""), []string{"a: 1"}, nil,
		},
		"exclusive, false":      {relation(exclusive, "a flag count list map", ""), []string{"a: 1", "flag: false", "count: 0", "list: []", "map: {}"}, nil},
		"exclusive, true":       {relation(exclusive, "a flag", ""), []string{"a: 1", "flag: true"}, []string{`baton-host.yaml:5:13: only one of "a" and "flag" may be given`}},
		"at least one, one":     {relation(oneOf, "a b", ""), []string{"b: 1"}, nil},
		"at least one, none":    {relation(oneOf, "a b c", ""), []string{"a: ''"}, []string{`baton-host.yaml:3:5: plugin "app": at least one of "a", "b" and "c" must be given`}},
		"at least one, default": {relation(oneOf, "a defaulted", ""), []string{"b: 1"}, nil},
		"depends on, met":       {relation(dependsOn, "a", "b c"), []string{"a: 1", "b: 1", "c: 1"}, nil},
		"depends on, not set":   {relation(dependsOn, "a", "b"), []string{"a: ''"}, nil},
		"depends on, unmet":     {relation(dependsOn, "a", "b c"), []string{"a: 1", "c: 1"}, []string{`baton-host.yaml:4:10: "a" needs "b" too`}},
		"depends on, default":   {relation(dependsOn, "a", "defaulted"), []string{"a: 1"}, nil},
		"a field that is wrong counts as given": {
			relation(together, "a count", ""),
			[]string{"a: 1", "count: x"},
			[]string{`baton-host.yaml:5:14: "count" takes a whole number in decimal digits, such as 10`},
		},
		"a newer kind": {relation(99, "a b", ""), []string{"a: 1"}, nil},
		"no fields":    {relation(oneOf, "", ""), []string{"a: 1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defaulted := textField("defaulted")
			defaulted.DefaultValue = text("x")
			schema := schemaOf(textField("a"), textField("b"), textField("c"), defaulted,
				&pluginv1.Field{Name: "flag", Type: pluginv1.FieldType_FIELD_TYPE_BOOL},
				&pluginv1.Field{Name: "count", Type: pluginv1.FieldType_FIELD_TYPE_INT},
				&pluginv1.Field{Name: "list", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST},
				&pluginv1.Field{Name: "map", Type: pluginv1.FieldType_FIELD_TYPE_MAP},
			)
			schema.Relations = []*pluginv1.Relation{test.relation}
			_, problems := bind(t, schema, test.lines...)
			require.Equal(t, test.want, problems)
		})
	}
}
