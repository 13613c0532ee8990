//go:build unix

package host_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// debuggee is a plugin that a person has started in a debugger.
type debuggee struct {
	cmd *exec.Cmd
	// value is what BATON_HOST_REATTACH is to be.
	value string
}

func startDebuggee(t *testing.T) *debuggee {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // Short enough for sockets.
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := &debuggee{cmd: exec.CommandContext(t.Context(), self, "--debug-plugin")}
	d.cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	output, err := d.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, d.cmd.Start())
	t.Cleanup(func() { _, _ = d.cmd.Process.Kill(), d.cmd.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	value, ok := strings.CutPrefix(strings.TrimSpace(line), "export "+plugin.ReattachEnv+"='")
	require.True(t, ok, line)
	d.value = strings.TrimSuffix(value, "'")
	return d
}

// named returns the value with another name for the plugin.
func (d *debuggee) named(t *testing.T, name string) string {
	t.Helper()
	var all map[string]plugin.Attachment
	require.NoError(t, json.Unmarshal([]byte(d.value), &all))
	require.Len(t, all, 1)
	for _, one := range all {
		encoded, err := json.Marshal(map[string]plugin.Attachment{name: one})
		require.NoError(t, err)
		return string(encoded)
	}
	return ""
}

// unstartable makes the plugin of an entry one that cannot be started.
func unstartable(t *testing.T, config, name string) {
	t.Helper()
	replaceIn(t, config, "  "+name+":\n    path: "+self+"\n", "  "+name+":\n    app: scim\n")
}

// TestAttachUsesAPluginThatRunsAlready: what is attached to has no binary, so that what
// does not attach fails.
func TestAttachUsesAPluginThatRunsAlready(t *testing.T) { //nolint:paralleltest // It sets a variable.
	w := newWorkforce(t, scimsandbox.Options{Accounts: 1200, Seed: 1}, scimsandbox.Options{Accounts: 30, Seed: 2}, "")
	unstartable(t, w.config, "design-tool")
	d := startDebuggee(t)
	// The same process takes one configuration after the other. A name is that of the
	// instance, of an app that one instance has, or of its binary.
	const attached = `plugin "design-tool" is attached to`
	one := host.Selection{ConfigFile: w.config, Plugin: "design-tool"}
	absent := []string{"there is no plugin binary baton-scim"}
	for _, c := range []struct {
		use  string
		name string
		do   func(options host.Options) error
	}{
		{"sync, by the app", "scim", func(options host.Options) error {
			result, err := w.sync(t, options)
			if err == nil {
				require.Equal(t, map[string]int{"fullstory": 1200, "design-tool": 30}, result.Accounts)
			}
			return err
		}},
		{"sync, by the binary", "baton-scim", func(options host.Options) error { _, err := w.sync(t, options); return err }},
		{"check, by the instance", "design-tool", func(options host.Options) error {
			_, err := check(t, w.config, options, w.dir)
			return err
		}},
		{"call", "scim", func(options host.Options) error {
			_, err := callPlugin(t, one, options, "Validate", "{}")
			return err
		}},
	} {
		t.Setenv(plugin.ReattachEnv, d.named(t, c.name))
		seen := &recorder{}
		require.NoError(t, c.do(host.Options{Attach: true, Observer: seen, StateDir: t.TempDir()}), c.use)
		require.Contains(t, seen.warned(), attached, c.use)
		seen = &recorder{}
		requireSentence(t, c.do(host.Options{Observer: seen, StateDir: t.TempDir()}), absent...)
		require.Empty(t, seen.warned(), "%s: without the option", c.use)
	}

	// What a plugin is comes from its binary: no use of these attaches.
	seen := &recorder{}
	options := host.Options{Secrets: host.NoSecrets, Observer: seen}
	h, err := host.Open(t.Context(), one, options)
	require.NoError(t, err)
	_, err = h.Describe(t.Context())
	requireSentence(t, err, absent...)
	withOption := options
	withOption.Attach = true
	_, err = lock(t, w.config, withOption, false)
	requireSentence(t, err, absent...)
	_, err = host.DescribeAll(t.Context(), "", []string{"scim"}, options)
	requireSentence(t, err, absent...)
	h, err = host.Open(t.Context(), one, host.Options{Secrets: host.PluginSecrets})
	require.NoError(t, err)
	_, err = h.Test(t.Context(), nil)
	requireSentence(t, err, "cannot attach to one", "unset "+plugin.ReattachEnv)
	require.Empty(t, seen.warned())

	// A lock knows nothing of what is attached to, and need not.
	options.PluginDirs = []string{installed(t, "scim")}
	_, err = lock(t, w.config, options, false)
	require.NoError(t, err)
	_, err = check(t, w.config, host.Options{Attach: true, StateDir: t.TempDir()}, w.dir)
	require.NoError(t, err)

	require.NoError(t, d.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, d.cmd.Wait(), "Ctrl-C ends it in peace")
	_, err = check(t, w.config, host.Options{Attach: true, StateDir: t.TempDir()}, w.dir)
	requireSentence(t, err, `attach to plugin "design-tool"`, "the process is gone", "--debug-plugin")
}

// TestAttachHoldsForASingleApp: one-shot and as a service, neither of which needs its
// binary.
func TestAttachHoldsForASingleApp(t *testing.T) { //nolint:paralleltest // It sets variables.
	app := startApp(t, scimsandbox.Options{App: "scim", Accounts: 12, Seed: 1})
	d := startDebuggee(t)
	tenant := startC1(t, c1.Options{})
	client, err := tenant.AddClient("scim")
	require.NoError(t, err)
	for name, value := range map[string]string{
		plugin.ReattachEnv: d.value, "BATON_SCIM_BASE_URL": app.url, "BATON_SCIM_TOKEN": app.token, "BATON_SCIM_GROUPS": "false",
		"BATON_CLIENT_ID": client.ID, "BATON_CLIENT_SECRET": client.Secret,
	} {
		t.Setenv(name, value)
	}
	path := filepath.Join(t.TempDir(), "x.c1z")
	h, err := host.Open(t.Context(), host.Selection{App: "scim"}, host.Options{Attach: true, Secrets: host.PluginSecrets})
	require.NoError(t, err)
	_, err = h.Sync(t.Context(), host.SyncOptions{File: path})
	require.NoError(t, err)
	require.Equal(t, app.seeded("scim"), accountsIn(t, path))

	h, err = host.Open(t.Context(), host.Selection{Plugin: "scim"}, host.Options{Attach: true, Secrets: host.PluginSecrets})
	require.NoError(t, err, "what is attached to needs no binary")
	h.Close(t.Context())

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	h, err = host.Open(ctx, host.Selection{App: "scim"}, host.Options{Attach: true, StateDir: t.TempDir()})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, host.ServeOptions{}) }()
	require.Equal(t, app.seeded("scim"), tenant.synced(t, tenant.fullSync(t, "scim")))
	stop()
	require.NoError(t, <-served)
	h.Close(t.Context())
	require.NoError(t, d.cmd.Process.Signal(syscall.Signal(0)), "it outlives the hosts")
}

func TestAttachFailsWhereThePluginGoesAway(t *testing.T) {
	app := startApp(t, scimsandbox.Options{App: "scim", Accounts: 3000, PageCap: 10, Seed: 1})
	config := configuration(t, []string{app.entry("people")}, "workforce: { plugins: [people] }")
	d := startDebuggee(t)
	t.Setenv(plugin.ReattachEnv, d.named(t, "people"))
	reached, release := app.hold(5)
	defer release()
	go func() {
		<-reached
		_ = d.cmd.Process.Kill()
	}()
	done := make(chan error, 1)
	go func() {
		_, err := oneShot(t, config, t.TempDir(), host.Options{Attach: true, RetryFor: time.Hour})
		done <- err
	}()
	select {
	case err := <-done:
		requireSentence(t, err, `the process of plugin "people" ended`, "attached to by BATON_HOST_REATTACH", "not started again")
	case <-time.After(patience):
		require.Fail(t, "the host waits for a plugin that is not started again")
	}
}

func TestAttachExplainsABadValue(t *testing.T) {
	w := newWorkforce(t, scimsandbox.Options{}, scimsandbox.Options{}, "")
	twice := writeFile(t, `
plugins:
  one: { app: scim, config: { scim-base-url: "http://127.0.0.1:1", scim-token: x } }
  two: { app: scim, config: { scim-base-url: "http://127.0.0.1:1", scim-token: x } }
uploads: { workforce: { plugins: [one, two] } }
`)
	socket := filepath.Join(t.TempDir(), "s")
	value := func(protocol, network, address string) string {
		encoded, err := json.Marshal(map[string]any{"fullstory": map[string]any{
			"Protocol": protocol, "ProtocolVersion": 1, "Pid": os.Getpid(), "Addr": map[string]string{"Network": network, "String": address},
		}})
		require.NoError(t, err)
		return string(encoded)
	}
	for name, c := range map[string]struct {
		config, value string
		want          []string
	}{
		"no JSON":            {w.config, "{", []string{"not what --debug-plugin prints", "unset BATON_HOST_REATTACH"}},
		"other JSON":         {w.config, `["fullstory"]`, []string{"not what --debug-plugin prints"}},
		"nothing in it":      {w.config, `{"fullstory":{}}`, []string{`plugin "fullstory"`, `protocol is ""`}},
		"another protocol":   {w.config, value("netrpc", "unix", socket), []string{`protocol is "netrpc"`}},
		"no address":         {w.config, value("grpc", "", ""), []string{"no address"}},
		"another machine":    {w.config, value("grpc", "tcp", "example.com:1"), []string{"no address"}},
		"no socket":          {w.config, value("grpc", "unix", socket), []string{`attach to plugin "fullstory"`, "its socket is gone"}},
		"an unknown plugin":  {w.config, strings.ReplaceAll(value("grpc", "unix", socket), "fullstory", "ghost"), []string{`names the plugin "ghost"`, "fullstory, design-tool"}},
		"an app of two":      {twice, strings.ReplaceAll(value("grpc", "unix", socket), "fullstory", "scim"), []string{`the app "scim"`, "one and two"}},
		"a process that was": {w.config, strings.Replace(value("grpc", "unix", socket), `"Pid":`, `"Pid":9999999,"Was":`, 1), []string{"the process is gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(plugin.ReattachEnv, c.value)
			_, err := oneShot(t, c.config, t.TempDir(), host.Options{Attach: true})
			requireSentence(t, err, c.want...)
		})
	}
}
