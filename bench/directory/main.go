// Command baton-directory is the connector with grants that the benchmark measures: people,
// groups with members and other groups, and roles, made up by a rule and not read from
// anywhere.
//
// `make bench` runs it twice, as a person does and as a plugin of the product, and compares
// the sync files row by row. It must stay an honest peer: written with the SDK as connectors
// are, fast enough that the row measures the sync and not the app, and the same program on
// both sides.
package main

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/spf13/viper"

	"github.com/batonhost/baton-host/plugin"
)

var (
	usersField   = number("users", "How many users there are.")
	groupsField  = number("groups", "How many groups there are.")
	membersField = number("members", "How many users are members of each group.")
	towerField   = number("tower", "How many groups are nested in a row: each but the first of a tower is a member of the one before it. 0 and 1 nest none.")
	rolesField   = number("roles", "How many roles there are.")
	holdersField = number("holders", "How many users have each role.")
)

func number(name, description string) field.SchemaField {
	return field.IntField(name, field.WithDescription(description))
}

var schema = field.NewConfiguration([]field.SchemaField{usersField, groupsField, membersField, towerField, rolesField, holdersField})

func main() {
	plugin.Run(context.Background(), "baton-directory", "dev", schema, newConnector)
}

func newConnector(_ context.Context, cfg *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
	return &directory{
		users: cfg.GetInt(usersField.FieldName), groups: cfg.GetInt(groupsField.FieldName), members: cfg.GetInt(membersField.FieldName),
		tower: cfg.GetInt(towerField.FieldName), roles: cfg.GetInt(rolesField.FieldName), holders: cfg.GetInt(holdersField.FieldName),
	}, nil, nil
}

// directory is an app of that many people, groups and roles.
type directory struct {
	users, groups, members, tower, roles, holders int
}

func (d *directory) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "Directory", Description: "A directory that is made up."}.Build(), nil
}

func (d *directory) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (d *directory) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{&people{d}, &groups{d}, &roles{d}}
}
