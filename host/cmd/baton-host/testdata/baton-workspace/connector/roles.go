package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// roles are written against the first version of the SDK's interfaces, as many
// connectors are: listings that know no session, and a provisioner that answers with
// annotations only.
type roles struct{ *app }

var (
	_ connectorbuilder.ResourceSyncer      = (*roles)(nil)
	_ connectorbuilder.ResourceProvisioner = (*roles)(nil)
)

const assignedSlug = "assigned"

func (*roles) ResourceType(context.Context) *v2.ResourceType { return roleType }

func (n *named) role(parent *v2.ResourceId) (*v2.Resource, error) {
	return resource.NewRoleResource(n.Name, roleType, n.ID, nil, resource.WithParentResourceID(parent))
}

func (r *roles) List(ctx context.Context, parent *v2.ResourceId, token *pagination.Token) ([]*v2.Resource, string, annotations.Annotations, error) {
	if r.config.RolesByGrants || !childrenOf(parent) {
		return nil, "", nil, nil
	}
	found, next, err := page[named](ctx, r.client, token.Token, 2, "roles")
	if err != nil {
		return nil, "", nil, err
	}
	var list []*v2.Resource
	for _, one := range found {
		made, err := one.role(parent)
		if err != nil {
			return nil, "", nil, err
		}
		list = append(list, made)
	}
	return list, next, nil, nil
}

func (*roles) Entitlements(_ context.Context, role *v2.Resource, _ *pagination.Token) ([]*v2.Entitlement, string, annotations.Annotations, error) {
	return []*v2.Entitlement{entitlement.NewPermissionEntitlement(role, assignedSlug,
		entitlement.WithGrantableTo(userType, groupType), entitlement.WithDisplayName(role.GetDisplayName()))}, "", nil, nil
}

func (r *roles) Grants(ctx context.Context, role *v2.Resource, token *pagination.Token) ([]*v2.Grant, string, annotations.Annotations, error) {
	found, next, err := page[member](ctx, r.client, token.Token, memberPage, "roles", role.GetId().GetResource(), "members")
	if err != nil {
		return nil, "", nil, err
	}
	grants, err := r.grantsOf(ctx, nil, role, assignedSlug, found)
	return grants, next, nil, err
}

func (r *roles) Grant(ctx context.Context, principal *v2.Resource, of *v2.Entitlement) (annotations.Annotations, error) {
	return nil, r.change(ctx, add, "roles", of.GetResource().GetId(), principal.GetId())
}

func (r *roles) Revoke(ctx context.Context, one *v2.Grant) (annotations.Annotations, error) {
	return nil, r.change(ctx, remove, "roles", one.GetEntitlement().GetResource().GetId(), one.GetPrincipal().GetId())
}

// pagedByTokens is roles as the second version of the interfaces wants them. The
// provisioner stays what it is: the SDK takes either.
type pagedByTokens struct{ *roles }

func (p *pagedByTokens) List(ctx context.Context, parent *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	list, next, notes, err := p.roles.List(ctx, parent, &attrs.PageToken)
	return list, &resource.SyncOpResults{NextPageToken: next, Annotations: notes}, err
}

func (p *pagedByTokens) Entitlements(ctx context.Context, role *v2.Resource, attrs resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	list, next, notes, err := p.roles.Entitlements(ctx, role, &attrs.PageToken)
	return list, &resource.SyncOpResults{NextPageToken: next, Annotations: notes}, err
}

func (p *pagedByTokens) Grants(ctx context.Context, role *v2.Resource, attrs resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	list, next, notes, err := p.roles.Grants(ctx, role, &attrs.PageToken)
	return list, &resource.SyncOpResults{NextPageToken: next, Annotations: notes}, err
}
