package registry

import (
	"archive/tar"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/releases"
)

// rosterImage is an image of the connector, as an index.
func rosterImage() releases.Image {
	return releases.Image{
		Repository: "conductorone/baton-roster", Tag: version,
		Binaries: map[string][]byte{"linux-amd64": program, "linux-arm64": []byte("#!/bin/sh\necho arm\n")},
	}
}

func TestInstall_HasTheBinaryOfAnImage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hasReferrers bool
		hasTokens    bool
		app          string
		edit         func(*releases.Image)
	}{
		"with what is attached":                {hasReferrers: true},
		"in a registry without the API for it": {},
		"under another name": {hasReferrers: true, app: "roster", edit: func(i *releases.Image) {
			i.Signer, i.Entrypoint, i.Repository = releases.ConductorOne(connector, version), "/"+connector, "mirror/roster"
		}},
		"in a registry with tokens":         {hasReferrers: true, hasTokens: true},
		"of one platform, without an index": {hasReferrers: true, edit: func(i *releases.Image) { i.Single = true; delete(i.Binaries, "linux-arm64") }},
		"of the tag latest":                 {hasReferrers: true, edit: func(i *releases.Image) { i.Signer, i.Tag = releases.ConductorOne(connector, version), "latest" }},
		"of a tag without the v":            {hasReferrers: true, edit: func(i *releases.Image) { i.Signer, i.Tag = releases.ConductorOne(connector, version), "1.2.3" }},
		"with a layer above that has something else": {hasReferrers: true, edit: func(i *releases.Image) {
			binary, err := releases.Tar(releases.File{Name: "/" + connector, Content: program}, releases.File{Name: "opt/" + connector, Content: []byte("not meant")})
			require.NoError(t, err)
			above, err := releases.Tar(releases.File{Name: "etc/link", Type: tar.TypeSymlink, Link: "/" + connector}, releases.File{Name: "null", Type: tar.TypeChar})
			require.NoError(t, err)
			i.Binaries, i.Layers = nil, map[string][][]byte{"linux-amd64": {binary, above}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			registry, image := p.registry(t, test.hasReferrers), rosterImage()
			registry.Tokens = test.hasTokens
			if test.edit != nil {
				test.edit(&image)
			}
			digest, err := registry.Push(image)
			require.NoError(t, err)
			name := registry.Host() + "/" + image.Repository
			for _, reference := range []string{name + ":" + image.Tag, name + "@" + digest, name + ":" + image.Tag + "@" + digest} {
				installed, err := p.installer.Install(t.Context(), Source{App: test.app, Image: reference, Digest: digest}, linux)
				require.NoError(t, err)
				signer := releases.ConductorOne(connector, version)
				require.Equal(t, Installed{
					Connector: connector, Platform: linux, Version: version, Digest: digest, Image: true, Binary: digestOfBytes(program),
					Signer: signer.Workflow, Repository: signer.Repository, Commit: signer.Commit, Path: installed.Path,
				}, installed)
				content, err := os.ReadFile(installed.Path)
				require.NoError(t, err)
				require.Equal(t, string(program), string(content))
			}
		})
	}
}

func TestInstall_LogsInAsDockerDoes(t *testing.T) { // It sets variables, so it is not parallel.
	p := newPlace(t)
	registry := p.registry(t, true)
	registry.Open = false
	_, err := registry.Push(rosterImage())
	require.NoError(t, err)
	source := Source{Image: registry.Host() + "/conductorone/baton-roster:v1.2.3"}
	p.refuses(t, source, "the registry "+registry.Host()+" does not let this user read conductorone/baton-roster (401 Unauthorized); log in with docker login "+registry.Host())
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	require.NoError(t, registry.DockerConfig(dir))
	_, err = p.installer.Install(t.Context(), source, linux)
	require.NoError(t, err)

	if runtime.GOOS == "windows" {
		return // The helper is a script.
	}
	helper := "#!/bin/sh\nread host\necho '{\"ServerURL\":\"'$host'\",\"Username\":\"" + releases.User + "\",\"Secret\":\"" + releases.Password + "\"}'\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-sandbox"), []byte(helper), 0o700)) //nolint:gosec // It is a program.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credHelpers":{"`+registry.Host()+`":"sandbox"}}`), 0o600))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	other := newPlace(t)
	_, err = other.installer.Install(t.Context(), source, linux)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-sandbox"), []byte("#!/bin/sh\necho broken >&2\nexit 1\n"), 0o700)) //nolint:gosec // It is a program.
	newPlace(t).refuses(t, source, "the credentials for "+registry.Host()+" cannot be read: ")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{`), 0o600))
	newPlace(t).refuses(t, source, "the credentials for "+registry.Host()+" cannot be read: ")
}

func TestInstall_TrustsTheAuthoritiesOfDockerAndPodman(t *testing.T) { // It sets variables.
	registry := "registry.example:5000"
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	found, err := authorities(registry)
	require.NoError(t, err)
	require.Nil(t, found)
	below := filepath.Join(dir, "containers", "certs.d", registry)
	require.NoError(t, os.MkdirAll(below, 0o700))
	path := filepath.Join(below, "ca.crt")
	require.NoError(t, os.WriteFile(path, []byte("none"), 0o600))
	_, err = authorities(registry)
	require.ErrorContains(t, err, "the certificates "+path+" of the registry "+registry+" cannot be read: there is none in it in the form PEM; ")
	content, err := os.ReadFile(os.Getenv("SSL_CERT_FILE"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	found, err = authorities(registry)
	require.NoError(t, err)
	require.NotNil(t, found)
}

func TestResolve_HasTheDigestOfATag(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	registry := p.registry(t, true)
	digest, err := registry.Push(rosterImage())
	require.NoError(t, err)
	source := Source{Image: registry.Host() + "/conductorone/baton-roster:v1.2.3"}
	resolved, err := p.installer.Resolve(t.Context(), source, linux)
	require.NoError(t, err)
	require.Equal(t, Resolved{version, digest}, resolved)

	moved := rosterImage()
	moved.Binaries["linux-amd64"] = []byte("#!/bin/sh\necho other\n")
	now, err := registry.Push(moved)
	require.NoError(t, err)
	source.Digest = digest
	p.refuses(t, source, "the image "+source.Image+" is not what was locked: its digest was "+digest+" and is "+now+"; ")
}

func TestInstall_RefusesImagesThatAreNotWhatTheySeem(t *testing.T) {
	t.Parallel()
	layer := func(files ...releases.File) func(*releases.Image) {
		return func(i *releases.Image) {
			top, err := releases.Tar(files...)
			require.NoError(t, err)
			i.Binaries, i.Layers = nil, map[string][][]byte{"linux-amd64": {top}}
		}
	}
	signer := func(edit func(*releases.Signer)) func(*releases.Image) {
		return func(i *releases.Image) {
			i.Signer = releases.ConductorOne(connector, version)
			edit(&i.Signer)
		}
	}
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!DOCTYPE html><title>Login</title>"))
	}
	const manifest = "/v2/conductorone/baton-roster/manifests/v1.2.3"
	for name, test := range map[string]struct {
		edit     func(*releases.Image)
		answer   http.HandlerFunc
		platform Platform
		says     string
	}{
		"of another connector": {edit: signer(func(s *releases.Signer) { s.Repository = releases.Owner + "baton-github" }), says: `it was built from "https://github.com/ConductorOne/baton-github", and baton-roster is built from https://github.com/ConductorOne/baton-roster; `},
		"of another workflow": {edit: signer(func(s *releases.Signer) {
			s.Workflow = "https://github.com/ConductorOne/baton-roster/.github/workflows/ci.yaml@refs/heads/main"
		}), says: `it was signed by "https://github.com/ConductorOne/baton-roster/.github/workflows/ci.yaml@refs/heads/main", and only `},
		"of another digest":   {edit: signer(func(s *releases.Signer) { s.Subject = "00" + digestOfBytes(program)[9:] }), says: "the signature is of something else"},
		"of another version":  {edit: signer(func(s *releases.Signer) { s.Ref = "refs/tags/v1.2.2" }), says: `it was built from "refs/tags/v1.2.2" and not from the tag v1.2.3`},
		"of a branch":         {edit: signer(func(s *releases.Signer) { s.Ref = "refs/heads/main" }), says: `it was built from "refs/heads/main" and not from the tag v1.2.3`},
		"not logged":          {edit: signer(func(s *releases.Signer) { s.Unlogged = true }), says: "its signature is not in the transparency log"},
		"that starts another": {edit: func(i *releases.Image) { i.Entrypoint = "/bin/sh" }, says: `does not start /baton-roster but "/bin/sh"`},
		"without the binary":  {edit: layer(releases.File{Name: "other", Content: program}), says: "there is no file baton-roster in it"},
		"with a link":         {edit: layer(releases.File{Name: connector, Type: tar.TypeSymlink, Link: "/bin/sh"}), says: `its entry "baton-roster" is a link and not a file`},
		"with a hard link":    {edit: layer(releases.File{Name: connector, Type: tar.TypeLink, Link: "bin/sh"}), says: `its entry "baton-roster" is a link and not a file`},
		"with two binaries":   {edit: layer(releases.File{Name: connector, Content: program}, releases.File{Name: "./" + connector, Content: []byte("evil")}), says: "it has two files that are called baton-roster"},
		"with a path out":     {edit: layer(releases.File{Name: "../" + connector, Content: program}), says: `its entry "../baton-roster" leads out of it`},
		"of another platform": {platform: Platform{"darwin", "arm64"}, says: `has nothing for darwin/arm64; it has "linux/amd64", "linux/arm64"`},
		"of a web page":       {answer: html, says: "answers with a web page and not with JSON"},
		"of another host": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://localhost/elsewhere", http.StatusFound)
		}, says: "it redirects to another host, localhost; "},
		"that is not there": {answer: http.NotFound, says: "has no conductorone/baton-roster with v1.2.3; correct the image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			registry, image := p.registry(t, true), rosterImage()
			if test.edit != nil {
				test.edit(&image)
			}
			_, err := registry.Push(image)
			require.NoError(t, err)
			if test.answer != nil {
				registry.Answer(manifest, test.answer)
			}
			platform := linux
			if test.platform != (Platform{}) {
				platform = test.platform
			}
			_, err = p.installer.Install(t.Context(), Source{Image: registry.Host() + "/conductorone/baton-roster:v1.2.3"}, platform)
			require.ErrorContains(t, err, test.says)
			require.Empty(t, p.left(t))
		})
	}
}

// TestInstall_FollowsARegistryToAnotherHostForLayers: registries keep what is large elsewhere,
// and the digest shows that it is what was meant.
func TestInstall_FollowsARegistryToAnotherHostForLayers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content []byte
		says    string
	}{
		"the layer":      {},
		"something else": {content: []byte("evil"), says: "bytes, and "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			registry, image := p.registry(t, true), rosterImage()
			layer, err := releases.Tar(releases.File{Name: connector, Content: program})
			require.NoError(t, err)
			image.Binaries, image.Layers = nil, map[string][][]byte{"linux-amd64": {layer}}
			_, err = registry.Push(image)
			require.NoError(t, err)
			if test.content == nil {
				test.content = layer
			}
			p.Put("/elsewhere", test.content)
			registry.Answer("/v2/"+image.Repository+"/blobs/"+digestOfBytes(layer), func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, p.URL+"/elsewhere", http.StatusTemporaryRedirect)
			})
			_, err = p.installer.Install(t.Context(), Source{Image: registry.Host() + "/" + image.Repository + ":" + version}, linux)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.says)
			require.Empty(t, p.left(t))
		})
	}
}
