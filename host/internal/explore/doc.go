// Package explore shows a sync file in a browser, with the SDK's own explorer.
//
// The command line calls it. A sync file holds people's names and addresses, and the
// explorer asks nobody who they are: it must never be reachable from another machine,
// nor by another user or another page in the browser without the key.
package explore
