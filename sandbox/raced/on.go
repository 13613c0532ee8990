//go:build race

package raced

// enabled says that the race detector is on.
const enabled = true
