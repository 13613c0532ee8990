// Package plugintest is the conformance kit for authors of connectors: one call tries a
// connector as baton-host uses it, in the test's own process and as a real plugin process.
//
// An author's test calls [Run]; what is checked is in package conformance, which baton-host
// test shares. It must never import the host, and never write to standard output, which in the
// plugin's process carries the handshake.
package plugintest
