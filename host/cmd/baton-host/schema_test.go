package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	hostschema "github.com/batonhost/baton-host/host/internal/config/schema"
)

// schemaOf runs `baton-host schema` and compiles what it writes.
func schemaOf(t *testing.T, args ...string) *jsonschema.Schema {
	t.Helper()
	result := execute(t, nil, "baton-host", append([]string{"schema"}, args...)...)
	require.Equal(t, 0, result.status, result.stderr)
	return compile(t, result.stdout)
}

func compile(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("baton-host.schema.json", document))
	compiled, err := compiler.Compile("baton-host.schema.json")
	require.NoError(t, err)
	return compiled
}

func inEditor(t *testing.T, schema *jsonschema.Schema, file string) error {
	t.Helper()
	var value any
	require.NoError(t, yaml.Unmarshal([]byte(file), &value), file)
	encoded, err := json.Marshal(value)
	require.NoError(t, err)
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	require.NoError(t, err)
	return schema.Validate(value)
}

// configurations are those that documents show and the demo writes.
var configurations = regexp.MustCompile("(?s)(?:```yaml\n|<<YAML\n)(.*?)(?:```|\nYAML\n)")

func TestSchema_KnowsThePluginsThatAreInstalled(t *testing.T) {
	t.Parallel()
	schema := schemaOf(t)
	require.NoError(t, inEditor(t, schema, "plugins: { fullstory: { config: { scim-base-url: x, scim-token: \"${env:T}\" } } }"))
	require.NoError(t, inEditor(t, schema, "plugins: { a: { app: scim, config: { scim-base-url: x, scim-token: y, scim-groups: false } } }"))
	for name, file := range map[string]string{
		"an unknown key":            "plugins: { fullstory: { conifg: {} } }",
		"an unknown field":          "plugins: { fullstory: { config: { scim-base-url: x, scim-tokn: y } } }",
		"an unknown field by app":   "plugins: { a: { app: scim, config: { scim-base-url: x, scim-grups: true } } }",
		"a required field missing":  "plugins: { fullstory: { config: { scim-base-url: x } } }",
		"a field of another type":   "plugins: { a: { app: scim, config: { scim-base-url: x, scim-groups: [perhaps] } } }",
		"a configuration of no use": "plugins: { fullstory: {} }",
	} {
		require.Error(t, inEditor(t, schema, file), name)
	}
}

func TestSchema_FitsTheConfigurationsOfTheDocuments(t *testing.T) {
	t.Parallel()
	whole := schemaOf(t, "fullstory", "scim")
	noPlugins, err := json.Marshal(hostschema.Of(nil))
	require.NoError(t, err)
	excerpt := compile(t, string(noPlugins))
	documents, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	readmes, err := filepath.Glob("../../../examples/*/README.md")
	require.NoError(t, err)
	count := 0
	for _, path := range append(slices.Concat(documents, readmes), "../../../README.md", "../../../sandbox/demo.sh") {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, block := range configurations.FindAllStringSubmatch(string(content), -1) {
			if !regexp.MustCompile(`(?m)^plugins:`).MatchString(block[1]) || strings.Contains(block[1], "kind:") {
				continue
			}
			count++
			schema := whole
			if !strings.Contains(block[1], "config:") {
				schema = excerpt // It leaves out what it is not about.
			}
			require.NoError(t, inEditor(t, schema, block[1]), "%s:\n%s", path, block[1])
		}
	}
	require.GreaterOrEqual(t, count, 7)
}

func TestSchema_KnowsTheProgramsOfAConfiguration(t *testing.T) {
	t.Parallel()
	path := writeConfig(t, "plugins: { mine: { path: "+filepath.Join(bin, "baton-scim")+" } }\n")
	const unknown = "plugins: { mine: { path: x, config: { scim-base-url: x, scim-token: y, unknown: 1 } } }"
	require.NoError(t, inEditor(t, schemaOf(t), unknown))
	require.Error(t, inEditor(t, schemaOf(t, "--config", path), unknown))
}

func TestSchema_ExplainsWhatCannotBeDescribed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "baton-shoes"), []byte("#!/bin/sh\necho where are my shoes >&2; exit 3\n"), 0o700)) //nolint:gosec // It must be executable.
	all := execute(t, nil, "baton-host", "schema", "--plugin-dir", dir)
	require.Equal(t, 0, all.status, all.stderr)
	require.Contains(t, all.stderr, "baton-shoes")
	require.Contains(t, all.stderr, "left open")
	require.True(t, json.Valid([]byte(all.stdout)))
	require.NotContains(t, all.stdout, "config-shoes")

	requireSentence(t, execute(t, nil, "baton-host", "schema", "shoes", "--plugin-dir", dir), []string{"baton-shoes", "where are my shoes"})
	requireSentence(t, execute(t, nil, "baton-host", "schema", "nobody-has-this"), []string{"baton-nobody-has-this"})
	requireSentence(t, execute(t, nil, "baton-host", "schema", "--config", filepath.Join(dir, "none.yaml")), []string{"none.yaml"})
}
