// Package backoff spreads waits in time, so that those who failed together do not
// all come back at the same moment.
//
// Whoever waits before another attempt calls it: for C1, for a plugin's call, for
// a plugin's process. It must never wait itself.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Jittered is a random time between half of d and all of it.
func Jittered(d time.Duration) time.Duration {
	half := d / 2
	return half + rand.N(d-half+1) //nolint:gosec // Spreads load; nothing to guess.
}
