package supervise

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRestarts_PausesDoubleUntilACleanRun(t *testing.T) {
	t.Parallel()
	policy := restarts{limit: 5, window: 10 * time.Minute}
	now := time.Now()
	for _, most := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second} {
		pause, ok := policy.ended(now, 0)
		require.True(t, ok)
		require.GreaterOrEqual(t, pause, most/2)
		require.LessOrEqual(t, pause, most)
		now = now.Add(time.Second)
	}
	_, ok := policy.ended(now, 0)
	require.False(t, ok, "five restarts within the window, and no sixth")

	policy.forget()
	pause, ok := policy.ended(now, 0)
	require.True(t, ok, "an operator gives it another chance")
	require.LessOrEqual(t, pause, time.Second)
}

func TestRestarts_CountOnlyEndsWithinTheWindow(t *testing.T) {
	t.Parallel()
	policy := restarts{limit: 1, window: 10 * time.Minute}
	now := time.Now()
	for range 10 {
		pause, ok := policy.ended(now, 11*time.Minute)
		require.True(t, ok)
		require.LessOrEqual(t, pause, time.Second, "every one was a clean run")
		now = now.Add(11 * time.Minute)
	}
	_, ok := policy.ended(now.Add(-11*time.Minute), 0)
	require.False(t, ok)
}

func TestRestarts_PausesHaveALimit(t *testing.T) {
	t.Parallel()
	policy := restarts{limit: 100, window: time.Hour}
	for range 50 {
		pause, ok := policy.ended(time.Now(), 0)
		require.True(t, ok)
		require.LessOrEqual(t, pause, time.Minute)
	}
	for range 50 {
		require.LessOrEqual(t, policy.refused(), 5*time.Minute)
	}
	require.GreaterOrEqual(t, policy.refused(), 150*time.Second)
}
