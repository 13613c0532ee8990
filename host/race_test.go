//go:build race && !long

package host_test

// isRaced makes TestMain build the plugin once more, without the race detector. It is
// the host that these tests race: the plugin has its own tests, and `make long` races
// both. A raced plugin takes three times as long to start and to answer.
const isRaced = true
