package backoff_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/backoff"
)

func TestDoubling_WaitsBetweenHalfAndAllOfTwiceTheWaitBefore(t *testing.T) {
	t.Parallel()
	for range 1000 {
		waits := backoff.Doubling(time.Second, 30*time.Second)
		for _, d := range []int{1, 2, 4, 8, 16, 30, 30} {
			d := time.Duration(d) * time.Second
			wait := waits.NextBackOff()
			require.GreaterOrEqual(t, wait, d/2)
			require.LessOrEqual(t, wait, d+1)
		}
		waits.Reset()
		require.LessOrEqual(t, waits.NextBackOff(), time.Second+1)
	}
}

func TestJittered_IsBetweenHalfAndAll(t *testing.T) {
	t.Parallel()
	for range 1000 {
		for _, d := range []time.Duration{0, 1, time.Millisecond, 10 * time.Hour} {
			wait := backoff.Jittered(d)
			require.GreaterOrEqual(t, wait, d/4*3-d/4)
			require.LessOrEqual(t, wait, d+1)
		}
	}
}
