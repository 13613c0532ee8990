package plugin

import (
	goplugin "github.com/hashicorp/go-plugin"
)

// ProtocolVersion is the version of the contract between host and plugin, which
// go-plugin negotiates. It is the major version in the name of the proto
// package, baton.plugin.v1.
const ProtocolVersion = 1

// MaxMessageBytes bounds one gRPC message between host and plugin, in either
// direction. gRPC's own default of 4 MiB is what a connector has stand-alone;
// the room above it is for connectors with large pages. A larger message fails
// the call with RESOURCE_EXHAUSTED instead of exhausting the host's memory,
// which go-plugin's default of 2 GiB would allow.
const MaxMessageBytes = 32 << 20

// LifelineEnv names the environment variable that holds the number of the
// file descriptor on which a plugin waits for its host's death: the host holds
// the other end of a pipe open for as long as it lives and writes nothing.
// Absent (a person's debugger, a platform without inherited descriptors), there
// is no lifeline.
const LifelineEnv = "BATON_PLUGIN_LIFELINE_FD"

// HostPIDEnv names the environment variable that holds the host's process id, by
// which a plugin sees whether its parent is still the host, and on Windows
// watches it.
const HostPIDEnv = "BATON_PLUGIN_HOST_PID"

// setName is the one name in go-plugin's plugin set. The whole contract is
// served under it.
const setName = "connector"

// Handshake is how host and plugin recognise each other before they talk. The
// cookie keeps a plugin binary that a person runs from waiting for a host; it
// protects nothing.
var Handshake = goplugin.HandshakeConfig{
	MagicCookieKey:   "BATON_PLUGIN_COOKIE",
	MagicCookieValue: "e2b8a3b6-5a0c-4a2f-9a36-7f0a3f6b1c9d",
}
