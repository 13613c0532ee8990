package files_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/files"
)

const prefix = "baton-host-test-"

// makerVariable makes the test binary a run that makes a directory where the
// variable says, tells its path and waits to be killed.
const makerVariable = "WORKDIR_TEST_PARENT"

func TestMain(m *testing.M) {
	parent := os.Getenv(makerVariable)
	if parent == "" {
		os.Exit(m.Run())
	}
	dir, err := files.Make(parent, prefix)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir.Path(), "names"), []byte("a person's name"), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(dir.Path())
	time.Sleep(time.Hour)
}

// startMaker starts a run with a directory of its own in parent.
func startMaker(t *testing.T, parent string) (path string, kill func()) {
	t.Helper()
	maker := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // The test's own binary.
	maker.Env = []string{makerVariable + "=" + parent}
	maker.Stderr = os.Stderr
	out, err := maker.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, maker.Start())
	_, err = fmt.Fscanln(out, &path)
	require.NoError(t, err)
	kill = func() {
		_ = maker.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = maker.Wait()
	}
	t.Cleanup(kill)
	return path, kill
}

func TestDir_IsPrivateAndRemovedWhole(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir, err := files.Make(parent, prefix)
	require.NoError(t, err)
	require.Regexp(t, `^`+prefix+`\d+$`, filepath.Base(dir.Path()))
	info, err := os.Stat(dir.Path())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, os.MkdirAll(filepath.Join(dir.Path(), "a", "b"), 0o700))

	require.NoError(t, dir.Remove())
	requireEntries(t, parent)
	_, err = files.Make(filepath.Join(parent, "none"), prefix)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSweep_RemovesWhatDeadRunsLeft(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dead, kill := startMaker(t, parent)
	living, _ := startMaker(t, parent)
	own, err := files.Make(parent, prefix)
	require.NoError(t, err)

	files.Sweep(parent, prefix)
	requireEntries(t, parent, dead, living, own.Path())
	kill()
	files.Sweep(parent, "baton-host-other-")
	requireEntries(t, parent, dead, living, own.Path())
	files.Sweep(parent, prefix)
	requireEntries(t, parent, living, own.Path())
	require.FileExists(t, filepath.Join(living, "names"))

	require.NoError(t, own.Remove())
	files.Sweep(parent, prefix)
	requireEntries(t, parent, living)
	files.Sweep(filepath.Join(parent, "none"), prefix)
}

func TestSweep_RemovesWhatADeadRunDidNotFinish(t *testing.T) {
	t.Parallel()
	const noProcess = 1 << 30 // The kernel gives no such number.
	for _, prefix := range []string{prefix, ".hidden-", "with.dots.", "1.2-"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			at := func(name string) string { return filepath.Join(parent, name) }
			dead := at(fmt.Sprintf("%s1.%d.new", prefix, noProcess))
			living := at(fmt.Sprintf("%s2.%d.new", prefix, os.Getpid()))
			for _, dir := range []string{dead, living} {
				require.NoError(t, os.Mkdir(dir, 0o700))
			}
			files.Sweep(parent, "baton-host-other-")
			requireEntries(t, parent, dead, living)
			files.Sweep(parent, prefix)
			requireEntries(t, parent, living)
		})
	}
}

func TestSweep_RemovesOnlyWhatMakeMade(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	dead, kill := startMaker(t, elsewhere)
	kill()

	parent := t.TempDir()
	at := func(name string) string { return filepath.Join(parent, name) }
	require.NoError(t, os.Symlink(dead, at(prefix+"1")))
	require.NoError(t, os.WriteFile(at(prefix+"2"), nil, 0o600))
	require.NoError(t, os.Mkdir(at(prefix+"3"), 0o700), "it has no lock")
	require.NoError(t, os.Mkdir(at(prefix+"4"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dead, ".lock"), filepath.Join(at(prefix+"4"), ".lock")))
	for _, name := range []string{"x" + prefix + "5", prefix + "x6", prefix, prefix + "7.new"} {
		require.NoError(t, os.CopyFS(at(name), os.DirFS(dead)))
	}
	before, err := filepath.Glob(at("*"))
	require.NoError(t, err)
	require.Len(t, before, 8)

	files.Sweep(parent, prefix)
	requireEntries(t, parent, before...)
	require.FileExists(t, filepath.Join(dead, "names"))
}

func TestSweep_DoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	parent, precious := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(precious, "file"), nil, 0o600))
	dead, kill := startMaker(t, parent)
	require.NoError(t, os.Symlink(precious, filepath.Join(dead, "link")))
	kill()
	files.Sweep(parent, prefix)
	requireEntries(t, parent)
	require.FileExists(t, filepath.Join(precious, "file"))
}

// TestSweep_KeepsDirectoriesOfManyRuns makes and sweeps in one place from
// many goroutines: a directory is there until its maker removes it.
func TestSweep_KeepsDirectoriesOfManyRuns(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	var makers, sweepers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					files.Sweep(parent, prefix)
				}
			}
		})
	}
	for range 4 {
		makers.Go(func() {
			for range 100 {
				dir, err := files.Make(parent, prefix)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(dir.Path(), "work"), nil, 0o600); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(filepath.Join(dir.Path(), ".lock")); err != nil {
					t.Error(err)
				}
				if err := dir.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	makers.Wait()
	close(stop)
	sweepers.Wait()
	requireEntries(t, parent)
}

// requireEntries compares what is in the directory by full paths.
func requireEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	got, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, want, got)
}

// TestLock_EndsWithItsRelease: also where processes are being started meanwhile, each of
// which has the files of this one until it executes its program.
func TestLock_EndsWithItsRelease(t *testing.T) {
	t.Parallel()
	var starting sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 4 {
		starting.Go(func() {
			for ctx.Err() == nil {
				_ = exec.CommandContext(ctx, os.Args[0], "-test.run=^$").Run() //nolint:gosec // It is this test.
			}
		})
	}
	defer starting.Wait()
	defer stop()
	dir := t.TempDir()
	for range 20_000 {
		release, err := files.Lock(dir)
		require.NoError(t, err)
		release()
	}
}
