package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHost_PassesOnNoDescriptorThatItInherited: what a shell or a supervisor left open is not for
// plugins, in a sandbox or not.
func TestHost_PassesOnNoDescriptorThatItInherited(t *testing.T) {
	t.Parallel()
	const left = "canary-7b1f-left-open"
	dir := t.TempDir()
	path := filepath.Join(dir, "left")
	require.NoError(t, os.WriteFile(path, []byte(left), 0o600))
	script := filepath.Join(dir, "plugin")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\ncat <&9 >&2\nexit 3\n"), 0o700)) //nolint:gosec // A program.
	for _, mode := range []string{"on", "off"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(path)
			require.NoError(t, err)
			defer func() { _ = file.Close() }()
			config := writeConfig(t, "plugins:\n  odd: { command: ["+script+"], sandbox: "+mode+" }\nuploads:\n  w: { plugins: [odd] }\n")
			cmd := command(t.Context(), t, nil, "baton-host", "check", "--config", config)
			cmd.ExtraFiles = slices.Repeat([]*os.File{file}, 7) // 3 to 9: a plugin has some of the lower ones.
			result := finish(t, cmd)
			require.Equal(t, 1, result.status)
			require.Contains(t, result.stderr, "exit status 3", "it was started")
			require.NotContains(t, result.stdout+result.stderr, left)
		})
	}
}
