package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/errtext"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// workforce is one upload, of that name, of two apps.
type workforce struct {
	fullstory, design *app
	config, dir       string
}

// newWorkforce starts the apps and writes the configuration, with more keys of the
// upload.
func newWorkforce(t *testing.T, fullstory, design scimsandbox.Options, keys string) *workforce {
	t.Helper()
	fullstory.App, design.App = "fullstory", "design-tool"
	w := &workforce{fullstory: startApp(t, fullstory), design: startApp(t, design), dir: t.TempDir()}
	if keys != "" {
		keys = ", " + keys
	}
	w.config = configuration(t, []string{w.fullstory.entry("fullstory"), w.design.entry("design-tool")},
		"workforce: { plugins: [fullstory, design-tool]"+keys+" }")
	return w
}

// path returns where the sync file is.
func (w *workforce) path() string { return filepath.Join(w.dir, "workforce.c1z") }

// sync syncs once. The result is nil if nothing was tried.
func (w *workforce) sync(t *testing.T, options host.Options) (*host.SyncResult, error) {
	t.Helper()
	results, err := oneShot(t, w.config, w.dir, options)
	if len(results) == 0 {
		return nil, err
	}
	require.Len(t, results, 1)
	return results[0], err
}

// syncs syncs once, and everything must be well.
func (w *workforce) syncs(t *testing.T, options host.Options) *host.SyncResult {
	t.Helper()
	result, err := w.sync(t, options)
	require.NoError(t, err)
	require.NotNil(t, result)
	return result
}

// seeded returns the accounts of both apps.
func (w *workforce) seeded() []account {
	return sorted(append(w.fullstory.seeded("fullstory"), w.design.seeded("design-tool")...))
}

// check checks a configuration.
func check(t *testing.T, config string, options host.Options, dir string) ([]host.Checked, error) {
	t.Helper()
	options.ReferencesMayFail = true
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: config}, options)
	if err != nil {
		return nil, err
	}
	defer h.Close(t.Context())
	return h.Check(t.Context(), host.CheckOptions{Timeout: time.Minute, OutputDir: dir})
}

// lock locks the plugins of a configuration, or compares them with the lock file.
func lock(t *testing.T, config string, options host.Options, only bool) ([]host.LockedPlugin, error) {
	t.Helper()
	options.Secrets = host.NoSecrets
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: config}, options)
	if err != nil {
		return nil, err
	}
	return h.Lock(t.Context(), only)
}

// single opens a host for one plugin.
func openPlugin(t *testing.T, config, name string, options host.Options) (*host.Host, error) {
	t.Helper()
	return host.Open(t.Context(), host.Selection{ConfigFile: config, Plugin: name}, options)
}

// recorder is an observer that notes what a person would be shown.
type recorder struct {
	mu       sync.Mutex
	warnings []string
	listed   map[string]int
	fellBack []string
	missing  []string
	reasons  []error
	ended    []*host.SyncResult
}

func (r *recorder) Warning(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.warnings = append(r.warnings, text)
}

func (r *recorder) Syncing(string, []string) host.Progress { return r }

func (r *recorder) Listed(plugin string, page host.ListedPage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listed == nil {
		r.listed = map[string]int{}
	}
	r.listed[plugin] += page.Accounts
}

func (r *recorder) Retrying(string, time.Duration, error) {}

func (r *recorder) FellBack(plugin string, _ time.Time, reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fellBack, r.reasons = append(r.fellBack, plugin), append(r.reasons, reason)
}

func (r *recorder) Missing(plugin string, reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing, r.reasons = append(r.missing, plugin), append(r.reasons, reason)
}

func (r *recorder) End(result *host.SyncResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, result)
}

// warned returns all warnings, one a line.
func (r *recorder) warned() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.warnings, "\n")
}

// requireSentence checks the answer to a person's mistake: it names these, and is
// readable.
func requireSentence(t *testing.T, err error, want ...string) {
	t.Helper()
	require.Error(t, err)
	text := errtext.Plain(err.Error())
	for _, part := range want {
		require.Contains(t, text, part)
	}
	for _, noise := range []string{"panic:", "goroutine ", "rpc error", "\nEOF", "%!"} {
		require.NotContains(t, text, noise)
	}
}

// writeFile writes a configuration, or another file, into its own directory.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-host.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// replaceIn changes a file.
func replaceIn(t *testing.T, path, old, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	changed := strings.ReplaceAll(string(text), old, with)
	require.NotEqual(t, string(text), changed)
	require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
}

// contentsOf returns a file's content.
func contentsOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// namesIn returns the names in a directory; none if it does not exist.
func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// keptIn is namesIn with a refused file's name without its sum.
func keptIn(t *testing.T, dir string) []string {
	t.Helper()
	names := namesIn(t, dir)
	for i, name := range names {
		if before, _, found := strings.Cut(name, ".refused-"); found {
			names[i] = before + ".refused-*"
		}
	}
	return names
}

// recorded are the names of sync files with those of their records.
func recorded(names ...string) []string {
	var all []string
	for _, name := range names {
		all = append(all, name, name+".json")
	}
	return all
}

// program writes a shell script that a host may start.
func program(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700)) //nolint:gosec // It must be executable.
	return path
}

// besides puts the binary of every plugin into a directory, for programs there that start it:
// to a plugin the directory of its program is open, and no other. It returns the path.
func besides(t *testing.T, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "plugin")
	if os.Link(self, binary) == nil {
		return binary
	}
	content, err := os.ReadFile(self) // It is on another file system.
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, content, 0o700)) //nolint:gosec // A program.
	return binary
}

// installed returns a directory in which the plugin is installed for these apps.
func installed(t *testing.T, apps ...string) string {
	t.Helper()
	dir := t.TempDir()
	binary := besides(t, dir)
	for _, one := range apps {
		program(t, dir, "baton-"+one, "export "+pluginVariable+"=1\nexec '"+binary+"' \"$@\"")
	}
	return dir
}
