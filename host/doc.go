// Package host is the product as a library: one host over one configuration file, or
// over a single app that no file configures.
//
// Every command of baton-host that starts a plugin or opens an upload calls it, and a
// program that embeds a host does: [Open], then [Host.Check], [Host.Sync] or
// [Host.Serve], then [Host.Close]. It must never start a plugin that differs from the
// lock file, write a sync file that is not complete, or print anything.
package host
