package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSource_IsChecked(t *testing.T) {
	t.Parallel()
	digest := digestOfBytes(nil)
	for _, good := range []struct {
		source    Source
		connector string
		name      string
	}{
		{Source{App: "github", Version: "v0.2.41"}, "baton-github", "baton-github v0.2.41"},
		{Source{App: "baton-github", Version: "0.2.41-rc.1+x"}, "baton-github", "baton-github 0.2.41-rc.1+x"},
		{Source{Image: "public.ecr.aws/conductorone/baton-github:v0.2.41"}, "baton-github", "the image public.ecr.aws/conductorone/baton-github:v0.2.41"},
		{Source{Image: "localhost/baton-github@" + digest}, "baton-github", "the image localhost/baton-github@" + digest},
		{Source{Image: "registry:5000/a/b/baton-github:1@" + digest, App: "github"}, "baton-github", "the image registry:5000/a/b/baton-github:1@" + digest},
		{Source{Image: "[::1]:5000/baton-github:1"}, "baton-github", "the image [::1]:5000/baton-github:1"},
		{Source{App: "github", Archive: "x.tar.gz", Digest: digest}, "baton-github", "the archive x.tar.gz"},
	} {
		require.NoError(t, good.source.Check(), good.name)
		require.Equal(t, good.connector, good.source.Connector())
		require.Equal(t, good.name, good.source.String())
	}
	for says, bad := range map[string]Source{
		"a connector comes from an image or from an archive, not from both; ":  {Image: "a.b/c:1", Archive: "x"},
		"the app of the connector is not known; ":                              {Version: "v1"},
		`"../x" is not the name of an app: `:                                   {App: "../x", Version: "v1"},
		"the version of the connector is not known; ":                          {App: "github"},
		`"v1/../.." is not a version: `:                                        {App: "github", Version: "v1/../.."},
		`".." is not a version: `:                                              {App: "github", Version: ".."},
		`"sha256:1" is not a digest: `:                                         {App: "github", Version: "v1", Digest: "sha256:1"},
		`"baton-github:v1" is not an image: it must begin with a registry`:     {Image: "baton-github:v1"},
		`"library/baton-github:v1" is not an image: it must begin`:             {Image: "library/baton-github:v1"},
		`"ghcr.io/x/baton-github" is not an image: it needs a tag or a digest`: {Image: "ghcr.io/x/baton-github"},
		`what follows the @ must be sha256: and 64 hexadecimal digits`:         {Image: "ghcr.io/x/baton-github@sha512:0"},
		`"ghcr.io/x/..:v1" is not an image of a connector`:                     {Image: "ghcr.io/x/..:v1"},
		`"a_b.io/x:v1" is not an image: it must begin`:                         {Image: "a_b.io/x:v1"},
	} {
		require.ErrorContains(t, bad.Check(), says)
	}
}

func TestTrust_IsChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, DefaultTrust().Check())
	require.NoError(t, Trust{Unproven: true}.Check())
	for says, edit := range map[string]func(*Trust){
		`the issuer "token.actions" is not a URL with https`:              func(t *Trust) { t.Issuer = "token.actions" },
		`the workflow "*" is not a URL with https`:                        func(t *Trust) { t.Workflow = "*" },
		`the workflow "https://*" is not a URL with https`:                func(t *Trust) { t.Workflow = "https://*" },
		`no source repository is trusted; name one, such as https://`:     func(t *Trust) { t.Repositories = nil },
		`the source repository "https://*/*" is not a URL with https`:     func(t *Trust) { t.Repositories = []string{"https://*/*"} },
		`the source repository "https://a.b/*/x" is not a URL with https`: func(t *Trust) { t.Repositories = []string{"https://a.b/*/x"} },
	} {
		trust := DefaultTrust()
		edit(&trust)
		require.ErrorContains(t, trust.Check(), says)
	}
}

func TestTrust_MatchesTheWorkflowAsAWhole(t *testing.T) {
	t.Parallel()
	workflow := DefaultTrust().workflow()
	require.True(t, workflow.MatchString("https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@refs/tags/v4"))
	for _, other := range []string{
		"https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml",
		"https://github.com/ConductorOne/github-workflows/.github/workflows/releaseXyaml@v4",
		"https://evil.example/?https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@v4",
		"https://github.com/ConductorOne/github-workflows/.github/workflows/release.yaml@v4\nx",
	} {
		require.False(t, workflow.MatchString(other), other)
	}
}

func TestPlatform_IsOneOfThoseReleased(t *testing.T) {
	t.Parallel()
	platform, err := ParsePlatform("windows/amd64")
	require.NoError(t, err)
	require.Equal(t, "windows/amd64", platform.String())
	require.Equal(t, "baton-x.exe", platform.binary("baton-x"))
	_, err = ParsePlatform("plan9/amd64")
	require.ErrorContains(t, err, `"plan9/amd64" is not a platform that connectors are released for; name one of darwin/amd64, `)
}
