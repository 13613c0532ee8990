// Package session is the session stores of the syncs that run, served to plugins:
// what a connector notes in one call of a sync to find it again in another. The
// host makes one [Stores], begins a [Sync] for each sync file, in which the SDK
// keeps the notes until the sync ends, and serves [Stores.Plugin] to each plugin's
// processes. It must never let a plugin see or clear what another one has noted,
// never mix up syncs that overlap, and never touch a sync file that is closed.
package session
