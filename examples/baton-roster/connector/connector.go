// Package connector reads the people and teams of Roster and presents them as the
// accounts and groups of a Baton connector.
//
// main hands it to plugin.Run. It must never take part of a list for all of it,
// and never put the token into an error, a log or a resource.
package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"

	"github.com/batonhost/baton-host/examples/baton-roster/config"
)

// New is the constructor of the connector, for plugin.Run. It reaches for nothing:
// whether the app takes the token is for Validate to report. version goes into the
// user agent.
func New(version string) cli.NewConnector[*config.Roster] {
	return func(ctx context.Context, cfg *config.Roster, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		client, err := newClient(ctx, cfg.BaseUrl, cfg.ApiToken, "baton-roster/"+version)
		if err != nil {
			return nil, nil, err
		}
		return &connector{client: client}, nil, nil
	}
}

// Describe is the connector without a configuration, which can report what it is and
// does, and is asked for nothing else.
func Describe() connectorbuilder.ConnectorBuilderV2 { return &connector{} }

type connector struct{ client *client }

// Metadata reports what the connector is.
func (c *connector) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{
		DisplayName: "Roster",
		Description: "Reads the people and teams of Roster.",
	}.Build(), nil
}

// Validate tries the configuration on the app, as baton-host check has it do.
func (c *connector) Validate(ctx context.Context) (annotations.Annotations, error) {
	_, err := c.client.people(ctx, "")
	return nil, err
}

// ResourceSyncers are what the connector reads, by resource type.
func (c *connector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{&users{c.client}, &teams{c.client}}
}
