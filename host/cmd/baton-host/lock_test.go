package main_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// locked is a configuration of two apps whose plugins are in a directory of
// their own, so that they can be changed.
type locked struct {
	config, lock, plugins, out string
	env                        []string
	args                       []string
}

func newLocked(t *testing.T) *locked {
	t.Helper()
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 20})
	l := &locked{plugins: t.TempDir(), out: t.TempDir()}
	for _, name := range []string{"baton-fullstory", "baton-scim"} {
		binary, err := os.ReadFile(filepath.Join(bin, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(l.plugins, name), binary, 0o700)) //nolint:gosec // It is to be executed.
	}
	l.config, l.env = twoApps(t, startApp(t, scim.Options{Accounts: 25}), design)
	l.lock = filepath.Join(filepath.Dir(l.config), "baton-host.lock")
	l.args = []string{"--config", l.config, "--plugin-dir", l.plugins}
	return l
}

// do runs a command, with no secret for lock.
func (l *locked) do(t *testing.T, name string, args ...string) run {
	t.Helper()
	env := l.env
	if name == "lock" {
		env = nil
	} else if name == "sync" {
		args = append(args, "--output-dir", l.out)
	}
	return execute(t, env, "baton-host", append(append([]string{name}, l.args...), args...)...)
}

func (l *locked) spoil(t *testing.T, name string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(l.plugins, name), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

func TestALockedPluginIsStartedAsLongAsItIsTheSame(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	written := l.do(t, "lock")
	require.Equal(t, 0, written.status, written.stderr)
	require.Regexp(t, `fullstory +\S+ +new\n`, written.stdout)
	first, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	require.Contains(t, string(first), runtime.GOOS+"/"+runtime.GOARCH)
	require.NotContains(t, string(first), l.plugins, "no path of this machine")

	again := l.do(t, "lock")
	require.Equal(t, 0, again.status, again.stderr)
	require.Regexp(t, `fullstory +\S+ +unchanged\n`, again.stdout)
	second, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
	require.Equal(t, 0, l.do(t, "lock", "--check").status)
	require.Equal(t, 0, l.do(t, "check").status)
	require.Equal(t, 0, l.do(t, "sync").status)

	l.spoil(t, "baton-scim")
	for _, command := range []string{"check", "sync"} {
		refused := l.do(t, command)
		require.Equal(t, 1, refused.status)
		require.Contains(t, refused.stderr, `plugin "design-tool" is not started: `+filepath.Join(l.plugins, "baton-scim")+" is sha256:")
		require.Contains(t, refused.stderr, l.lock+" says that it is sha256:")
		require.Contains(t, refused.stderr, "accept it with: baton-host lock --config "+l.config)
	}
	checked := l.do(t, "lock", "--check")
	require.Equal(t, 1, checked.status)
	require.Contains(t, checked.stderr, `plugin "design-tool" differs from `+l.lock+": the executable was sha256:")
	unchanged, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	require.Equal(t, string(first), string(unchanged), "--check writes nothing")

	loud := l.do(t, "sync", "--unlocked")
	require.Equal(t, 0, loud.status, loud.stderr)
	require.Contains(t, loud.stderr, "is ignored (--unlocked)")

	accepted := l.do(t, "lock")
	require.Equal(t, 0, accepted.status, accepted.stderr)
	require.Regexp(t, `design-tool +\S+ +the executable was sha256:\w+ and is sha256:\w+\n`, accepted.stdout)
	require.Equal(t, 0, l.do(t, "sync").status)
}

func TestOtherPlatformsStayLocked(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	require.Equal(t, 0, l.do(t, "lock").status)
	text, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	here := runtime.GOOS + "/" + runtime.GOARCH
	elsewhere := strings.ReplaceAll(string(text), here, "plan9/mips")
	require.NoError(t, os.WriteFile(l.lock, []byte(elsewhere), 0o600))
	refused := l.do(t, "sync")
	require.Equal(t, 1, refused.status)
	require.Contains(t, refused.stderr, `plugin "fullstory" is locked in `+l.lock+" for plan9/mips only, not for "+here)

	require.Equal(t, 0, l.do(t, "lock").status)
	both, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(both), "plan9/mips:"))
	require.Equal(t, 2, strings.Count(string(both), here+":"))
	require.Equal(t, 0, l.do(t, "sync").status)

	other := strings.ReplaceAll(elsewhere, "version: ", "version: other-")
	other = strings.Replace(other, "version: other-1", "version: 1", 1)
	require.NoError(t, os.WriteFile(l.lock, []byte(other), 0o600))
	require.Equal(t, 0, l.do(t, "lock").status)
	now, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	require.NotContains(t, string(now), "plan9/mips", "that was of another release")
}

func TestALockFileThatDoesNotFitIsExplained(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	missing := l.do(t, "lock", "--check")
	require.Equal(t, 1, missing.status)
	require.Contains(t, missing.stderr, "there is no lock file "+l.lock)

	require.NoError(t, os.WriteFile(l.lock, []byte("version: 1\nplugins:\n  wiki:\n    version: v1\n    protocol: 1\n    platforms:\n      linux/amd64:\n        executable: sha256:"+strings.Repeat("0", 64)+"\n"), 0o600))
	for command, want := range map[string]string{
		"sync": `plugin "fullstory" is not in ` + l.lock + "; add it with: baton-host lock",
	} {
		refused := l.do(t, command)
		require.Equal(t, 1, refused.status)
		require.Contains(t, refused.stderr, want)
	}
	stale := l.do(t, "lock", "--check")
	require.Equal(t, 1, stale.status)
	require.Contains(t, stale.stderr, `has the plugin "wiki", which the configuration has not`)

	require.NoError(t, os.WriteFile(l.lock, []byte("garbage"), 0o600))
	for _, command := range []string{"sync", "check", "lock"} {
		refused := l.do(t, command)
		require.Equal(t, 1, refused.status)
		require.Contains(t, refused.stderr, l.lock+" is not a lock file that this baton-host understands")
	}
	require.NoError(t, os.Remove(l.lock))
	require.NoError(t, os.Mkdir(l.lock, 0o700))
	require.Contains(t, l.do(t, "lock").stderr, "it is not a file")
}

func TestAPluginMayBeACommandWithArguments(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	script := filepath.Join(filepath.Dir(l.config), "start.sh")
	require.NoError(t, os.WriteFile(script, []byte("exec '"+filepath.Join(l.plugins, "baton-scim")+"'\n"), 0o600))
	text, err := os.ReadFile(l.config)
	require.NoError(t, err)
	with := strings.Replace(string(text), "    app: scim\n", "    command: [sh, start.sh]\n", 1)
	require.NotEqual(t, string(text), with)
	require.NoError(t, os.WriteFile(l.config, []byte(with), 0o600))
	require.Equal(t, 0, l.do(t, "sync").status)

	require.Equal(t, 0, l.do(t, "lock").status)
	locked, err := os.ReadFile(l.lock)
	require.NoError(t, err)
	require.Contains(t, string(locked), "start.sh: sha256:")
	require.Equal(t, 0, l.do(t, "sync").status)
	require.NoError(t, os.WriteFile(script, []byte("exec '"+filepath.Join(l.plugins, "baton-fullstory")+"'\n"), 0o600))
	refused := l.do(t, "sync")
	require.Equal(t, 1, refused.status)
	require.Contains(t, refused.stderr, `plugin "design-tool" is not started: `+script+" is sha256:")
	require.Contains(t, l.do(t, "lock", "--check").stderr, "the files among its arguments are others")

	for path, want := range map[string]string{
		"[" + l.plugins + "]": "cannot be locked",
		"[./none]":            "cannot be locked",
		"[no-such-program]":   `there is no program "no-such-program" along PATH`,
		"[]":                  "command needs the program to start",
	} {
		broken := strings.Replace(string(text), "    app: scim\n", "    command: "+path+"\n", 1)
		require.NoError(t, os.WriteFile(l.config, []byte(broken), 0o600))
		refused := l.do(t, "lock")
		require.Equal(t, 1, refused.status, path)
		require.Contains(t, refused.stderr, want, path)
	}
}
