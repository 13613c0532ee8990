package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/examples/baton-roster/app"
)

// bin holds a real host, with the real plugin beside it.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "baton-roster-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		bin = dir
		build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir, //nolint:gosec // Our own programs.
			"github.com/batonhost/baton-host/host/cmd/baton-host", ".")
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v: %s", err, out))
		}
		return m.Run()
	}())
}

// bench is a directory from where a host reaches Roster.
type bench struct {
	dir string
	env []string
}

func newBench(t *testing.T, handler http.Handler, token string) *bench {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	return &bench{dir: dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "BATON_BASE_URL=" + server.URL, "BATON_API_TOKEN=" + token,
	}}
}

// host runs the host in the bench's directory.
func (b *bench) host(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "baton-host"), args...) //nolint:gosec // Our own program.
	cmd.Dir, cmd.Env = b.dir, b.env
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	_ = cmd.Run() // The status shows it.
	return out.String(), errors.String(), cmd.ProcessState.ExitCode()
}

func TestRoster_SyncsUnderTheHost(t *testing.T) {
	t.Parallel()
	roster, err := app.New("canary-9c2e")
	require.NoError(t, err)
	b := newBench(t, roster, "canary-9c2e")

	_, stderr, code := b.host(t, "sync", "--plugin", "roster", "-f", "roster.c1z")
	require.Equal(t, 0, code, stderr)
	shown, stderr, code := b.host(t, "accounts", "roster.c1z", "--output", "json")
	require.Equal(t, 0, code, stderr)
	var accounts []struct{ App, Login, Status string }
	require.NoError(t, json.Unmarshal([]byte(shown), &accounts))
	states := map[string]string{}
	for _, account := range accounts {
		states[account.Login] = account.Status
	}
	require.Len(t, states, 8)
	require.Equal(t, "enabled", states["ada@roster.example"])
	require.Equal(t, "disabled", states["alan@roster.example"])

	members := map[string]bool{}
	for token := ""; ; {
		request := `{"resource": {"id": {"resource_type": "team", "resource": "t-1"}}, "page_token": "` + token + `"}`
		answered, stderr, code := b.host(t, "call", "roster", "ListGrants", request)
		require.Equal(t, 0, code, stderr)
		var page struct {
			List []struct {
				Principal struct{ ID struct{ Resource string } }
			}
			Next string `json:"next_page_token"`
		}
		require.NoError(t, json.Unmarshal([]byte(answered), &page))
		for _, one := range page.List {
			members[one.Principal.ID.Resource] = true
		}
		if token = page.Next; token == "" {
			break
		}
	}
	require.Equal(t, map[string]bool{"p-2": true, "p-5": true, "p-6": true, "p-7": true}, members)
}

func TestRoster_ReportsMistakesInASentence(t *testing.T) {
	t.Parallel()
	roster, err := app.New("another")
	require.NoError(t, err)
	b := newBench(t, roster, "canary-mistaken")
	_, stderr, code := b.host(t, "sync", "--plugin", "roster", "-f", "roster.c1z")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "reading people: the app does not take the API Token")
	require.NotContains(t, stderr, "canary-mistaken")
	require.NoFileExists(t, filepath.Join(b.dir, "roster.c1z"))

	b.env = append(b.env, "BATON_BASE_URL=http://roster.example.com")
	_, stderr, code = b.host(t, "sync", "--plugin", "roster", "-f", "roster.c1z")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "does not begin with https://")
}
