// Package status keeps the state of a running host: its uploads, its plugins, the syncs under
// way and the last ones, and what failed.
//
// `baton-host run` feeds a [Board] with the events of service mode, and serves what it
// holds: metrics for Prometheus, probes for Kubernetes, and, by package page, a page for
// people. It must never hold a secret, a word of an app or a plugin about an account, or
// anything of an account but how many there are.
package status
