package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dumping returns a command that may leave a core of any size, in its directory.
func dumping(cmd *exec.Cmd) *exec.Cmd {
	quoted := []string{}
	for _, arg := range append([]string{cmd.Path}, cmd.Args[1:]...) {
		quoted = append(quoted, "'"+arg+"'")
	}
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "ulimit -c unlimited; exec " + strings.Join(quoted, " ")}
	return cmd
}

// TestCrash_LeavesNoCore: a core is the process's memory, with every secret in it.
func TestCrash_LeavesNoCore(t *testing.T) {
	t.Parallel()
	// Proof that a core would be there, and found.
	planted := t.TempDir()
	crash := dumping(exec.CommandContext(t.Context(), "/bin/sh", "-c", "kill -ABRT $$"))
	crash.Dir, crash.Env = planted, []string{"TOKEN=" + carelessSecrets["token"]}
	_ = crash.Run()
	if cores, _ := filepath.Glob(filepath.Join(planted, "core*")); len(cores) == 0 {
		t.Skip("this system leaves no core beside a process that crashes (its limits, or kernel.core_pattern), so there is nothing to show")
	}
	require.NotEmpty(t, search(places(t, planted)))

	careless := newCareless(t, "panic", "")
	text, err := os.ReadFile(careless.config)
	require.NoError(t, err)
	with := strings.Replace(string(text), "  careless:\n", "  careless:\n    env: [GOTRACEBACK]\n    restart-limit: 0\n", 1)
	require.NotEqual(t, string(text), with)
	require.NoError(t, os.WriteFile(careless.config, []byte(with), 0o600))
	cmd := careless.command(t.Context(), t, "sync", "--output-dir", ".", "--retry-for", "0s")
	cmd.Env = append(cmd.Env, "GOTRACEBACK=crash") // Go dumps a core with it only.
	result := finish(t, dumping(cmd))
	require.Equal(t, 1, result.status)
	require.Contains(t, result.stderr, "panic: cannot go on with (secret)")
	found := places(t, careless.dir)
	require.NotContains(t, found, "core")
	require.Empty(t, search(found))
}
