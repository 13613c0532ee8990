// Package fullstory is the connector of Fullstory: its accounts, read over SCIM.
//
// The command baton-fullstory runs it. It is configuration over package scim and
// must stay so: Fullstory documents no attributes, limits or caps of its SCIM
// service, so what it takes to read a server right belongs into the reader that
// every app uses. It reads accounts and nothing else, and writes nothing.
package fullstory

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"

	"github.com/batonhost/baton-host/fullstory/config"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/scim"
)

// Schema is the configuration of the connector.
var Schema = config.Schema

var app = scim.App{
	DisplayName: "Fullstory",
	Description: "Reads the accounts of a Fullstory organization over SCIM.",
	HelpURL:     config.HelpURL,
}

// New is the constructor of the connector, for plugin.Run. version is that of
// the program and goes into the user agent.
func New(version string) cli.NewConnector[*config.Fullstory] {
	return func(ctx context.Context, cfg *config.Fullstory, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		client, err := scim.NewClient(ctx, scim.Options{
			BaseURL:     cfg.ScimBaseUrl,
			Token:       cfg.ScimToken,
			HiddenUsers: cfg.ScimHiddenUsers,
			ReadAhead:   cfg.ScimReadAhead,
			UserAgent:   "baton-fullstory/" + version,
			ScratchDir:  plugin.ScratchDir(),
			Hint:        "In Fullstory the SCIM Base URL and the SCIM Token are under Settings > Account Management > SSO; an Admin or Architect can see them.",
		})
		if err != nil {
			return nil, nil, err
		}
		return scim.NewConnector(app, client), nil, nil
	}
}

// Describe is the connector without a configuration, for the SDK's
// default-capabilities option.
func Describe() connectorbuilder.ConnectorBuilderV2 {
	return scim.NewConnector(app, nil)
}
