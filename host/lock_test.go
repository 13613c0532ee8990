package host_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

const platform = runtime.GOOS + "/" + runtime.GOARCH

// lockedWorkforce is a workforce whose plugins are in a directory, so that they can be changed:
// design-tool's is the copy of a program, fullstory's a script that becomes it.
type lockedWorkforce struct {
	*workforce
	lockFile, plugins string
	options           host.Options
}

func newLocked(t *testing.T) *lockedWorkforce {
	t.Helper()
	l := &lockedWorkforce{workforce: newWorkforce(t, scimsandbox.Options{Accounts: 25}, scimsandbox.Options{Accounts: 20}, "")}
	l.plugins = installed(t, "fullstory", "scim")
	l.lockFile = filepath.Join(filepath.Dir(l.config), "baton-host.lock")
	replaceIn(t, l.config, "  fullstory:\n    path: "+self+"\n", "  fullstory:\n    app: fullstory\n")
	replaceIn(t, l.config, "  design-tool:\n    path: "+self+"\n", "  design-tool:\n    app: scim\n")
	l.options = host.Options{PluginDirs: []string{l.plugins}}
	return l
}

// lock locks, or only compares, and returns what became of each plugin.
func (l *lockedWorkforce) lock(t *testing.T, only bool) (map[string]string, error) {
	t.Helper()
	looked, err := lock(t, l.config, l.options, only)
	changes := map[string]string{}
	for _, one := range looked {
		changes[one.Name] = one.Change
	}
	return changes, err
}

// locks locks, and everything must be well.
func (l *lockedWorkforce) locks(t *testing.T) map[string]string {
	t.Helper()
	changes, err := l.lock(t, false)
	require.NoError(t, err)
	return changes
}

// spoil changes a binary.
func (l *lockedWorkforce) spoil(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(l.plugins, name)
	text := contentsOf(t, path)
	require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o700)) //nolint:gosec // It is to be executed.
}

func TestLock_StartsPluginsThatAreUnchanged(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	require.Equal(t, map[string]string{"fullstory": "new", "design-tool": "new"}, l.locks(t))
	first := contentsOf(t, l.lockFile)
	require.Contains(t, first, platform)
	require.NotContains(t, first, l.plugins, "no path of this machine")
	same := map[string]string{"fullstory": "unchanged", "design-tool": "unchanged"}
	require.Equal(t, same, l.locks(t))
	require.Equal(t, first, contentsOf(t, l.lockFile))
	changes, err := l.lock(t, true)
	require.NoError(t, err)
	require.Equal(t, same, changes)
	_, err = check(t, l.config, l.options, l.dir)
	require.NoError(t, err)
	l.syncs(t, l.options)

	l.spoil(t, "baton-scim")
	_, checked := check(t, l.config, l.options, l.dir)
	_, synced := l.sync(t, l.options)
	for _, err := range []error{checked, synced} {
		requireSentence(t, err, `plugin "design-tool" is not started: `+filepath.Join(l.plugins, "baton-scim")+" is sha256:",
			l.lockFile+" says that it is sha256:", "accept it with: baton-host lock --config "+l.config)
	}
	_, err = l.lock(t, true)
	requireSentence(t, err, `plugin "design-tool" differs from `+l.lockFile+": the executable was sha256:")
	require.Equal(t, first, contentsOf(t, l.lockFile), "to check writes nothing")

	loud, seen := l.options, &recorder{}
	loud.Unlocked, loud.Observer = true, seen
	l.syncs(t, loud)
	require.Contains(t, seen.warned(), "is ignored (--unlocked)")

	require.Regexp(t, `^the executable was sha256:\w+ and is sha256:\w+$`, l.locks(t)["design-tool"])
	l.syncs(t, l.options)
}

func TestLockKeepsOtherPlatforms(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	l.locks(t)
	elsewhere := strings.ReplaceAll(contentsOf(t, l.lockFile), platform, "plan9/mips")
	require.NoError(t, os.WriteFile(l.lockFile, []byte(elsewhere), 0o600))
	_, err := l.sync(t, l.options)
	requireSentence(t, err, `plugin "fullstory" is locked in `+l.lockFile+" for plan9/mips only, not for "+platform)

	require.Equal(t, "new for "+platform, l.locks(t)["fullstory"])
	both := contentsOf(t, l.lockFile)
	require.Equal(t, 2, strings.Count(both, "plan9/mips:"))
	require.Equal(t, 2, strings.Count(both, platform+":"))
	l.syncs(t, l.options)

	other := strings.ReplaceAll(elsewhere, "version: ", "version: other-")
	other = strings.Replace(other, "version: other-1", "version: 1", 1)
	require.NoError(t, os.WriteFile(l.lockFile, []byte(other), 0o600))
	l.locks(t)
	require.NotContains(t, contentsOf(t, l.lockFile), "plan9/mips", "that was of another release")
}

func TestLockExplainsAFileThatDoesNotFit(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	_, err := l.lock(t, true)
	requireSentence(t, err, "there is no lock file "+l.lockFile)

	require.NoError(t, os.WriteFile(l.lockFile, []byte("version: 1\nplugins:\n  wiki:\n    version: v1\n    protocol: 1\n    platforms:\n      linux/amd64:\n        executable: sha256:"+strings.Repeat("0", 64)+"\n"), 0o600))
	_, err = l.sync(t, l.options)
	requireSentence(t, err, `plugin "fullstory" is not in `+l.lockFile+"; add it with: baton-host lock")
	_, err = l.lock(t, true)
	requireSentence(t, err, `has the plugin "wiki", which the configuration has not`)

	require.NoError(t, os.WriteFile(l.lockFile, []byte("garbage"), 0o600))
	const unknown = " is not a lock file that this baton-host understands"
	_, err = l.sync(t, l.options)
	requireSentence(t, err, l.lockFile+unknown)
	_, err = check(t, l.config, l.options, l.dir)
	requireSentence(t, err, l.lockFile+unknown)
	_, err = l.lock(t, false)
	requireSentence(t, err, l.lockFile+unknown)
	require.NoError(t, os.Remove(l.lockFile))
	require.NoError(t, os.Mkdir(l.lockFile, 0o700))
	_, err = l.lock(t, false)
	requireSentence(t, err, "it is not a file")
}

func TestLockCoversTheFilesOfACommand(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	script := program(t, filepath.Dir(l.config), "start.sh", "exec '"+filepath.Join(l.plugins, "baton-scim")+"'")
	plain := contentsOf(t, l.config)
	replaceIn(t, l.config, "    app: scim\n", "    command: [sh, start.sh]\n    sandbox: { read: ["+l.plugins+"] }\n")
	l.syncs(t, l.options)
	l.locks(t)
	require.Contains(t, contentsOf(t, l.lockFile), "start.sh: sha256:")
	l.syncs(t, l.options)
	require.NoError(t, os.WriteFile(script, []byte("exec '"+filepath.Join(l.plugins, "baton-fullstory")+"'\n"), 0o600))
	_, err := l.sync(t, l.options)
	requireSentence(t, err, `plugin "design-tool" is not started: `+script+" is sha256:")
	_, err = l.lock(t, true)
	requireSentence(t, err, "the files among its arguments are others")

	for command, want := range map[string]string{
		"[" + l.plugins + "]": "cannot be locked",
		"[./none]":            "cannot be locked",
		"[no-such-program]":   `there is no program "no-such-program" along PATH`,
		"[]":                  "command needs the program to start",
	} {
		require.NoError(t, os.WriteFile(l.config, []byte(strings.Replace(plain, "    app: scim\n", "    command: "+command+"\n", 1)), 0o600))
		_, err := l.lock(t, false)
		requireSentence(t, err, want)
	}
}

// TestLockHoldsForEveryUseOfAPlugin: what is for debugging gives secrets to a plugin as
// a sync does.
func TestLockHoldsForEveryUseOfAPlugin(t *testing.T) {
	t.Parallel()
	l := newLocked(t)
	l.locks(t)
	require.NoError(t, l.call(t, false))
	require.NoError(t, l.describe(t, false))
	l.spoil(t, "baton-scim")
	for name, use := range map[string]func(t *testing.T, unlocked bool) error{"call": l.call, "describe": l.describe, "test": l.test} {
		requireSentence(t, use(t, false), `plugin "design-tool" is not started: `, "baton-host lock")
		if name != "test" {
			require.NoError(t, use(t, true), name)
		}
	}
}
