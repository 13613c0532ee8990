// Package plugin turns a Baton connector into a plugin of baton-host, and is the host's
// client of such a plugin.
//
// An app author calls [Run] as the whole of main; the host uses [Handshake], [HostPlugins]
// and [Client] to reach the process it started. It must never import the host, never read the
// configuration of a plugin under a host from flags or the environment, and never repeat the
// value of a secret field in a diagnostic, an error or a log.
//
// The wire between the two is proto/baton/plugin/v1 beside the SDK's c1.connector.v2
// services.
package plugin
