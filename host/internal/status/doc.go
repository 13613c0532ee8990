// Package status keeps how a running host is: its uploads, its plugins, the syncs
// under way and the last ones, what went wrong.
//
// `baton-host run` feeds a [Board] with the events of service mode, and serves what
// it says: metrics for Prometheus, probes for Kubernetes, and, by package page, a
// page for people. It must never hold a secret, a word that an app or a plugin said
// about an account, or anything of an account but how many there are.
package status
