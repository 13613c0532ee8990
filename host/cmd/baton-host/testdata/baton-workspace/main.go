// Command baton-workspace is the connector of a workspace.
package main

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/config"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"

	"example.com/baton-workspace/connector"
)

const version = "1.2.3"

func main() {
	config.RunConnector(context.Background(), "baton-workspace", version, connector.Schema, connector.New,
		connectorrunner.WithSessionStoreEnabled(), connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(&connector.Connector{}))
}
