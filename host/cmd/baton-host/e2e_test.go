package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/built"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// bin holds the real binaries that the tests drive, built once.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "baton-host-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	err = built.Into(context.Background(), dir, ".", "build", raceFlag, "-buildvcs=false", "-ldflags=-s -w",
		"github.com/batonhost/baton-host/host/cmd/baton-host",
		"github.com/batonhost/baton-host/host/cmd/baton-host-aws",
		"github.com/batonhost/baton-host/host/cmd/baton-host-explore",
		"github.com/batonhost/baton-host/fullstory/cmd/baton-fullstory",
		"github.com/batonhost/baton-host/scim/cmd/baton-scim",
		"github.com/conductorone/baton-sdk/cmd/baton",
		"./testdata/baton-careless",
		"./testdata/baton-ledger",
		"./testdata/baton-notes",
	)
	if err != nil {
		return 0, err
	}
	// These tests wait for processes much more than they work; -parallel on the
	// command line still decides.
	if err := flag.Set("test.parallel", "8"); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// run is one run of a real binary.
type run struct {
	stdout, stderr string
	status         int
}

func execute(t *testing.T, env []string, name string, args ...string) run {
	t.Helper()
	return finish(t, command(t.Context(), t, env, name, args...))
}

// finish runs a command to its end.
func finish(t *testing.T, cmd *exec.Cmd) run {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return run{stdout: stdout.String(), stderr: stderr.String(), status: cmd.ProcessState.ExitCode()}
}

func command(ctx context.Context, t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...) //nolint:gosec // Our own binaries.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Dir = t.TempDir()
	return cmd
}

// app is a running SCIM service and the truth it was seeded with.
type app struct {
	url    string
	token  string
	server *scim.Server
}

func startApp(t *testing.T, options scim.Options) app {
	t.Helper()
	if options.Token == "" {
		options.Token = "tok-" + strings.ReplaceAll(t.Name(), "/", "-") + "-" + options.App
	}
	server, err := scim.New(options)
	require.NoError(t, err)
	return serveApp(t, server, options.Token)
}

func serveApp(t *testing.T, server *scim.Server, token string) app {
	t.Helper()
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return app{url: listener.URL + server.BasePath(), token: token, server: server}
}

// writeConfig writes a configuration into a new directory.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-host.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// twoApps returns the usual configuration: Fullstory and another SCIM app.
func twoApps(t *testing.T, fullstory, design app) (path string, env []string) {
	t.Helper()
	path = writeConfig(t, `
plugins:
  fullstory:
    config:
      scim-base-url: `+fullstory.url+`
      scim-token: ${env:FULLSTORY_TOKEN}
  design-tool:
    app: scim
    config:
      scim-display-name: Design Tool
      scim-groups: false
      scim-base-url: `+design.url+`
      scim-token: ${env:DESIGN_TOKEN}
uploads:
  workforce:
    plugins: [fullstory, design-tool]
`)
	return path, []string{"FULLSTORY_TOKEN=" + fullstory.token, "DESIGN_TOKEN=" + design.token}
}

// shownAccount is an account as `baton-host accounts --output json` shows it.
type shownAccount struct {
	App          string  `json:"app"`
	ResourceType string  `json:"resource_type"`
	ID           string  `json:"id"`
	Login        string  `json:"login"`
	DisplayName  string  `json:"display_name"`
	Email        string  `json:"email"`
	Status       string  `json:"status"`
	LastLogin    *string `json:"last_login"`
}

func accountsIn(t *testing.T, path string) []shownAccount {
	t.Helper()
	result := execute(t, nil, "baton-host", "accounts", path, "--output", "json")
	require.Equal(t, 0, result.status, result.stderr)
	var accounts []shownAccount
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &accounts))
	return accounts
}
