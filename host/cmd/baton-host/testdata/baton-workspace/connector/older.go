package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// NewOlder makes the connector by the first version of the SDK's interfaces, which
// know no session. config.DefineConfiguration takes it; config.RunConnector does not.
func NewOlder(ctx context.Context, config *Config) (types.ConnectorServer, error) {
	client, err := newClient(ctx, config)
	if err != nil {
		return nil, err
	}
	return connectorbuilder.NewConnector(ctx, &older{Connector{app{client: client, config: *config}}})
}

// older is a Connector whose builder is of the first version.
type older struct{ Connector }

var _ connectorbuilder.ConnectorBuilder = (*older)(nil)

func (o *older) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncer {
	all := []connectorbuilder.ResourceSyncer{
		&oldWorkspaces{oldSyncer{&workspaces{&o.app}}}, &oldSyncer{&users{&o.app}}, &oldSyncer{&groups{&o.app}}, &roles{&o.app},
	}
	for number := range o.config.Kinds {
		all = append(all, &oldSyncer{newThings(&o.app, number+1)})
	}
	return all
}

// oldSyncer is a syncer as the first version wants it.
type oldSyncer struct {
	of connectorbuilder.ResourceSyncerV2
}

func (o *oldSyncer) ResourceType(ctx context.Context) *v2.ResourceType { return o.of.ResourceType(ctx) }

func (o *oldSyncer) List(ctx context.Context, parent *v2.ResourceId, token *pagination.Token) ([]*v2.Resource, string, annotations.Annotations, error) {
	return oldPage(o.of.List(ctx, parent, resource.SyncOpAttrs{PageToken: *token}))
}

func (o *oldSyncer) Entitlements(ctx context.Context, of *v2.Resource, token *pagination.Token) ([]*v2.Entitlement, string, annotations.Annotations, error) {
	return oldPage(o.of.Entitlements(ctx, of, resource.SyncOpAttrs{PageToken: *token}))
}

func (o *oldSyncer) Grants(ctx context.Context, of *v2.Resource, token *pagination.Token) ([]*v2.Grant, string, annotations.Annotations, error) {
	return oldPage(o.of.Grants(ctx, of, resource.SyncOpAttrs{PageToken: *token}))
}

// oldWorkspaces has static entitlements.
type oldWorkspaces struct{ oldSyncer }

func (*oldWorkspaces) StaticEntitlements(ctx context.Context, token *pagination.Token) ([]*v2.Entitlement, string, annotations.Annotations, error) {
	return oldPage((&workspaces{}).StaticEntitlements(ctx, resource.SyncOpAttrs{PageToken: *token}))
}

func oldPage[T any](list []T, results *resource.SyncOpResults, err error) ([]T, string, annotations.Annotations, error) {
	if results == nil {
		return list, "", nil, err
	}
	return list, results.NextPageToken, results.Annotations, err
}
