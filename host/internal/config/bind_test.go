package config_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func schemaOf(fields ...*pluginv1.Field) *pluginv1.ConfigurationSchema {
	return &pluginv1.ConfigurationSchema{Fields: fields}
}

func textField(name string) *pluginv1.Field {
	return &pluginv1.Field{Name: name, Type: pluginv1.FieldType_FIELD_TYPE_STRING}
}

func text(value string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: value}}
}

func truth(value bool) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_BoolValue{BoolValue: value}}
}

func number(value int64) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_IntValue{IntValue: value}}
}

func list(values ...string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringList{StringList: &pluginv1.StringList{Values: values}}}
}

func file(content string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_FileContent{FileContent: []byte(content)}}
}

func mapping(t *testing.T, values map[string]any) *pluginv1.Value {
	t.Helper()
	fields, err := structpb.NewStruct(values)
	require.NoError(t, err)
	return &pluginv1.Value{Kind: &pluginv1.Value_MapValue{MapValue: fields}}
}

// everyType is a schema with a field of every type.
func everyType() *pluginv1.ConfigurationSchema {
	return schemaOf(
		textField("text"),
		&pluginv1.Field{Name: "truth", Type: pluginv1.FieldType_FIELD_TYPE_BOOL},
		&pluginv1.Field{Name: "number", Type: pluginv1.FieldType_FIELD_TYPE_INT},
		&pluginv1.Field{Name: "list", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST},
		&pluginv1.Field{Name: "map", Type: pluginv1.FieldType_FIELD_TYPE_MAP},
		&pluginv1.Field{Name: "file", Type: pluginv1.FieldType_FIELD_TYPE_FILE},
		&pluginv1.Field{Name: "secret-file", Type: pluginv1.FieldType_FIELD_TYPE_FILE, Secret: true},
		&pluginv1.Field{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true},
	)
}

// bind loads a configuration whose only plugin is named app and has these lines
// under config, the first of them on line 4, and binds it. The directory holds
// files to refer to.
func bind(t *testing.T, schema *pluginv1.ConfigurationSchema, lines ...string) (*settings.Bound, []string) {
	t.Helper()
	dir := write(t, map[string]string{
		"baton-host.yaml": "plugins:\n  app:\n    config:\n      " + strings.Join(lines, "\n      ") + "\n",
		"key.pem":         "-----BEGIN-----\n\xff\n",
		"number":          "42\n",
	})
	path := filepath.Join(dir, "baton-host.yaml")
	loaded, err := config.Load(t.Context(), path, config.WithEnvironment(environment(map[string]string{
		"TEXT": "resolved-text", "TRUE": "true", "TEN": "10", "NOT_A_NUMBER": "resolved-ten",
	})))
	require.NoError(t, err)
	bound, problems := loaded.Plugins[0].Settings.Bind(schema)
	return bound, messages(dir, problems.Err())
}

func TestBind_ReadsEveryFormOfAValue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines  []string
		values map[string]*pluginv1.Value
	}{
		"text": {[]string{"text: a b"}, map[string]*pluginv1.Value{"text": text("a b")}},
		"text that YAML takes for something else, as it is written": {
			[]string{"text: 0010"}, map[string]*pluginv1.Value{"text": text("0010")},
		},
		"a float":     {[]string{"text: 1.50"}, map[string]*pluginv1.Value{"text": text("1.50")}},
		"a date":      {[]string{"text: 2026-01-02"}, map[string]*pluginv1.Value{"text": text("2026-01-02")}},
		"true":        {[]string{"text: True"}, map[string]*pluginv1.Value{"text": text("True")}},
		"yes":         {[]string{"text: yes"}, map[string]*pluginv1.Value{"text": text("yes")}},
		"a reference": {[]string{"text: <${env:TEXT}>"}, map[string]*pluginv1.Value{"text": text("<resolved-text>")}},
		"lines":       {[]string{"text: |", "  a", "  b"}, map[string]*pluginv1.Value{"text": text("a\nb\n")}},
		"an empty text": {
			[]string{`text: ""`}, map[string]*pluginv1.Value{"text": text("")},
		},
		"nothing":                  {[]string{"text:", "truth: ~", "number: null", "list:", "map:", "file:"}, map[string]*pluginv1.Value{}},
		"truth":                    {[]string{"truth: true"}, map[string]*pluginv1.Value{"truth": truth(true)}},
		"untruth":                  {[]string{"truth: False"}, map[string]*pluginv1.Value{"truth": truth(false)}},
		"quoted truth":             {[]string{`truth: "true"`}, map[string]*pluginv1.Value{"truth": truth(true)}},
		"truth by reference":       {[]string{"truth: ${env:TRUE}"}, map[string]*pluginv1.Value{"truth": truth(true)}},
		"number":                   {[]string{"number: -7"}, map[string]*pluginv1.Value{"number": number(-7)}},
		"quoted number":            {[]string{"number: '10'"}, map[string]*pluginv1.Value{"number": number(10)}},
		"number by reference":      {[]string{"number: ${env:TEN}"}, map[string]*pluginv1.Value{"number": number(10)}},
		"number by file":           {[]string{"number: ${file:number}"}, map[string]*pluginv1.Value{"number": number(42)}},
		"number in parts":          {[]string{"number: ${env:TEN}1"}, map[string]*pluginv1.Value{"number": number(101)}},
		"the greatest number":      {[]string{"number: 9223372036854775807"}, map[string]*pluginv1.Value{"number": number(9223372036854775807)}},
		"list":                     {[]string{"list: [a, 1, true, 'x', \"${env:TEXT}\"]"}, map[string]*pluginv1.Value{"list": list("a", "1", "true", "x", "resolved-text")}},
		"block list":               {[]string{"list:", "- a", "- b"}, map[string]*pluginv1.Value{"list": list("a", "b")}},
		"empty list":               {[]string{"list: []"}, map[string]*pluginv1.Value{"list": list()}},
		"file by its path":         {[]string{"file: key.pem"}, map[string]*pluginv1.Value{"file": file("-----BEGIN-----\n\xff\n")}},
		"file by its quoted path":  {[]string{"file: './key.pem'"}, map[string]*pluginv1.Value{"file": file("-----BEGIN-----\n\xff\n")}},
		"file by a file reference": {[]string{"file: ${file:number}"}, map[string]*pluginv1.Value{"file": file("42")}},
		"file by a variable":       {[]string{"file: ${env:TEXT}"}, map[string]*pluginv1.Value{"file": file("resolved-text")}},
		"file by its lines":        {[]string{"file: |", "  a", "  b"}, map[string]*pluginv1.Value{"file": file("a\nb\n")}},
		"file by one line":         {[]string{"file: |-", "  a"}, map[string]*pluginv1.Value{"file": file("a")}},
		"empty file":               {[]string{"file: ''"}, map[string]*pluginv1.Value{"file": file("")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bound, problems := bind(t, everyType(), test.lines...)
			require.Empty(t, problems)
			require.Empty(t, cmp.Diff(test.values, bound.Values, protocmp.Transform()))
			require.Empty(t, bound.Secrets.Reveal())
		})
	}
}

func TestBind_ReadsTheValuesOfAMapAsYAMLDoes(t *testing.T) {
	t.Parallel()
	bound, problems := bind(t, everyType(),
		"map:",
		"  text: a",
		"  reference: ${env:TEN}",
		"  quoted: '10'",
		"  Number: 10",
		"  float: 1.5",
		"  truth: true",
		"  date: 2026-01-02",
		"  none:",
		"  list: [a, 1, ~, [b], { c: d }]",
		`  map: { "": "${env:TEXT}-x" }`,
	)
	require.Empty(t, problems)
	require.Empty(t, cmp.Diff(mapping(t, map[string]any{
		"text": "a", "reference": "10", "quoted": "10", "Number": 10, "float": 1.5, "truth": true, "date": "2026-01-02",
		"list": []any{"a", 1, nil, []any{"b"}, map[string]any{"c": "d"}},
		"map":  map[string]any{"": "resolved-text-x"},
	}), bound.Values["map"], protocmp.Transform()))
}

func TestBind_SeparatesSecretsFromValues(t *testing.T) {
	t.Parallel()
	bound, problems := bind(t, everyType(), "text: open", "token: ${env:TEXT}", "secret-file: key.pem")
	require.Empty(t, problems)
	request := bound.Request(nil)
	require.Empty(t, cmp.Diff(&pluginv1.ConfigureRequest{
		Values:  map[string]*pluginv1.Value{"text": text("open")},
		Secrets: map[string]*pluginv1.Value{"token": text("resolved-text"), "secret-file": file("-----BEGIN-----\n\xff\n")},
	}, request, protocmp.Transform()))
}

func TestBind_ReportsEveryValueOfAWrongType(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ lines, want []string }{
		"text": {
			[]string{"text: [a]", "token: { a: b }"},
			[]string{
				`baton-host.yaml:4:13: "text" takes a text, not a list or a mapping`,
				`baton-host.yaml:5:14: "token" takes a text, not a list or a mapping`,
			},
		},
		"truth": {[]string{"truth: yes"}, []string{`baton-host.yaml:4:14: "truth" takes true or false`}},
		"truth, by number": {
			[]string{"truth: 1"}, []string{`baton-host.yaml:4:14: "truth" takes true or false`},
		},
		"truth, by reference": {
			[]string{"truth: ${env:TEXT}"}, []string{`baton-host.yaml:4:14: "truth" takes true or false`},
		},
		"truth, by list": {[]string{"truth: [true]"}, []string{`baton-host.yaml:4:14: "truth" takes true or false`}},
		"number":         {[]string{"number: ten"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`}},
		"number, octal":  {[]string{"number: 010"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`}},
		"number, float":  {[]string{"number: 10.0"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`}},
		"number, truth":  {[]string{"number: true"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`}},
		"number, too great": {
			[]string{"number: 9223372036854775808"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`},
		},
		"number, by reference": {
			[]string{"number: ${env:NOT_A_NUMBER}"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`},
		},
		"number, by map": {[]string{"number: {}"}, []string{`baton-host.yaml:4:15: "number" takes a whole number in decimal digits, such as 10`}},
		"list, by text": {
			[]string{"list: a"},
			[]string{`baton-host.yaml:4:13: "list" takes a list: put each item on its own line after "- "`},
		},
		"list of other things": {
			[]string{"list:", "- a", "-", "- [b]", "- c: d"},
			[]string{
				`baton-host.yaml:6:8: "list" has an empty item`,
				`baton-host.yaml:7:9: "list" takes a list of texts, not of lists or mappings`,
				`baton-host.yaml:8:9: "list" takes a list of texts, not of lists or mappings`,
			},
		},
		"map, by list": {
			[]string{"map: [a]"},
			[]string{`baton-host.yaml:4:12: "map" takes a mapping: put each "key: value" on its own line below it`},
		},
		"map with numbers that are not exact": {
			[]string{"map:", "  a: 9007199254740993", "  b: .inf", "  c: 0x10", "  d: 1e999", "  e: 1_0"},
			[]string{
				`baton-host.yaml:5:12: "map" has a number that cannot be given exactly; put it in quotes to give it as a text`,
				`baton-host.yaml:6:12: "map" has a number that cannot be given exactly; put it in quotes to give it as a text`,
				`baton-host.yaml:7:12: "map" has a number that cannot be given exactly; put it in quotes to give it as a text`,
				`baton-host.yaml:9:12: "map" has a number that cannot be given exactly; put it in quotes to give it as a text`,
			},
		},
		"file that is not there": {
			[]string{"file: none.pem", "secret-file: hunter2"},
			[]string{
				`baton-host.yaml:4:13: "file" takes the path of a file, but the file does not exist: none.pem`,
				`baton-host.yaml:5:20: "secret-file" takes the path of a file, but the file does not exist`,
			},
		},
		"file that is a directory": {
			[]string{"file: ."}, []string{`baton-host.yaml:4:13: "file" takes the path of a file, but this is a directory, not a file: .`},
		},
		"file, by list": {
			[]string{"file: [a]"}, []string{`baton-host.yaml:4:13: "file" takes the path of a file, or its content as a text`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bound, problems := bind(t, everyType(), test.lines...)
			require.Nil(t, bound)
			require.Equal(t, test.want, problems)
		})
	}
}

func TestBind_ReportsAFieldThatThePluginDoesNotHave(t *testing.T) {
	t.Parallel()
	schema := schemaOf(textField("scim-base-url"), &pluginv1.Field{Name: "debug", Type: pluginv1.FieldType_FIELD_TYPE_BOOL, Hidden: true})
	_, problems := bind(t, schema,
		"scim-base-ur: https://x", "SCIM_BASE_URL: https://x", "colour: red", "colourless:", "'scim-token hunter2': x", "debug: true")
	const takes = `; the configuration of plugin "app" takes scim-base-url`
	require.Equal(t, []string{
		`baton-host.yaml:4:7: unknown key "scim-base-ur"; did you mean "scim-base-url"?`,
		`baton-host.yaml:5:7: unknown key "SCIM_BASE_URL"; did you mean "scim-base-url"?`,
		`baton-host.yaml:6:7: unknown key "colour"` + takes,
		`baton-host.yaml:7:7: unknown key` + takes,
		`baton-host.yaml:8:7: unknown key` + takes,
	}, problems)

	_, problems = bind(t, nil, "a: b")
	require.Equal(t, []string{`baton-host.yaml:4:7: unknown key "a"; the configuration of plugin "app" takes no keys`}, problems)
}

func TestBind_ReportsAMissingFieldAtTheConfigurationOrThePlugin(t *testing.T) {
	t.Parallel()
	schema := schemaOf(
		&pluginv1.Field{Name: "scim-base-url", Label: "SCIM Base URL", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true},
		&pluginv1.Field{Name: "scim-token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Secret: true},
		&pluginv1.Field{Name: "scopes", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST, Required: true, DefaultValue: list("all")},
		&pluginv1.Field{Name: "workers", Type: pluginv1.FieldType_FIELD_TYPE_INT, Required: true},
	)
	loaded, dir, err := load(t, "plugins:\n  bare:\n  null-config: { config: }\n  empty:\n    app: x\n    config: {}\n  values:\n    config: { scim-base-url: '', scim-token: ~, workers: 0, scopes: [] }\n", nil)
	require.NoError(t, err)
	want := [][]string{
		{
			`baton-host.yaml:2:3: plugin "bare" needs "scim-base-url" (SCIM Base URL) under config`,
			`baton-host.yaml:2:3: plugin "bare" needs "scim-token" under config`,
			`baton-host.yaml:2:3: plugin "bare" needs "workers" under config`,
		},
		{
			`baton-host.yaml:3:18: plugin "null-config" needs "scim-base-url" (SCIM Base URL) under config`,
			`baton-host.yaml:3:18: plugin "null-config" needs "scim-token" under config`,
			`baton-host.yaml:3:18: plugin "null-config" needs "workers" under config`,
		},
		{
			`baton-host.yaml:6:5: plugin "empty" needs "scim-base-url" (SCIM Base URL) under config`,
			`baton-host.yaml:6:5: plugin "empty" needs "scim-token" under config`,
			`baton-host.yaml:6:5: plugin "empty" needs "workers" under config`,
		},
		{
			`baton-host.yaml:8:5: plugin "values" needs "scim-token" under config`,
			`baton-host.yaml:8:30: "scim-base-url" is empty; a value is required`,
			`baton-host.yaml:8:69: "scopes" is empty; a value is required`,
		},
	}
	for i, plugin := range loaded.Plugins {
		_, problems := plugin.Settings.Bind(schema)
		require.Equal(t, want[i], messages(dir, problems.Err()))
	}
}

func TestBind_ReportsFieldsOfUnknownTypes(t *testing.T) {
	t.Parallel()
	schema := schemaOf(&pluginv1.Field{Name: "new", Type: 99})
	_, problems := bind(t, schema, "new: x")
	require.Equal(t, []string{
		`baton-host.yaml:4:12: "new" has a type that this version of baton-host does not know; update baton-host`,
	}, problems)
	_, problems = bind(t, schema, "new: ~")
	require.Empty(t, problems)
}

func TestBind_AppliesTheFieldsOfTheChosenGroup(t *testing.T) {
	t.Parallel()
	required := func(name string) *pluginv1.Field {
		return &pluginv1.Field{
			Name: name, Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true,
			Rules: &pluginv1.Rules{Prefix: "x"},
		}
	}
	schema := func(defaultGroup string) *pluginv1.ConfigurationSchema {
		return &pluginv1.ConfigurationSchema{
			Fields: []*pluginv1.Field{
				required("user"), required("password"), required("token"), required("nowhere"),
				{Name: "auth-method", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Rules: &pluginv1.Rules{AllowedValues: []string{"basic", "bearer"}}},
			},
			FieldGroups: []*pluginv1.FieldGroup{
				{Name: "basic", Fields: []string{"user", "password"}, IsDefault: defaultGroup == "basic"},
				{Name: "bearer", Fields: []string{"token"}, IsDefault: defaultGroup == "bearer"},
			},
			Relations: []*pluginv1.Relation{
				{Kind: pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE, Fields: []string{"user", "token"}},
			},
		}
	}
	for name, test := range map[string]struct {
		group string
		lines []string
		want  []string
	}{
		"the first where none is chosen": {"", []string{"token: x"}, []string{
			`baton-host.yaml:3:5: plugin "app" needs "user" under config`,
			`baton-host.yaml:3:5: plugin "app" needs "password" under config`,
		}},
		"the default where none is chosen": {"bearer", []string{"user: x"}, []string{
			`baton-host.yaml:3:5: plugin "app" needs "token" under config`,
		}},
		"the chosen one": {"basic", []string{"auth-method: bearer"}, []string{
			`baton-host.yaml:3:5: plugin "app" needs "token" under config`,
		}},
		"one that does not exist": {"bearer", []string{"auth-method: magic"}, []string{
			`baton-host.yaml:3:5: plugin "app" needs "token" under config`,
			`baton-host.yaml:4:20: "auth-method" must be one of "basic", "bearer"`,
		}},
		"rules and relations of other fields do not count": {"", []string{"auth-method: bearer", "token: x1", "user: wrong"}, nil},
		"a wrong type counts anyway": {"", []string{"auth-method: bearer", "token: x1", "user: [x]"}, []string{
			`baton-host.yaml:6:13: "user" takes a text, not a list or a mapping`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := bind(t, schema(test.group), test.lines...)
			require.Equal(t, test.want, problems)
		})
	}
}

func TestBound_PutsAPluginsFindingAtItsField(t *testing.T) {
	t.Parallel()
	schema := everyType()
	schema.Fields = append(
		schema.Fields,
		textField("unset"),
		&pluginv1.Field{Name: "secret-list", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST, Secret: true},
		&pluginv1.Field{Name: "secret-map", Type: pluginv1.FieldType_FIELD_TYPE_MAP, Secret: true},
	)
	dir := write(t, map[string]string{"baton-host.yaml": `plugins:
  app:
    config:
      text: https://${env:HOST}/
      token: hunter2-written
      unset: ~
      secret-file: key.pem
      secret-list: [hunter2-item]
      secret-map: { a: [{ b: hunter2-deep }] }
`, "key.pem": "first-line\nsecond-line\n"})
	path := filepath.Join(dir, "baton-host.yaml")
	loaded, err := config.Load(t.Context(), path, config.WithEnvironment(environment(map[string]string{"HOST": "host-resolved"})))
	require.NoError(t, err)
	bound, problems := loaded.Plugins[0].Settings.Bind(schema)
	require.Empty(t, problems)

	for name, test := range map[string]struct {
		diagnostic *pluginv1.Diagnostic
		want       string
	}{
		"a field":                     {&pluginv1.Diagnostic{Field: "text", Summary: "must be https", Detail: "see the guide"}, `:4:13: plugin "app": "text": must be https: see the guide`},
		"a field not given":           {&pluginv1.Diagnostic{Field: "unset", Summary: "is needed"}, `:3:5: plugin "app": "unset": is needed`},
		"a field that is named":       {&pluginv1.Diagnostic{Summary: "broken", Detail: `"The Token" (token) is no token, "The Text" (text) is one`}, `:5:14: plugin "app": broken: "The Token" (token) is no token, "The Text" (text) is one`},
		"another that is named":       {&pluginv1.Diagnostic{Summary: "see (no) and (unset)"}, `:3:5: plugin "app": see (no) and (unset)`},
		"an unknown field":            {&pluginv1.Diagnostic{Field: "no\nsuch", Summary: "what"}, `:3:5: plugin "app": "no\nsuch": what`},
		"no field":                    {&pluginv1.Diagnostic{Summary: "broken"}, `:3:5: plugin "app": broken`},
		"nothing":                     {nil, `:3:5: plugin "app": `},
		"lines":                       {&pluginv1.Diagnostic{Summary: "a\nb\x1b[2J"}, `:3:5: plugin "app": a b [2J`},
		"a secret":                    {&pluginv1.Diagnostic{Field: "token", Summary: `got "hunter2-written"`}, `:5:14: plugin "app": "token": got "(secret)"`},
		"a line of a secret":          {&pluginv1.Diagnostic{Summary: "at second-line"}, `:3:5: plugin "app": at (secret)`},
		"an escaped secret":           {&pluginv1.Diagnostic{Summary: `got "first-line\nsecond-line\n"`}, `:3:5: plugin "app": got "(secret)"`},
		"a resolved text":             {&pluginv1.Diagnostic{Field: "text", Summary: "dial host-resolved: no route"}, `:4:13: plugin "app": "text": dial ${env:HOST}: no route`},
		"secrets in a list and a map": {&pluginv1.Diagnostic{Summary: "hunter2-item, hunter2-deep"}, `:3:5: plugin "app": (secret), (secret)`},
		"a secret in details":         {&pluginv1.Diagnostic{Summary: "no", Detail: "hunter2-written"}, `:3:5: plugin "app": no: (secret)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, path+test.want, bound.Problem(test.diagnostic).String())
		})
	}
}

// TestBound_KnowsItsCredentials: references, and tokens that are none in secret fields.
func TestBound_KnowsItsCredentials(t *testing.T) {
	t.Parallel()
	const issued = 1790000000
	token := func(end int64) string {
		return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d,"iat":%d}`, end, issued)) + ".c2ln"
	}
	const first, second, third = 1796000000, 1797000000, 1798000000
	dir := write(t, map[string]string{
		"token": token(second) + "\n",
		"baton-host.yaml": "plugins:\n  app:\n    config:\n      text: ${env:TEXT}\n      open: " + token(first) +
			"\n      secret: " + token(first) + "\n      referred: Bearer ${file:token}\n      both: ${file:token}\n      literal: Bearer " + token(third) + "\n",
	})
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"), config.WithEnvironment(environment(map[string]string{"TEXT": "text"})))
	require.NoError(t, err)
	secretField := func(name string) *pluginv1.Field {
		field := textField(name)
		field.Secret = true
		return field
	}
	schema := schemaOf(textField("text"), textField("open"), secretField("secret"), secretField("referred"), secretField("both"), secretField("literal"))
	bound, problems := loaded.Plugins[0].Settings.Bind(schema)
	require.NoError(t, problems.Err())
	credentials := bound.Credentials()
	require.NotZero(t, credentials[1].Read)
	credentials[1].Read = time.Time{}
	require.Equal(t, []secret.Credential{
		{Reference: "${env:TEXT}"},
		{Reference: "${file:token}", Issued: time.Unix(issued, 0), Expires: time.Unix(second, 0)},
		{Field: "literal", Issued: time.Unix(issued, 0), Expires: time.Unix(third, 0)},
		{Field: "secret", Issued: time.Unix(issued, 0), Expires: time.Unix(first, 0)},
	}, credentials)

	plugin := config.ByName("app", environment(map[string]string{"BATON_SECRET": token(first)}))
	bound, problems = plugin.Settings.Bind(schemaOf(secretField("secret")))
	require.NoError(t, problems.Err())
	require.Equal(t, []secret.Credential{{Field: "BATON_SECRET", Issued: time.Unix(issued, 0), Expires: time.Unix(first, 0)}}, bound.Credentials())
}

func TestBind_RefusesAFileAboveTwoMebibytes(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"baton-host.yaml": "plugins: { app: { config: { file: big } } }"})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 2<<20), 0o600))
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"))
	require.NoError(t, err)
	bound, problems := loaded.Plugins[0].Settings.Bind(everyType())
	require.Empty(t, problems)
	require.Len(t, bound.Values["file"].GetFileContent(), 2<<20)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 2<<20+1), 0o600))
	_, problems = loaded.Plugins[0].Settings.Bind(everyType())
	require.Equal(t, []string{
		`baton-host.yaml:1:35: "file" takes the path of a file, but the file is larger than 2 MiB: big`,
	}, messages(dir, problems.Err()))
}

func TestBind_RefusesReferencesThatAreTogetherAboveTwoMebibytes(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"baton-host.yaml": "plugins: { app: { config: { file: '${file:big}${file:big}' } } }",
		"big":             strings.Repeat("x", 2<<20),
	})
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"))
	require.NoError(t, err)
	_, problems := loaded.Plugins[0].Settings.Bind(everyType())
	require.Equal(t, []string{`baton-host.yaml:1:35: "file" is larger than 2 MiB`}, messages(dir, problems.Err()))
}

func TestBind_LeavesTheSchemaUnchanged(t *testing.T) {
	t.Parallel()
	schema := everyType()
	before := proto.Clone(schema)
	_, problems := bind(t, schema, "list: [a]", "map: { a: b }")
	require.Empty(t, problems)
	require.True(t, proto.Equal(before, schema))
}

// TestSettings_KnowTheAddressOfTheApp as far as a reader of the file sees it: what is in
// references may be a secret.
func TestSettings_KnowTheAddressOfTheApp(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		`{ token: t, scim-base-url: "https://api.fullstory.com/scim/v2" }`:       "api.fullstory.com:443",
		`{ base-url: "http://127.0.0.1:8080/" }`:                                 "127.0.0.1:8080",
		`{ url: "https://jane:hunter2@[::1]:8443/jane?token=hunter2" }`:          "[::1]:8443",
		`{ url: "${env:APP}", other: "https://second.example.com" }`:             "second.example.com:443",
		`{ url: "https://${env:APP}/" }`:                                         "",
		`{ url: "postgres://db.example.com/app", name: "https://", port: "80" }`: "",
		`{}`: "",
	} {
		loaded, _, err := load(t, "plugins:\n  app:\n    config: "+written+"\n", map[string]string{"APP": "https://hidden.example.com"})
		require.NoError(t, err)
		require.Equal(t, want, loaded.Plugins[0].Settings.Address(), written)
	}
}
