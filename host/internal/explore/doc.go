// Package explore serves a sync file to one browser, with the SDK's own explorer.
//
// The command baton-host-explore calls it. A sync file holds people's names and addresses,
// and the explorer has no login: it must never be reachable from another machine, nor by
// another user or another page in the browser without the key.
package explore
