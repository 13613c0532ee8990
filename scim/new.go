package scim

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"

	"github.com/batonhost/baton-host/scim/config"
)

// Schema is the configuration of the connector baton-scim.
var Schema = config.Schema

// New is the constructor of the connector baton-scim, for plugin.Run. version
// is that of the program and goes into the user agent.
func New(version string) cli.NewConnector[*config.Scim] {
	return func(ctx context.Context, cfg *config.Scim, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		client, err := NewClient(ctx, Options{
			BaseURL:   cfg.ScimBaseUrl,
			Token:     cfg.ScimToken,
			UserAgent: "baton-scim/" + version,
		})
		if err != nil {
			return nil, nil, err
		}
		return NewConnector(genericApp(cfg.ScimDisplayName), client), nil, nil
	}
}

// Describe is the connector baton-scim without a configuration, for the SDK's
// default-capabilities option.
func Describe() connectorbuilder.ConnectorBuilderV2 {
	return NewConnector(genericApp(""), nil)
}

func genericApp(displayName string) App {
	return App{
		DisplayName: first(displayName, "SCIM"),
		Description: "Reads the accounts of any app that serves SCIM 2.0.",
	}
}
