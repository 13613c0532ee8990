package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// textFields is a schema of string fields that are not secret.
func textFields(names ...string) *pluginv1.ConfigurationSchema {
	schema := &pluginv1.ConfigurationSchema{}
	for _, name := range names {
		schema.Fields = append(schema.Fields, &pluginv1.Field{Name: name, Type: pluginv1.FieldType_FIELD_TYPE_STRING})
	}
	return schema
}

func TestReference_ResolvesVariablesAndFiles(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"token":     "from-file\r\n\n",
		"marked":    "\xef\xbb\xbffrom-notepad\r\n",
		"lines":     "\n one\ntwo \n",
		"reference": "${env:HOST}: [x] #",
	})
	absolute := filepath.Join(t.TempDir(), "absolute")
	require.NoError(t, os.WriteFile(absolute, []byte("elsewhere"), 0o600))
	variables := environment(map[string]string{
		"HOST": "app.example.com", "TRICKY": "${env:HOST} $${x} !!int 1 \n- *a", "DOLLAR": "$", "LINE": "token\r\n\n",
	})

	for written, want := range map[string]string{
		`${env:HOST}`:                            "app.example.com",
		`'${env:HOST}'`:                          "app.example.com",
		`"${env:HOST}"`:                          "app.example.com",
		`https://${env:HOST}/scim/${file:token}`: "https://app.example.com/scim/from-file",
		`${env:HOST}${env:HOST}`:                 "app.example.comapp.example.com",
		`${file:token}`:                          "from-file",
		`${file:marked}`:                         "from-notepad",
		`${file:./token}`:                        "from-file",
		"${file:" + absolute + "}":               "elsewhere",
		`${file:lines}`:                          "\n one\ntwo ",
		`${file:reference}`:                      "${env:HOST}: [x] #",
		`${env:TRICKY}`:                          "${env:HOST} $${x} !!int 1 \n- *a",
		`${env:LINE}`:                            "token",
		`${env:DOLLAR}{env:HOST}`:                "${env:HOST}",
		`$${env:HOST}`:                           "${env:HOST}",
		`$$${env:HOST}`:                          "$${env:HOST}",
		`a$${b`:                                  "a${b",
		`$`:                                      "$",
		`$$`:                                     "$$",
		`pa$$word$`:                              "pa$$word$",
		`$HOST`:                                  "$HOST",
		`a}b`:                                    "a}b",
		"|\n        ${env:HOST}\n        second": "app.example.com\nsecond\n",
	} {
		t.Run(written, func(t *testing.T) {
			yaml := "plugins:\n  a:\n    config:\n      field: " + written + "\n"
			path := filepath.Join(dir, "baton-host.yaml")
			require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
			loaded, err := config.Load(t.Context(), path, config.WithEnvironment(variables))
			require.NoError(t, err)
			bound, problems := loaded.Plugins[0].Settings.Bind(textFields("field"))
			require.Empty(t, problems)
			require.Equal(t, want, bound.Values["field"].GetStringValue())
		})
	}
}

func TestReference_IsTextInAKey(t *testing.T) {
	t.Parallel()
	loaded, _, err := load(t, "plugins: { a: { config: { map: { \"${env:X}\": \"${env:X}\" } } } }", map[string]string{"X": "x"})
	require.NoError(t, err)
	bound, problems := loaded.Plugins[0].Settings.Bind(&pluginv1.ConfigurationSchema{
		Fields: []*pluginv1.Field{{Name: "map", Type: pluginv1.FieldType_FIELD_TYPE_MAP}},
	})
	require.Empty(t, problems)
	require.Equal(t, map[string]any{"${env:X}": "x"}, bound.Values["map"].GetMapValue().AsMap())
}

func TestReference_IsNamedWhereItDoesNotResolve(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"empty":  "\xef\xbb\xbf\n\n",
		"binary": "\xff\xfe",
		"large":  strings.Repeat("x", 2<<20+1),
		"full":   strings.Repeat("x", 2<<20),
	})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "directory"), 0o700))
	variables := environment(map[string]string{"EMPTY": "", "BINARY": "\xff"})

	for written, want := range map[string]string{
		"${env:UNSET}":                     "${env:UNSET}: the environment variable is not set",
		"${env:EMPTY}":                     "${env:EMPTY}: the environment variable is empty",
		"${env:BINARY}":                    "${env:BINARY}: the environment variable is not UTF-8 text",
		"x-${env:EMPTY}-x":                 "${env:EMPTY}: the environment variable is empty",
		"${file:none}":                     "${file:none}: the file does not exist; a relative path starts at the directory of the configuration",
		"${file:/none}":                    "${file:/none}: the file does not exist",
		"${file:empty}":                    "${file:empty}: the file is empty",
		"${file:binary}":                   "${file:binary}: the file is not UTF-8 text",
		"${file:large}":                    "${file:large}: the file is larger than 2 MiB",
		"${file:directory}":                "${file:directory}: this is a directory, not a file",
		"${file:" + os.DevNull + "}":       "${file:" + os.DevNull + "}: this is not a regular file",
		"${file:full/x}":                   "${file:full/x}: the file cannot be read: not a directory",
		strings.Repeat("${file:full}", 17): "${file:full}: all references together resolve to more than 32 MiB",
	} {
		t.Run(fmt.Sprintf("%.30s", written), func(t *testing.T) {
			path := filepath.Join(dir, "baton-host.yaml")
			yaml := "plugins:\n  a:\n    config:\n      m: { l: ['" + written + "'] }\n"
			require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
			_, err := config.Load(t.Context(), path, config.WithEnvironment(variables))
			require.Equal(t, []string{"baton-host.yaml:4:16: " + want}, messages(dir, err))
		})
	}
}
