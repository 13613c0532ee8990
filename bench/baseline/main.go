// Command bench-baseline is what the benchmark measures the product against: a plain
// connector as people write them with the SDK today, which reads the users of a SCIM
// service page by page.
//
// `make bench` builds it without anything of this module and runs it with the SDK's default
// flags. It must stay an honest peer: what a good author would write in a day, with no wait
// or waste that the SDK does not ask for, and no more cleverness than connectors have.
package main

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/config"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/spf13/viper"
)

var (
	baseURLField = field.StringField("scim-base-url", field.WithRequired(true),
		field.WithDescription("The URL below which the SCIM endpoints are."))
	tokenField = field.StringField("scim-token", field.WithRequired(true), field.WithIsSecret(true),
		field.WithDescription("The token of the SCIM service."))
	profileOnceField = field.BoolField("profile-once",
		field.WithDescription("Set profile, status and creation time on the resource alone, with the SDK's newer options, and not in the user trait too."))
)

var schema = field.NewConfiguration([]field.SchemaField{baseURLField, tokenField, profileOnceField})

func main() {
	config.RunConnector(context.Background(), "bench-baseline", "dev", schema, newConnector)
}

func newConnector(ctx context.Context, cfg *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
	client, err := newClient(ctx, cfg.GetString(baseURLField.FieldName), cfg.GetString(tokenField.FieldName))
	if err != nil {
		return nil, nil, err
	}
	return &connector{client: client, profileOnce: cfg.GetBool(profileOnceField.FieldName)}, nil, nil
}

type connector struct {
	client      *client
	profileOnce bool
}

func (c *connector) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{
		DisplayName: "Baseline",
		Description: "Reads the accounts of a SCIM service page by page.",
	}.Build(), nil
}

// Validate tries the address and the token.
func (c *connector) Validate(ctx context.Context) (annotations.Annotations, error) {
	_, err := c.client.users(ctx, 1, 1)
	return nil, err
}

func (c *connector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{&users{client: c.client, profileOnce: c.profileOnce}}
}
