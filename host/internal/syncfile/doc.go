// Package syncfile writes and reads sync files (.c1z) with the SDK's syncer and
// storage.
//
// The command line calls it to turn an upload's aggregate into a file and to
// show what a file holds. It must never leave an incomplete file where a
// complete one is expected: a file appears at its name whole, or not at all.
package syncfile
