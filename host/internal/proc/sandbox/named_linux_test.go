package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPolicy_OpensWhatACommandNeeds: what an operator has named in the command, and what the
// named program is executed by, is open without a word in the entry.
func TestPolicy_OpensWhatACommandNeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"venv/bin/python": "", "venv/lib/site.py": "", "venv/pyvenv.cfg": "", "python/bin/python3.12": "", "python/lib/os.py": "",
		"app/main.py": "#!" + filepath.Join(dir, "python/bin/python3.12") + " -I\n", "env/main.py": "#!/usr/bin/env -S LC_ALL=C python3.12\n",
		"plain/baton-x": "no script", "keys/key.pem": "", "config/baton-host.yaml": "", "data/people.csv": "",
	} {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700)) //nolint:gosec // Programs are executable.
	}
	environment := []string{"PATH=/nowhere", "PATH=" + filepath.Join(dir, "python/bin")}
	for name, c := range map[string]struct {
		path    string // what is executed; empty: the program
		command []string
		files   []string
		dirs    []string
	}{
		"the interpreter of a script, and its libraries": {
			command: []string{"app/main.py"}, files: []string{"app/main.py", "python/bin/python3.12"}, dirs: []string{"app", "python/bin", "python/lib"},
		},
		"an interpreter that env finds": {
			command: []string{"env/main.py"}, files: []string{"env/main.py", "python/bin/python3.12"}, dirs: []string{"env", "python/bin", "python/lib"},
		},
		"an interpreter in the command": {
			command: []string{"python/bin/python3.12", "data/people.csv"}, files: []string{"python/bin/python3.12", "data/people.csv"},
			dirs: []string{"python/bin", "python/lib", "data"},
		},
		"an interpreter of an environment": {
			command: []string{"venv/bin/python", "app/main.py"}, files: []string{"venv/bin/python", "app/main.py"}, dirs: []string{"venv", "venv/lib", "app"},
		},
		"an image of the program": {
			path: "/proc/self/fd/3", command: []string{"venv/bin/python"}, files: []string{"venv/bin/python"}, dirs: []string{"venv", "venv/lib"},
		},
		"a private copy of the program": {
			path: filepath.Join(dir, "data/people.csv"), command: []string{"plain/baton-x"}, files: []string{"data/people.csv", "plain/baton-x"}, dirs: []string{"data", "plain"},
		},
		"a file behind a flag": {
			command: []string{"plain/baton-x", "--key=keys/key.pem", "--name=none", "-v", "--config=config/baton-host.yaml"},
			files:   []string{"plain/baton-x", "keys/key.pem", "config/baton-host.yaml"}, dirs: []string{"plain", "keys"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := &Policy{Hidden: []string{filepath.Join(dir, "config/baton-host.yaml")}}
			command := make([]string, 0, len(c.command))
			for i, word := range c.command {
				if i == 0 || word[0] != '-' {
					word = "=" + word
				}
				command = append(command, strings.TrimPrefix(strings.Replace(word, "=", "="+dir+"/", 1), "="))
			}
			path := c.path
			if path == "" {
				path = command[0]
			}
			files, dirs := policy.own(path, command, environment)
			require.Equal(t, within(dir, c.files), sorted(below(dir, files)))
			require.Equal(t, within(dir, c.dirs), sorted(below(dir, dirs)))
		})
	}
}

// TestPolicy_DoesNotOpenWhatTheHostHasOpen: a pinned program is executed by the number of a
// descriptor, which in the host is something else.
func TestPolicy_DoesNotOpenWhatTheHostHasOpen(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "baseline")
	file, err := os.Create(state)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	files, dirs := (&Policy{}).own(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), []string{"/usr/bin/true"}, nil)
	require.Equal(t, []string{"/usr/bin/true"}, files)
	require.NotContains(t, dirs, filepath.Dir(state))
}

// TestStart_ExecutesAScriptByItsInterpreter does so in a sandbox: the interpreter lies where
// nothing else is open.
func TestStart_ExecutesAScriptByItsInterpreter(t *testing.T) {
	t.Parallel()
	if Kernel().Landlock == 0 {
		t.Skip("this system has no Landlock")
	}
	dir := t.TempDir()
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	content, err := os.ReadFile(shell)
	require.NoError(t, err)
	interpreter := filepath.Join(dir, "runtime", "bin", "shell")
	require.NoError(t, os.MkdirAll(filepath.Dir(interpreter), 0o700))
	require.NoError(t, os.WriteFile(interpreter, content, 0o700)) //nolint:gosec // A program.
	script := filepath.Join(dir, "scripts", "baton-x")
	require.NoError(t, os.MkdirAll(filepath.Dir(script), 0o700))
	for name, line := range map[string]string{"by its path": interpreter, "by env": "/usr/bin/env shell"} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(script, []byte("#!"+line+"\nexit 7\n"), 0o700)) //nolint:gosec // A program.
			cmd := &exec.Cmd{Path: script, Args: []string{script}, Env: []string{"PATH=" + filepath.Dir(interpreter)}}
			held, err := (&Policy{}).Start(cmd, (*exec.Cmd).Start)
			require.NoError(t, err)
			defer func() { _ = held.Close() }()
			require.ErrorContains(t, cmd.Wait(), "exit status 7")
		})
	}
}

func within(dir string, paths []string) []string {
	all := make([]string, 0, len(paths))
	for _, path := range paths {
		all = append(all, filepath.Join(dir, path))
	}
	return sorted(all)
}

// below leaves out what belongs to the system.
func below(dir string, paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return !isWithin(path, dir) })
}

func sorted(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}

func TestPolicy_OpensWhatIsAroundTheHidden(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"bin/tool", "etc/app/baton-host.yaml", "etc/app/other", "etc/more", "lib/x"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600))
	}
	require.NoError(t, os.Symlink("etc/app", filepath.Join(dir, "link")))
	p := &Policy{Hidden: []string{filepath.Join(dir, "etc/app/baton-host.yaml")}}
	require.Equal(t, within(dir, []string{"bin", "etc/app/other", "etc/more", "lib", "link/other"}), sorted(p.around([]string{dir})))
	require.Equal(t, []string{dir}, (&Policy{}).around([]string{dir}))
}

func TestPolicy_RefusesLinksThatTheProgramCanMake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cache, elsewhere := filepath.Join(dir, "cache"), filepath.Join(dir, "elsewhere")
	require.NoError(t, os.MkdirAll(filepath.Join(cache, "conf"), 0o700))
	require.NoError(t, os.Mkdir(elsewhere, 0o700))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(cache, "led")))
	p := &Policy{Write: []string{cache}}
	require.NoError(t, p.checkLinks([]string{cache, filepath.Join(cache, "conf"), filepath.Join(cache, "missing"), elsewhere}))
	require.ErrorContains(t, p.checkLinks([]string{filepath.Join(cache, "led")}), "leads to "+elsewhere+" by a link in "+cache)
	require.ErrorContains(t, p.checkLinks([]string{filepath.Join(cache, "led", "file")}), "by a link in "+cache)
}

func TestPolicy_OpensNoHomeAndNoProjectOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"project/package.json", "project/plugins/plugin.sh", "project/plugins/plugin.js"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), nil, 0o600))
	}
	project := filepath.Join(dir, "project")
	require.Equal(t, filepath.Join(project, "plugins"), root(filepath.Join(project, "plugins", "plugin.sh")), "it is of no program in JavaScript")
	require.Equal(t, project, root(filepath.Join(project, "plugins", "plugin.js")))
	require.True(t, (&Policy{}).OpensAny([]string{filepath.Join(project, "plugins", "token")}, filepath.Join(project, "plugins", "plugin.sh"), nil, nil))
	require.False(t, (&Policy{}).OpensAny([]string{filepath.Join(project, "token")}, filepath.Join(project, "plugins", "plugin.sh"), nil, nil))
	for _, home := range homes {
		if entries, err := os.ReadDir(home); err == nil && len(entries) > 0 {
			require.True(t, (&Policy{}).isTooWide(filepath.Join(home, entries[0].Name())))
		}
	}
}
