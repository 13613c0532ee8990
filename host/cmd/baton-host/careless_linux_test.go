package main_test

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/canary"
)

// The secrets of baton-careless: with what has to be escaped, with a word before
// it, and of several lines.
var carelessSecrets = map[string]string{
	"token":  "c4n4ry-t0ken/9f8e7d+51c2~\"b60\"&é=",
	"header": "c4n4ry-h3ader-2b64c8f0aa",
	"key":    "-----BEGIN KEY-----\nc4n4ryAAkey0line1aa77e1b903d5f\nc4n4ryBBkey0line2bb8f02d61c94e\n-----END KEY-----",
}

// carelessTraces returns what may not be seen of them: the lines of the key by
// themselves, the header's value without its name.
func carelessTraces() []string {
	lines := strings.Split(carelessSecrets["key"], "\n")
	return []string{carelessSecrets["token"], carelessSecrets["header"], lines[1], lines[2]}
}

// careless is a directory with the configuration of a careless plugin, whose
// secrets come from files: nothing of them is in an environment. The
// secrets are elsewhere, so that everything in the directory may be searched.
type careless struct{ dir, config, state, tmp string }

func newCareless(t *testing.T, habit, sign string) careless {
	t.Helper()
	secrets := t.TempDir()
	for name, secret := range carelessSecrets {
		require.NoError(t, os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600))
	}
	dir := temporaryDir(t)
	c := careless{dir: dir, config: filepath.Join(dir, "baton-host.yaml"), state: filepath.Join(dir, "state"), tmp: filepath.Join(dir, "tmp")}
	require.NoError(t, os.Mkdir(c.tmp, 0o700))
	require.NoError(t, os.WriteFile(c.config, []byte(fmt.Sprintf(`
plugins:
  careless:
    sandbox: { write: [%[4]s] }
    config:
      token: ${file:%[1]s/token}
      keys: ["X-Key: ${file:%[1]s/header}", "${file:%[1]s/key}"]
      habit: %[2]s
      sign-at: %[3]s
uploads: { w: { plugins: [careless] } }
`, secrets, habit, sign, filepath.Dir(cmp.Or(sign, filepath.Join(dir, "none", "sign"))))), 0o600))
	return c
}

func (c careless) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(ctx, t, []string{"TMPDIR=" + c.tmp}, "baton-host", append(args, "--config", c.config, "--log-level", "debug")...)
	cmd.Dir = c.dir
	return cmd
}

// search returns the first trace of a secret in each of these places.
func search(places map[string][]byte) map[string]string {
	found := map[string]string{}
	for where, what := range places {
		for _, trace := range carelessTraces() {
			if piece := canary.Find(what, trace); piece != "" {
				found[where] = piece
			}
		}
	}
	return found
}

// places returns the files of a directory and their names.
func places(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	files := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		found["the name of "+path] = []byte(path)
		if entry.Type().IsRegular() {
			found[path], err = fs.ReadFile(files, path)
		}
		return err
	}))
	return found
}

// ofProcess returns what everybody with the same user may read of a process.
func ofProcess(t *testing.T, pid int) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, name := range []string{"environ", "cmdline", "comm", "status"} {
		path := fmt.Sprintf("/proc/%d/%s", pid, name)
		// A process that has just been started has none yet.
		require.Eventually(t, func() bool {
			content, err := os.ReadFile(path)
			found[path] = content
			return err == nil && len(content) > 0
		}, time.Minute, time.Millisecond, path)
	}
	return found
}

// TestSearch_FindsWhatIsPlanted plants each secret in each place that is
// searched below.
func TestSearch_FindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	for _, trace := range carelessTraces() {
		for _, planted := range canary.Planted(trace) {
			require.NotEmpty(t, search(map[string][]byte{"log": []byte("before " + planted + " after")}), planted)
		}
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("token: "+trace), 0o600))
		require.NoError(t, os.Mkdir(filepath.Join(dir, strings.ReplaceAll(trace, "/", "-")), 0o700))
		require.Contains(t, search(places(t, dir)), "file")
		if !strings.Contains(trace, "/") {
			require.Len(t, search(places(t, dir)), 2, "in a name too")
		}

		for where, cmd := range map[string]*exec.Cmd{
			"environ": exec.CommandContext(t.Context(), "sleep", "3600"),
			"cmdline": exec.CommandContext(t.Context(), "sh", "-c", "read -r _", trace), //nolint:gosec // The argument does nothing.
		} {
			if where == "environ" {
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TOKEN=" + trace}
			}
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			found := search(ofProcess(t, cmd.Process.Pid))
			require.NoError(t, stdin.Close())
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			require.Len(t, found, 1, found)
			require.Contains(t, found, fmt.Sprintf("/proc/%d/%s", cmd.Process.Pid, where))
		}
	}
}

// TestRedaction_HidesSecretsOfACarelessPlugin runs a plugin that logs, prints, fails and
// falls over with its secrets in every form.
func TestRedaction_HidesSecretsOfACarelessPlugin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		habit  string
		args   []string
		status int
		says   []string
	}{
		"check, logs":      {"none", []string{"check"}, 0, []string{"standard error 0: (secret)", "os.Stderr 0: (secret)", "os.Stdout 0: (secret)", "zap: (secret)", `"stream":"stdout"`}},
		"sync, logs":       {"none", []string{"sync", "--output-dir", "."}, 0, []string{"zap: (secret)"}},
		"check, fails":     {"fail", []string{"check"}, 1, []string{"refused: (secret)"}},
		"sync, fails":      {"fail", []string{"sync", "--output-dir", ".", "--retry-for", "0s"}, 1, []string{"refused: (secret)"}},
		"check, panics":    {"panic", []string{"check"}, 1, []string{"panic: cannot go on with (secret)", "its last words"}},
		"sync, panics":     {"panic", []string{"sync", "--output-dir", ".", "--retry-for", "0s"}, 1, []string{"panic: cannot go on with (secret)"}},
		"check, not built": {"refuse", []string{"check"}, 1, []string{"cannot be built with"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			careless := newCareless(t, c.habit, "")
			result := finish(t, careless.command(ctx, t, c.args...))
			require.Equal(t, c.status, result.status, result.stderr)
			for _, says := range c.says {
				require.Contains(t, result.stderr, says)
			}
			found := places(t, careless.dir)
			found["standard output"], found["standard error"] = []byte(result.stdout), []byte(result.stderr)
			require.Empty(t, search(found))
			left, err := os.ReadDir(careless.tmp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestRedaction_HidesSecretsOfACarelessPluginFromC1 runs the careless plugin as a service.
func TestRedaction_HidesSecretsOfACarelessPluginFromC1(t *testing.T) {
	t.Parallel()
	for habit, c := range map[string]struct {
		succeeds bool
		says     string
	}{
		"none":  {true, ""},
		"fail":  {false, "refused: (secret)"},
		"panic": {false, "panic: cannot go on with (secret)"},
	} {
		t.Run(habit, func(t *testing.T) {
			t.Parallel()
			tenant := startC1(t, c1.Options{})
			credentials := tenant.client(t, "w")
			careless := newCareless(t, habit, "")
			host := startRunIn(t, careless.tmp, []string{tenant.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret},
				"--config", careless.config, "--state-dir", careless.state, "--log-level", "debug", "--retry-for", "0s", "--listen", "127.0.0.1:0")
			outcome := tenant.finished(t, tenant.fullSync(t, "w"))
			require.Equal(t, c.succeeds, outcome.Succeeded, "%v", outcome.Status)
			reported := prototext.Format(outcome.Status)
			require.Contains(t, reported, c.says)
			found := map[string][]byte{"what C1 receives": []byte(reported)}
			for _, path := range []string{"/metrics", "/", "/status.json"} {
				_, body := host.serves(path)
				found[path] = []byte(body)
			}
			host.stop()
			found["the log"] = []byte(host.output.String())
			require.Contains(t, host.output.String(), "zap: (secret)")
			maps.Copy(found, places(t, careless.dir))
			require.Empty(t, search(found))
		})
	}
}

// TestSecrets_AreNotInWhatASystemShowsOfProcesses looks at host and plugin while the
// plugin is at work.
func TestSecrets_AreNotInWhatASystemShowsOfProcesses(t *testing.T) {
	t.Parallel()
	sign := filepath.Join(t.TempDir(), "sign")
	careless := newCareless(t, "none", sign)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := careless.command(ctx, t, "sync", "--output-dir", ".")
	var output strings.Builder
	cmd.Stderr = &output
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(sign); return err == nil }, time.Minute, 10*time.Millisecond)

	found := places(t, careless.dir)
	processes := append(slices.Collect(maps.Keys(childrenOf(cmd.Process.Pid))), cmd.Process.Pid)
	require.Len(t, processes, 2)
	for _, pid := range processes {
		maps.Copy(found, ofProcess(t, pid))
	}
	require.Empty(t, search(found))
	require.NoError(t, os.Remove(sign))
	require.NoError(t, cmd.Wait(), output.String())
	require.Empty(t, search(map[string][]byte{"standard error": []byte(output.String())}))
}
