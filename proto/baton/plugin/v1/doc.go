// Package pluginv1 is the contract between baton-host and a plugin: Describe, Configure and
// Stop, beside the SDK's c1.connector.v2.
//
// Plugins serve it and the host calls it. It must never depend on another package of this
// module: plugins in any language are generated from plugin.proto alone, and so is the rest of
// this package.
package pluginv1
