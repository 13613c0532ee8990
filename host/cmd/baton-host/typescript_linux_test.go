//go:build e2e

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin"
)

// typeScript is the example in TypeScript, as `make e2e` compiles it.
const typeScript = "../../../examples/typescript"

func typeScriptMain(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(typeScript + "/dist/main.js")
	require.NoError(t, err)
	require.FileExists(t, path, "compile the example first: make e2e")
	return path
}

func typeScriptConfig(t *testing.T, d *directory) string {
	t.Helper()
	return writeConfig(t, fmt.Sprintf(`
plugins:
  directory:
    command: [node, %q]
    start-timeout: 2m # Node is slow where it has to share a machine.
    config: { base-url: %q, token: "${env:TOKEN}", page-size: 10 }
uploads:
  workforce: { plugins: [directory] }
`, typeScriptMain(t), d.url))
}

// grantsIn returns the grants in a sync file, as "entitlement: type/principal".
func grantsIn(t *testing.T, file string) map[string]bool {
	t.Helper()
	var grants struct {
		Grants []struct {
			Entitlement struct {
				ID string `json:"id"`
			} `json:"entitlement"`
			Principal struct {
				ID struct {
					ResourceType string `json:"resourceType"`
					Resource     string `json:"resource"`
				} `json:"id"`
			} `json:"principal"`
		} `json:"grants"`
	}
	batonJSON(t, file, &grants, "grants")
	got := map[string]bool{}
	for _, row := range grants.Grants {
		got[fmt.Sprintf("%s: %s/%s", row.Entitlement.ID, row.Principal.ID.ResourceType, row.Principal.ID.Resource)] = true
	}
	return got
}

// requireTheDirectory checks that a sync file holds what the directory does.
func requireTheDirectory(t *testing.T, file string, d *directory) {
	t.Helper()
	require.ElementsMatch(t, d.accounts(), accountsIn(t, file))
	require.Equal(t, d.grants(), grantsIn(t, file))
}

func TestTypeScriptPluginIsSyncedAndLocked(t *testing.T) {
	t.Parallel()
	d := startDirectory(t, nil)
	config := typeScriptConfig(t, d)
	env := []string{"TOKEN=" + d.token}
	for _, locked := range []bool{false, true} {
		if locked {
			result := execute(t, env, "baton-host", "lock", "--config", config)
			require.Equal(t, 0, result.status, result.stderr)
			text, err := os.ReadFile(filepath.Join(filepath.Dir(config), "baton-host.lock"))
			require.NoError(t, err)
			require.Contains(t, string(text), typeScriptMain(t)+": sha256:")
		}
		out := t.TempDir()
		result := execute(t, env, "baton-host", "sync", "--config", config, "--output-dir", out)
		require.Equal(t, 0, result.status, result.stderr)
		requireTheDirectory(t, filepath.Join(out, "workforce.c1z"), d)
	}
}

func TestTypeScriptPluginPassesTheTest(t *testing.T) {
	t.Parallel()
	d := startDirectory(t, nil)
	result := execute(t, []string{"TOKEN=" + d.token}, "baton-host", "test", "directory", "--config", typeScriptConfig(t, d))
	require.Equal(t, 0, result.status, result.stdout+result.stderr)
	require.Regexp(t, `\nbaton-directory \S+: 26 passed, 0 failed, 0 skipped\n\nIt needs nothing beyond what every plugin may use.\n$`, result.stdout)
	require.NotContains(t, result.stdout+result.stderr, d.token)
}

// TestTypeScriptPluginKilledInMidListingCostsNothing kills the plugin at requests
// all over a sync. The next process goes on where that one was.
func TestTypeScriptPluginKilledInMidListingCostsNothing(t *testing.T) {
	t.Parallel()
	for path, again := range map[string]string{
		"/users?limit=10&cursor=30":                   "/users?limit=10",
		"/groups?limit=10":                            "",
		"/groups/group-00/members?limit=10&cursor=20": "/groups/group-00/members?limit=10",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var host *exec.Cmd
			var once sync.Once
			started := make(chan struct{})
			killed := 0
			d := startDirectory(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.String() != path {
					return false
				}
				answered := false
				once.Do(func() {
					<-started
					killed = childCalled(host.Process.Pid, "node")
					_ = syscall.Kill(killed, syscall.SIGKILL)
					answered = true // The answer does not arrive.
				})
				return answered
			})
			out := t.TempDir()
			var output bytes.Buffer
			host = command(t.Context(), t, []string{"TOKEN=" + d.token}, "baton-host", "sync", "--config", typeScriptConfig(t, d), "--output-dir", out)
			host.Stderr = &output
			require.NoError(t, host.Start())
			close(started)
			require.NoError(t, host.Wait(), output.String())
			require.NotZero(t, killed)
			requireTheDirectory(t, filepath.Join(out, "workforce.c1z"), d)
			require.Equal(t, 2, d.asked(path))
			if again != "" {
				require.Equal(t, 1, d.asked(again), "the listing began from the start")
			}
		})
	}
}

// TestTypeScriptPluginEndsWithItsHost kills a host while its plugin waits for the
// app.
func TestTypeScriptPluginEndsWithItsHost(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	d := startDirectory(t, func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	})
	host := command(t.Context(), t, []string{"TOKEN=" + d.token, "TMPDIR=" + temporaryDir(t)}, "baton-host", "sync", "--config", typeScriptConfig(t, d))
	require.NoError(t, host.Start())
	<-asked
	node := childCalled(host.Process.Pid, "node")
	require.NotZero(t, node)
	require.NoError(t, host.Process.Kill())
	_ = host.Wait()
	requireGone(t, node)
}

// TestTypeScriptPluginFollowsItsLifeline starts the plugin as a host does, but for
// the kernel's own signal, which would hide what the lifeline does.
func TestTypeScriptPluginFollowsItsLifeline(t *testing.T) {
	t.Parallel()
	theirs, ours, err := os.Pipe()
	require.NoError(t, err)
	node := exec.CommandContext(t.Context(), "node", typeScriptMain(t)) //nolint:gosec // The program under test.
	node.Env = []string{
		plugin.Handshake.MagicCookieKey + "=" + plugin.Handshake.MagicCookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=1,2", "PLUGIN_CLIENT_CERT=" + hostCertificate(t), "PLUGIN_UNIX_SOCKET_DIR=" + temporaryDir(t),
		plugin.LifelineEnv + "=3", plugin.HostPIDEnv + "=" + strconv.Itoa(os.Getpid()),
	}
	node.ExtraFiles = []*os.File{theirs}
	node.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	require.NoError(t, theirs.Close())
	t.Cleanup(func() { _ = node.Process.Kill() })

	line := make([]byte, 64<<10)
	n, err := stdout.Read(line)
	require.NoError(t, err)
	require.Regexp(t, `^1\|1\|unix\|/[^|]+\|grpc\|[A-Za-z0-9+/]{50,}\n$`, string(line[:n]))
	// The host is there, so these are none of the plugin's business.
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		require.NoError(t, node.Process.Signal(signal))
	}
	require.NoError(t, ours.Close())
	_ = node.Wait()
	status, ok := node.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal(), "it has killed its own group: %s", node.ProcessState)
}

func TestTypeScriptPluginTakesNoBadConfiguration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ token, config, want string }{
		"what the host finds in the schema": {"right-token", `base-url: nonsense`, `:6:25: "base-url" must be an absolute URI`},
		"a value that only the plugin refuses": {
			"right-token", `base-url: "ftp://files.example.com/"`,
			`:6:25: plugin "directory": "base-url": the value must begin with https:// (or http://) and hold no password`,
		},
		"a rule that the host leaves to the plugin": {
			"right-token", `base-url: "https://example.com", page-size: 0`,
			`plugin "directory": "page-size": the value must be at least 1`,
		},
		"a secret that breaks its rule": {"shorty", `base-url: "https://example.com"`, `"token" must have at least 8 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := writeConfig(t, fmt.Sprintf(`
plugins:
  directory:
    command: [node, %q]
    start-timeout: 2m
    config: { %s, token: "${env:TOKEN}" }
uploads: { workforce: { plugins: [directory] } }
`, typeScriptMain(t), c.config))
			result := execute(t, []string{"TOKEN=" + c.token}, "baton-host", "check", "--config", config)
			require.Equal(t, 1, result.status)
			require.Contains(t, result.stderr, c.want)
			require.NotContains(t, result.stderr, c.token)
		})
	}
}

func TestTypeScriptPluginKeepsItsSecret(t *testing.T) {
	t.Parallel()
	for _, right := range []bool{true, false} {
		d := startDirectory(t, nil)
		d.token = tokenCanary
		given := tokenCanary
		if !right {
			given += "x"
		}
		dir := t.TempDir()
		result := execute(t, []string{"TOKEN=" + given}, "baton-host", "sync", "--config", typeScriptConfig(t, d), "--output-dir", dir, "--log-level", "debug")
		if right {
			require.Equal(t, 0, result.status, result.stderr)
		} else {
			require.Equal(t, 1, result.status)
			require.Contains(t, result.stderr, "the directory answered 401 for users: it does not accept the token")
		}
		require.Contains(t, result.stderr, "asking the directory", "the plugin's own log is among it")
		requireNoSecret(t, result, dir)
	}
}

func TestTypeScriptPluginPassesTheAppsRateLimitOn(t *testing.T) {
	t.Parallel()
	var once sync.Once
	d := startDirectory(t, func(w http.ResponseWriter, r *http.Request) bool {
		limited := false
		if r.URL.Query().Get("cursor") == "20" {
			once.Do(func() {
				limited = true
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusTooManyRequests)
			})
		}
		return limited
	})
	out := t.TempDir()
	result := execute(t, []string{"TOKEN=" + d.token}, "baton-host", "sync", "--config", typeScriptConfig(t, d), "--output-dir", out, "--log-level", "warn")
	require.Equal(t, 0, result.status, result.stderr)
	requireTheDirectory(t, filepath.Join(out, "workforce.c1z"), d)

	var waited float64
	for line := range strings.Lines(result.stderr) {
		var entry struct {
			Message string  `json:"msg"`
			Wait    float64 `json:"wait"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Message, "plugin call failed") {
			waited = entry.Wait
		}
	}
	require.Greater(t, waited, 1.0, "the app's own time is longer than the host's first back-off: %s", result.stderr)
}

// TestTypeScriptProtosAreTheOnesOfTheirSources: the example brings copies, so that
// it can be copied itself.
func TestTypeScriptProtosAreTheOnesOfTheirSources(t *testing.T) {
	t.Parallel()
	sources := map[string]string{"baton": "../../../proto"}
	for dir, module := range map[string]string{"c1": "github.com/conductorone/baton-sdk", "validate": "github.com/envoyproxy/protoc-gen-validate"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output() //nolint:gosec // One of the modules above.
		require.NoError(t, err)
		sources[dir] = strings.TrimSpace(string(out))
	}
	sources["c1"] += "/proto"
	for dir, source := range sources {
		files := 0
		require.NoError(t, filepath.WalkDir(filepath.Join(typeScript, "proto", dir), func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".proto" {
				return err
			}
			files++
			relative, err := filepath.Rel(filepath.Join(typeScript, "proto"), path)
			require.NoError(t, err)
			got, err := os.ReadFile(path) //nolint:gosec // A file of this repository.
			require.NoError(t, err)
			want, err := os.ReadFile(filepath.Join(source, relative))
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), "copy it again: %s", relative)
			return nil
		}))
		require.NotZero(t, files, dir)
	}
}
