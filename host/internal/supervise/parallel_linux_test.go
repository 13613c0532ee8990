package supervise_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

// TestStart_RunsSeveralButNotAllAtOnce starts plugins that never get
// ready, so that the processes that are there are those that start.
func TestStart_RunsSeveralButNotAllAtOnce(t *testing.T) {
	dir := shortDir(t)
	t.Setenv("TMPDIR", dir)
	logging, _ := logged(t)
	ctx, cancel := context.WithCancel(logging)
	defer cancel()
	most := max(2, runtime.GOMAXPROCS(0))
	var starting sync.WaitGroup
	for range 3 * most {
		starting.Go(func() {
			slow := spec("silent")
			slow.StartTimeout = 10 * time.Minute
			if _, err := supervise.Start(ctx, slow); err == nil {
				t.Error("it started")
			}
		})
	}
	require.Eventually(t, func() bool { return len(processesIn(dir)) == most }, time.Minute, time.Millisecond)
	require.Never(t, func() bool { return len(processesIn(dir)) > most }, 300*time.Millisecond, 10*time.Millisecond)
	cancel()
	starting.Wait()
	require.Eventually(t, func() bool { return len(processesIn(dir)) == 0 }, time.Minute, time.Millisecond)
}
