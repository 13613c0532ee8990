package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/config"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// canary is in every secret value, literal or resolved, of the tests below.
const canary = "canary7f3a"

// strictSchema has a secret field of every type with rules that no canary
// fulfils, and relations that none of the configurations below fulfils.
func strictSchema(secret bool) *pluginv1.ConfigurationSchema {
	rules := func() *pluginv1.Rules {
		return &pluginv1.Rules{
			AllowedValues: []string{"other"},
			MinLength:     proto.Uint64(100000), MaxLength: proto.Uint64(0), Pattern: "^$", Prefix: "p", Suffix: "s", Contains: "c!",
			Format: pluginv1.StringFormat_STRING_FORMAT_UUID, Minimum: proto.Int64(100), Maximum: proto.Int64(-100),
			MinItems: proto.Uint64(9), MaxItems: proto.Uint64(0), UniqueItems: true,
		}
	}
	schema := &pluginv1.ConfigurationSchema{}
	for name, fieldType := range map[string]pluginv1.FieldType{
		"token": pluginv1.FieldType_FIELD_TYPE_STRING, "flag": pluginv1.FieldType_FIELD_TYPE_BOOL,
		"count": pluginv1.FieldType_FIELD_TYPE_INT, "list": pluginv1.FieldType_FIELD_TYPE_STRING_LIST,
		"map": pluginv1.FieldType_FIELD_TYPE_MAP, "file": pluginv1.FieldType_FIELD_TYPE_FILE, "new": 99,
	} {
		schema.Fields = append(schema.Fields, &pluginv1.Field{Name: name, Type: fieldType, Secret: secret, Rules: rules()})
	}
	schema.Fields = append(schema.Fields, &pluginv1.Field{Name: "always", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true})
	schema.Relations = []*pluginv1.Relation{
		{Kind: pluginv1.RelationKind_RELATION_KIND_MUTUALLY_EXCLUSIVE, Fields: []string{"token", "list"}},
		{Kind: pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON, Fields: []string{"token", "list", "map"}, Needs: []string{"always"}},
	}
	return schema
}

func TestProblems_NeverHoldASecret(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"secret":    canary + "\n",
		"binary":    canary + "\xff",
		"reference": "${env:" + canary + "}",
		"yaml":      "a: [" + canary + "\n",
	})
	variables := environment(map[string]string{
		"SECRET": canary, "BINARY": canary + "\xff", "REFERENCE": "${file:" + canary + "}", "YAML": "\"\n*" + canary,
	})

	// What stands under config of the only plugin, in flow style or after a
	// newline in block style, or in place of the plugin itself.
	configs := []string{
		canary, "[" + canary + "]", "token:" + canary, "{ token:" + canary + " }", "{ " + canary + " }", "{ 'token " + canary + "': }",
		"{ " + canary + ": }", "{ ? [" + canary + "] : x }", "{ token: x, token: " + canary + " }", "{ " + canary + "!: 1, " + canary + "!: 2 }",
		"{ token: *" + canary + " }", "{ token: &" + canary + " x }", "{ token: !" + canary + " x }", "{ <<: " + canary + " }",
		"{ token: @" + canary + " }", "{ token: %" + canary + " }", "{ token: `" + canary + " }", "{ token: \"" + canary + "\\q\" }",
		"{ token: \"" + canary + " }", "{ token: '" + canary + "' x }", "{ token: " + canary + ": x }", "{ token: " + canary,
		"\n      token: " + canary + "\n     x", "\n      token: " + canary + ": x", "\n      token:" + canary + "\n      a: b",
		"\n\ttoken: " + canary, "\n      - " + canary + "\n      a: b", "\n      token: |0\n        " + canary, "\n      token: " + canary + "\x01",
		"\n      token: " + canary + "${env:UNSET}", "\n      token: " + canary + "${", "\n      token: ${" + canary + "}", "\n      token: ${env:" + canary + " }",
		"\n      token: ${vault:" + canary + "}", "\n      token: ${env:SECRET}${env:UNSET}", "\n      token: ${env:BINARY}", "\n      token: ${file:binary}",
		"\n      token: ${env:SECRET", "\n      token: ${env:REFERENCE}", "\n      token: ${file:reference}", "\n      token: ${env:YAML}", "\n      token: ${file:yaml}",
		"\n      tokn: " + canary, "\n      tokn: ${env:SECRET}", "\n      other: " + canary, "\n      " + strings.Repeat(canary, 9) + ": x",
		"\n      token: [" + canary + "]", "\n      token: { a: " + canary + " }", "\n      token: " + canary, "\n      token: ${file:secret}", "\n      token: ''",
		"\n      flag: " + canary, "\n      flag: ${env:SECRET}", "\n      flag: [" + canary + "]", "\n      count: " + canary, "\n      count: 1" + canary,
		"\n      count: ${file:secret}", "\n      list: " + canary, "\n      list: [" + canary + ", " + canary + "]", "\n      list: [[" + canary + "]]",
		"\n      list: [\"${env:SECRET}\", \"${env:SECRET}\"]", "\n      map: " + canary, "\n      map: [" + canary + "]", "\n      map: { a: " + canary + ", b: 0x1 }",
		"\n      map: { " + canary + ": 0x1 }", "\n      map: { a: { b: \"${env:SECRET}\", c: .inf } }", "\n      file: ${file:secret}", "\n      file: [" + canary + "]",
		"\n      file: ${env:SECRET}", "\n      new: " + canary, "\n      token: " + canary + "\n      list: [" + canary + "]", "\n      token: " + strings.Repeat("[", 50) + canary,
		"\n      token: " + strings.Repeat("[", 50) + canary + strings.Repeat("]", 50),
	}
	files := make([]string, 0, len(configs)+10)
	for _, written := range configs {
		files = append(files, "plugins:\n  app:\n    config: "+written+"\n")
	}
	const upload = "plugins: { a: { config: { always: x } } }\nuploads:\n  w:\n    plugins: [a]\n"
	files = append(
		files,
		upload+"    client-id: x\n    client-secret: ["+canary+"]\n",
		upload+"    client-secret: "+canary+"\n",
		upload+"    client-id: "+canary+"\n",
		upload+"    client-id: "+canary+"${env:UNSET}\n    client-secret: ${env:SECRET}${file:none}\n",
		upload+"    client-id: x\n    client-secret: ${"+canary+"}\n",
		upload+"    client-secret:"+canary+"\n",
		upload+"    client-secret: *"+canary+"\n",
		upload+"    client-secret: { "+canary+": }\n    client-id: ${env:SECRET}\n",
		"plugins:\n  app:\n    token: "+canary+"\n",
		"plugins:\n  app:\n    config: { always: x }\n    path: ${env:SECRET}${env:UNSET}\n",
		"plugins:\n  app: { client-secret:"+canary+" }\n",
	)
	require.Greater(t, len(files), 80)

	for _, content := range files {
		path := filepath.Join(dir, "baton-host.yaml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		loaded, err := config.Load(t.Context(), path, config.WithEnvironment(variables))
		if err != nil {
			require.NotContains(t, strings.ToLower(err.Error()), canary, content)
			continue
		}
		_, problems := loaded.Plugins[0].Settings.Bind(strictSchema(true))
		require.NotEmpty(t, problems, content)
		require.NotContains(t, strings.ToLower(problems.Error()), canary, content)

		// Not even of a field that is not secret is the value repeated.
		_, problems = loaded.Plugins[0].Settings.Bind(strictSchema(false))
		require.NotEmpty(t, problems, content)
		require.NotContains(t, strings.ToLower(problems.Error()), canary, content)
	}
}

func TestProblems_OfVariablesNeverHoldASecret(t *testing.T) {
	t.Parallel()
	values := []string{canary, canary + "\xff", canary + ",\"", "{" + canary, canary + "=" + canary, "=" + canary, "/" + canary, "1" + canary, "\"" + canary}
	for _, value := range values {
		for _, field := range strictSchema(true).GetFields() {
			name := "BATON_" + strings.ToUpper(field.GetName())
			_, err := fromEnvironment(strictSchema(true), environment(map[string]string{name: value}))
			if field.GetName() != "always" {
				require.Error(t, err)
			}
			if err != nil {
				require.NotContains(t, err.Error(), canary)
			}
		}
	}
}

func TestBound_BlanksSecretsInAPluginsFindings(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{canary, canary + "\n", "a\n" + canary + "\nb", "a\t" + canary + "\"b", strings.Repeat(canary, 1000)} {
		dir := write(t, map[string]string{
			"baton-host.yaml": "plugins: { a: { config: { token: \"${file:token}\", name: \"${env:NAME}\", host: \"${env:HOST}.example\" } } }",
			"token":           secret,
		})
		loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"), config.WithEnvironment(environment(map[string]string{
			"NAME": canary + "name", "HOST": canary + "host",
		})))
		require.NoError(t, err)
		bound, problems := loaded.Plugins[0].Settings.Bind(schemaOf(
			&pluginv1.Field{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true}, textField("name"), textField("host"),
		))
		require.Empty(t, problems)
		for _, field := range []string{"token", "name", "host", "", "other"} {
			value := strings.TrimRight(secret, "\n")
			problem := bound.Problem(&pluginv1.Diagnostic{
				Field: field, Summary: "got " + value + " for " + canary + "name", Detail: "https://" + canary + "host.example/?t=" + value,
			})
			require.NotContains(t, problem.String(), canary)
			require.Contains(t, problem.String(), "${env:NAME}")
		}
	}
}
