package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// nobody is a user without any rights, by convention.
const nobody = 65534

// unprivileged has a command run as nobody, where the tests run as root; tests
// of permissions prove nothing as root.
func unprivileged(cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}

// ground returns a directory with the binaries that every user can enter and none can
// write to, but for one directory in it for each purpose.
func ground(t *testing.T, writable ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "baton-ground-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // Everybody may enter.
	for _, name := range []string{"baton-host", "baton-fullstory", "baton-scim"} {
		binary, err := os.ReadFile(filepath.Join(bin, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), binary, 0o755)) //nolint:gosec // It is to be executed.
	}
	for _, name := range writable {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		if os.Geteuid() == 0 {
			require.NoError(t, os.Chown(filepath.Join(dir, name), nobody, nobody))
		}
	}
	return dir
}

// at returns a command of those binaries, started where nothing can be written.
func at(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t.Context(), t, append(env, "TMPDIR="+filepath.Join(dir, "tmp")), "baton-host", args...)
	cmd.Path, cmd.Dir = filepath.Join(dir, "baton-host"), "/"
	cmd.Env = append(cmd.Env, "HOME=/nonexistent")
	return unprivileged(cmd)
}

func TestHost_NeedsNoRightsAndTwoDirectories(t *testing.T) {
	t.Parallel()
	dir := ground(t, "tmp", "state", "out")
	config, env := twoApps(t, startApp(t, scim.Options{Accounts: 30}), startApp(t, scim.Options{App: "design-tool", Accounts: 20}))
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	config = filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(config, text, 0o644)) //nolint:gosec // It holds no secret.
	locked := execute(t, nil, "baton-host", "lock", "--config", config, "--plugin-dir", dir)
	require.Equal(t, 0, locked.status, locked.stderr)

	synced := finish(t, at(t, dir, env, "sync", "--config", config, "--output-dir", filepath.Join(dir, "out")))
	require.Equal(t, 0, synced.status, synced.stderr)
	file := filepath.Join(dir, "out", "workforce.c1z")
	require.Len(t, accountsIn(t, file), 50)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	tenant := startC1(t, c1.Options{})
	ca, err := os.ReadFile(filepath.Join(tenant.dir, "ca.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o644)) //nolint:gosec // It is public.
	credentials := tenant.client(t, "workforce")
	output := &transcript{changed: make(chan struct{})}
	service := at(t, dir, append(env, "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"), "BATON_CLIENT_ID="+credentials.ID, "BATON_CLIENT_SECRET="+credentials.Secret),
		"run", "--config", config, "--state-dir", filepath.Join(dir, "state"), "--log-format", "json")
	service.Stdout, service.Stderr = output, output
	require.NoError(t, service.Start())
	t.Cleanup(func() { _ = service.Process.Kill() })
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 50)
	owner, err := os.Stat("/proc/" + strconv.Itoa(service.Process.Pid))
	require.NoError(t, err)
	stat, ok := owner.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.NotZero(t, stat.Uid, "or it has shown nothing")
	require.NoError(t, service.Process.Signal(syscall.SIGTERM))
	require.NoError(t, service.Wait(), output.String())
	left, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// onReadOnlyRoot has a command run as nobody where every file system is read-only
// but for the directories in the ground. Only root can make such a place.
func onReadOnlyRoot(t *testing.T, dir string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	const script = `
mount --make-rprivate / &&
for writable in "$DIR"/*/; do mount --bind "$writable" "$writable" || exit 98; done &&
mount -o remount,bind,ro / || exit 98
! touch /tmp/baton-written "$DIR/baton-written" 2>/dev/null || exit 99
exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`
	inside := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-c", script, "sh", cmd.Path}, cmd.Args[1:]...)...) //nolint:gosec // Our own script and binary.
	inside.Dir, inside.Env = cmd.Dir, append(cmd.Env, "DIR="+dir)
	return inside
}

func TestHost_WorksOnAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a root file system read-only")
	}
	dir := ground(t, "tmp", "out")
	if tried := finish(t, onReadOnlyRoot(t, dir, exec.CommandContext(t.Context(), "/bin/true"))); tried.status != 0 {
		t.Skipf("this system does not let one be made: status %d, %s", tried.status, tried.stderr)
	}
	config, env := twoApps(t, startApp(t, scim.Options{Accounts: 30}), startApp(t, scim.Options{App: "design-tool", Accounts: 20}))
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	config = filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(config, text, 0o644)) //nolint:gosec // It holds no secret.
	locked := execute(t, nil, "baton-host", "lock", "--config", config, "--plugin-dir", dir)
	require.Equal(t, 0, locked.status, locked.stderr)

	synced := finish(t, onReadOnlyRoot(t, dir, at(t, dir, env, "sync", "--config", config, "--output-dir", filepath.Join(dir, "out"))))
	require.Equal(t, 0, synced.status, synced.stderr)
	file := filepath.Join(dir, "out", "workforce.c1z")
	require.Len(t, accountsIn(t, file), 50)
	info, err := os.Stat(file)
	require.NoError(t, err)
	owner, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.NotZero(t, owner.Uid, "or it has shown nothing")
}

func TestHost_ExplainsAPlaceThatCannotBeWrittenTo(t *testing.T) {
	t.Parallel()
	dir := ground(t, "tmp", "state")
	config, env := twoApps(t, startApp(t, scim.Options{Accounts: 30}), startApp(t, scim.Options{App: "design-tool", Accounts: 20}))
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	config = filepath.Join(dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(config, text, 0o644)) //nolint:gosec // It holds no secret.
	credentials := startC1(t, c1.Options{}).client(t, "workforce")
	homeless := at(t, dir, env, "sync", "--config", config, "--output-dir", filepath.Join(dir, "state"))
	homeless.Env = append(homeless.Env, "TMPDIR=/proc")
	for name, c := range map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"the lock file":       {at(t, dir, nil, "lock", "--config", config), "the lock file cannot be written: "},
		"the output":          {at(t, dir, env, "sync", "--config", config, "--output-dir", filepath.Join(dir, "none")), "the directory of the sync file cannot be made: "},
		"the state directory": {at(t, dir, append(env, "BATON_CLIENT_ID="+credentials.ID, "BATON_CLIENT_SECRET="+credentials.Secret), "run", "--config", config, "--state-dir", dir), "cannot be written to"},
		"temporary files":     {homeless, "set TMPDIR"},
	} {
		result := finish(t, c.cmd)
		require.Equal(t, 1, result.status, name)
		require.Contains(t, result.stderr, c.want, name)
		require.NotContains(t, result.stderr, "panic", name)
	}
}
