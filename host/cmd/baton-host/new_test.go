package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// author is somebody in a directory outside the repository who has Go, make and
// what is in the module cache.
type author struct {
	dir string
	env []string
}

func newAuthor(t *testing.T) *author {
	t.Helper()
	a := &author{dir: t.TempDir(), env: []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + t.TempDir()}}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOROOT", "GOTOOLCHAIN"} {
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output() //nolint:gosec // Fixed names.
		require.NoError(t, err)
		a.env = append(a.env, name+"="+strings.TrimSpace(string(value)))
	}
	// What is in the module cache was verified when it came there.
	a.env = append(a.env, "GOSUMDB=off", "GOFLAGS=-buildvcs=false")
	return a
}

// does runs a program below the author's directory and wants it to succeed.
func (a *author) does(t *testing.T, below string, env []string, name string, args ...string) string {
	t.Helper()
	if name == "baton-host" {
		name = filepath.Join(bin, name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...) //nolint:gosec // Programs of the test.
	cmd.Dir, cmd.Env = filepath.Join(a.dir, below), append(append([]string{}, a.env...), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s %s\n%s\n%s", name, args, stdout.String(), stderr.String())
	return stdout.String()
}

// TestNew_WritesAConnectorThatCompiles writes both kinds of connector outside the
// repository. The long test builds, tests and runs them too.
func TestNew_WritesAConnectorThatCompiles(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs("../../..")
	require.NoError(t, err)
	for name, args := range map[string][]string{
		"over HTTP": {"payroll"},
		"over SCIM": {"design-tool", "--scim", "--module", "github.com/acme/design"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t)
			module := "baton-" + args[0]
			require.Contains(t, a.does(t, "", nil, "baton-host", append([]string{"new", "--host-source", repository}, args...)...), "cd "+module+"\n")
			a.does(t, module, nil, "make", "go.sum")
			a.does(t, module, nil, "go", "vet", "./...")
			require.Empty(t, a.does(t, module, nil, "gofmt", "-l", "."))
		})
	}
}

func TestNewWithBadInput(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "mine"), nil, 0o600))
	repository, err := filepath.Abs("../../..")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no app":                        {nil, []string{"arg"}},
		"an app of a strange name":      {[]string{"Pay Roll"}, []string{`"Pay Roll"`, "lower-case"}},
		"an app of this project":        {[]string{"host"}, []string{`"host"`}},
		"a directory that is not empty": {[]string{"payroll", "--dir", full, "--host-source", repository}, []string{full, "not empty"}},
		"a module that is none":         {[]string{"payroll", "--module", "a b", "--host-source", repository}, []string{"--module", "a b"}},
		"an empty --dir":                {[]string{"payroll", "--dir", ""}, []string{"--dir is empty"}},
		"a build of no release":         {[]string{"payroll"}, []string{"not built from a release", "--host-source"}},
		"a wrong --host-source":         {[]string{"payroll", "--host-source", full}, []string{full, "no checkout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), t, nil, "baton-host", append([]string{"new"}, c.args...)...)
			result := finish(t, cmd)
			requireSentence(t, result, c.want)
			left, err := os.ReadDir(cmd.Dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
