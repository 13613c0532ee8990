//go:build linux

// Command baton-harm is a connector for tests that means harm: it connects to the test that
// commands it, and tries every attack of package attack when it is ordered to. Started by a
// host that does not know it as a plugin it is an unmodified connector.
package main

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/spf13/viper"

	"github.com/batonhost/baton-host/host/cmd/baton-host/testdata/baton-harm/attack"
	"github.com/batonhost/baton-host/plugin"
)

func main() {
	schema := field.NewConfiguration([]field.SchemaField{
		field.StringField("name", field.WithRequired(true), field.WithDescription("how it reports to the test")),
		field.StringField("commander", field.WithRequired(true), field.WithDescription("the address of the test")),
		field.StringField("token", field.WithRequired(true), field.WithIsSecret(true)),
	})
	plugin.Run(context.Background(), "baton-harm", "1.0.0", schema, func(_ context.Context, v *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
		soldier := &attack.Soldier{Name: v.GetString("name"), Token: v.GetString("token")}
		if commander := v.GetString("commander"); commander != "" {
			go soldier.Serve(commander)
		}
		return app{}, nil, nil
	})
}

var userType = v2.ResourceType_builder{
	Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
}.Build()

// app is an app without anybody in it.
type app struct{}

func (app) Metadata(context.Context) (*v2.ConnectorMetadata, error) {
	return v2.ConnectorMetadata_builder{DisplayName: "Harm"}.Build(), nil
}

func (app) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (a app) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{a}
}

// ResourceType is users.
func (app) ResourceType(context.Context) *v2.ResourceType { return userType }

// List is none.
func (app) List(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// Entitlements are none.
func (app) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, nil, nil
}

// Grants are none.
func (app) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, nil, nil
}
