// Package raced keeps what is slow under the race detector short: a whole sync takes five
// times as long with it. Tests call it whose cases differ in their data and not in what runs
// at the same time. The product must never import it.
package raced

import (
	"hash/fnv"
	"strings"
	"testing"
)

// Sample skips a case of a table, unless its name makes it one of so many, if the race
// detector is on. `make test` runs the packages that call it without the race detector, with
// every case: the Makefile has them as SYNCING. A long test has every case.
func Sample(t *testing.T, oneOf uint32) {
	t.Helper()
	if !isSampled(t.Name(), oneOf) {
		LeaveOut(t)
	}
}

// LeaveOut skips a case that is large, if the race detector is on.
func LeaveOut(t *testing.T) {
	t.Helper()
	if Enabled && !strings.HasPrefix(t.Name(), "TestLong") {
		t.Skip("left to the run without the race detector")
	}
}

// isSampled chooses by name, so that each run takes the same cases.
func isSampled(name string, oneOf uint32) bool {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(name)) // It never fails.
	return sum.Sum32()%oneOf == 0
}
