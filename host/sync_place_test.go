package host_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestSyncReportsThatItsDirectoryIsGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = os.RemoveAll(dir)
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	app := &app{url: hanging.URL, token: "x"}
	config := configuration(t, []string{app.entry("fullstory")}, "workforce: { plugins: [fullstory] }")
	_, err := oneShot(t, config, dir, host.Options{})
	requireSentence(t, err, filepath.Join(dir, ".baton-host-sync-"), "is gone")
	require.NoDirExists(t, dir)
}

func TestSyncWritesWhatALinkLeadsTo(t *testing.T) {
	t.Parallel()
	app := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 20, Seed: 1})
	config := configuration(t, []string{app.entry("fullstory")}, "workforce: { plugins: [fullstory] }")
	links, target := t.TempDir(), t.TempDir()
	link := filepath.Join(links, "workforce.c1z")
	require.NoError(t, os.Symlink(target, filepath.Join(links, "elsewhere")))
	require.NoError(t, os.Symlink("elsewhere/real.c1z", link))
	for range 2 { // First the target does not exist, then it does.
		_, err := oneShot(t, config, links, host.Options{})
		require.NoError(t, err)
		written, err := os.Readlink(link)
		require.NoError(t, err)
		require.Equal(t, "elsewhere/real.c1z", written)
		require.Len(t, accountsIn(t, filepath.Join(target, "real.c1z")), 20)
	}
	require.Equal(t, recorded("real.c1z"), namesIn(t, target))
}

// TestSyncRefusesAPlaceForItsFile does so before any plugin is started.
func TestSyncRefusesAPlaceForItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "taken", "workforce.c1z"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "loop"), 0o700))
	loop := filepath.Join(dir, "loop", "workforce.c1z")
	require.NoError(t, os.Symlink(loop, loop))
	config := writeFile(t, "plugins: { fullstory: { app: nobody-has-this } }\nuploads: { workforce: { plugins: [fullstory] } }\n")
	for name, c := range map[string]struct {
		config, dir, file string
		want              []string
	}{
		"a file is the directory":    {config, file, "", []string{file, "not a directory"}},
		"below a file":               {config, filepath.Join(file, "below"), "", []string{"cannot be made", "not a directory"}},
		"a directory is the file":    {config, filepath.Join(dir, "taken"), "", []string{filepath.Join(dir, "taken", "workforce.c1z"), "something else than a file"}},
		"a link to itself":           {config, filepath.Join(dir, "loop"), "", []string{loop}},
		"a single app, a directory":  {"", "", dir, []string{dir, "something else than a file"}},
		"a single app, with a slash": {"", "", filepath.Join(dir, "new") + "/", []string{filepath.Join(dir, "new") + "/", "names a directory", "sync.c1z"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			selection := host.Selection{ConfigFile: c.config}
			if c.config == "" {
				selection = host.Selection{App: "nobody-has-this"}
			}
			h, err := host.Open(t.Context(), selection, host.Options{Secrets: host.PluginSecrets})
			require.NoError(t, err)
			_, err = h.Sync(t.Context(), host.SyncOptions{OutputDir: c.dir, File: c.file})
			requireSentence(t, err, c.want...)
			require.NotContains(t, err.Error(), "nobody-has-this")
		})
	}
}
