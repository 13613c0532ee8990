package registry

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInstall_LeavesNothingOnAFullDisk has a disk that the archive, or the binary beside it, does
// not fit on. The disk is the process's own and goes with it.
func TestInstall_LeavesNothingOnAFullDisk(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]string{"for the archive": "1M", "for the binary": "2M"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			published, _ := large() // 1.5 MiB, and no less when it is compressed.
			require.NoError(t, p.Publish(published))
			require.NoError(t, os.MkdirAll(p.store, 0o700))
			shell, err := exec.LookPath("sh")
			require.NoError(t, err)
			private := &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
			}
			mount := `mount -t tmpfs -o size=` + size + ` none "$0"`
			trial := exec.CommandContext(t.Context(), shell, "-c", mount, p.store) //nolint:gosec // Our own words.
			trial.SysProcAttr = private
			if output, err := trial.CombinedOutput(); err != nil {
				t.Skipf("no disk can be made here: %v: %s", err, output)
			}
			cmd := p.process(t, of())
			cmd.Args = append([]string{"sh", "-c", mount + ` && { "$@" >&2; echo "status $?"; find "$0" -type f ! -name .lock; }`, p.store, cmd.Path}, cmd.Args[1:]...)
			cmd.Path, cmd.SysProcAttr = shell, private
			var reported bytes.Buffer
			cmd.Stderr = &reported
			output, err := cmd.Output()
			require.NoError(t, err)
			require.Contains(t, reported.String(), "baton-roster v1.2.3 is not installed: the disk of the plugin store "+p.store+" is full: ")
			require.Contains(t, reported.String(), "no space left on device; make room there, or name another directory with plugin-store")
			require.Equal(t, "status 1\n", string(output), "nothing is left")
		})
	}
}
