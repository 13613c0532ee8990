// Package baseline keeps the last sync file of an upload that C1 accepted, with what is
// known of each plugin's part in it.
//
// Package syncrun opens it, to have something to fall back to when a plugin fails and
// something to compare a sync with; package service, and a one-shot sync of package
// host, put an accepted sync in its place. It must never return a file that is not the
// one it kept, nor a part whose age it does not know.
package baseline
