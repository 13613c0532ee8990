// Package baseline keeps the last good sync of an upload on disk, with what is
// known of each plugin's part in it.
//
// Whoever makes an upload's sync files calls it: to have something to answer from
// when a plugin fails, something to compare the numbers of accounts with, and to
// put a new good sync in the place of the old one. It must never give out a file
// that is not the one it kept, nor a part whose age it does not know.
package baseline
