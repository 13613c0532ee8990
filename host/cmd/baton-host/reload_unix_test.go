//go:build unix

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestReload_ByCommandSignalAndWatch: one process takes three changes; the last one is a
// swap of links, as Kubernetes does it.
func TestReload_ByCommandSignalAndWatch(t *testing.T) {
	t.Parallel()
	s := newSingleOf(t, c1.Options{}, scim.Options{Accounts: 30})
	mounted, swaps := t.TempDir(), 0
	put := func(timeout string) {
		t.Helper()
		swaps++
		name := fmt.Sprintf("..%d", swaps)
		require.NoError(t, os.Mkdir(filepath.Join(mounted, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(mounted, name, "baton-host.yaml"), fmt.Appendf(nil,
			"plugins: { fullstory: { call-timeout: %s, config: { scim-base-url: %q, scim-token: \"${env:BATON_SCIM_TOKEN}\" } } }\nuploads: { workforce: { plugins: [fullstory] } }\n",
			timeout, s.app.url), 0o600))
		require.NoError(t, os.Symlink(name, filepath.Join(mounted, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(mounted, "..tmp"), filepath.Join(mounted, "..data")))
	}
	config := filepath.Join(mounted, "baton-host.yaml")
	require.NoError(t, os.Symlink(filepath.Join("..data", "baton-host.yaml"), config))
	state, err := os.MkdirTemp("", "s-") // A socket's path must be short.
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	syncs := func() {
		t.Helper()
		require.Len(t, s.synced(t, s.fullSync(t, "fullstory")), 30)
	}
	const reloaded = `"msg":"the configuration is reloaded"`

	put("5m")
	host := startRun(t, s.env, "--config", config, "--state-dir", state)
	syncs()
	put("6m")
	result := execute(t, s.env, "baton-host", "reload", "--state-dir", state, "--output", "json")
	require.Equal(t, 0, result.status, result.stderr)
	var changed struct {
		Plugins, Uploads []struct{ Name, Change string }
	}
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &changed), result.stdout)
	require.Equal(t, "changed", changed.Plugins[0].Change)
	require.Equal(t, "changed", changed.Uploads[0].Change)
	result = execute(t, s.env, "baton-host", "reload", "--config", config, "--state-dir", state)
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `plugin +fullstory +unchanged`, result.stdout)
	syncs()
	put("soon")
	result = execute(t, s.env, "baton-host", "reload", "--state-dir", state)
	require.Equal(t, 1, result.status)
	require.Contains(t, result.stderr, config+":1:")
	require.Empty(t, result.stdout)
	put("7m")
	host.signal(syscall.SIGHUP)
	host.saysTimes(reloaded, 3)
	syncs()
	add := func(name string, more ...string) run {
		t.Helper()
		return execute(t, s.env, "baton-host", append([]string{
			"add", "scim", "--name", name, "--config", config, "--state-dir", state, "--no-input",
			"--set", "scim-base-url=" + s.app.url, "--set", "scim-token=${env:BATON_SCIM_TOKEN}", "--set", "scim-groups=false",
		}, more...)...)
	}
	result = add("second")
	require.Equal(t, 0, result.status, result.stderr)
	require.Contains(t, result.stdout, "  baton-host reload --config "+config+" --state-dir "+state+"\n")
	require.Contains(t, result.stdout, "without the app until the reload")
	result = add("third", "--reload")
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `plugin +third +added\nplugin +second +added\nplugin +fullstory +unchanged\nupload +workforce +changed\n$`, result.stdout)
	host.stop()
	result = add("fourth", "--reload")
	require.Equal(t, 1, result.status)
	require.Contains(t, result.stderr, config+" is written, but no host has reloaded it: no host runs on the state directory "+state)

	put("7m")
	host = startRun(t, s.env, "--config", config, "--state-dir", state, "--watch")
	syncs()
	put("8m")
	host.says(reloaded)
	syncs()
	host.stop()
	require.Empty(t, s.Violations())
}
