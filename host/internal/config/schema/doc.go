// Package schema makes a JSON Schema of baton-host.yaml for editors, from the
// table of its keys (host/internal/config) and from what plugins say they take.
//
// The command line calls it. A schema must accept every file that the host accepts,
// up to a number or a switch that is written in quotes: an editor that marks what is
// right teaches people not to look. What it cannot say it leaves to
// `baton-host check`.
package schema
