// Package backoff spreads waits in time, so that those who failed together do not
// all come back at the same moment.
//
// Whoever waits before another attempt calls it: for C1, for a plugin's call, for
// a plugin's process. It must never wait itself.
package backoff

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Doubling returns waits that begin with first and double up to most; each is a random
// time between half of that and all of it.
func Doubling(first, most time.Duration) *backoff.ExponentialBackOff {
	// The library spreads a wait around its middle, by the same share to both sides.
	return &backoff.ExponentialBackOff{
		InitialInterval: first / 4 * 3, MaxInterval: most / 4 * 3, Multiplier: 2, RandomizationFactor: 1.0 / 3,
	}
}

// Jittered returns a random time between half of d and all of it.
func Jittered(d time.Duration) time.Duration { return Doubling(d, d).NextBackOff() }
