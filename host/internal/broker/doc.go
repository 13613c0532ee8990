// Package broker offers plugins what they may use and must not own: the session stores of
// the syncs that run, and the passwords of new accounts, which C1 encrypts for an upload.
//
// Package fleet calls it: it serves [Stores.Plugin] to each plugin's processes, makes
// a [Key] for each plugin, and puts [Key.For] into the aggregates of an upload; package
// syncrun begins a [Sync] for each sync file. It must never let a plugin see or clear
// what another one has noted, mix up syncs that overlap, touch a sync file that is
// closed, give a plugin the upload's client secret, or have a password in an error or a
// log.
package broker
