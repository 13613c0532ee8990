// Command baton-scim is the connector of any app that serves SCIM 2.0: a plugin of
// baton-host, and a stand-alone connector when a person runs it.
//
// The host and people run it. It must never do more than name the connector and its version:
// package scim is the connector.
package main

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/scim"
)

// version is set by the linker (-X main.version=...).
var version = "dev"

func main() {
	plugin.Run(context.Background(), "baton-scim", version, scim.Schema, scim.New(version),
		connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(scim.Describe()),
		plugin.WithConcurrency(scim.Concurrency))
}
