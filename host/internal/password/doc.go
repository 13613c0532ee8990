// Package password carries passwords that somebody has chosen for an account from
// C1, which encrypts them for an upload, to a plugin, which has a key of its own.
// The host makes a [Key] for each plugin when it starts, gives it to the plugin's
// processes, and puts [Key.For] into the aggregates of an upload. It must never
// give a plugin the upload's client secret, and never have a password in an error
// or a log.
package password
