//go:build !race || !long

package main_test

const raceFlag = "-race=false"
