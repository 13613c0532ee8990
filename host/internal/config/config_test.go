package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/batonhost/baton-host/host/internal/config"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// write puts files into a directory of their own and returns the directory. The
// configuration is baton-host.yaml.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// environment is a process environment of these variables only.
func environment(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func load(t *testing.T, yaml string, variables map[string]string, opts ...config.Option) (*config.Config, string, error) {
	t.Helper()
	dir := write(t, map[string]string{"baton-host.yaml": yaml})
	opts = append(opts, config.WithEnvironment(environment(variables)))
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "baton-host.yaml"), opts...)
	return loaded, dir, err
}

// messages is an error's text as seen from the configuration's directory.
func messages(dir string, err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""), "\n")
}

// c1Secret has the form of a client secret of C1. It was made for these tests and
// opens nothing.
const c1Secret = "secret-token:conductorone.com:v1:" +
	"eyJrdHkiOiJPS1AiLCJjcnYiOiJFZDI1NTE5IiwieCI6IkFjYUlNczBKMWJncjdBZmNFSkhpWml1MjdJOEowQzRTdjRPM200WGw2dUUiLCJkIjoibUZrZ3NXaFMwa0x2TmtuSE50ZDFaTjdkMFVGYnBUcG1Wa3luNElDR0MtMCJ9"

const complete = `
plugin-dirs: [plugins, /opt/baton]
state-dir: state
uploads:
  workforce:
    client-id: ${env:BATON_CLIENT_ID}
    client-secret: secret-${env:BATON_CLIENT_SECRET}
    plugins: [design-tool, fullstory]
    on-plugin-failure: last-good
    max-stale: 36h
  small:
    plugins:
      - fullstory
plugins:
  fullstory:
    config:
      scim-base-url: https://app.fullstory.com/scim/v2
      scim-token: ${env:FULLSTORY_SCIM_TOKEN}
  design-tool:
    app: scim
    path: bin/baton-scim
    namespace: ""
    start-timeout: 1m30s
    log-level: debug
    env: [HTTP_TRACE, _X]
    provisioning: true
    require-evidence: proven
    memory-limit: 512MiB
    max-page-size: 8 MiB
    read-ahead: 2
    concurrency: 5
    max-rows: 1000
    call-timeout: 5m
    idle-timeout: 1h
    health-timeout: 30s
    restart-limit: 0
    restart-window: 1m
    sandbox: { read: [certificates, /etc/krb5.conf], write: [cache], connect: [443, 636] }
    change-guard:
      window: 24h
      attributes: refuse
      resource-types:
        group: { min-missing: 3 }
        invitation: off
      keep-percent: 80
  bare:
    deletion-guard: off
    sandbox: warn
`

func TestLoad_ReadsACompleteFile(t *testing.T) {
	t.Parallel()
	loaded, dir, err := load(t, complete, map[string]string{
		"BATON_CLIENT_ID": "w@c1.example.com/pcc", "BATON_CLIENT_SECRET": strings.TrimPrefix(c1Secret, "secret-"), "FULLSTORY_SCIM_TOKEN": "t",
	})
	require.NoError(t, err)

	require.Equal(t, filepath.Join(dir, "baton-host.yaml"), loaded.Path)
	require.Equal(t, []string{filepath.Join(dir, "plugins"), "/opt/baton"}, loaded.PluginDirs)

	require.Len(t, loaded.Plugins, 3)
	fullstory, designTool, bare := loaded.Plugins[0], loaded.Plugins[1], loaded.Plugins[2]
	require.Equal(t, "fullstory", fullstory.Name)
	require.Equal(t, "fullstory", fullstory.App)
	require.Equal(t, "fullstory", fullstory.Namespace)
	require.Empty(t, fullstory.Path)
	require.Empty(t, fullstory.Env)
	require.Equal(t, 10*time.Second, fullstory.StartTimeout)
	require.Equal(t, "design-tool", designTool.Name)
	require.Equal(t, "scim", designTool.App)
	require.Empty(t, designTool.Namespace)
	require.Equal(t, filepath.Join(dir, "bin", "baton-scim"), designTool.Path)
	require.Equal(t, 90*time.Second, designTool.StartTimeout)
	require.Equal(t, "debug", designTool.LogLevel)
	require.Equal(t, config.Sandbox{
		Mode: config.SandboxOn, Read: []string{filepath.Join(dir, "certificates"), "/etc/krb5.conf"}, Write: []string{filepath.Join(dir, "cache")}, Connect: []int{443, 636},
	}, designTool.Sandbox)
	require.Empty(t, fullstory.Sandbox)
	require.Equal(t, config.Sandbox{Mode: config.SandboxWarn}, bare.Sandbox)
	require.Empty(t, bare.LogLevel, "the host's own")
	require.Equal(t, []string{"HTTP_TRACE", "_X"}, designTool.Env)
	require.Equal(t, "bare", bare.Name)
	require.NotNil(t, bare.Settings)

	require.Len(t, loaded.Uploads, 2)
	workforce, small := loaded.Uploads[0], loaded.Uploads[1]
	require.Equal(t, "workforce", workforce.Name)
	require.Equal(t, "w@c1.example.com/pcc", workforce.ClientID)
	require.Equal(t, c1Secret, workforce.ClientSecret.Reveal())
	require.True(t, workforce.LastGood)
	require.Equal(t, 36*time.Hour, workforce.MaxStale)
	require.False(t, small.LastGood)
	require.Equal(t, 72*time.Hour, small.MaxStale)
	require.Equal(t, filepath.Join(dir, "state"), loaded.StateDir)
	require.Equal(t, config.Limits{
		CallTimeout: 10 * time.Minute, IdleTimeout: 30 * time.Minute, HealthTimeout: 20 * time.Second,
		PageSize: 32 << 20, ReadAhead: 1, MaxRows: 20_000_000, Restarts: 5, RestartWindow: 10 * time.Minute,
	}, fullstory.Limits)
	require.Equal(t, config.Limits{
		Memory: 512 << 20, PageSize: 8 << 20, CallTimeout: 5 * time.Minute, IdleTimeout: time.Hour, HealthTimeout: 30 * time.Second, ReadAhead: 2, Concurrency: 5, MaxRows: 1000, RestartWindow: time.Minute,
	}, designTool.Limits)
	require.True(t, designTool.Provisioning)
	require.False(t, fullstory.Provisioning)
	require.Equal(t, config.RequireProven, designTool.RequireEvidence)
	require.Empty(t, fullstory.RequireEvidence)
	require.Equal(t, config.ChangeGuard{Limits: config.GuardLimits{KeepPercent: 50, MinMissing: 10}, Window: 168 * time.Hour}, fullstory.ChangeGuard)
	require.Equal(t, config.ChangeGuard{
		Limits: config.GuardLimits{KeepPercent: 80, MinMissing: 10}, Window: 24 * time.Hour, RefuseAttributes: true,
		ByType: map[string]config.GuardLimits{"group": {KeepPercent: 80, MinMissing: 3, Explicit: true}, "invitation": {}},
	}, designTool.ChangeGuard)
	require.True(t, bare.ChangeGuard.Off)
	require.Equal(t, []*config.Plugin{designTool, fullstory}, workforce.Plugins)
	require.Empty(t, small.ClientID)
	require.Empty(t, small.ClientSecret.Reveal())
	require.Equal(t, []*config.Plugin{fullstory}, small.Plugins)
}

func TestLoad_ResolvesReferencesInTheProcessEnvironment(t *testing.T) {
	t.Setenv("CONFIG_TEST_CLIENT_ID", "from@the/process")
	t.Setenv("CONFIG_TEST_CLIENT_SECRET", c1Secret)
	dir := write(t, map[string]string{"c.yaml": `
plugins: { a: {} }
uploads:
  w:
    client-id: ${env:CONFIG_TEST_CLIENT_ID}
    client-secret: ${env:CONFIG_TEST_CLIENT_SECRET}
    plugins: [a]
`})
	loaded, err := config.Load(t.Context(), filepath.Join(dir, "c.yaml"))
	require.NoError(t, err)
	require.Equal(t, "from@the/process", loaded.Uploads[0].ClientID)
}

func TestWithoutCredentials_ResolvesNoReferenceOfCredentials(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"FULLSTORY_SCIM_TOKEN": "t"}
	_, _, err := load(t, complete, variables)
	require.Error(t, err)

	loaded, _, err := load(t, complete, variables, config.WithoutCredentials())
	require.NoError(t, err)
	require.Empty(t, loaded.Uploads[0].ClientID)
	require.Empty(t, loaded.Uploads[0].ClientSecret.Reveal())

	_, dir, err := load(t, strings.Replace(complete, "${env:BATON_CLIENT_ID}", "${env:BATON_CLIENT_ID", 1), variables, config.WithoutCredentials())
	require.Equal(t, []string{
		`baton-host.yaml:6:16: a reference is not closed: "}" is missing; write $${ for a literal ${`,
	}, messages(dir, err))
}

func TestConfig_FindsAPluginByName(t *testing.T) {
	t.Parallel()
	loaded, _, err := load(t, complete, nil, config.WithoutCredentials())
	require.Error(t, err)
	require.Nil(t, loaded)

	loaded, dir, err := load(t, complete, map[string]string{"FULLSTORY_SCIM_TOKEN": "t"}, config.WithoutCredentials())
	require.NoError(t, err)
	plugin, err := loaded.Plugin("design-tool")
	require.NoError(t, err)
	require.Same(t, loaded.Plugins[1], plugin)

	_, err = loaded.Plugin("fulstory")
	require.Equal(t, []string{`baton-host.yaml has no plugin "fulstory"; did you mean "fullstory"?`}, messages(dir, err))
	_, err = loaded.Plugin("nightly")
	require.Equal(t, []string{`baton-host.yaml has no plugin "nightly"; it has fullstory, design-tool, bare`}, messages(dir, err))
}

func TestUnused_ReturnsPluginsOfNoUpload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"G5: in no upload":         {"plugins: { a: , b: , c: }\nuploads: { u: { plugins: [b] } }\n", []string{"a", "c"}},
		"G5: in one of two":        {"plugins: { a: , b: }\nuploads: { u: { plugins: [b] }, w: { plugins: [a] } }\n", nil},
		"G5: there are no uploads": {"plugins: { a: }\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _, err := load(t, c.text, nil)
			require.NoError(t, err)
			require.Equal(t, c.want, cfg.Unused())
		})
	}
}

func TestLoad_ReadsTheFieldsOfAnUnmodifiedConnector(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, `plugins:
  old:
    unmodified: true
    fields:
      domain: { required: true }
      api-token: { secret: true, required: true }
      deep: { type: bool }
      port: { type: int }
      regions: { type: string-list }
      labels: { type: map }
      key: { type: file, secret: true }
      email:
`, nil)
	require.NoError(t, err)
	want := []*pluginv1.Field{
		{Name: "domain", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true},
		{Name: "api-token", Type: pluginv1.FieldType_FIELD_TYPE_STRING, Required: true, Secret: true},
		{Name: "deep", Type: pluginv1.FieldType_FIELD_TYPE_BOOL},
		{Name: "port", Type: pluginv1.FieldType_FIELD_TYPE_INT},
		{Name: "regions", Type: pluginv1.FieldType_FIELD_TYPE_STRING_LIST},
		{Name: "labels", Type: pluginv1.FieldType_FIELD_TYPE_MAP},
		{Name: "key", Type: pluginv1.FieldType_FIELD_TYPE_FILE, Secret: true},
		{Name: "email", Type: pluginv1.FieldType_FIELD_TYPE_STRING},
	}
	require.Empty(t, cmp.Diff(want, cfg.Plugins[0].Fields, protocmp.Transform()))
}

// TestTakeCredentials_ReadsVariablesAsReferencesDo: made of a file, one ends with a line end.
func TestTakeCredentials_ReadsVariablesAsReferencesDo(t *testing.T) {
	t.Parallel()
	const id = "w@c1.example.com/pcc"
	clientSecret := strings.TrimPrefix(c1Secret, "secret-")
	for _, end := range []string{"", "\n", "\r\n"} {
		upload := &config.Upload{}
		require.NoError(t, upload.TakeCredentials("\ufeff"+id+end, clientSecret+end))
		require.Equal(t, id, upload.ClientID)
		require.Equal(t, clientSecret, upload.ClientSecret.Reveal())
		require.ErrorContains(t, upload.TakeCredentials(end, clientSecret), "has no credentials for C1: set BATON_CLIENT_ID and BATON_CLIENT_SECRET")
	}
	require.ErrorContains(t, (&config.Upload{}).TakeCredentials("x\n", clientSecret), "BATON_CLIENT_ID is not of the form")
}
