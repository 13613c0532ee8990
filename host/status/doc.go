// Package status tells how a running host is, as metrics that Prometheus reads.
//
// `baton-host run --listen` serves it, fed with the events of service mode. It must
// never tell a secret or anything about an account but how many there are.
package status
