//go:build unix

package wizard_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config/wizard"
)

// TestAdd_GivesSecretsToTheOwnerOfTheFile: the host runs as the owner, and must be able to
// read what root has typed.
func TestAdd_GivesSecretsToTheOwnerOfTheFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can write for another user")
	}
	const user, group = 4711, 4712
	dir := t.TempDir()
	path := filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(path, []byte("plugins:\n  one: {}\n"), 0o600))
	require.NoError(t, os.Chown(path, user, group))
	existing, err := wizard.OpenExisting(t.Context(), path)
	require.NoError(t, err)
	request := addRequest(dir, existing)
	request.Fields = map[string]string{"base-url": "https://zeta.example.com"}
	asked := &person{t: t, answers: []string{"", "y", "3", "a-token", ""}}
	plan, err := wizard.Ask(asked, request)
	require.NoError(t, err, asked.said.String())
	err = write(t.Context(), plan, path)
	require.NoError(t, err)
	for _, name := range []string{"baton-host.yaml", "secrets", "secrets/zeta-token"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		stat, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		require.Equal(t, []uint32{user, group}, []uint32{stat.Uid, stat.Gid}, name)
		require.Zero(t, info.Mode().Perm()&0o077, name)
	}
}
