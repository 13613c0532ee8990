package supervise

import (
	"time"

	"github.com/batonhost/baton-host/host/internal/backoff"
)

const (
	// DefaultRestarts is how often a plugin is started again within the window
	// where its Settings do not say.
	DefaultRestarts = 5
	// DefaultRestartWindow is that window.
	DefaultRestartWindow = 10 * time.Minute

	// The pauses before a plugin that ended is started again: each twice the one
	// before, until a process has lived for a clean run.
	firstPause = time.Second
	lastPause  = time.Minute
	cleanRun   = time.Minute

	// Those before a plugin is started again that has refused its configuration.
	// It is not broken, and what it waits for may take hours.
	firstRefusedPause = 5 * time.Second
	lastRefusedPause  = 5 * time.Minute
)

// restarts decides whether and when a plugin is started again.
type restarts struct {
	limit  int
	window time.Duration

	ends  []time.Time // within the window
	pause time.Duration
}

// ended takes in that a process ended that had lived that long. It returns how
// long to wait before the next start; ok is false if there must be none.
func (r *restarts) ended(now time.Time, lived time.Duration) (pause time.Duration, ok bool) {
	for len(r.ends) > 0 && now.Sub(r.ends[0]) > r.window {
		r.ends = r.ends[1:]
	}
	r.ends = append(r.ends, now)
	if len(r.ends) > r.limit {
		return 0, false
	}
	if lived >= cleanRun {
		r.pause = 0
	}
	r.pause = next(r.pause, firstPause, lastPause)
	return backoff.Jittered(r.pause), true
}

// refused returns how long to wait after a refusal.
func (r *restarts) refused() time.Duration {
	r.pause = next(r.pause, firstRefusedPause, lastRefusedPause)
	return backoff.Jittered(r.pause)
}

// forget lets a plugin that has failed begin anew.
func (r *restarts) forget() {
	r.ends, r.pause = nil, 0
}

func next(pause, first, last time.Duration) time.Duration {
	return min(max(2*pause, first), last)
}
