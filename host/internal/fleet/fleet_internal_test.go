package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// reached is everything that an entry decides of how its plugin is started, configured
// and put behind an aggregate, in a form that can be compared.
func reached(ctx context.Context, t *testing.T, entry *config.Plugin) string {
	t.Helper()
	p := Of([]*config.Plugin{entry})[0]
	dir := t.TempDir()
	if entry.App != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "baton-"+entry.App), nil, 0o700)) //nolint:gosec // It is to be found as a program.
	}
	settings := p.settings(Options{Finder: &supervise.Finder{Dirs: []string{dir}}, LogLevel: "info"})
	found, err := settings.Owner.Find()
	require.True(t, err == nil || entry.App == "", err)
	request, err := settings.Owner.Configure(ctx, &pluginv1.Manifest{Configuration: &pluginv1.ConfigurationSchema{
		Fields: []*pluginv1.Field{{Name: "field", Type: pluginv1.FieldType_FIELD_TYPE_STRING}},
	}})
	require.NoError(t, err)
	request.GetHost().PasswordKey = ""

	p.running = supervise.New(ctx, settings)
	p.appName = "App"
	behind := p.aggregate(ctx, &config.Upload{Name: "workforce"})
	require.NotNil(t, behind.Listings)
	require.NotNil(t, behind.Passwords)
	behind.Conn, behind.Listings, behind.Passwords, settings.Owner = nil, nil, nil, nil
	return fmt.Sprintf("%s | %v | %+v | %+v", filepath.Base(found), request, settings, behind)
}

// set gives a field a value that it has not.
func set(t *testing.T, field reflect.Value, n int) {
	t.Helper()
	switch field.Kind() { //nolint:exhaustive // No field is of another kind.
	case reflect.String:
		field.SetString(fmt.Sprint("debug", n))
	case reflect.Bool:
		field.SetBool(!field.Bool())
	case reflect.Int, reflect.Int64:
		field.SetInt(field.Int() + int64(n) + 1)
	case reflect.Uint64:
		field.SetUint(field.Uint() + uint64(n) + 1) //nolint:gosec // It is small.
	case reflect.Slice:
		switch field.Interface().(type) {
		case []*pluginv1.Field:
			field.Set(reflect.ValueOf([]*pluginv1.Field{{Name: fmt.Sprint("value", n)}}))
		case []int:
			field.Set(reflect.ValueOf([]int{n}))
		default:
			field.Set(reflect.ValueOf([]string{fmt.Sprint("value", n)}))
		}
	default:
		require.Fail(t, "a field of another kind", field.Type())
	}
}

// TestPlugin_CarriesEveryField: what an entry says reaches the process, the configuration
// or the aggregate of its plugin. A field that is added and wired nowhere fails here.
func TestPlugin_CarriesEveryField(t *testing.T) {
	t.Parallel()
	base := func() *config.Plugin { return config.ByName("app", func(string) (string, bool) { return "", false }) }
	before := reached(t.Context(), t, base())
	fields := func(of reflect.Type) (names []string) {
		for field := range of.Fields() {
			names = append(names, field.Name)
		}
		return names
	}
	n := 0
	for _, name := range fields(reflect.TypeFor[config.Plugin]()) {
		n++
		entry := base()
		switch name {
		case "ChangeGuard", "Limits", "Sandbox":
			continue // The guard is the syncs', see TestGuardCarriesEveryField of package host; the others follow.
		case "Version", "Image", "Provenance":
			continue // They decide by the lock file; see TestLock_StartsWhatTheEntryAsksFor.
		case "Settings":
			entry.Settings = config.ByName("app", func(name string) (string, bool) { return "value", name == "BATON_FIELD" }).Settings
			require.NotEqual(t, before, reached(t.Context(), t, entry), "%s is lost", name)
			continue
		case "RequireEvidence":
			entry.RequireEvidence = config.RequireProven
			require.NotEqual(t, before, reached(t.Context(), t, entry), "%s is lost", name)
			continue
		}
		set(t, reflect.ValueOf(entry).Elem().FieldByName(name), n)
		require.NotEqual(t, before, reached(t.Context(), t, entry), "%s is lost", name)
	}
	for _, name := range fields(reflect.TypeFor[config.Limits]()) {
		n++
		entry := base()
		set(t, reflect.ValueOf(&entry.Limits).Elem().FieldByName(name), n)
		require.NotEqual(t, before, reached(t.Context(), t, entry), "Limits.%s is lost", name)
	}
	for _, name := range fields(reflect.TypeFor[config.Sandbox]()) {
		n++
		entry := base()
		set(t, reflect.ValueOf(&entry.Sandbox).Elem().FieldByName(name), n)
		require.NotEqual(t, before, reached(t.Context(), t, entry), "Sandbox.%s is lost", name)
	}
	require.Greater(t, n, 15)
}

func TestAttach(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Plugins: []*config.Plugin{{Name: "one", App: "scim"}, {Name: "two", App: "fullstory"}}}
	value := func(name string) string {
		return fmt.Sprintf(`{%q:{"Protocol":"grpc","ProtocolVersion":1,"Pid":%d,"Addr":{"Network":"unix","String":"/s"}}}`, name, os.Getpid())
	}
	for _, tc := range []struct {
		name, value, attached, failing string
	}{
		{name: "nothing"},
		{name: "an instance", value: value("one"), attached: "one"},
		{name: "an app", value: value("fullstory"), attached: "two"},
		{name: "a binary", value: value("baton-scim"), attached: "one"},
		{name: "none of them", value: value("other"), failing: `names the plugin "other", which is not one of one, two`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			plugins := Of(cfg.Plugins)
			warnings, err := Attach(tc.value, cfg, plugins)
			if tc.failing != "" {
				require.ErrorContains(t, err, tc.failing)
				return
			}
			require.NoError(t, err)
			for _, p := range plugins {
				require.Equal(t, p.Name == tc.attached, p.IsAttached(), p.Name)
			}
			require.Equal(t, tc.attached != "", len(warnings) == 1)
		})
	}
}

// TestStartErr_HasEveryPluginThatCannotBeCalled.
func TestStartErr_HasEveryPluginThatCannotBeCalled(t *testing.T) {
	t.Parallel()
	one, two := errors.New("one"), errors.New("two")
	require.NoError(t, StartErr([]*Plugin{{}, {}}))
	err := StartErr([]*Plugin{{err: one}, {}, {err: two}})
	require.ErrorIs(t, err, one)
	require.ErrorIs(t, err, two)
}

// TestValidate_RecordsWhatFails: a plugin that cannot be called does not pass.
func TestValidate_RecordsWhatFails(t *testing.T) {
	t.Parallel()
	entry := config.ByName("app", func(string) (string, bool) { return "", false })
	plugins := Of([]*config.Plugin{entry})
	f := Start(t.Context(), plugins, Options{Finder: &supervise.Finder{Dirs: []string{t.TempDir()}}})
	defer f.Stop(t.Context())
	require.NoError(t, Await(t.Context(), plugins))
	require.ErrorContains(t, plugins[0].Failure(), "there is no plugin binary baton-app")
	f.Validate(t.Context(), time.Second)
	require.ErrorContains(t, StartErr(f.Of(&config.Upload{Plugins: []*config.Plugin{entry}})), "there is no plugin binary baton-app")
}

// loaded returns the only plugin of a file, as a host has it.
func loaded(t *testing.T, path, text string) (*Plugin, *config.Config) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	cfg, err := config.Load(t.Context(), path)
	require.NoError(t, err)
	p := Of(cfg.Plugins)[0]
	p.settings(Options{Config: cfg})
	return p, cfg
}

// taking is the manifest of a plugin with these fields.
func taking(fields ...*pluginv1.Field) *pluginv1.Manifest {
	return &pluginv1.Manifest{Configuration: &pluginv1.ConfigurationSchema{Fields: fields}}
}

// TestPlugin_NamesItsNewPlaceAfterAReload that kept its process.
func TestPlugin_NamesItsNewPlaceAfterAReload(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	ctx := ctxzap.ToContext(t.Context(), zap.New(core))
	dir := t.TempDir()
	path, token := filepath.Join(dir, "baton-host.yaml"), filepath.Join(dir, "token")
	manifest := taking(&pluginv1.Field{Name: "token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Secret: true})
	const text = "plugins:\n  app: { config: { token: \"${file:token}\" } }\n"
	require.NoError(t, os.WriteFile(token, []byte("one"), 0o600))
	p, _ := loaded(t, path, text)
	first, err := p.Configure(ctx, manifest)
	require.NoError(t, err)
	p.apply()

	now, cfg := loaded(t, path, "# A comment.\n\n# Another one.\n"+text)
	require.True(t, p.IsSame(now))
	p.Move(now, cfg)
	require.NoError(t, os.Remove(token))
	known, err := p.Configure(ctx, manifest)
	require.NoError(t, err)
	require.Equal(t, first.GetSecrets()["token"].GetStringValue(), known.GetSecrets()["token"].GetStringValue())
	require.Equal(t, 1, logs.Len())
	require.Contains(t, fmt.Sprint(logs.All()[0].ContextMap()["error"]), path+":5:27: ${file:token}: ")

	require.NoError(t, os.WriteFile(token, []byte("two"), 0o600))
	_, err = p.Configure(ctx, manifest)
	require.NoError(t, err)
	err = p.Refused([]*pluginv1.Diagnostic{{Field: "token", Summary: "no such token"}})
	require.ErrorContains(t, err, path+":5:27: plugin \"app\": \"token\": no such token")
}

// TestPlugin_TakesTheNewContentOfAFile that a field names: also such a file is watched.
func TestPlugin_TakesTheNewContentOfAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, token := filepath.Join(dir, "key.pem"), filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte("tok"), 0o600))
	p, _ := loaded(t, filepath.Join(dir, "baton-host.yaml"), "plugins:\n  app: { config: { key-file: key.pem, tokens: [\"${file:token}\"] } }\n")
	manifest := taking(&pluginv1.Field{Name: "key-file", Type: pluginv1.FieldType_FIELD_TYPE_FILE, Secret: true},
		&pluginv1.Field{Name: "tokens", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST})
	for i, content := range []string{"first key", "second key", "second key"} {
		require.NoError(t, os.WriteFile(key, []byte(content), 0o600))
		request, err := p.Configure(t.Context(), manifest)
		require.NoError(t, err)
		require.Equal(t, content, string(request.GetSecrets()["key-file"].GetFileContent()))
		p.apply()
		require.Equal(t, uint64(min(i+1, 2)), p.Version(), "calls that fail with the content before are repeated")
		require.True(t, p.mayRotate())
	}
	require.Equal(t, []string{token, key}, p.Files())
}

// TestPlugin_ShowsTheHostsWordsOfAProblem on the board, where there is no login, and what a
// store reports in the log alone.
func TestPlugin_ShowsTheHostsWordsOfAProblem(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	dir := t.TempDir()
	p, _ := loaded(t, filepath.Join(dir, "baton-host.yaml"), "plugins:\n  app: {}\n")
	shown := &shownCredentials{}
	p.options.Observer = shown
	program, file := secret.Reference{Scheme: "exec", Name: "op x"}, secret.Reference{Scheme: "file", Name: "token"}
	var problems settings.Problems
	for _, err := range []error{
		&secret.ReferenceError{Reference: program, Err: &secret.AwayError{Err: &secret.ReportedError{
			Err: errors.New("the program failed with exit status 1: said by it"), Words: "the program failed with exit status 1",
		}}},
		&secret.ReferenceError{Reference: file, Err: errors.New("the file is empty")},
	} {
		var problem settings.Problem
		problem.Unresolve(err)
		problems = append(problems, problem)
	}
	p.report(ctxzap.ToContext(t.Context(), zap.New(core)), problems, nil)
	require.Equal(t, []secret.Credential{
		{Reference: "${exec:op x}", Problem: "${exec:op x}: the program failed with exit status 1"},
		{Reference: "${file:token}", Problem: "${file:token}: the file is empty"},
	}, shown.credentials)
	require.Contains(t, fmt.Sprint(logs.All()[0].ContextMap()["error"]), "said by it")
}

// shownCredentials are those that an observer got last.
type shownCredentials struct {
	Observer
	credentials []secret.Credential
}

func (s *shownCredentials) Credentials(_, _ string, credentials []secret.Credential) {
	s.credentials = credentials
}
