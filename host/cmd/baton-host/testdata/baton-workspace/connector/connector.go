package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

var (
	workspaceType = resource.NewResourceType("Workspace", []v2.ResourceType_Trait{v2.ResourceType_TRAIT_APP})
	userType      = resource.NewResourceType("User", []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, &v2.SkipEntitlementsAndGrants{})
	groupType     = resource.NewResourceType("Group", []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP})
	roleType      = resource.NewResourceType("Role", []v2.ResourceType_Trait{v2.ResourceType_TRAIT_ROLE})
)

// Connector is the whole connector. The zero value knows only what it can do.
type Connector struct{ app }

// app is a workspace as every part of the connector reaches it.
type app struct {
	client *client
	config Config
}

// New makes the connector of a workspace.
func New(ctx context.Context, config *Config, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
	client, err := newClient(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	var options []connectorbuilder.Opt
	if config.Ticketing {
		options = append(options, connectorbuilder.WithTicketingEnabled())
	}
	return &Connector{app{client: client, config: *config}}, options, nil
}

// Metadata says what it is, and what has to be said to create an account.
func (c *Connector) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	text := func(name string, order int32) *v2.ConnectorAccountCreationSchema_Field {
		return v2.ConnectorAccountCreationSchema_Field_builder{
			DisplayName: name, Required: true, Order: order,
			StringField: &v2.ConnectorAccountCreationSchema_StringField{},
		}.Build()
	}
	return v2.ConnectorMetadata_builder{
		DisplayName: "Workspace",
		Description: "A workspace of people, groups and roles",
		AccountCreationSchema: v2.ConnectorAccountCreationSchema_builder{
			FieldMap: map[string]*v2.ConnectorAccountCreationSchema_Field{"login": text("Login", 0), "name": text("Name", 1)},
		}.Build(),
	}.Build(), nil
}

// Validate tries the token.
func (c *Connector) Validate(ctx context.Context) (annotations.Annotations, error) {
	return nil, c.client.get(ctx, nil, "workspace")
}

// ResourceSyncers are all there are.
func (c *Connector) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	all := []connectorbuilder.ResourceSyncerV2{
		&workspaces{&c.app}, &users{&c.app}, &groups{&c.app}, &pagedByTokens{&roles{&c.app}},
	}
	for number := range c.config.Kinds {
		all = append(all, newThings(&c.app, number+1))
	}
	return all
}
