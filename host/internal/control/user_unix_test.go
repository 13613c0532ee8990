//go:build unix

package control_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestControl_IsForTheUserOfTheHost: others are not answered, also where the mode of the
// state directory lets them in.
func TestControl_IsForTheUserOfTheHost(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir := stateDir(t)
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // It is the case.
	_, _ = host(t, dir)
	program, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	binary := filepath.Join(dir, "client")
	require.NoError(t, os.WriteFile(binary, program, 0o755)) //nolint:gosec // Another user executes it.
	client := func(as *syscall.Credential) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env, cmd.SysProcAttr = []string{callVariable + "=" + dir}, &syscall.SysProcAttr{Credential: as}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := client(nil)
	require.NoError(t, err, out)
	require.Equal(t, "4", out)

	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	out, err = client(nobody)
	require.Error(t, err)
	require.Equal(t, filepath.Join(dir, "control.sock")+" is for user root alone, as whom the host runs; run this command as that user", out)

	require.NoError(t, os.Chmod(filepath.Join(dir, "control.sock"), 0o777)) //nolint:gosec // It is the case.
	out, err = client(nobody)
	require.Error(t, err)
	require.Equal(t, filepath.Join(dir, "control.token")+" is for user root alone, as whom the host runs; run this command as that user", out)
}
