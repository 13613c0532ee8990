package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
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

// payroll is an app with the small API that a new connector reads.
func payroll(t *testing.T, token string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.URL.Path != "/api/users" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer := map[string]any{"items": []map[string]any{{"id": "1", "name": "Ada", "email": "ada@example.com", "active": true}}, "next": "more"}
		if r.URL.Query().Get("cursor") == "more" {
			answer = map[string]any{"items": []map[string]any{{"id": "2", "name": "Alan", "email": "alan@example.com"}}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api"
}

// TestANewConnectorWorksAsItIs writes both kinds of connector outside the
// repository, builds and tests them as their README says, and has the host use
// them.
func TestANewConnectorWorksAsItIs(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs("../../..")
	require.NoError(t, err)
	service := startApp(t, scim.Options{App: "design-tool", Accounts: 30, Seed: 1})
	for name, c := range map[string]struct {
		app  string
		args []string
		env  []string
		want int
	}{
		"over HTTP": {"payroll", nil, []string{"BATON_BASE_URL=" + payroll(t, "canary-61f2"), "BATON_API_TOKEN=canary-61f2"}, 2},
		"over SCIM": {"design-tool", []string{"--scim", "--module", "github.com/acme/design"}, []string{"BATON_SCIM_BASE_URL=" + service.url, "BATON_SCIM_TOKEN=" + service.token}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t)
			said := a.does(t, "", nil, "baton-host", append([]string{"new", c.app, "--host-source", repository}, c.args...)...)
			module := "baton-" + c.app
			require.Contains(t, said, "cd "+module+"\n")
			a.does(t, module, nil, "make", "test")
			a.does(t, module, nil, "make", "build")
			require.Empty(t, a.does(t, module, nil, "gofmt", "-l", "."))
			generated := filepath.Join(a.dir, module, "config", "conf.gen.go")
			before, err := os.ReadFile(generated)
			require.NoError(t, err)
			a.does(t, module, nil, "make", "generate")
			after, err := os.ReadFile(generated)
			require.NoError(t, err)
			require.Equal(t, string(before), string(after))

			var manifest struct {
				Name         string
				Capabilities struct {
					ResourceTypes []struct{ Accounts bool } `json:"resource_types"`
				}
				Configuration struct{ Fields []struct{ Secret bool } }
			}
			described := a.does(t, module, nil, "baton-host", "inspect", c.app, "--plugin-dir", "bin", "--output", "json")
			require.NoError(t, json.Unmarshal([]byte(described), &manifest))
			require.Equal(t, module, manifest.Name)
			require.True(t, manifest.Capabilities.ResourceTypes[0].Accounts)
			require.True(t, manifest.Configuration.Fields[1].Secret)

			require.Contains(t, a.does(t, module, c.env, "make", "run"), "complete")
			var accounts []shown
			listed := a.does(t, module, nil, "baton-host", "accounts", c.app+".c1z", "--output", "json")
			require.NoError(t, json.Unmarshal([]byte(listed), &accounts))
			require.Len(t, accounts, c.want)
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
