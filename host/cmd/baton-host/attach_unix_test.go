//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// debugged is a plugin that a person has started in a debugger.
type debugged struct {
	cmd       *exec.Cmd
	temporary string
	// value is what BATON_HOST_REATTACH is to be.
	value string
}

func startDebugged(t *testing.T, name string) *debugged {
	t.Helper()
	d := &debugged{temporary: temporaryDir(t)}
	d.cmd = command(t.Context(), t, []string{"TMPDIR=" + d.temporary}, name, "--debug-plugin")
	output, err := d.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, d.cmd.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	value, ok := strings.CutPrefix(strings.TrimSpace(line), "export BATON_HOST_REATTACH='")
	require.True(t, ok, line)
	d.value = strings.TrimSuffix(value, "'")
	return d
}

// named is the value with another name for the plugin.
func (d *debugged) named(t *testing.T, name string) string {
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

func TestAHostAttachesToAPluginThatRunsAlready(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 1200, Seed: 1})
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 30, Seed: 2})
	config, env := twoApps(t, fullstory, design)
	d := startDebugged(t, "baton-scim")
	info, err := os.Stat(filepath.Dir(socketIn(t, d.temporary)))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "nobody else may come in")

	out := t.TempDir()
	// An app's name finds its only instance, its binary's name does, and the
	// instance's own. The process takes one configuration after the other.
	for _, name := range []string{"scim", "baton-scim", "design-tool"} {
		result := execute(t, append(env, "BATON_HOST_REATTACH="+d.named(t, name)), "baton-host", "sync", "--config", config, "--output-dir", out)
		require.Equal(t, 0, result.status, result.stderr)
		require.Contains(t, result.stderr, `warning: plugin "design-tool" is attached to`)
		require.Regexp(t, `workforce +design-tool +30 +complete`, result.stdout)
		require.Regexp(t, `workforce +fullstory +1200 +complete`, result.stdout)
	}
	alone := execute(t, []string{"BATON_HOST_REATTACH=" + d.value, "BATON_SCIM_BASE_URL=" + design.url, "BATON_SCIM_TOKEN=" + design.token, "BATON_SCIM_GROUPS=false"},
		"baton-host", "sync", "--plugin", "scim", "-f", filepath.Join(out, "x.c1z"))
	require.Equal(t, 0, alone.status, alone.stderr)

	// A lock knows nothing of it, and need not.
	require.Equal(t, 0, execute(t, nil, "baton-host", "lock", "--config", config).status)
	checked := execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "check", "--config", config)
	require.Equal(t, 0, checked.status, checked.stderr)

	inspected := execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "inspect", "design-tool", "--config", config)
	require.Equal(t, 0, inspected.status, inspected.stderr)
	require.NotContains(t, inspected.stderr, "attached to", "what a plugin is, its binary says")

	require.NoError(t, d.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, d.cmd.Wait(), "Ctrl-C ends it in peace")
	left, err := os.ReadDir(d.temporary)
	require.NoError(t, err)
	require.Empty(t, left)
	requireSentence(t, execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "check", "--config", config),
		[]string{`attach to plugin "design-tool"`, "the process is gone", "--debug-plugin"})
}

// TestAServiceOfOneAppAttachesToo: `run --plugin` is what an author debugs service mode with.
func TestAServiceOfOneAppAttachesToo(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 12, Seed: 1})
	d := startDebugged(t, "baton-fullstory")
	c := startC1(t, c1.Options{})
	credentials := c.client(t, "fullstory")
	task := c.fullSync(t, "fullstory")
	host := startRun(t, []string{
		c.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret,
		"BATON_HOST_REATTACH=" + d.value, "BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token,
	}, "--plugin", "fullstory", "--state-dir", t.TempDir())
	require.True(t, c.finished(t, task).Succeeded)
	require.Zero(t, childCalled(host.cmd.Process.Pid, "baton-fullstory"), "nothing is started")
	host.signal(syscall.SIGTERM)
	require.Zero(t, host.ends())
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, d.cmd.Wait())
}

// socketIn is the socket of the only plugin that has its own in the directory.
func socketIn(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "plugin*"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func TestAnAttachedPluginThatGoesAwayIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 20000, Seed: 1, Latency: 20 * time.Millisecond})
	d := startDebugged(t, "baton-fullstory")
	sync := command(t.Context(), t, []string{"BATON_HOST_REATTACH=" + d.value, "BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token},
		"baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "x.c1z"))
	var said bytes.Buffer
	sync.Stderr = &said
	require.NoError(t, sync.Start())
	ended := make(chan struct{})
	go func() { _ = sync.Wait(); close(ended) }()
	require.Eventually(t, func() bool { return len(app.server.Requests()) > 5 }, time.Minute, time.Millisecond)
	require.NoError(t, d.cmd.Process.Kill())
	_ = d.cmd.Wait()
	select {
	case <-ended:
		requireSentence(t, run{stderr: said.String(), status: sync.ProcessState.ExitCode()}, []string{`the process of plugin "fullstory" ended`, "attached to by BATON_HOST_REATTACH", "not started again"})
	case <-time.After(time.Minute):
		t.Fatal("the host waits for a plugin that nobody starts")
	}
}

func TestABadReattachIsExplained(t *testing.T) {
	t.Parallel()
	config, env := twoApps(t, startApp(t, scim.Options{App: "fullstory"}), startApp(t, scim.Options{App: "design-tool"}))
	twice := writeConfig(t, `
plugins:
  one: { app: scim, config: { scim-base-url: "http://127.0.0.1:1", scim-token: x } }
  two: { app: scim, config: { scim-base-url: "http://127.0.0.1:1", scim-token: x } }
uploads: { workforce: { plugins: [one, two] } }
`)
	socket := filepath.Join(temporaryDir(t), "s")
	self := func(protocol, network, address string) string {
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
		"no JSON":            {config, "{", []string{"not what --debug-plugin prints", "unset BATON_HOST_REATTACH"}},
		"other JSON":         {config, `["fullstory"]`, []string{"not what --debug-plugin prints"}},
		"nothing in it":      {config, `{"fullstory":{}}`, []string{`plugin "fullstory"`, `protocol is ""`}},
		"another protocol":   {config, self("netrpc", "unix", socket), []string{`protocol is "netrpc"`}},
		"no address":         {config, self("grpc", "", ""), []string{"no address"}},
		"another machine":    {config, self("grpc", "tcp", "example.com:1"), []string{"no address"}},
		"no socket":          {config, self("grpc", "unix", socket), []string{`attach to plugin "fullstory"`, "its socket is gone"}},
		"unknown plugin":     {config, strings.ReplaceAll(self("grpc", "unix", socket), "fullstory", "ghost"), []string{`names the plugin "ghost"`, "fullstory, design-tool"}},
		"an app of two":      {twice, strings.ReplaceAll(self("grpc", "unix", socket), "fullstory", "scim"), []string{`the app "scim"`, "one and two"}},
		"a process that was": {config, strings.Replace(self("grpc", "unix", socket), `"Pid":`, `"Pid":9999999,"Was":`, 1), []string{"the process is gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, append(env, "BATON_HOST_REATTACH="+c.value), "baton-host", "sync", "--config", c.config)
			requireSentence(t, result, c.want)
		})
	}
}
