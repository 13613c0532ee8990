// Command baton-workspace is the connector of a workspace.
package main

import (
	"context"

	"github.com/batonhost/baton-host/plugin"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"

	"example.com/baton-workspace/connector"
)

const version = "1.2.3"

func main() {
	plugin.Run(context.Background(), "baton-workspace", version, connector.Schema, connector.New,
		connectorrunner.WithSessionStoreEnabled(), connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(&connector.Connector{}))
}
