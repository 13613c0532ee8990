package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/sandbox/scim"
)

const (
	tokenCanary    = "c4n4ry-t0ken/9f8e7d+51c2"
	passwordCanary = "c4n4ry-pa55word:7e1b90 3d"
	headerCanary   = "c4n4ry-h3ader-2b64c8f0aa"
)

// requireNoSecret looks for all secrets in everything that a run wrote: what it
// printed and logged, and each file it left.
func requireNoSecret(t *testing.T, result run, dir string) {
	t.Helper()
	written := map[string][]byte{"stdout": []byte(result.stdout), "stderr": []byte(result.stderr)}
	files := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		written[path], err = fs.ReadFile(files, path)
		return err
	}))
	for where, what := range written {
		for _, secret := range []string{tokenCanary, passwordCanary, headerCanary} {
			for _, planted := range canary.Planted(secret) {
				require.NotEmpty(t, canary.Find(append([]byte(planted), what...), secret), "the search finds what is planted in %s", where)
			}
			require.Empty(t, canary.Find(what, secret), "in %s", where)
		}
	}
}

// TestSecrets_AreNowhere looks for the secrets in everything that runs at the
// chattiest log level leave behind, under the host and stand-alone, with right
// secrets and with wrong ones.
func TestSecrets_AreNowhere(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 25, Seed: 1, Token: tokenCanary})
	server, err := scim.New(scim.Options{
		App: "design-tool", Accounts: 25, Groups: 5, Seed: 2, BasicUser: "ann", BasicPassword: passwordCanary,
		RequireHeaders: map[string]string{"X-Key": headerCanary},
	})
	require.NoError(t, err)
	design := serveApp(t, server, "")

	config := writeConfig(t, `
plugins:
  fullstory:
    config: { scim-base-url: "`+fullstory.url+`", scim-token: "${env:TOKEN}" }
  design-tool:
    app: scim
    config:
      scim-base-url: `+design.url+`
      scim-username: ann
      scim-password: ${env:PASSWORD}
      scim-headers: ["X-Key: ${env:HEADER}"]
uploads:
  workforce: { plugins: [fullstory, design-tool] }
`)
	right := []string{"TOKEN=" + tokenCanary, "PASSWORD=" + passwordCanary, "HEADER=" + headerCanary}
	wrong := []string{"TOKEN=" + tokenCanary + "x", "PASSWORD=" + passwordCanary, "HEADER=" + headerCanary + "x"}
	fullstoryAlone := []string{"BATON_SCIM_BASE_URL=" + fullstory.url, "BATON_SCIM_TOKEN=" + tokenCanary}
	designAlone := []string{
		"BATON_SCIM_BASE_URL=" + design.url, "BATON_SCIM_USERNAME=ann", "BATON_SCIM_PASSWORD=" + passwordCanary,
		"BATON_SCIM_HEADERS=X-Key: " + headerCanary,
	}
	for name, c := range map[string]struct {
		env    []string
		binary string
		args   []string
		// says shows that the search looks at real output, file that a sync file
		// was written.
		says string
		file bool
	}{
		"sync":               {right, "baton-host", []string{"sync", "--config", config, "--output-dir", "."}, "design-tool", true},
		"sync, refused":      {wrong, "baton-host", []string{"sync", "--config", config, "--output-dir", "."}, "design-tool", false},
		"check":              {right, "baton-host", []string{"check", "--config", config}, "design-tool", false},
		"check, refused":     {wrong, "baton-host", []string{"check", "--config", config}, "401", false},
		"sync without file":  {fullstoryAlone, "baton-host", []string{"sync", "--plugin", "fullstory", "-f", "out.c1z"}, "fullstory", true},
		"Fullstory alone":    {fullstoryAlone, "baton-fullstory", []string{"-f", "out.c1z"}, "request answered", true},
		"another app alone":  {designAlone, "baton-scim", []string{"-f", "out.c1z"}, "request answered", true},
		"alone, in the args": {nil, "baton-fullstory", []string{"--scim-base-url", fullstory.url, "--scim-token", tokenCanary, "-f", "out.c1z"}, "request answered", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), t, c.env, c.binary, append(c.args, "--log-level", "debug")...)
			result := finish(t, cmd)
			require.Contains(t, result.stdout+result.stderr, c.says)
			files, err := filepath.Glob(filepath.Join(cmd.Dir, "*.c1z"))
			require.NoError(t, err)
			require.Equal(t, c.file, len(files) == 1, result.stderr)
			requireNoSecret(t, result, cmd.Dir)
			for _, file := range files { // what is compressed in it
				for _, what := range []string{"resources", "grants", "entitlements"} {
					listed := execute(t, nil, "baton", what, "-f", file, "-o", "json")
					require.Equal(t, 0, listed.status, listed.stderr)
					requireNoSecret(t, listed, t.TempDir())
				}
			}
		})
	}
}

func TestSecrets_OfServiceModeAreNowhere(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	s.Inject(c1.Fault{Call: c1.TokenCall, Times: 1, HTTPStatus: 503})
	s.Inject(c1.Fault{Call: c1.HelloCall, Times: 1, Code: codes.Unauthenticated, Message: "who?"})
	s.Inject(c1.Fault{Call: c1.UploadAssetCall, Times: 1, Drop: true})
	host := s.run(t, "--log-level", "debug", "--listen", "127.0.0.1:0")
	require.Len(t, s.synced(t, s.fullSync(t, "fullstory")), 30)
	s.finished(t, func() string {
		id, err := s.AddTask("fullstory", v1.Task_builder{ActionListSchemas: &v1.Task_ActionListSchemasTask{}}.Build())
		require.NoError(t, err)
		return id
	}())
	metrics := metricsOf(t, host)
	host.stop()
	record, err := os.ReadFile(filepath.Join(s.state, "fullstory.c1z.json"))
	require.NoError(t, err)
	_, secret, _ := strings.Cut(s.env[2], "v1:")
	for where, text := range map[string]string{"the log": host.output.String(), "the metrics": metrics, "the record": string(record)} {
		require.NotContains(t, text, s.app.token, where)
		require.NotContains(t, text, secret, where)
		require.NotContains(t, text, "eyJ", "%s holds something like a JSON web token or key", where)
		require.NotContains(t, strings.ToLower(text), "bearer ", where)
	}
	require.Contains(t, host.output.String(), `"level":"debug"`)
}
