package registry

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/releases"
)

// installerArg is the first argument with which the test's binary is a process that installs.
const installerArg = "install"

// beInstaller installs by an installer and a source in JSON. It writes a line for each event,
// and goes on when it reads a byte, or when there are none.
func beInstaller(args []string) (status int) {
	var with struct {
		Trust    Trust
		Releases string
		Source   Source
		Store    string
	}
	fail := func(err error) int {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.Unmarshal([]byte(args[0]), &with); err != nil {
		return fail(err)
	}
	store, err := OpenStore(with.Store)
	if err != nil {
		return fail(err)
	}
	installer := Installer{Store: store, Trust: with.Trust, Releases: with.Releases, Progress: func(event Event) {
		_, _ = fmt.Fprintln(os.Stdout, event.Step, event.Done)
		_, _ = os.Stdin.Read(make([]byte, 1))
	}}
	if _, err := installer.Install(context.Background(), with.Source, linux); err != nil {
		return fail(err)
	}
	return 0
}

// process returns a process that installs.
func (p *place) process(t *testing.T, source Source) *exec.Cmd {
	t.Helper()
	arg, err := json.Marshal(map[string]any{"Trust": p.installer.Trust, "Releases": p.installer.Releases, "Source": source, "Store": p.store})
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, installerArg, string(arg)) //nolint:gosec // The test itself.
	cmd.Stderr = os.Stderr
	return cmd
}

// large is a release of a connector that takes dozens of events to transfer.
func large() (releases.Release, []byte) {
	binary := make([]byte, 3<<19)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(binary) // It never fails.
	published := roster()
	published.Binaries["linux-amd64"] = binary
	return published, binary
}

// killed kills so many processes that install, and looks what a host would start. Each is
// killed at another place, at which it waits, or while it goes on behind that.
func killed(t *testing.T, times int) {
	p := newPlace(t)
	published, binary := large()
	require.NoError(t, p.Publish(published))

	for i := range times {
		cmd := p.process(t, of())
		lines, err := cmd.StdoutPipe()
		require.NoError(t, err)
		further, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		step, at := Unpacking, int64(len(binary))*int64(i+1)/int64(times)
		if i%3 == 2 {
			step = Downloading
		}
		isThere := false
		for read := bufio.NewScanner(lines); !isThere && read.Scan(); {
			var event Event
			_, err := fmt.Sscan(read.Text(), &event.Step, &event.Done)
			require.NoError(t, err)
			isThere = event.Step == step && event.Done >= at
			if !isThere || i%2 == 1 {
				_, err := further.Write([]byte{'\n'})
				require.NoError(t, err)
			}
		}
		require.True(t, isThere, "%s %d", step, at)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		p.hasOnlyWhole(t)
		require.NoError(t, os.RemoveAll(filepath.Join(p.store, binaries))) // So that the next one begins from the beginning.
	}
	installed, err := p.installer.Install(t.Context(), of(), linux)
	require.NoError(t, err)
	require.Equal(t, digestOfBytes(binary), installed.Binary)
	p.hasOnlyWhole(t)
	leftovers, err := filepath.Glob(filepath.Join(p.store, workPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

// hasOnlyWhole fails if there is a file where a host looks for binaries that is not what its
// place says.
func (p *place) hasOnlyWhole(t *testing.T) {
	t.Helper()
	at := filepath.Join(p.store, binaries)
	err := filepath.WalkDir(at, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // The directory is the test's.
		require.NoError(t, err)
		require.Equal(t, "sha256:"+filepath.Base(filepath.Dir(path)), digestOfBytes(content), path)
		return nil
	})
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
}

func TestInstall_LeavesNoHalfBinaryWhenKilled(t *testing.T) {
	t.Parallel()
	killed(t, 5)
}
