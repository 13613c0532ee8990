package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/schema"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func text(value string) *pluginv1.Value {
	return &pluginv1.Value{Kind: &pluginv1.Value_StringValue{StringValue: value}}
}

func ptr[T any](value T) *T { return &value }

// acme takes every kind of field, and every rule that a schema can express.
var acme = &pluginv1.Manifest{
	Name: "baton-acme", DisplayName: "Acme", Version: "v1.2.3",
	Configuration: &pluginv1.ConfigurationSchema{Fields: []*pluginv1.Field{
		{Name: "url", Label: "URL", Help: "Where Acme is.", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true},
		{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Secret: true},
		{Name: "region", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, DefaultValue: text("eu"), Rules: &pluginv1.Rules{AllowedValues: []string{"eu", "us"}}},
		{Name: "groups", Type: pluginv1.FieldType_FIELD_TYPE_BOOL},
		{Name: "ahead", Type: pluginv1.FieldType_FIELD_TYPE_INT, Rules: &pluginv1.Rules{Minimum: ptr(int64(-3)), Maximum: ptr(int64(32))}},
		{Name: "teams", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST, Rules: &pluginv1.Rules{MaxItems: ptr(uint64(2)), Prefix: "t-"}},
		{Name: "headers", Type: pluginv1.FieldType_FIELD_TYPE_MAP},
		{Name: "key", Type: pluginv1.FieldType_FIELD_TYPE_FILE},
		{Name: "code", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Rules: &pluginv1.Rules{
			MinLength: ptr(uint64(2)), MaxLength: ptr(uint64(9)), Pattern: "^[a-zé.|]+$", Prefix: "a", Suffix: ".c|e", Contains: "c",
		}},
		{Name: "class", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Rules: &pluginv1.Rules{Pattern: "^[[:alpha:]]+$"}},
		{Name: "old", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Hidden: true},
	}},
}

// compile compiles a schema, as an editor does.
func compile(t *testing.T, schema schema.Object) *validator.Schema {
	t.Helper()
	encoded, err := json.Marshal(schema)
	require.NoError(t, err)
	document, err := validator.UnmarshalJSON(bytes.NewReader(encoded))
	require.NoError(t, err)
	compiler := validator.NewCompiler()
	require.NoError(t, compiler.AddResource("baton-host.schema.json", document))
	compiled, err := compiler.Compile("baton-host.schema.json") // It holds the schema against the draft's own.
	require.NoError(t, err)
	return compiled
}

// inEditor is what an editor says of a file.
func inEditor(t *testing.T, schema *validator.Schema, file string) error {
	t.Helper()
	var value any
	require.NoError(t, yaml.Unmarshal([]byte(file), &value))
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	value, err = validator.UnmarshalJSON(bytes.NewReader(encoded))
	require.NoError(t, err)
	return schema.Validate(value)
}

// inHost is what the host says of a file, with the fields of the plugins that are
// acme's.
func inHost(t *testing.T, file string) error {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key"), []byte("content"), 0o600))
	path := filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	variables := map[string]string{"TOKEN": "x", "YES": "true", "TEN": "10", "EU": "eu", "CODE": "abc.c|e"}
	cfg, err := config.Load(t.Context(), path, config.WithoutCredentials(), config.WithEnvironment(func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}))
	if err != nil {
		return err
	}
	var problems settings.Problems
	for _, plugin := range cfg.Plugins {
		if plugin.App == "acme" && plugin.Path == "" && !plugin.IsInstalled() {
			_, found := plugin.Settings.Bind(acme.GetConfiguration())
			problems = append(problems, found...)
		}
	}
	return problems.Err()
}

const needed = `url: "https://acme.example.com", token: "${env:TOKEN}"`

func acmeWith(fields string) string {
	return "plugins: { acme: { config: { " + needed + ", " + fields + " } } }\n"
}

func pluginWith(entry string) string { return "plugins: { other: { " + entry + " } }\n" }

func uploadWith(entry string) string {
	return "plugins: { other: {} }\nuploads: { u: { plugins: [other], " + entry + " } }\n"
}

// good is what the host accepts.
var good = map[string]string{
	"the least":                    "plugins: { other: {} }\n",
	"keys without a value":         "plugins:\n  other:\nuploads:\nplugin-dirs:\n",
	"all keys of a plugin":         pluginWith(`app: scim, namespace: "", env: [A_B], log-level: debug, start-timeout: 1m30s, memory-limit: 512MiB, call-timeout: 0.5h, idle-timeout: 1h, health-timeout: 100ms, max-page-size: 1048576, restart-limit: 0, restart-window: 1h, provisioning: true, unmodified: false, config: { anything: [1] }`),
	"fields":                       pluginWith(`unmodified: true, fields: { token: { type: string-list, secret: true, required: false }, url: }`),
	"a command":                    pluginWith(`command: [sh, -c, -c]`),
	"a path":                       pluginWith(`path: ./bin/baton-x`),
	"a release":                    pluginWith(`version: v0.2.41, provenance: none`),
	"acme by a release":            "plugins: { acme: { version: v1, config: { anything: 1 } } }\n",
	"an image":                     pluginWith(`image: "localhost:5000/a/baton-x:v1"`),
	"where connectors are from":    "plugin-store: store\nplugin-releases: https://dist.example.com/releases\ntrust: { issuer: https://token.example.com, workflow: https://github.com/example/w/.github/workflows/r.yaml@*, repositories: [https://github.com/example/*], trusted-root: r.json }\nplugins: { other: {} }\n",
	"a guard that is off":          pluginWith(`change-guard: off`),
	"a guard by its old name":      pluginWith(`deletion-guard: { keep-percent: 30, window: 24h }`),
	"a guard":                      pluginWith(`change-guard: { keep-percent: 30, min-missing: 5, window: 24h, attributes: refuse, resource-types: { user: { keep-percent: 1 }, role: , seat: off } }`),
	"a guard without anything":     pluginWith(`change-guard:`),
	"directories":                  "plugin-dirs: [a, /b]\nstate-dir: state\nplugins: { other: {} }\n",
	"an upload":                    uploadWith(`client-id: "${env:ID}", client-secret: "${env:SECRET}", on-plugin-failure: last-good, max-stale: 72h`),
	"acme":                         acmeWith(""),
	"acme by its app":              "plugins: { one: { app: acme, config: { " + needed + " } } }\n",
	"another app of acme's name":   "plugins: { acme: { app: scim, config: { anything: 1 } } }\n",
	"another program of its name":  "plugins: { acme: { path: ./x, config: { anything: 1 } } }\n",
	"a number for a text":          acmeWith(`class: abc, old: 2026`),
	"a choice":                     acmeWith(`region: us`),
	"a choice by reference":        acmeWith(`region: "${env:EU}"`),
	"no choice":                    acmeWith(`region: `),
	"a switch":                     acmeWith(`groups: false`),
	"a switch in quotes":           acmeWith(`groups: "T"`),
	"a switch by reference":        acmeWith(`groups: "${env:YES}"`),
	"a number":                     acmeWith(`ahead: 32`),
	"a number in quotes":           acmeWith(`ahead: "-3"`),
	"a number by reference":        acmeWith(`ahead: "${env:TEN}"`),
	"a list":                       acmeWith(`teams: [t-1, t-2]`),
	"an empty list":                acmeWith(`teams: []`),
	"a list with a reference":      acmeWith(`teams: ["t-${env:TEN}"]`),
	"a mapping":                    acmeWith(`headers: { a: 1, b: [true, { c: }] }`),
	"a file":                       acmeWith(`key: key`),
	"a text that keeps every rule": acmeWith(`code: abc.c|e`),
	"a reference that keeps none":  acmeWith(`class: "${env:TOKEN}"`),
	"a class that is not portable": acmeWith(`class: ab`),
}

// bad is what neither accepts: unknown keys, other types, and values that a schema
// can refuse.
var bad = map[string]string{
	"nothing":                         "{}\n",
	"no plugins":                      "plugins: {}\n",
	"plugins without a value":         "plugins:\n",
	"an unknown key":                  "plugin: { other: {} }\nplugins: { other: {} }\n",
	"an unknown key of a plugin":      pluginWith(`conifg: {}`),
	"an unknown key of a guard":       pluginWith(`change-guard: { keep: 1 }`),
	"a guard by both of its names":    pluginWith(`change-guard: off, deletion-guard: off`),
	"a guard of a type that is on":    pluginWith(`change-guard: { resource-types: { user: "on" } }`),
	"an unknown key of a type":        pluginWith(`deletion-guard: { resource-types: { user: { keep: 1 } } }`),
	"an unknown key of an upload":     uploadWith(`client: x`),
	"an unknown field":                acmeWith(`tokn: x`),
	"an unknown field by app":         "plugins: { one: { app: acme, config: { " + needed + ", tokn: x } } }\n",
	"no config though it is needed":   "plugins: { acme: {} }\n",
	"a required field missing":        "plugins: { acme: { config: { url: x } } }\n",
	"a required field without value":  "plugins: { acme: { config: { url: x, token: } } }\n",
	"a required field that is empty":  "plugins: { acme: { config: { url: \"\", token: x } } }\n",
	"a list for a plugin":             "plugins: [other]\n",
	"a text for a plugin":             "plugins: { other: fullstory }\n",
	"a name in capitals":              "plugins: { Other: {} }\n",
	"a name with a dot":               "plugins: { a.b: {} }\n",
	"an app with a slash":             pluginWith(`app: ../x`),
	"path and version":                pluginWith(`path: a, version: v1`),
	"command and image":               pluginWith(`command: [sh], image: "localhost/baton-x:v1"`),
	"version and image":               pluginWith(`version: v1, image: "localhost/baton-x:v1"`),
	"a version that is none":          pluginWith(`version: ../v1`),
	"an image without a registry":     pluginWith(`image: "conductorone/baton-x:v1"`),
	"an image without a tag":          pluginWith(`image: "localhost/baton-x"`),
	"another provenance":              pluginWith(`version: v1, provenance: slsa`),
	"a workflow of anybody":           "trust: { workflow: https://github.com/*/w.yaml@* }\nplugins: { other: {} }\n",
	"path and command":                pluginWith(`path: a, command: [sh]`),
	"fields of a plugin":              pluginWith(`fields: { token: {} }`),
	"a field of another type":         pluginWith(`unmodified: true, fields: { token: { type: password } }`),
	"an unknown key of a field":       pluginWith(`unmodified: true, fields: { token: { default: x } }`),
	"a list for fields":               pluginWith(`unmodified: true, fields: [token]`),
	"a field with a blank in it":      pluginWith(`unmodified: true, fields: { "a b": {} }`),
	"an empty command":                pluginWith(`command: []`),
	"a command that is a text":        pluginWith(`command: sh`),
	"a namespace":                     pluginWith(`namespace: x`),
	"a variable with a value":         pluginWith(`env: [A=b]`),
	"a variable twice":                pluginWith(`env: [A, A]`),
	"a level that there is not":       pluginWith(`log-level: loud`),
	"a duration without a unit":       pluginWith(`start-timeout: 10`),
	"a duration that is none":         pluginWith(`call-timeout: soon`),
	"a size that is none":             pluginWith(`memory-limit: much`),
	"a page that is too small":        pluginWith(`max-page-size: 1`),
	"a limit that is too great":       pluginWith(`restart-limit: 1001`),
	"a limit that is a text":          pluginWith(`restart-limit: often`),
	"a limit that is a list":          pluginWith(`restart-limit: [1]`),
	"a switch that is a text":         pluginWith(`provisioning: perhaps`),
	"a guard that is on":              pluginWith(`deletion-guard: "on"`),
	"a share above 100":               pluginWith(`deletion-guard: { keep-percent: 101 }`),
	"a reference where none can be":   pluginWith(`path: "${env:X}"`),
	"a client id alone":               uploadWith(`client-id: x`),
	"a failure policy of another":     uploadWith(`on-plugin-failure: ignore`),
	"an upload without plugins":       "plugins: { other: {} }\nuploads: { u: { max-stale: 1h } }\n",
	"an upload with no plugin":        "plugins: { other: {} }\nuploads: { u: { plugins: [] } }\n",
	"a plugin of an upload twice":     "plugins: { other: {} }\nuploads: { u: { plugins: [other, other] } }\n",
	"a list for a text field":         acmeWith(`old: [x]`),
	"an empty text for a choice":      acmeWith(`region: ""`),
	"a choice that there is not":      acmeWith(`region: mars`),
	"a switch field that is a word":   acmeWith(`groups: "yes"`),
	"a switch field that is a number": acmeWith(`groups: 1`),
	"a number field that is a word":   acmeWith(`ahead: many`),
	"a number field with a fraction":  acmeWith(`ahead: 1.5`),
	"a number field too great":        acmeWith(`ahead: 33`),
	"a number field too small":        acmeWith(`ahead: -4`),
	"a text for a list":               acmeWith(`teams: t-1`),
	"a list with too many":            acmeWith(`teams: [t-1, t-2, t-3]`),
	"a list with a wrong item":        acmeWith(`teams: [x]`),
	"a list with an empty item":       acmeWith("teams: [ ~ ]"),
	"a text for a mapping":            acmeWith(`headers: x`),
	"a list for a file":               acmeWith(`key: [x]`),
	"a text that is too long":         acmeWith(`code: abcdefgh.c|e`),
	"a text with another beginning":   acmeWith(`code: bc.c|e`),
	"a text with another end":         acmeWith(`code: abcxc|e`),
	"a text that lacks something":     acmeWith(`code: ab`),
}

func TestSchema_AgreesWithTheHost(t *testing.T) {
	t.Parallel()
	schema := compile(t, schema.Of([]schema.Plugin{{App: "acme", Manifest: acme}, {App: "none", Manifest: &pluginv1.Manifest{Name: "baton-none"}}}))
	for name, file := range good {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, inHost(t, file))
			require.NoError(t, inEditor(t, schema, file))
		})
	}
	for name, file := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, inHost(t, file))
			require.Error(t, inEditor(t, schema, file))
		})
	}
}

func TestSchema_HasTheFieldsOfAProgramThatAnEntryNames(t *testing.T) {
	t.Parallel()
	schema := compile(t, schema.Of([]schema.Plugin{{App: "acme", Manifest: acme}, {App: "acme", Instance: "mine", Manifest: acme}}))
	require.NoError(t, inEditor(t, schema, "plugins: { mine: { path: ./x, config: { "+needed+" } } }\n"))
	require.Error(t, inEditor(t, schema, "plugins: { mine: { path: ./x, config: { "+needed+", tokn: x } } }\n"))
	require.Error(t, inEditor(t, schema, "plugins: { mine: { pth: ./x, config: { "+needed+" } } }\n"))
}

func TestSchema_DescribesEachKey(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(schema.Of([]schema.Plugin{{App: "acme", Manifest: acme}}))
	require.NoError(t, err)
	var schema struct {
		Schema string `json:"$schema"`
		Defs   map[string]struct {
			Title      string
			Properties map[string]struct {
				Title, Description string
				Default            any
			}
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(encoded, &schema))
	require.Equal(t, "https://json-schema.org/draft/2020-12/schema", schema.Schema)
	require.Equal(t, "How long the plugin may take to start. To take its configuration it has a minute, or this where it is longer. Default: `10s`.", schema.Defs["plugin"].Properties["start-timeout"].Description)
	fields := schema.Defs["config-acme"]
	require.Equal(t, "Acme v1.2.3", fields.Title)
	require.Equal(t, "URL", fields.Properties["url"].Title)
	require.Equal(t, "Where Acme is.", fields.Properties["url"].Description)
	require.Equal(t, "eu", fields.Properties["region"].Default)
	require.Contains(t, fields.Properties["token"].Description, "secret")
}
