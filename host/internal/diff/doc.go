// Package diff compares the accounts of two sync files of the same apps: which were added,
// which were removed, and what changed about the others.
//
// The command line calls it. It must never take accounts of two apps for each other, nor what
// a sync did not read for what is gone: it refuses the one and reports the other.
package diff
