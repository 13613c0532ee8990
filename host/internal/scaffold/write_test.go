package scaffold_test

import (
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/scaffold"
)

// filesBelow returns the regular files below a directory, by name.
func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // What the test itself has had written.
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	}))
	return files
}

func TestWrite_WritesAModuleWhole(t *testing.T) {
	t.Parallel()
	common := []string{".gitignore", "Makefile", "README.md", "go.mod", "main.go", "config/config.go", "config/conf.gen.go", "config/gen/main.go", "connector/connector.go", "connector/connector_test.go"}
	for name, c := range map[string]struct {
		request scaffold.Request
		files   []string
	}{
		"over HTTP":                {scaffold.Request{App: "1-design-tool"}, append([]string{"connector/client.go", "connector/users.go", "connector/app_test.go"}, common...)},
		"over SCIM":                {scaffold.Request{App: "payroll", SCIM: true, Module: "github.com/acme/baton-payroll"}, common},
		"with a module of no host": {scaffold.Request{App: "payroll", SCIM: true, Module: "payroll"}, common},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.request.Dir, c.request.HostVersion = filepath.Join(t.TempDir(), "new"), "v1.2.3"
			written, err := scaffold.Write(c.request)
			require.NoError(t, err)
			files := filesBelow(t, written.Dir)
			for _, file := range c.files {
				require.Contains(t, files, file)
			}
			require.Len(t, files, len(c.files))
			require.Contains(t, files["go.mod"], "module "+written.Module+"\n")
			require.Contains(t, files["go.mod"], "github.com/batonhost/baton-host v1.2.3\n")
			for file, content := range files {
				require.NotContains(t, content, "{"+"{", file)
				require.NotContains(t, content, "<no value>", file)
				if strings.HasSuffix(file, ".go") {
					formatted, err := format.Source([]byte(content))
					require.NoError(t, err, file)
					require.Equal(t, string(formatted), content, file)
				}
			}
		})
	}
}

// TestWrite_RequiresWhatTheHostIsBuiltWith: another SDK or an older Go would not
// build.
func TestWrite_RequiresWhatTheHostIsBuiltWith(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	written, err := scaffold.Write(scaffold.Request{App: "payroll", HostVersion: "v1.2.3", Dir: filepath.Join(t.TempDir(), "new")})
	require.NoError(t, err)
	lines := regexp.MustCompile(`(?m)^go .*$|^\s*github\.com/conductorone/baton-sdk .*$`).FindAllString(filesBelow(t, written.Dir)["go.mod"], -1)
	require.Len(t, lines, 2)
	for _, line := range lines {
		require.Contains(t, string(own), line+"\n")
	}
}

// requireNothing holds that a refusal leaves a directory as it was.
func requireNothing(t *testing.T, dir string, entries ...string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := []string{}
	for _, entry := range left {
		names = append(names, entry.Name())
	}
	require.ElementsMatch(t, entries, names)
}

func TestWrite_LeavesNothingOfWhatItRefuses(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, c := range map[string]struct {
		request scaffold.Request
		want    string
	}{
		"no app":                         {scaffold.Request{}, "not the name of an app"},
		"an app in upper case":           {scaffold.Request{App: "Payroll"}, "lower-case"},
		"an app with a slash":            {scaffold.Request{App: "../payroll"}, "not the name of an app"},
		"an app that begins with a dash": {scaffold.Request{App: "-payroll"}, "not the name of an app"},
		"two dashes":                     {scaffold.Request{App: "pay--roll"}, "single dashes"},
		"an app of another alphabet":     {scaffold.Request{App: "зарплата"}, "not the name of an app"},
		"an app of a long name":          {scaffold.Request{App: strings.Repeat("x", 41)}, "longer than 40"},
		"the host":                       {scaffold.Request{App: "host"}, "baton-host is a program of this project"},
		"the sandbox":                    {scaffold.Request{App: "sandbox"}, "baton-sandbox is a program of this project"},
		"a module that is none":          {scaffold.Request{App: "payroll", Module: "not a module"}, "--module"},
		"this module":                    {scaffold.Request{App: "payroll", Module: "github.com/batonhost/baton-host"}, "this project's own"},
		"a development build":            {scaffold.Request{App: "payroll", HostVersion: "-"}, "--host-source"},
		"a checkout of something else":   {scaffold.Request{App: "payroll", HostSource: empty}, "no checkout of github.com/batonhost/baton-host"},
		"a checkout that is not there":   {scaffold.Request{App: "payroll", HostSource: "/no/such"}, "no checkout of github.com/batonhost/baton-host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.request.Dir = filepath.Join(dir, "new")
			c.request.HostVersion = strings.TrimPrefix(c.request.HostVersion+"v1.2.3", "-v1.2.3")
			_, err := scaffold.Write(c.request)
			require.ErrorContains(t, err, c.want)
			requireNothing(t, dir)
		})
	}
}

func TestWrite_WritesOverNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	request := func(dir ...string) scaffold.Request {
		return scaffold.Request{App: "payroll", HostVersion: "v1.2.3", Dir: filepath.Join(dir...)}
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "full"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "full", "mine"), []byte("mine"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("mine"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")))
	for name, c := range map[string]struct {
		request scaffold.Request
		want    string
	}{
		"a directory that is not empty": {request(dir, "full"), "not empty, and nothing is written over"},
		"a file":                        {request(dir, "file"), "no directory"},
		"below a file":                  {request(dir, "file", "new"), "not a directory"},
		"a link that leads nowhere":     {request(dir, "link"), "leads nowhere"},
		"no directory to put it into":   {request(dir, "none", "new"), "make it first"},
		"a name that is too long":       {request(dir, strings.Repeat("x", 300)), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := scaffold.Write(c.request)
			require.ErrorContains(t, err, c.want)
		})
	}
	t.Cleanup(func() { // After the subtests.
		requireNothing(t, dir, "full", "file", "link")
		require.Equal(t, map[string]string{"mine": "mine"}, filesBelow(t, filepath.Join(dir, "full")))
	})
}

// TestWrite_KeepsAnEmptyDirectoryTheOneThatItIs: it may be the working directory of a shell.
func TestWrite_KeepsAnEmptyDirectoryTheOneThatItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, err := os.Stat(dir)
	require.NoError(t, err)
	_, err = scaffold.Write(scaffold.Request{App: "payroll", HostVersion: "v1.2.3", Dir: dir})
	require.NoError(t, err)
	after, err := os.Stat(dir)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	requireNothing(t, dir, ".gitignore", "Makefile", "README.md", "config", "connector", "go.mod", "main.go")
}
