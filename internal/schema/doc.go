// Package schema puts what a connector says of itself, as the SDK has it, into the
// words of the plugin contract: its configuration schema and its capabilities.
//
// Package plugin calls it for the connector that it serves, the host for what an
// unmodified connector says of itself. It must never carry the default value of a
// secret field over.
package schema
