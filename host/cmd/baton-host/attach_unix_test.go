//go:build unix

package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// debuggee is a plugin that a person has started in a debugger.
type debuggee struct {
	cmd       *exec.Cmd
	temporary string
	// value is what BATON_HOST_REATTACH is to be.
	value string
}

func startDebuggee(t *testing.T, name string) *debuggee {
	t.Helper()
	d := &debuggee{temporary: temporaryDir(t)}
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

func TestAttach_SyncsAPluginThatRunsAlready(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 1200, Seed: 1})
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 30, Seed: 2})
	config, env := twoApps(t, fullstory, design)
	d := startDebuggee(t, "baton-scim")
	info, err := os.Stat(filepath.Dir(socketIn(t, d.temporary)))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "no other user may come in")

	out := t.TempDir()
	result := execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "sync", "--config", config, "--output-dir", out)
	require.Equal(t, 0, result.status, result.stderr)
	require.Contains(t, result.stderr, `warning: plugin "design-tool" is attached to`)
	require.Regexp(t, `workforce +design-tool +30 +complete`, result.stdout)
	require.Regexp(t, `workforce +fullstory +1200 +complete`, result.stdout)
	alone := execute(t, []string{"BATON_HOST_REATTACH=" + d.value, "BATON_SCIM_BASE_URL=" + design.url, "BATON_SCIM_TOKEN=" + design.token, "BATON_SCIM_GROUPS=false"},
		"baton-host", "sync", "--plugin", "scim", "-f", filepath.Join(out, "x.c1z"))
	require.Equal(t, 0, alone.status, alone.stderr)
	require.Contains(t, alone.stderr, `warning: plugin "scim" is attached to`)
	checked := execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "check", "--config", config)
	require.Equal(t, 0, checked.status, checked.stderr)
	require.Contains(t, checked.stderr, `warning: plugin "design-tool" is attached to`)

	inspected := execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "inspect", "design-tool", "--config", config)
	require.Equal(t, 0, inspected.status, inspected.stderr)
	require.NotContains(t, inspected.stderr, "attached to", "what a plugin is comes from its binary")

	require.NoError(t, d.cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, d.cmd.Wait(), "Ctrl-C ends it in peace")
	left, err := os.ReadDir(d.temporary)
	require.NoError(t, err)
	require.Empty(t, left)
	requireSentence(t, execute(t, append(env, "BATON_HOST_REATTACH="+d.value), "baton-host", "check", "--config", config),
		[]string{`attach to plugin "design-tool"`, "the process is gone", "--debug-plugin"})
}

// TestAttach_ServesOneAppToo: `run --plugin` is what an author debugs service mode with.
func TestAttach_ServesOneAppToo(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 12, Seed: 1})
	d := startDebuggee(t, "baton-fullstory")
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

// socketIn returns the socket of the only plugin that has its own in the directory.
func socketIn(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "plugin*"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}
