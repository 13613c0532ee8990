package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const long = time.Minute

// watching watches a file in dir, and what else paths returns.
type watching struct {
	t       *testing.T
	changed chan []string
	answers chan bool
}

func start(t *testing.T, known Sums, paths ...string) *watching {
	t.Helper()
	w := &watching{t: t, changed: make(chan []string), answers: make(chan bool, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	ended, begun := make(chan struct{}), make(chan struct{}, 100)
	go func() {
		defer close(ended)
		watcher := &watcher{
			known: known, missing: map[string]bool{}, interval: long, firstRetry: 20 * time.Millisecond,
			paths: func() []string {
				select {
				case begun <- struct{}{}:
				default:
				}
				return paths
			},
			changed: func(paths []string) bool {
				select {
				case w.changed <- paths:
					return <-w.answers
				case <-ctx.Done():
					return true
				}
			},
		}
		defer watcher.close()
		watcher.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-begun
	return w
}

// reports waits for the next report, and answers it.
func (w *watching) reports(well bool, want ...string) {
	w.t.Helper()
	select {
	case paths := <-w.changed:
		require.Equal(w.t, want, paths)
		w.answers <- well
	case <-time.After(long / 2):
		require.Fail(w.t, "no change is reported")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestWatch_ReportsContents(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, lock := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "a.lock")
	write(t, path, "one")
	known := Of(path, lock)
	write(t, path, "two")
	w := start(t, known, path, lock)
	w.reports(true, path) // It changed before anybody watched.

	write(t, path, "two") // Nothing.
	require.NoError(t, os.Remove(path))
	write(t, path, "two") // Nothing either.
	write(t, path+".new", "three")
	require.NoError(t, os.Rename(path+".new", path)) // As editors do.
	w.reports(true, path)

	write(t, lock, "pins") // It was not there.
	w.reports(true, lock)

	write(t, path, "four")
	w.reports(false, path)
	w.reports(false, path) // It is tried again.
	w.reports(true, path)
	write(t, path, "five")
	w.reports(true, path)
}

func TestWatch_FollowsLinks(t *testing.T) {
	t.Parallel()
	dir, mounted := t.TempDir(), t.TempDir()
	swap := func(name, text string) {
		t.Helper()
		require.NoError(t, os.Mkdir(filepath.Join(mounted, name), 0o700))
		write(t, filepath.Join(mounted, name, "a.yaml"), text)
		require.NoError(t, os.Symlink(name, filepath.Join(mounted, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(mounted, "..tmp"), filepath.Join(mounted, "..data")))
	}
	swap("..1", "one")
	require.NoError(t, os.Symlink(filepath.Join("..data", "a.yaml"), filepath.Join(mounted, "a.yaml")))
	path := filepath.Join(dir, "link.yaml")
	require.NoError(t, os.Symlink(filepath.Join(mounted, "a.yaml"), path))
	w := start(t, Of(path), path)
	swap("..2", "one") // The same.
	require.NoError(t, os.RemoveAll(filepath.Join(mounted, "..1")))
	swap("..3", "two")
	w.reports(true, path)
	write(t, filepath.Join(mounted, "..3", "a.yaml"), "three")
	w.reports(true, path)
	require.NoError(t, os.Remove(path))
	write(t, path, "four")
	w.reports(true, path)
}

// TestOf_LeavesOutWhatIsNoFile, and does not wait for it.
func TestOf_LeavesOutWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.Empty(t, Of(dir, filepath.Join(dir, "none")))
	loop := filepath.Join(dir, "loop")
	require.NoError(t, os.Symlink(loop, loop))
	require.Empty(t, Of(loop))
	require.NotEmpty(t, dirsOf(loop))
}
