package connector

import (
	"context"
	"fmt"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"google.golang.org/protobuf/proto"
)

// things are those of one kind. A workspace can have many kinds, and each is a resource
// type, which is known only once the connector is configured.
type things struct {
	*app
	kind string
	typ  *v2.ResourceType
}

type thing struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	OwnerID string `json:"owner_id"`
}

const ownerSlug = "owner"

// newThings are the things of a kind. Those of every tenth kind have owners.
func newThings(of *app, number int) *things {
	var notes []proto.Message
	if number%10 != 0 {
		notes = append(notes, &v2.SkipEntitlementsAndGrants{})
	}
	kind := fmt.Sprintf("%04d", number)
	return &things{app: of, kind: kind, typ: resource.NewResourceType("Kind "+kind, nil, notes...)}
}

func (t *things) ResourceType(context.Context) *v2.ResourceType { return t.typ }

func (t *things) List(ctx context.Context, _ *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	found, next, err := page[thing](ctx, t.client, attrs.PageToken.Token, t.config.PageSize, "kinds", t.kind, "things")
	if err != nil {
		return nil, nil, err
	}
	list := make([]*v2.Resource, 0, len(found))
	for _, one := range found {
		made, err := resource.NewResource(one.Name, t.typ, one.ID)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, made)
	}
	return list, results(next), nil
}

func (*things) Entitlements(_ context.Context, of *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(of, ownerSlug, entitlement.WithGrantableTo(userType))}, nil, nil
}

func (t *things) Grants(ctx context.Context, of *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	var found thing
	if err := t.client.get(ctx, &found, "kinds", t.kind, "things", of.GetId().GetResource()); err != nil {
		return nil, nil, err
	}
	return []*v2.Grant{grant.NewGrant(of, ownerSlug, v2.ResourceId_builder{ResourceType: userType.GetId(), Resource: found.OwnerID}.Build())}, nil, nil
}
