package pin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/pin"
)

const sum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func sample() *pin.File {
	return &pin.File{Plugins: map[string]pin.Entry{
		"wiki": {Version: "v1.2.3", Protocol: 1, Platforms: map[string]pin.Sums{
			"linux/arm64": {Executable: sum},
			"linux/amd64": {Executable: sum, Files: map[string]string{"plugin.py": sum, "--conf=a b.json": sum}},
		}},
		"apps": {Version: "dev", Protocol: 1, Platforms: map[string]pin.Sums{"darwin/arm64": {Executable: sum}}},
	}}
}

const release = "archive: " + sum + ", signer: s, repository: r, commit: c"

// installed is a lock file with an installed connector of this origin.
func installed(origin string) string {
	return "version: 2\nplugins: { a: { version: v1, connector: baton-a, platforms: { linux/amd64: { executable: '" + sum + "', origin: { " + origin + " } } } } }\n"
}

// TestFile_KeepsWhereConnectorsAreFrom: and has another version then, so that a host that
// does not know that does not read past it.
func TestFile_KeepsWhereConnectorsAreFrom(t *testing.T) {
	t.Parallel()
	file := sample()
	file.Plugins["github"] = pin.Entry{Version: "v0.2.41", Connector: "baton-github", Platforms: map[string]pin.Sums{
		"linux/amd64": {Executable: sum, Origin: pin.Origin{Archive: sum, Signer: "https://s", Repository: "https://r", Commit: "c0ffee"}},
	}}
	file.Plugins["okta"] = pin.Entry{Version: "v1", Connector: "baton-okta", Image: "localhost/baton-okta:v1", Platforms: map[string]pin.Sums{
		"linux/amd64": {Executable: sum, Origin: pin.Origin{Image: sum, Provenance: pin.NoProvenance}},
	}}
	path := filepath.Join(t.TempDir(), "baton-host.lock")
	_, err := file.Write(path)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "\nversion: 2\n")
	require.Contains(t, string(text), `      linux/amd64:
        executable: `+sum+`
        origin:
          archive: `+sum+`
          signer: https://s
          repository: https://r
          commit: c0ffee
`)
	read, err := pin.Read(path)
	require.NoError(t, err)
	require.Equal(t, file, read)

	plain, err := sample().Bytes()
	require.NoError(t, err)
	require.Contains(t, string(plain), "\nversion: 1\n", "hosts of before read it")
	require.NotContains(t, string(plain), "origin")
}

func TestFile_IsWrittenTheSameAndReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baton-host.lock")
	changed, err := sample().Write(path)
	require.NoError(t, err)
	require.True(t, changed)
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(first), "# What the plugins"))
	require.Less(t, strings.Index(string(first), "apps:"), strings.Index(string(first), "wiki:"))
	require.Less(t, strings.Index(string(first), "linux/amd64:"), strings.Index(string(first), "linux/arm64:"))

	file, err := pin.Read(path)
	require.NoError(t, err)
	require.Equal(t, sample(), file)
	for range 10 {
		changed, err = file.Write(path)
		require.NoError(t, err)
		require.False(t, changed)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestRead_ExplainsWhatIsNoLockFile(t *testing.T) {
	t.Parallel()
	plugin := func(platform, executable string) string {
		return "version: 1\nplugins:\n  a:\n    version: v1\n    protocol: 1\n    platforms:\n      " + platform + ": { executable: \"" + executable + "\" }\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":                   {"", "it is empty"},
		"binary":                  {"\x00\xff\xfe", "control characters are not allowed"},
		"no YAML":                 {"version: [1\n", "did not find expected"},
		"another tool's":          {"provider:\n  registry: x\n", "line 1: field provider not found"},
		"of another version":      {"version: 3\nplugins: {}\n", "its version is 3, not 1 or 2"},
		"too new for its version": {strings.Replace(installed(release), "version: 2", "version: 1", 1), `plugin "a": it is an installed connector, which a lock file of version 1 cannot have`},
		"an origin of nothing":    {strings.Replace(installed(release), "connector: baton-a, ", "", 1), "the origin of linux/amd64 is that of an installed connector, and the entry has no connector"},
		"no digest":               {installed("commit: c"), "the origin of linux/amd64 has neither archive nor image"},
		"two digests":             {installed("image: " + sum + ", " + release), "the origin of linux/amd64 has neither archive nor image"},
		"an image of a release":   {installed("image: " + sum + ", provenance: none"), "the origin of linux/amd64 is an archive where the entry is an image, or an image where it is none"},
		"half a provenance":       {installed(strings.Replace(release, "signer: s, ", "", 1)), "the origin of linux/amd64 has neither signer, repository and commit nor provenance: none"},
		"both":                    {installed(release + ", provenance: none"), "the origin of linux/amd64 has neither signer, repository and commit nor provenance: none"},
		"another provenance":      {installed(release + ", provenance: slsa"), `the origin of linux/amd64 has the provenance "slsa", which can only be none`},
		"a list":                  {"- a\n", "line 1: cannot unmarshal !!seq"},
		"a merge conflict":        {"version: 1\n<<<<<<< HEAD\nplugins: {}\n", "line"},
		"two documents":           {"version: 1\nplugins: {}\n---\nversion: 1\n", "there is something behind its end"},
		"no platforms":            {"version: 1\nplugins: { a: { version: v1, protocol: 1 } }\n", `plugin "a": it has no platforms`},
		"no sum":                  {plugin("linux/amd64", ""), `plugin "a": the executable of linux/amd64 has no sum`},
		"a short sum":             {plugin("linux/amd64", sum[:20]), "has no sum of the form"},
		"capitals":                {plugin("linux/amd64", strings.ToUpper(sum)), "has no sum of the form"},
		"another kind of sum":     {plugin("linux/amd64", "md5:0123"), "has no sum of the form"},
		"no platform's name":      {plugin("linux", sum), `"linux" is not a platform such as linux/amd64`},
		"several wrong platforms": {"version: 1\nplugins:\n  a: { version: v1, protocol: 1, platforms: { x: { executable: x }, w: { executable: x }, v: { executable: x } } }\n", `"v" is not a platform`},
		"the same plugin twice":   {"version: 1\nplugins:\n  a: {}\n  a: {}\n", "already defined"},
		"too large":               {"# " + strings.Repeat("x", 1<<20), "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "baton-host.lock")
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
			_, err := pin.Read(path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "pin.")
			require.NotContains(t, err.Error(), "\n")
		})
	}
	_, err := pin.Read(filepath.Join(t.TempDir(), "none.lock"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = pin.Read(t.TempDir())
	require.ErrorContains(t, err, "it is not a file")
}

func TestPathFor_IsBesideTheConfiguration(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		"baton-host.yaml": "baton-host.lock", "/etc/x/prod.yml": "/etc/x/prod.lock", "noext": "noext.lock", "a.b.yaml": "a.b.lock",
	} {
		require.Equal(t, want, pin.PathFor(config))
	}
}

// TestPut_KeepsWhatOthersPutAtTheSameTime: several installations share a lock file.
func TestPut_KeepsWhatOthersPutAtTheSameTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "baton-host.lock")
	const many = 16
	failed := make(chan error, many)
	for n := range many {
		go func() {
			sums := pin.Sums{Executable: "sha256:" + strings.Repeat(fmt.Sprintf("%x", n), 64)}
			failed <- pin.Put(t.Context(), path, fmt.Sprint("plugin-", n), pin.Entry{Version: "v1"}.With(sums))
		}()
	}
	for range many {
		require.NoError(t, <-failed)
	}
	file, err := pin.Read(path)
	require.NoError(t, err)
	require.Len(t, file.Plugins, many)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "the lock leaves no file")
}
