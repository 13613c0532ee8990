package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// TestTest_ListsWhatAConnectorNeeds: what it prints, copied into the configuration, has the
// connector work in the sandbox.
func TestTest_ListsWhatAConnectorNeeds(t *testing.T) {
	t.Parallel()
	if why := sandbox.Unobservable(); why != "" || sandbox.Kernel().Landlock == 0 {
		t.Skip("there is nothing to be observed: ", why, sandbox.Kernel())
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	extra, cache := filepath.Join(dir, "extra"), filepath.Join(dir, "cache")
	require.NoError(t, os.WriteFile(extra, nil, 0o600))
	configure := func(keys string) string {
		path := filepath.Join(t.TempDir(), "baton-host.yaml")
		text := fmt.Sprintf("plugins:\n  notes: { path: %s, config: { name: mine, extra-file: %s, cache-dir: %s }%s }\n", filepath.Join(bin, "baton-notes"), extra, cache, keys)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const rest = "It was denied that, and may need more once it has it: run this again then.\n"
	block := fmt.Sprintf("\nIt needs more than every plugin may use. To open that, add to its entry:\n    sandbox:\n      read: [%s]\n", extra)

	denied := execute(t, nil, "baton-host", "test", "notes", "--config", configure(""))
	require.Equal(t, 1, denied.status, denied.stdout+denied.stderr)
	require.Contains(t, denied.stdout, block+rest)

	reported := execute(t, nil, "baton-host", "test", "notes", "--config", configure(", sandbox: warn"))
	require.Equal(t, 0, reported.status, reported.stdout+reported.stderr)
	require.Contains(t, reported.stdout, block+fmt.Sprintf("      write: [%s]\n- make %s before the plugin starts: only what is there then is opened\n", cache, cache))

	opened := execute(t, nil, "baton-host", "test", "notes", "--config", configure(fmt.Sprintf(", sandbox: { read: [%s], write: [%s] }", extra, cache)), "--output", "json")
	require.Equal(t, 0, opened.status, opened.stdout+opened.stderr)
	var report host.Tested
	require.NoError(t, json.Unmarshal([]byte(opened.stdout), &report))
	require.Equal(t, host.Sandboxed{Mode: "on"}, report.Sandbox)
}
