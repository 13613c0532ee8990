//go:build race && long

package main_test

// raceFlag builds the binaries under test with the race detector, for the long tests
// only: the host's logic runs under it in process, in package host.
const raceFlag = "-race"
