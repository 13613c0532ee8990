//go:build race

package main_test

// raceFlag builds the binaries under test with the race detector when the tests
// themselves are: the SDK is then compiled once, and races in the real
// processes are found too.
const raceFlag = "-race"

// killRounds is how many syncs have a plugin killed: enough, with processes that
// are this slow or not.
const killRounds = 20
