// Package raced keeps tables of many syncs short, with the race detector, with which a sync
// takes five times as long, and with -short. Tests call it whose cases differ in their data and
// not in what runs at the same time. The product must never import it.
package raced

import (
	"hash/fnv"
	"strings"
	"testing"
)

// Sample skips a case of a table in a short run, unless its name makes it one of so many.
// `make whole` runs the packages that call it with every case: the Makefile has them as
// WHOLE. A long test has every case.
func Sample(t *testing.T, oneOf uint32) {
	t.Helper()
	if !isSampled(t.Name(), oneOf) {
		LeaveOut(t)
	}
}

// LeaveOut skips a case that is large in a short run.
func LeaveOut(t *testing.T) {
	t.Helper()
	if IsShort() && !strings.HasPrefix(t.Name(), "TestLong") {
		t.Skip("left to make whole")
	}
}

// IsShort reports whether the run is short.
func IsShort() bool { return enabled || testing.Short() }

// isSampled chooses by name, so that each run takes the same cases.
func isSampled(name string, oneOf uint32) bool {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(name)) // It never fails.
	return sum.Sum32()%oneOf == 0
}
