package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// lockedPair is a configuration of two apps whose plugins are in a directory of
// their own, so that they can be changed.
type lockedPair struct {
	config, lock, plugins, out string
	env                        []string
	args                       []string
}

func newLocked(t *testing.T) *lockedPair {
	t.Helper()
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 20})
	l := &lockedPair{plugins: t.TempDir(), out: t.TempDir()}
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
func (l *lockedPair) do(t *testing.T, name string, args ...string) run {
	t.Helper()
	env := l.env
	if name == "lock" {
		env = nil
	} else if name == "sync" {
		args = append(args, "--output-dir", l.out)
	}
	return execute(t, env, "baton-host", append(append([]string{name}, l.args...), args...)...)
}

func (l *lockedPair) spoil(t *testing.T, name string) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(l.plugins, name), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

func TestLock_StartsAPluginThatIsUnchanged(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	written := l.do(t, "lock")
	require.Equal(t, 0, written.status, written.stderr)
	require.Regexp(t, `fullstory +\S+ +new\n`, written.stdout)
	require.FileExists(t, l.lock)
	require.Equal(t, 0, l.do(t, "lock", "--check").status)
	require.Equal(t, 0, l.do(t, "sync").status)

	l.spoil(t, "baton-scim")
	for _, command := range []string{"check", "sync"} {
		refused := l.do(t, command)
		require.Equal(t, 1, refused.status)
		require.Contains(t, refused.stderr, `plugin "design-tool" is not started: `+filepath.Join(l.plugins, "baton-scim")+" is sha256:")
		require.Contains(t, refused.stderr, "accept it with: baton-host lock --config "+l.config)
	}
	checked := l.do(t, "lock", "--check")
	require.Equal(t, 1, checked.status)
	require.Contains(t, checked.stderr, `plugin "design-tool" differs from `+l.lock+": the executable was sha256:")
	loud := l.do(t, "sync", "--unlocked")
	require.Equal(t, 0, loud.status, loud.stderr)
	require.Contains(t, loud.stderr, "is ignored (--unlocked)")

	accepted := l.do(t, "lock")
	require.Equal(t, 0, accepted.status, accepted.stderr)
	require.Regexp(t, `design-tool +\S+ +the executable was sha256:\w+ and is sha256:\w+\n`, accepted.stdout)
	require.Equal(t, 0, l.do(t, "sync").status)
}
