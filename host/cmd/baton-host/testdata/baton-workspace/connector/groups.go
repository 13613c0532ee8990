package connector

import (
	"context"
	"fmt"
	"slices"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// groups hold users and groups.
type groups struct{ *app }

const memberSlug = "member"

// named is a group or a role.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (*groups) ResourceType(context.Context) *v2.ResourceType { return groupType }

func (g *groups) List(ctx context.Context, parent *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if !childrenOf(parent) {
		return nil, nil, nil
	}
	found, next, err := page[named](ctx, g.client, attrs.PageToken.Token, g.config.PageSize, "groups")
	if err != nil {
		return nil, nil, err
	}
	var list []*v2.Resource
	for _, one := range found {
		if slices.Contains(g.config.SkipGroups, one.ID) {
			continue
		}
		made, err := g.group(&one, parent)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, made)
	}
	return list, results(next), nil
}

func (g *groups) group(one *named, parent *v2.ResourceId) (*v2.Resource, error) {
	name := one.Name
	if shown, ok := g.config.DisplayNames["group."+name]; ok {
		name = fmt.Sprint(shown)
	}
	return resource.NewGroupResource(name, groupType, one.ID, nil, resource.WithParentResourceID(parent))
}

// Get is for syncs of single groups.
func (g *groups) Get(ctx context.Context, id, parent *v2.ResourceId) (*v2.Resource, annotations.Annotations, error) {
	var found named
	if err := g.client.get(ctx, &found, "groups", id.GetResource()); err != nil {
		return nil, nil, err
	}
	one, err := g.group(&found, parent)
	return one, nil, err
}

func (*groups) Entitlements(_ context.Context, group *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(group, memberSlug,
		entitlement.WithGrantableTo(userType, groupType), entitlement.WithDisplayName("Member of "+group.GetDisplayName()))}, nil, nil
}

func (g *groups) Grants(ctx context.Context, group *v2.Resource, attrs resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	found, next, err := page[member](ctx, g.client, attrs.PageToken.Token, memberPage, "groups", group.GetId().GetResource(), "members")
	if err != nil {
		return nil, nil, err
	}
	grants, err := g.grantsOf(ctx, attrs.Session, group, memberSlug, found)
	return grants, results(next), err
}

func (g *groups) Grant(ctx context.Context, principal *v2.Resource, of *v2.Entitlement) ([]*v2.Grant, annotations.Annotations, error) {
	if err := g.change(ctx, add, "groups", of.GetResource().GetId(), principal.GetId()); err != nil {
		return nil, nil, err
	}
	return []*v2.Grant{grant.NewGrant(of.GetResource(), memberSlug, principal.GetId())}, nil, nil
}

func (g *groups) Revoke(ctx context.Context, one *v2.Grant) (annotations.Annotations, error) {
	return nil, g.change(ctx, remove, "groups", one.GetEntitlement().GetResource().GetId(), one.GetPrincipal().GetId())
}
