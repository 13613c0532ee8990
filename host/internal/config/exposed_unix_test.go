//go:build unix

package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// secretSchema has secret fields of several types, and one that is not secret.
func secretSchema() *pluginv1.ConfigurationSchema {
	schema := &pluginv1.ConfigurationSchema{}
	for _, field := range []struct {
		name string
		kind pluginv1.FieldType
	}{
		{"token", pluginv1.FieldType_FIELD_TYPE_STRING},
		{"headers", pluginv1.FieldType_FIELD_TYPE_STRING_LIST},
		{"map", pluginv1.FieldType_FIELD_TYPE_MAP},
		{"key", pluginv1.FieldType_FIELD_TYPE_FILE},
	} {
		schema.Fields = append(schema.Fields, &pluginv1.Field{Name: field.name, Type: field.kind, Secret: true})
	}
	schema.Fields = append(schema.Fields, &pluginv1.Field{Name: "name", Type: pluginv1.FieldType_FIELD_TYPE_STRING})
	return schema
}

// writeOpen is write into a directory that everybody gets at, unlike t.TempDir's.
func writeOpen(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "exposed-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // That others get at it is the point.
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// warned are the warnings of a configuration that is loaded and bound.
func warned(t *testing.T, dir string, opts ...config.Option) []string {
	t.Helper()
	var mu sync.Mutex
	var warnings []string
	opts = append(opts, config.WithEnvironment(environment(map[string]string{"TOKEN": "from-env", "C1": c1Secret})), config.WithWarnings(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, strings.ReplaceAll(text, dir+string(filepath.Separator), ""))
	}))
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"), opts...)
	require.NoError(t, err)
	for _, plugin := range loaded.Plugins {
		for range 2 { // as after a restart
			_, problems := plugin.Settings.Bind(secretSchema())
			require.Empty(t, problems)
		}
	}
	return warnings
}

func TestExposure_WarnsOfSecretsThatOthersMayRead(t *testing.T) {
	t.Parallel()
	const literal = "baton-host.yaml holds a secret as plain text (%s), and others may read the file (mode %m); refer to the secret with ${env:NAME} or ${file:PATH}, or run: chmod go-rwx baton-host.yaml"
	const file = `everybody on this machine may read the file of a secret ("token" of plugin "a"): secret (mode %m); run: chmod o-rwx secret`
	token := func(value string) string { return "plugins: { a: { config: { token: \"" + value + "\" } } }" }
	upload := "plugins: { a: {} }\nuploads: { w: { plugins: [a], client-id: \"i@d/x\", client-secret: "
	for name, c := range map[string]struct {
		yaml         string
		config, file os.FileMode
		want         string // with %m for the mode, %s for the place
		what         string
	}{
		"a literal, for the owner":              {token("x-literal"), 0o600, 0o600, "", ""},
		"a literal, for the group":              {token("x-literal"), 0o640, 0o600, literal, `"token" of plugin "a"`},
		"a literal, for everybody":              {token("x-literal"), 0o644, 0o600, literal, `"token" of plugin "a"`},
		"two literals":                          {"plugins: { a: { config: { token: x, headers: [y] } }, b: { config: { token: z } } }", 0o604, 0o600, literal, `"token" of plugin "a"`},
		"a literal in a list":                   {"plugins: { a: { config: { headers: [\"${env:TOKEN}\", x] } } }", 0o644, 0o600, literal, `"headers" of plugin "a"`},
		"a literal in a map":                    {"plugins: { a: { config: { map: { k: { l: x } } } } }", 0o644, 0o600, literal, `"map" of plugin "a"`},
		"a file's content":                      {"plugins:\n  a:\n    config:\n      key: |\n        x\n        y\n", 0o644, 0o600, literal, `"key" of plugin "a"`},
		"a literal of an upload":                {upload + "\"" + c1Secret + "\" } }", 0o644, 0o600, literal, `client-secret of upload "w"`},
		"a variable":                            {token("${env:TOKEN}"), 0o644, 0o600, "", ""},
		"a variable in a text":                  {token("Bearer ${env:TOKEN}"), 0o644, 0o600, "", ""},
		"a variable of an upload":               {upload + "\"${env:C1}\" } }", 0o644, 0o600, "", ""},
		"a field that is no secret":             {"plugins: { a: { config: { name: x } } }", 0o644, 0o600, "", ""},
		"a file, for the owner":                 {token("${file:secret}"), 0o644, 0o600, "", ""},
		"a file, for the group":                 {token("${file:secret}"), 0o644, 0o640, "", ""},
		"a file, for everybody":                 {token("${file:secret}"), 0o644, 0o644, file, ""},
		"a file, for everybody else":            {token("${file:secret}"), 0o644, 0o604, file, ""},
		"a file for a field that is none":       {"plugins: { a: { config: { name: \"${file:secret}\" } } }", 0o644, 0o644, "", ""},
		"a file that a field names":             {"plugins: { a: { config: { key: secret } } }", 0o644, 0o644, strings.ReplaceAll(file, "token", "key"), ""},
		"a file that a field names, for owners": {"plugins: { a: { config: { key: secret } } }", 0o644, 0o600, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeOpen(t, map[string]string{"baton-host.yaml": c.yaml, "secret": "from-file"})
			require.NoError(t, os.Chmod(filepath.Join(dir, "baton-host.yaml"), c.config))
			require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), c.file))
			mode := c.config
			if c.what == "" {
				mode = c.file
			}
			want := strings.NewReplacer("%m", fmt.Sprintf("%04o", mode), "%s", c.what).Replace(c.want)
			got := warned(t, dir)
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{strings.ReplaceAll(want, dir+"/", "")}, got)
			require.NotContains(t, got[0], "x-literal")
		})
	}
}

func TestExposure_ChecksAnUploadsSecretThatIsNotNeeded(t *testing.T) {
	t.Parallel()
	dir := writeOpen(t, map[string]string{"secret": c1Secret, "baton-host.yaml": `
plugins: { a: {} }
uploads:
  w: { plugins: [a], client-id: "i@d/x", client-secret: "${file:secret}" }
  x: { plugins: [a], client-id: "i@d/y", client-secret: "` + c1Secret + `" }
`})
	require.NoError(t, os.Chmod(filepath.Join(dir, "baton-host.yaml"), 0o644)) //nolint:gosec // That others may read it is the point.
	require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), 0o644))          //nolint:gosec // That others may read it is the point.
	require.Len(t, warned(t, dir, config.WithoutCredentials()), 2)
}

func TestExposure_IgnoresFilesThatOthersCannotReach(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(t *testing.T, dir string){
		"in a private directory": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "private"), 0o700))
			require.NoError(t, os.Rename(filepath.Join(dir, "secret"), filepath.Join(dir, "private", "secret")))
			require.NoError(t, os.Symlink(filepath.Join("private", "secret"), filepath.Join(dir, "secret")))
		},
		// As the kubelet lays a secret out.
		"a volume of Kubernetes": func(t *testing.T, dir string) {
			data := "..2026_01_02_03_04_05.678"
			require.NoError(t, os.Mkdir(filepath.Join(dir, data), 0o755)) //nolint:gosec // As the kubelet does.
			require.NoError(t, os.Rename(filepath.Join(dir, "secret"), filepath.Join(dir, data, "secret")))
			require.NoError(t, os.Symlink(data, filepath.Join(dir, "..data")))
			require.NoError(t, os.Symlink(filepath.Join("..data", "secret"), filepath.Join(dir, "secret")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := writeOpen(t, map[string]string{"baton-host.yaml": "plugins: { a: { config: { token: \"${file:secret}\" } } }", "secret": "from-file"})
			require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), 0o644)) //nolint:gosec // That others may read it is the point.
			require.Len(t, warned(t, dir), 1, "the warning is there before")
			arrange(t, dir)
			require.Empty(t, warned(t, dir))
		})
	}
}

// TestExposure_IgnoresFilesThatTheGroupMayRead has the file of a package: root's, for the
// group of the service. Only root can give a file to somebody else.
func TestExposure_IgnoresFilesThatTheGroupMayRead(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Logf("only root can give a file to somebody else; the rule for one's own files is tested above")
		return
	}
	dir := writeOpen(t, map[string]string{"baton-host.yaml": "plugins: { a: { config: { token: x } } }"})
	path := filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.Chmod(path, 0o640)) //nolint:gosec // That the group may read it is the point.
	require.Len(t, warned(t, dir), 1)
	require.NoError(t, os.Chown(path, 65534, -1))
	require.Empty(t, warned(t, dir))
}

// TestReload_WarnsOfWhatOthersMayReadOnce, and again once its mode has changed.
func TestReload_WarnsOfWhatOthersMayReadOnce(t *testing.T) {
	t.Parallel()
	dir := writeOpen(t, map[string]string{"secret": "x", "baton-host.yaml": "plugins: { a: {} }\nuploads: { u: { plugins: [a], client-id: \"${env:C1}\", client-secret: \"${file:secret}\" } }\n"})
	var warnings []string
	var before *config.Config
	for _, step := range []struct {
		mode os.FileMode
		want int // warnings
	}{{0o644, 1}, {0o644, 0}, {0o664, 1}, {0o600, 0}, {0o664, 1}, {0o664, 0}} {
		require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), step.mode))
		warnings = nil
		opts := []config.Option{config.WithoutReferences(), config.WithWarnings(func(text string) { warnings = append(warnings, text) })}
		if before != nil {
			opts = append(opts, config.KeepingStores(before))
		}
		loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"), opts...)
		require.NoError(t, err)
		require.Len(t, warnings, step.want, "%v", warnings)
		before = loaded
	}
}

func TestLoad_WarnsOfTheSecretOfAStoreInTheFile(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{
		"token: x":                 "baton-host.yaml holds a secret as plain text (token of a store)",
		"token: \"${env:TOKEN}\"":  "",
		"token: \"${file:token}\"": "everybody on this machine may read the file of a secret (token of a store)",
	} {
		dir := writeOpen(t, map[string]string{"token": "x", "baton-host.yaml": "plugins: { a: {} }\nsecret-stores: { vault: { address: \"https://v\", login: { method: token, " + secret + " } } }\n"})
		for _, name := range []string{"token", "baton-host.yaml"} {
			require.NoError(t, os.Chmod(filepath.Join(dir, name), 0o644)) //nolint:gosec // That others may read it is the point.
		}
		var warnings []string
		_, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"), config.WithoutReferences(), config.WithWarnings(func(text string) { warnings = append(warnings, text) }))
		require.NoError(t, err)
		if want == "" {
			require.Empty(t, warnings)
			continue
		}
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], want)
	}
}
