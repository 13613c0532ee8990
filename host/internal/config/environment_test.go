package config_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// fromEnvironment binds a plugin that no file configures.
func fromEnvironment(schema *pluginv1.ConfigurationSchema, lookup func(string) (string, bool)) (*settings.Bound, error) {
	bound, problems := settings.FromEnvironment(lookup).Bind(schema)
	return bound, problems.Err()
}

func TestByName_ReadsTheVariablesOfTheStandAloneConnector(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"key": "\xff\n"})
	for name, test := range map[string]struct {
		variables map[string]string
		values    map[string]*pluginv1.Value
	}{
		"nothing":           {map[string]string{"TEXT": "x"}, map[string]*pluginv1.Value{}},
		"empty":             {map[string]string{"BATON_TEXT": "", "BATON_NUMBER": ""}, map[string]*pluginv1.Value{}},
		"text, as it is":    {map[string]string{"BATON_TEXT": " ${env:X}, "}, map[string]*pluginv1.Value{"text": text(" ${env:X}, ")}},
		"truth":             {map[string]string{"BATON_TRUTH": "1"}, map[string]*pluginv1.Value{"truth": truth(true)}},
		"number":            {map[string]string{"BATON_NUMBER": "-7"}, map[string]*pluginv1.Value{"number": number(-7)}},
		"list":              {map[string]string{"BATON_LIST": `a,"b,c",d=e`}, map[string]*pluginv1.Value{"list": list("a", "b,c", "d=e")}},
		"map of pairs":      {map[string]string{"BATON_MAP": `a=1,"b=x,y",c=d=e,f=`}, map[string]*pluginv1.Value{"map": mapping(t, map[string]any{"a": "1", "b": "x,y", "c": "d=e", "f": ""})}},
		"map as an object":  {map[string]string{"BATON_MAP": ` {"a": {"b": [1, true]}}`}, map[string]*pluginv1.Value{"map": mapping(t, map[string]any{"a": map[string]any{"b": []any{1, true}}})}},
		"file, by its path": {map[string]string{"BATON_FILE": filepath.Join(dir, "key")}, map[string]*pluginv1.Value{"file": file("\xff\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bound, err := fromEnvironment(everyType(), environment(test.variables))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(test.values, bound.Values, protocmp.Transform()))
			require.Empty(t, bound.Secrets.Reveal())
		})
	}
}

func TestByName_SeparatesSecretsFromValues(t *testing.T) {
	t.Parallel()
	bound, err := fromEnvironment(everyType(), environment(map[string]string{"BATON_TOKEN": "hunter2", "BATON_TEXT": "x"}))
	require.NoError(t, err)
	require.Equal(t, "hunter2", bound.Secrets.Reveal()["token"].GetStringValue())
	require.Len(t, bound.Values, 1)

	require.Equal(t, "BATON_SECRET_FILE: no (secret)", bound.Problem(&pluginv1.Diagnostic{Field: "secret-file", Summary: "no hunter2"}).String())
	require.Equal(t, "broken: badly", bound.Problem(&pluginv1.Diagnostic{Summary: "broken", Detail: "badly"}).String())
}

func TestByName_ReportsEveryProblemWithItsVariable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	schema := everyType()
	schema.Fields = append(
		schema.Fields,
		&pluginv1.Field{Name: "scim-base-url", Label: "SCIM Base URL", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true},
		&pluginv1.Field{Name: "plain", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true},
		&pluginv1.Field{Name: "short", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true, Rules: &pluginv1.Rules{MinLength: proto.Uint64(9)}},
		&pluginv1.Field{Name: "new", Type: 99},
	)
	schema.Relations = []*pluginv1.Relation{
		{Kind: pluginv1.RelationKind_RELATION_KIND_DEPENDS_ON, Fields: []string{"short"}, Needs: []string{"plain"}},
		{Kind: pluginv1.RelationKind_RELATION_KIND_AT_LEAST_ONE, Fields: []string{"plain", "scim-base-url"}},
	}
	_, err := fromEnvironment(schema, environment(map[string]string{
		"BATON_TEXT": "\xff", "BATON_TRUTH": "yes", "BATON_NUMBER": "ten", "BATON_LIST": `a"b`, "BATON_MAP": "a",
		"BATON_FILE": filepath.Join(dir, "none"), "BATON_SECRET_FILE": filepath.Join(dir, "hunter2"),
		"BATON_SHORT": "hunter2", "BATON_NEW": "x",
	}))
	var problems settings.Problems
	require.ErrorAs(t, err, &problems)
	require.Equal(t, []string{
		"BATON_TEXT is not UTF-8 text",
		"BATON_TRUTH takes true or false",
		"BATON_NUMBER takes a whole number in decimal digits, such as 10",
		"BATON_LIST takes a comma-separated list; an item that holds a comma or a quote goes in double quotes",
		"BATON_MAP takes key=value pairs, comma separated, or a JSON object",
		"BATON_FILE takes the path of a file, but the file does not exist: none",
		"BATON_SECRET_FILE takes the path of a file, but the file does not exist",
		"BATON_NEW has a type that this version of baton-host does not know; update baton-host",
		"BATON_SCIM_BASE_URL (SCIM Base URL) must be set",
		"BATON_PLAIN must be set",
		"BATON_SHORT must have at least 9 bytes",
		"BATON_SHORT needs BATON_PLAIN too",
		"at least one of BATON_PLAIN and BATON_SCIM_BASE_URL must be given",
	}, messages(dir, err))
}

func TestByName_RefusesTextsThatAreNoMap(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"a", "a,b=c", "=a", `a="b`, "{", `{"a": }`, `{"a": "b"} c`, `["a"]`} {
		_, err := fromEnvironment(everyType(), environment(map[string]string{"BATON_MAP": value}))
		require.Error(t, err, value)
		require.EqualError(t, err, "BATON_MAP takes key=value pairs, comma separated, or a JSON object", value)
	}
}
