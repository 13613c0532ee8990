//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSupport_IsShownBeforeItIsWritten: to a person, who decides, and to a script, which has to
// have decided. A configuration that does not load is no obstacle.
func TestSupport_IsShownBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "lovelace.yaml")
	require.NoError(t, os.WriteFile(config, []byte("plugins: { acme: { call-timeout: hunter2 } }\n"), 0o600))
	file := filepath.Join(dir, "report.txt")
	args := []string{"support", "--config", config, "--state-dir", dir, "--file", file}

	script := execute(t, nil, "baton-host", args...)
	require.Equal(t, 1, script.status)
	require.Empty(t, script.stdout)
	require.Contains(t, script.stderr, "## Configuration, without values")
	require.Contains(t, script.stderr, "baton-host: the file was not written, as there is no terminal to ask on: read what is shown above, and write it with --yes\n")
	require.NoFileExists(t, file)

	for _, answer := range []string{"", "n", "y"} {
		require.NoFileExists(t, file)
		person := startOnTerminal(t, command(t.Context(), t, nil, "baton-host", args...))
		person.await("## Last errors")
		person.answers("Write this to "+file+"? [y/N]: ", answer)
		status, shown := person.end()
		require.Equal(t, 0, status, shown)
		require.Equal(t, answer != "y", strings.Contains(shown, "The file was not written."), shown)
	}

	again := execute(t, nil, "baton-host", append(args, "--yes")...)
	require.Equal(t, 1, again.status)
	require.Contains(t, again.stderr, "file exists; name another with --file\n", "it is not written over")
	require.NoError(t, os.Remove(file))
	written := execute(t, nil, "baton-host", append(args, "--yes")...)
	require.Equal(t, 0, written.status, written.stderr)
	require.Equal(t, file+"\n", written.stdout)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, written.stderr, string(text), "it has what was shown")
	require.Contains(t, string(text), "call-timeout must be a duration with its unit")
	for _, hidden := range []string{"acme", "hunter2", "lovelace", dir} {
		require.NotContains(t, string(text), hidden)
	}
}
