package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestInitForScriptsWritesWhatTheFlagsSay(t *testing.T) {
	t.Parallel()
	cmd := command(t.Context(), t, []string{"TOKEN=x"}, "baton-host", "init", "fullstory", "--no-input", "--no-validate",
		"--set", "scim-base-url=https://app.example.com/scim/v2", "--set", "scim-token=${env:TOKEN}", "--set", "scim-read-ahead=8",
		"--client-id", "${env:ID}", "--client-secret", "${file:/run/secrets/c1}")
	result := finish(t, cmd)
	require.Equal(t, 0, result.status, result.stderr)
	require.Contains(t, result.stdout, "baton-host.yaml is written: the plugin fullstory in the upload workforce.")
	require.Contains(t, result.stdout, "Set ID. Write /run/secrets/c1. Then:")
	content, err := os.ReadFile(filepath.Join(cmd.Dir, "baton-host.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(content), `plugins:
  fullstory:
    config:
      scim-base-url: https://app.example.com/scim/v2
      scim-token: ${env:TOKEN}
      scim-read-ahead: 8
uploads:
  workforce:
    plugins: [fullstory]
    client-id: ${env:ID}
    client-secret: ${file:/run/secrets/c1}
`)
}

func TestInitRemembersWhereThePluginWasFound(t *testing.T) {
	t.Parallel()
	cmd := command(t.Context(), t, []string{"T=x"}, "baton-host", "init", "other", "--no-input", "--no-validate", "--plugin-dir", "plugins", "--set", "scim-base-url=https://app.example.com/scim/v2", "--set", "scim-token=${env:T}")
	require.NoError(t, os.Mkdir(filepath.Join(cmd.Dir, "plugins"), 0o750))
	require.NoError(t, os.Symlink(filepath.Join(bin, "baton-fullstory"), filepath.Join(cmd.Dir, "plugins", "baton-other")))
	result := finish(t, cmd)
	require.Equal(t, 0, result.status, result.stderr)
	listed := execute(t, []string{"T=x"}, "baton-host", "lock", "--config", filepath.Join(cmd.Dir, "baton-host.yaml"))
	require.Equal(t, 0, listed.status, listed.stderr)
	content, err := os.ReadFile(filepath.Join(cmd.Dir, "baton-host.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(content), "plugin-dirs:\n  - plugins\n")
}

func TestInitWithBadInput(t *testing.T) {
	t.Parallel()
	there := writeConfig(t, "mine")
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	end := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(end) }) // Before, so that no request is waited for.
	wrong := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(wrong, []byte("canary-17"), 0o600))
	secret := []string{"init", "fullstory", "--no-input", "--set", "scim-base-url=https://app.example.com/scim/v2"}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"without a terminal":          {[]string{"init", "fullstory"}, []string{"no terminal", "--no-input", "--set"}},
		"over a file that is there":   {[]string{"init", "fullstory", "--no-input", "--config", there}, []string{there + " is there already", "--config FILE"}},
		"over it, without a terminal": {[]string{"init", "--config", there}, []string{there + " is there already"}},
		"into no directory":           {[]string{"init", "fullstory", "--no-input", "--config", filepath.Join(filepath.Dir(there), "none", "x.yaml")}, []string{"there is no directory", "make it first"}},
		"no app":                      {[]string{"init", "--no-input"}, []string{"name the app", "baton-host plugins"}},
		"an unknown app":              {[]string{"init", "nobody-has-this", "--no-input"}, []string{"baton-nobody-has-this"}},
		"two apps":                    {[]string{"init", "fullstory", "scim"}, []string{"takes [APP]", "2 arguments"}},
		"a required field missing":    {secret, []string{"scim-token (SCIM Token) must be given"}},
		"a secret itself":             {append(secret, "--set", "scim-token=canary-91"), []string{"scim-token is a secret", "${env:NAME}"}},
		"an unknown field":            {append(secret, "--set", "scim-tokn=x"), []string{`no field "scim-tokn"; did you mean "scim-token"?`}},
		"a field without a value":     {append(secret, "--set", "scim-token"), []string{"--set takes a field and its value"}},
		"a field twice":               {append(secret, "--set", "scim-base-url=x"), []string{"--set gives scim-base-url twice"}},
		"a client secret itself":      {append(secret, "--client-id", "a@b.c/d", "--client-secret", "canary-91"), []string{"client secret must be a reference"}},
		"no time to try it":           {append(secret, "--timeout", "0s"), []string{"--timeout must be more than 0"}},
		"tried and not":               {append(secret, "--timeout", "1s", "--no-validate"), []string{"exclude each other"}},
		"an app that does not answer": {[]string{"init", "fullstory", "--no-input", "--timeout", "1s", "--set", "scim-base-url=" + silent.URL, "--set", "scim-token=${file:" + wrong + "}"}, []string{`plugin "fullstory": the app did not answer within 1s; look at its address, or give it longer with --timeout`}},
		"a token that is refused":     {[]string{"init", "fullstory", "--no-input", "--set", "scim-base-url=" + app.url, "--set", "scim-token=${file:" + wrong + "}"}, []string{"nothing was written, as this does not work (--no-validate writes the file nevertheless)", `plugin "fullstory": `, "401"}},
		"an empty --set":              {append(secret, "--name", ""), []string{"--name is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), t, nil, "baton-host", c.args...)
			result := finish(t, cmd)
			requireSentence(t, result, c.want)
			require.NotContains(t, result.stderr, "canary")
			left, err := os.ReadDir(cmd.Dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
	content, err := os.ReadFile(there)
	require.NoError(t, err)
	require.Equal(t, "mine", string(content))
}
