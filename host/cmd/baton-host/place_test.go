package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// startWatchedApp is startApp with a function that is called at the first
// request for accounts, that is in the middle of a sync.
func startWatchedApp(t *testing.T, options scim.Options, inTheMiddle func()) app {
	t.Helper()
	options.Token = "tok"
	server, err := scim.New(options)
	require.NoError(t, err)
	once := make(chan struct{}, 1)
	once <- struct{}{}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The first requests are those of the validation; only a listing asks
		// for a page of more than one account.
		if count := r.URL.Query().Get("count"); count != "" && count != "1" {
			select {
			case <-once:
				inTheMiddle()
			default:
			}
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	return app{url: listener.URL + "/scim/v2", token: options.Token, server: server}
}

// temporaryDir returns a directory for TMPDIR that is short enough for sockets.
func temporaryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestSync_NeverFailsOncePublished(t *testing.T) {
	t.Parallel()
	temporary := temporaryDir(t)
	app := startWatchedApp(t, scim.Options{App: "fullstory", Accounts: 20, Seed: 1}, func() { _ = os.RemoveAll(temporary) })
	file := filepath.Join(t.TempDir(), "x.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token, "TMPDIR=" + temporary}

	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file)
	require.NoDirExists(t, temporary, "the test took it away")
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `fullstory +fullstory +20 +complete`, result.stdout)
	require.Len(t, accountsIn(t, file), 20)
}

func TestAccountsBlamesTheDirectoryForTemporaryFilesAndNotTheSyncFile(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 20, Seed: 1})
	file := filepath.Join(t.TempDir(), "x.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file)
	require.Equal(t, 0, result.status, result.stderr)

	missing := filepath.Join(t.TempDir(), "missing")
	result = execute(t, []string{"TMPDIR=" + missing}, "baton-host", "accounts", file)
	requireSentence(t, result, []string{file, missing, "TMPDIR"})
	require.NotContains(t, result.stderr, "damaged")

	temporary := temporaryDir(t)
	require.Equal(t, 0, execute(t, []string{"TMPDIR=" + temporary}, "baton-host", "accounts", file).status)
	entries, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestCommands_NameAMissingDirectoryForTemporaryFiles(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	env := []string{"TMPDIR=" + missing, "BATON_SCIM_BASE_URL=https://scim.example.com", "BATON_SCIM_TOKEN=x"}
	out := t.TempDir()
	for _, args := range [][]string{
		{"sync", "--plugin", "fullstory", "-f", filepath.Join(out, "x.c1z")},
		{"inspect", "fullstory"},
	} {
		requireSentence(t, execute(t, env, "baton-host", args...), []string{missing, "TMPDIR"})
	}
}
