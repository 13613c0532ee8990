//go:build race

package main_test

// raceFlag builds the binaries under test with the race detector when the tests
// themselves are: the SDK is then compiled once, and races in the real
// processes are found too.
const raceFlag = "-race"
