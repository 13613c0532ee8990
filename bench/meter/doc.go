// Package meter runs commands and measures the time, CPU and memory of all of their
// processes together.
//
// The benchmark's command calls it for each run. It must count every process that a command
// leads to, also one that its parent kills and never waits for, and must leave none behind.
package meter
