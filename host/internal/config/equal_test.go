package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// other gives a value another one than it has.
func other(t *testing.T, value reflect.Value) {
	t.Helper()
	switch value.Interface().(type) {
	case []*pluginv1.Field:
		value.Set(reflect.ValueOf([]*pluginv1.Field{{Name: "one"}}))
		return
	case []*Plugin:
		value.Set(reflect.ValueOf([]*Plugin{{Name: "one"}}))
		return
	}
	switch value.Kind() { //nolint:exhaustive // No field is of another kind; the end fails.
	case reflect.String:
		value.SetString(value.String() + "x")
	case reflect.Bool:
		value.SetBool(!value.Bool())
	case reflect.Int, reflect.Int64:
		value.SetInt(value.Int() + 1)
	case reflect.Uint64:
		value.SetUint(value.Uint() + 1)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
	case reflect.Map:
		value.Set(reflect.ValueOf(map[string]GuardLimits{"user": {}}))
	case reflect.Struct:
		other(t, value.Field(0))
	default:
		require.Fail(t, "a field of a kind that this test does not know", value.Type())
	}
}

// TestIsSame_ComparesEveryField: a new field must not be forgotten.
func TestIsSame_ComparesEveryField(t *testing.T) {
	t.Parallel()
	nothing := func(string) (string, bool) { return "", false }
	plugin := ByName("fullstory", nothing)
	same := *plugin
	require.True(t, plugin.IsSame(&same))
	for field := range reflect.TypeFor[Plugin]().Fields() {
		if field.Name == "Settings" {
			continue // Below.
		}
		changed := *plugin
		other(t, reflect.ValueOf(&changed).Elem().FieldByName(field.Name))
		require.False(t, plugin.IsSame(&changed), field.Name)
		require.False(t, changed.IsSame(plugin), field.Name)
	}
	upload := NewUpload("workforce", plugin)
	upload.ClientID = "one@tenant.conductor.one/pcc"
	unresolved := *upload
	unresolved.ClientID = ""
	require.True(t, upload.IsSame(&unresolved), "its store is away: that changes nothing")
	require.True(t, unresolved.IsSame(upload))
	secretOnly := *upload
	secretOnly.ClientSecret, secretOnly.Resolved = secret.New("x"), []secret.Resolved{{}}
	require.True(t, upload.IsSame(&secretOnly), "what a reference resolves to does not count")
	for field := range reflect.TypeFor[Upload]().Fields() {
		switch field.Name {
		case "ClientSecret", "Resolved", "credentials":
			continue
		}
		changed := *upload
		other(t, reflect.ValueOf(&changed).Elem().FieldByName(field.Name))
		require.False(t, upload.IsSame(&changed), field.Name)
	}
}

// TestIsSame_ComparesWhatIsWritten, and not what it resolves to.
func TestIsSame_ComparesWhatIsWritten(t *testing.T) {
	t.Parallel()
	const text = `plugins:
  fullstory: { config: { token: "${env:TOKEN}", labels: { a: 1, b: 2 }, tags: [x, y] } }
uploads:
  workforce: { plugins: [fullstory], client-id: "${env:ID}", client-secret: "${env:SECRET}" }
`
	path := filepath.Join(t.TempDir(), "baton-host.yaml")
	load := func(text, value string) *Config {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		config, err := Load(t.Context(), path, WithoutCredentials(), WithEnvironment(func(string) (string, bool) { return value, true }))
		require.NoError(t, err)
		return config
	}
	one := load(text, "one")
	for name, c := range map[string]struct {
		text               string
		plugin, sameUpload bool
	}{
		"the same, another value": {text, true, true},
		"a comment":               {"# x\n" + text, true, true},
		"fields in another order": {strings.Replace(strings.Replace(text, ", tags: [x, y]", "", 1), "token:", "tags: [x, y], token:", 1), true, true},
		"a map in another order":  {strings.Replace(text, "a: 1, b: 2", "b: 2, a: 1", 1), true, true},
		"a list in another order": {strings.Replace(text, "[x, y]", "[y, x]", 1), false, true},
		"another value in a map":  {strings.Replace(text, "a: 1, b: 2", "a: 2, b: 1", 1), false, true},
		"another reference":       {strings.Replace(text, "env:TOKEN", "env:OTHER", 1), false, true},
		"another client id":       {strings.Replace(text, "env:ID", "env:OTHER", 1), true, false},
		"another client secret":   {strings.Replace(text, "env:SECRET", "env:OTHER", 1), true, false},
	} {
		two := load(c.text, "two")
		require.Equal(t, c.plugin, one.Plugins[0].IsSame(two.Plugins[0]), name)
		require.Equal(t, c.sameUpload, one.Uploads[0].IsSame(two.Uploads[0]), name)
	}
}

// TestIsSame_ComparesStores: what is behind a reference to a store or a helper is another
// value where that is configured in another way.
func TestIsSame_ComparesStores(t *testing.T) {
	t.Parallel()
	const text = `plugins:
  asks: { config: { token: "${exec:helper x}" } }
  reads: { config: { token: "${env:TOKEN}" } }
uploads:
  asking: { plugins: [asks], client-id: "${exec:helper id}", client-secret: "${env:SECRET}" }
  reading: { plugins: [reads], client-id: "${env:ID}", client-secret: "${env:SECRET}" }
secret-helpers:
  helper: { command: [/bin/one] }
`
	path := filepath.Join(t.TempDir(), "baton-host.yaml")
	load := func(text string) *Config {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		config, err := Load(t.Context(), path, WithoutReferences())
		require.NoError(t, err)
		return config
	}
	one, same, other := load(text), load(text), load(strings.Replace(text, "/bin/one", "/bin/two", 1))
	for i := range one.Plugins {
		require.True(t, one.Plugins[i].IsSame(same.Plugins[i]))
		require.True(t, one.Uploads[i].IsSame(same.Uploads[i]))
	}
	require.False(t, one.Plugins[0].IsSame(other.Plugins[0]))
	require.True(t, one.Plugins[1].IsSame(other.Plugins[1]))
	require.False(t, one.Uploads[0].IsSame(other.Uploads[0]))
	require.True(t, one.Uploads[1].IsSame(other.Uploads[1]))
}
