// Command baton-roster is the connector of Roster, a small app of people and teams: a plugin
// of baton-host, and a stand-alone connector when a person runs it.
//
// It is an example for authors, and tests build it. It must never be clever: it is there to
// be copied.
package main

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"

	"github.com/batonhost/baton-host/examples/baton-roster/config"
	"github.com/batonhost/baton-host/examples/baton-roster/connector"
	"github.com/batonhost/baton-host/plugin"
)

// version is set by the linker (-X main.version=...).
var version = "dev"

func main() {
	plugin.Run(context.Background(), "baton-roster", version, config.Schema, connector.New(version),
		connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(connector.Describe()))
}
