package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPlugin_IsInstalledByVersionOrImage(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]config.Plugin{
		"a: { version: v0.2.41 }":                                                 {App: "a", Version: "v0.2.41"},
		"a: { app: github, version: v0.2.41, provenance: none }":                  {App: "github", Version: "v0.2.41", Provenance: "none"},
		"a: { version: 1.2 }":                                                     {App: "a", Version: "1.2"},
		"a: { image: 'public.ecr.aws/conductorone/baton-github:v0.2.41' }":        {App: "github", Image: "public.ecr.aws/conductorone/baton-github:v0.2.41"},
		"a: { image: 'localhost:5000/x/baton-one_login@" + digest + "' }":         {App: "one_login", Image: "localhost:5000/x/baton-one_login@" + digest},
		"a: { image: 'registry.example.com/baton-x:v1@" + digest + "' }":          {App: "x", Image: "registry.example.com/baton-x:v1@" + digest},
		"a: { app: github, image: 'registry.example.com/mirror/of-github:v1' }":   {App: "github", Image: "registry.example.com/mirror/of-github:v1"},
		"a: { app: other, image: 'registry.example.com/mirror/baton-github:v1' }": {App: "other", Image: "registry.example.com/mirror/baton-github:v1"},
	} {
		loaded, _, err := load(t, "plugins: { "+entry+" }\n", nil)
		require.NoError(t, err, entry)
		found := loaded.Plugins[0]
		require.Equal(t, want, config.Plugin{App: found.App, Version: found.Version, Image: found.Image, Provenance: found.Provenance}, entry)
		require.True(t, found.IsInstalled(), entry)
	}
	loaded, _, err := load(t, "plugins: { a: {}, b: { path: x } }\n", nil)
	require.NoError(t, err)
	require.False(t, loaded.Plugins[0].IsInstalled() || loaded.Plugins[1].IsInstalled())
}

func TestTrust_IsReadKeyByKey(t *testing.T) {
	t.Parallel()
	loaded, dir, err := load(t, `
plugin-store: store
plugin-releases: http://127.0.0.1:8080/releases
trust:
  workflow: https://github.com/example/workflows/.github/workflows/release.yaml@refs/heads/*
  repositories: ["https://github.com/example/*", https://git.example.com/one/two/baton-x]
  trusted-root: trusted_root.json
plugins: { a: {} }
`, nil)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "store"), loaded.PluginStore)
	require.Equal(t, "http://127.0.0.1:8080/releases", loaded.PluginReleases)
	require.Equal(t, config.Trust{
		Issuer:       "https://token.actions.githubusercontent.com",
		Workflow:     "https://github.com/example/workflows/.github/workflows/release.yaml@refs/heads/*",
		Repositories: []string{"https://github.com/example/*", "https://git.example.com/one/two/baton-x"},
		Root:         filepath.Join(dir, "trusted_root.json"),
	}, loaded.Trust)
}

// TestSources_ExplainBadValues, each where it stands.
func TestSources_ExplainBadValues(t *testing.T) {
	t.Parallel()
	const image = "image must be a registry, a repository and a tag or a digest, such as public.ecr.aws/conductorone/baton-github:v0.2.41"
	plugin := func(entry string) string { return "plugins: { a: { " + entry + " } }\n" }
	with := func(file string) string { return file + "\nplugins: { a: {} }\n" }
	for text, want := range map[string]string{
		plugin("version: ../v1"):                                            "1:26: version must be the tag of a release, such as v0.2.41",
		plugin("version: ''"):                                               "1:26: version is empty",
		plugin("version: v1, path: ./x"):                                    "1:17: path and version are two ways to say what is started; give one of them",
		plugin("image: 'r.example.com/baton-x:v1', version: v1"):            "1:17: version and image are two ways to say what is started; give one of them",
		plugin("command: [sh], image: 'r.example.com/baton-x:v1'"):          "1:32: command and image are two ways to say what is started; give one of them",
		plugin("image: baton-github"):                                       "1:24: " + image,
		plugin("image: conductorone/baton-github:v1"):                       "1:24: " + image,
		plugin("image: public.ecr.aws/conductorone/baton-github"):           "1:24: " + image,
		plugin("image: 'public.ecr.aws/x/baton-github@sha256:12'"):          "1:24: " + image,
		plugin("image: 'https://public.ecr.aws/x/baton-github:v1'"):         "1:24: " + image,
		plugin("image: 'registry.example.com/mirror/of-github:v1'"):         `1:24: which app the connector in this image is for is not known: its name "of-github" is not baton-<app>; write app: beside it`,
		plugin("provenance: none"):                                          "1:17: provenance is about a version or an image; give one of them, or leave it out",
		plugin("version: v1, provenance: slsa"):                             "1:42: provenance must be none, or left out",
		with("plugin-releases: http://dist.example.com/releases"):           "1:18: plugin-releases must be the URL of a directory, such as https://dist.example.com/releases",
		with("plugin-releases: 'https://user:pw@dist.example.com'"):         "1:18: plugin-releases must be the URL of a directory",
		with("trust: { issuer: token.example.com }"):                        "1:18: issuer must be the URL of an issuer",
		with("trust: { workflow: https://github.com/*/release.yaml@main }"): "1:20: workflow must be the identity of a workflow",
		with("trust: { repositories: ['https://github.com/*/*'] }"):         "1:25: an item of repositories must be the URL of a repository",
		with("trust: { repositories: ['https://github.com/example'] }"):     "1:25: an item of repositories must be the URL of a repository",
		with("trust: { repositories: https://github.com/example/baton-x }"): "1:24: repositories must be a list",
		with("trust: none"):                                                 "1:8: trust must be a mapping",
		with("trust: { trusted-rot: x }"):                                   `1:10: unknown key "trusted-rot"; did you mean "trusted-root"?`,
	} {
		_, dir, err := load(t, text, nil)
		found := messages(dir, err)
		require.Len(t, found, 1, text)
		require.True(t, strings.HasPrefix(found[0], "baton-host.yaml:"+want), "%s: %s", found[0], want)
	}
}
