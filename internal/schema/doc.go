// Package schema translates a connector's configuration schema and capabilities from the SDK's
// form into the plugin contract's.
//
// Package plugin calls it for the connector that it serves, the host for an unmodified
// connector. It must never carry the default value of a secret field over.
package schema
