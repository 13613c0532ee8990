package main_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// syncedFile returns the sync file of an app.
func syncedFile(t *testing.T, options scim.Options) (path string, app app) {
	t.Helper()
	app = startApp(t, options)
	path = filepath.Join(t.TempDir(), "x.c1z")
	result := execute(t, []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}, "baton-host", "sync", "--plugin", "scim", "-f", path)
	require.Equal(t, 0, result.status, result.stderr)
	return path, app
}

// explorer is a running `baton-host explore`.
type explorer struct {
	cmd     *exec.Cmd
	address *url.URL
	stdout  *bufio.Reader
	stderr  *transcript
}

func startExplorer(t *testing.T, env []string, file string) *explorer {
	t.Helper()
	e := &explorer{
		cmd:    command(t.Context(), t, env, "baton-host", "explore", file),
		stderr: &transcript{changed: make(chan struct{})},
	}
	e.cmd.Stderr = e.stderr
	out, err := e.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, e.cmd.Start())
	t.Cleanup(func() { _ = e.cmd.Process.Kill() }) // If the test has failed.
	e.stdout = bufio.NewReader(out)
	line, err := e.stdout.ReadString('\n')
	require.NoError(t, err, e.stderr.String())
	e.address, err = url.Parse(strings.TrimSpace(line))
	require.NoError(t, err)
	return e
}

// get asks the explorer for a path, under a name.
func (e *explorer) get(t *testing.T, browser *http.Client, method, path, host string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+e.address.Host+path, nil)
	require.NoError(t, err)
	if host != "" {
		request.Host = host
	}
	response, err := browser.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar}
}

func TestExploreShowsASyncFileToOneBrowser(t *testing.T) {
	t.Parallel()
	file, app := syncedFile(t, scim.Options{App: "design-tool", Accounts: 12, Groups: 3, Seed: 2})
	temporary := temporaryDir(t)
	e := startExplorer(t, []string{"TMPDIR=" + temporary}, file)
	require.Equal(t, "127.0.0.1", e.address.Hostname())
	someone := app.server.Accounts()[0].UserName

	stranger, browser := newBrowser(t), newBrowser(t)
	status, body := e.get(t, stranger, http.MethodGet, "/api/resources", "")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "Open the explorer with the address")

	status, body = e.get(t, browser, http.MethodGet, "/"+"?"+e.address.RawQuery, "")
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "<title>Baton Explorer</title>")
	for _, path := range []string{
		"/api/resources", "/api/resourceTypes", "/api/entitlements", "/api/principals/scim.group", "/api/grants/scim.group/" + app.server.Groups()[0].ID,
		"/api/scim.user/" + app.server.Accounts()[0].ID, "/api/access/scim.user/" + app.server.Accounts()[0].ID,
		"/api/search?scope=resources&cel=" + url.QueryEscape("true"),
	} {
		status, body = e.get(t, browser, http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, status, "%s: %s", path, body)
		require.True(t, strings.HasPrefix(body, "{"), "%s: %s", path, body)
		if path == "/api/resources" {
			require.Contains(t, body, someone)
		}
	}

	for name, c := range map[string]struct {
		browser            *http.Client
		method, path, host string
		status             int
	}{
		"the key again":                {stranger, http.MethodGet, "/?" + e.address.RawQuery, "", http.StatusForbidden},
		"a wrong key":                  {stranger, http.MethodGet, "/api/resources?key=x", "", http.StatusForbidden},
		"a page under another name":    {browser, http.MethodGet, "/api/resources", "rebound.example.com", http.StatusForbidden},
		"to change something":          {browser, http.MethodPost, "/api/resources", "", http.StatusMethodNotAllowed},
		"the name that people forward": {stranger, http.MethodGet, "/", "localhost:" + e.address.Port(), http.StatusOK},
	} {
		status, body := e.get(t, c.browser, c.method, c.path, c.host)
		require.Equal(t, c.status, status, name)
		require.NotContains(t, body, someone, name)
	}

	require.NoError(t, e.cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(e.stdout)
	require.NoError(t, err)
	require.NoError(t, e.cmd.Wait(), e.stderr.String())
	require.Empty(t, rest, "who looked at what goes nowhere")
	require.Equal(t, "baton-host: the explorer is at this address, which opens once; stop it with Ctrl-C\n", e.stderr.String())
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestExploreOfWhatCannotBeShown(t *testing.T) {
	t.Parallel()
	file, _ := syncedFile(t, scim.Options{App: "design-tool", Accounts: 2, Groups: 1, Seed: 2})
	var listening net.ListenConfig
	taken, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	garbage := filepath.Join(t.TempDir(), "garbage.c1z")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("garbage", 1000)), 0o600))
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no file":                  {[]string{garbage + ".none"}, []string{"there is no file"}},
		"no sync file":             {[]string{garbage}, []string{"garbage.c1z", "sync file"}},
		"a port in use":            {[]string{file, "--port", port}, []string{port, "in use", "--port"}},
		"a port that there is not": {[]string{file, "--port", "70000"}, []string{"--port must be", "70000"}},
		"a port that is a word":    {[]string{file, "--port", "http"}, []string{"--port must be", "http"}},
		"nothing":                  {nil, []string{"FILE.c1z", "no argument"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, nil, "baton-host", append([]string{"explore"}, c.args...)...)
			requireSentence(t, result, c.want)
			require.Empty(t, result.stdout)
		})
	}
}

func TestExplore_RunsAnExplorerOfTheSameReleaseOnly(t *testing.T) {
	t.Parallel()
	alone := filepath.Join(t.TempDir(), "baton-host")
	// A link, as a file that was just written may be open in a process that another test
	// is about to start, and cannot be executed as long as it is.
	require.NoError(t, os.Link(filepath.Join(bin, "baton-host"), alone))
	cmd := command(t.Context(), t, nil, "baton-host", "explore", "x.c1z")
	cmd.Path = alone
	result := finish(t, cmd)
	requireSentence(t, result, []string{"baton-host-explore", "beside baton-host"})

	result = execute(t, nil, "baton-host-explore", "v0.0.1", "x.c1z", "0", "false")
	requireSentence(t, result, []string{"v0.0.1", "dev", "one release"})

	result = execute(t, nil, "baton-host-explore", "x.c1z")
	requireSentence(t, result, []string{"baton-host explore FILE.c1z"})
}
