package syncfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// disk stands in for one that fills up, which takes root to make.
type disk struct{ free atomic.Uint64 }

func (d *disk) left(string) (uint64, bool) { return d.free.Load(), true }

func TestWatchDisk_DoesNotBeginOnAFullDisk(t *testing.T) {
	t.Parallel()
	full := &disk{}
	full.free.Store(3 << 20)
	_, _, err := watchDisk(t.Context(), t.TempDir(), full.left)
	require.ErrorContains(t, err, "nearly full: 3 MiB are free")
}

func TestWatchDisk_StopsBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	filling := &disk{}
	filling.free.Store(1 << 30)
	watched, stop, err := watchDisk(t.Context(), t.TempDir(), filling.left)
	require.NoError(t, err)
	defer stop()
	require.NoError(t, watched.Err())

	filling.free.Store(leastFree - 1)
	awaitEnd(t, watched)
	require.ErrorContains(t, becauseOfDisk(watched, context.Canceled), "nearly full")
	require.NoError(t, becauseOfDisk(watched, nil), "what was complete before is complete")
}

func TestWatchDisk_StopsWhenItsDirectoryIsGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "work")
	require.NoError(t, os.Mkdir(dir, 0o700))
	watched, stop, err := watchDisk(t.Context(), dir, freeOnDisk)
	require.NoError(t, err)
	defer stop()
	require.NoError(t, os.Remove(dir))
	awaitEnd(t, watched)
	require.ErrorContains(t, becauseOfDisk(watched, context.Canceled), dir+" is gone")
}

func TestWatchDisk_LeavesAnotherReason(t *testing.T) {
	t.Parallel()
	watched, stop, err := watchDisk(t.Context(), t.TempDir(), freeOnDisk)
	require.NoError(t, err)
	refused := errors.New("the app refuses")
	require.Equal(t, refused, becauseOfDisk(watched, refused))
	stop()
	require.Equal(t, refused, becauseOfDisk(watched, refused))
}

func awaitEnd(t *testing.T, ctx context.Context) { //nolint:revive // The test comes first by convention.
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Fatal("the sync goes on")
	}
}
