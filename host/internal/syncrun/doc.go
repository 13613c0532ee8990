// Package syncrun makes the sync of one upload: all its plugins in one file, with
// the decisions about what happens when one of them fails or lists suspiciously
// few accounts.
//
// The commands that sync call it, once for each sync. It must never let a file
// out in which a plugin's accounts are fewer than the plugin or its last good
// sync has, nor answer from a sync that is older than allowed.
package syncrun
