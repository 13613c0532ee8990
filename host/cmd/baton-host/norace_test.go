//go:build !race

package main_test

const raceFlag = "-race=false"

// killRounds is how many syncs have a plugin killed: enough, with processes that
// are this slow or not.
const killRounds = 100
