// Package meter runs commands and says what all of their processes took together:
// time, CPU and memory.
//
// The benchmark's command calls it for each run. It must count every process that
// a command leads to, also one that its parent kills and never waits for, and it
// must leave none behind.
package meter
