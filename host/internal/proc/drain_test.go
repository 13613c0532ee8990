package proc

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDrain_ReadsALogToItsEnd: the last lines of a process that has gone are waited for
// as long as they come, and no longer.
func TestDrain_ReadsALogToItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reads int // half a second apart
		ends  bool
		want  time.Duration
	}{
		"a log that has ended":                  {0, true, 0},
		"one that takes its time":               {12, true, 6 * time.Second},
		"one that is held open, and silent":     {0, false, drainTime},
		"one that a grandchild writes for ever": {100, false, mostDrain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var read atomic.Int64
				drained := make(chan struct{})
				stop := make(chan struct{})
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for range c.reads {
						select {
						case <-time.After(drainTime / 2):
							read.Add(1)
						case <-stop:
							return
						}
					}
					if c.ends {
						close(drained)
					}
				}()
				begun := time.Now()
				drain(drained, &read)
				require.Equal(t, c.want, time.Since(begun))
				close(stop)
				<-ended
			})
		})
	}
}
