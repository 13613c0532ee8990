package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

var teamType = v2.ResourceType_builder{
	Id:          "team",
	DisplayName: "Team",
	Traits:      []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP},
}.Build()

// member is what a team can be granted as.
const member = "member"

// teams lists the groups, and who is in them.
type teams struct{ client *client }

func (t *teams) ResourceType(context.Context) *v2.ResourceType { return teamType }

// List delivers one page of teams.
func (t *teams) List(ctx context.Context, parent *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil // Teams have no parent.
	}
	page, err := t.client.teams(ctx, attrs.PageToken.Token)
	if err != nil {
		return nil, nil, err
	}
	var groups []*v2.Resource
	for _, team := range page.Items {
		group, err := resource.NewGroupResource(team.Name, teamType, team.ID, nil)
		if err != nil {
			return nil, nil, err
		}
		groups = append(groups, group)
	}
	return groups, &resource.SyncOpResults{NextPageToken: page.Next}, nil
}

// Entitlements of a team: to be a member of it.
func (t *teams) Entitlements(_ context.Context, team *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(team, member,
		entitlement.WithGrantableTo(userType),
		entitlement.WithDisplayName(team.GetDisplayName()+" member"),
		entitlement.WithDescription("Is a member of the team "+team.GetDisplayName()),
	)}, &resource.SyncOpResults{}, nil
}

// Grants delivers one page of who is a member.
func (t *teams) Grants(ctx context.Context, team *v2.Resource, attrs resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	page, err := t.client.members(ctx, team.GetId().GetResource(), attrs.PageToken.Token)
	if err != nil {
		return nil, nil, err
	}
	var grants []*v2.Grant
	for _, id := range page.Items {
		principal, err := resource.NewResourceID(userType, id)
		if err != nil {
			return nil, nil, err
		}
		grants = append(grants, grant.NewGrant(team, member, principal))
	}
	return grants, &resource.SyncOpResults{NextPageToken: page.Next}, nil
}
