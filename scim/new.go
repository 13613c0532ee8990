package scim

import (
	"context"
	"net/textproto"
	"strings"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/scim/config"
)

// Schema is the configuration of the connector baton-scim.
var Schema = config.Schema

// Concurrency is how many listings of a connector over this package may be read at the
// same time (plugin.WithConcurrency): its pages are positions or cursors of one request
// each, and its client is safe for concurrent use. More would only wait for the app.
const Concurrency = 4

// New is the constructor of the connector baton-scim, for plugin.Run. version
// is that of the program and goes into the user agent.
func New(version string) cli.NewConnector[*config.Scim] {
	return func(ctx context.Context, cfg *config.Scim, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		headers, err := headersOf(cfg.ScimHeaders)
		if err != nil {
			return nil, nil, err
		}
		client, err := NewClient(ctx, Options{
			BaseURL:  cfg.ScimBaseUrl,
			Token:    cfg.ScimToken,
			Username: cfg.ScimUsername,
			Password: cfg.ScimPassword,
			ClientID: cfg.ScimClientId, ClientSecret: cfg.ScimClientSecret, TokenURL: cfg.ScimTokenUrl, Scopes: cfg.ScimScopes,
			Headers:     headers,
			Filter:      cfg.ScimFilter,
			HiddenUsers: cfg.ScimHiddenUsers,
			ReadAhead:   cfg.ScimReadAhead,
			Attributes: Attributes{
				Login:   cfg.ScimLoginAttribute,
				Email:   cfg.ScimEmailAttribute,
				Profile: cfg.ScimProfileAttributes,
			},
			UserAgent:  "baton-scim/" + version,
			ScratchDir: plugin.ScratchDir(),
		})
		if err != nil {
			return nil, nil, err
		}
		return NewConnector(genericApp(cfg.ScimDisplayName, cfg.ScimGroups, cfg.ScimRoles), client), nil, nil
	}
}

// Describe is the connector baton-scim without a configuration, for the SDK's
// default-capabilities option. It has what is read by default.
func Describe() connectorbuilder.ConnectorBuilderV2 {
	return NewConnector(genericApp("", true, false), nil)
}

// headersOf reads "Name: value" items. Its errors never repeat one.
func headersOf(items []string) (map[string]string, error) {
	headers := map[string]string{}
	for _, item := range items {
		name, value, found := strings.Cut(item, ":")
		if !found {
			return nil, failf(codes.InvalidArgument, "%s has an item without a colon. It must look like Name: value.", headersField)
		}
		name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
		if _, twice := headers[name]; twice {
			return nil, failf(codes.InvalidArgument, "%s has a header in it twice.", headersField)
		}
		headers[name] = value
	}
	return headers, nil
}

func genericApp(displayName string, groups, roles bool) App {
	return App{
		DisplayName: first(displayName, "SCIM"),
		Description: "Reads the accounts and groups of any app that serves SCIM 2.0.",
		Groups:      groups,
		Roles:       roles,
	}
}
