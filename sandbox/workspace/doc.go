// Package workspace is an app of the common kind over HTTP: people, groups that hold people
// and groups, roles, things of many kinds, an audit log, announcements and tickets, all in
// memory and behind a token.
//
// Tests start it for a connector to read and to change, and look at the outcome by
// [Server.State]. It must never be part of what is shipped, never know what a connector is,
// and never answer without its token.
package workspace
