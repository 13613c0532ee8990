package main

import (
	"context"
	"fmt"
	"strconv"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// pageSize is how many rows a page has, of whatever kind.
const pageSize = 500

// The entitlements of groups and of roles.
const (
	memberSlug   = "member"
	assignedSlug = "assigned"
)

var (
	userType = v2.ResourceType_builder{
		Id: "user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER},
		Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
	}.Build()
	groupType = v2.ResourceType_builder{Id: "group", DisplayName: "Group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build()
	roleType  = v2.ResourceType_builder{Id: "role", DisplayName: "Role", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_ROLE}}.Build()
)

// paged makes the rows of the page at a token, of so many in all. The token is the number
// of the page's first row.
func paged[T any](total int, opts resource.SyncOpAttrs, row func(int) (T, error)) ([]T, *resource.SyncOpResults, error) {
	from := 0
	if token := opts.PageToken.Token; token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil {
			return nil, nil, fmt.Errorf("the page token is not a number: %w", err)
		}
	}
	to := min(from+pageSize, total)
	rows := make([]T, 0, max(0, to-from))
	for i := from; i < to; i++ {
		one, err := row(i)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, one)
	}
	results := &resource.SyncOpResults{}
	if to < total {
		results.NextPageToken = strconv.Itoa(to)
	}
	return rows, results, nil
}

func userID(i int) string  { return fmt.Sprintf("2819c223-7f76-453a-919d-%012d", i) }
func groupID(i int) string { return fmt.Sprintf("8a5f0b1e-11d4-4a6e-b0a5-%012d", i) }
func roleID(i int) string  { return fmt.Sprintf("role-%05d", i) }

// people lists the users.
type people struct{ of *directory }

func (p *people) ResourceType(context.Context) *v2.ResourceType { return userType }

func (p *people) List(_ context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil
	}
	return paged(p.of.users, opts, func(i int) (*v2.Resource, error) {
		login := fmt.Sprintf("person%d@example.com", i)
		return resource.NewUserResource(fmt.Sprintf("Person Number %d", i), userType, userID(i),
			[]resource.UserTraitOption{resource.WithUserLogin(login), resource.WithEmail(login, true)},
			resource.WithResourceProfile(map[string]any{"login": login, "first_name": "Person", "last_name": strconv.Itoa(i)}))
	})
}

func (p *people) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

func (p *people) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// groups lists the groups and who is in them.
type groups struct{ of *directory }

func (g *groups) ResourceType(context.Context) *v2.ResourceType { return groupType }

func (g *groups) List(_ context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil
	}
	return paged(g.of.groups, opts, group)
}

func group(i int) (*v2.Resource, error) {
	return resource.NewGroupResource(fmt.Sprintf("Group %d", i), groupType, groupID(i), nil,
		resource.WithDescription(fmt.Sprintf("The members of department %d", i)))
}

func (g *groups) Entitlements(_ context.Context, of *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(of, memberSlug, entitlement.WithGrantableTo(userType, groupType),
		entitlement.WithDisplayName(of.GetDisplayName()+" member"))}, &resource.SyncOpResults{}, nil
}

// Grants are those of the users, who are others in each group of a tower, and of the group
// that is nested in this one.
func (g *groups) Grants(_ context.Context, of *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	number, err := numberOf(of)
	if err != nil {
		return nil, nil, err
	}
	total := g.of.members
	nests := g.of.tower > 1 && number%g.of.tower < g.of.tower-1 && number+1 < g.of.groups
	if nests {
		total++
	}
	return paged(total, opts, func(i int) (*v2.Grant, error) {
		if i < g.of.members {
			return grant.NewGrant(of, memberSlug, principal(userType, userID((number*g.of.members+i)%g.of.users))), nil
		}
		inner, err := group(number + 1)
		if err != nil {
			return nil, err
		}
		return grant.NewGrant(of, memberSlug, inner.GetId(), grant.WithAnnotation(
			v2.GrantExpandable_builder{EntitlementIds: []string{entitlement.NewEntitlementID(inner, memberSlug)}}.Build())), nil
	})
}

// roles lists the roles and who has them.
type roles struct{ of *directory }

func (r *roles) ResourceType(context.Context) *v2.ResourceType { return roleType }

func (r *roles) List(_ context.Context, parent *v2.ResourceId, opts resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil
	}
	return paged(r.of.roles, opts, func(i int) (*v2.Resource, error) {
		return resource.NewRoleResource(fmt.Sprintf("Role %d", i), roleType, roleID(i), nil)
	})
}

func (r *roles) Entitlements(_ context.Context, of *v2.Resource, _ resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return []*v2.Entitlement{entitlement.NewAssignmentEntitlement(of, assignedSlug, entitlement.WithGrantableTo(userType))}, &resource.SyncOpResults{}, nil
}

func (r *roles) Grants(_ context.Context, of *v2.Resource, opts resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	number, err := numberOf(of)
	if err != nil {
		return nil, nil, err
	}
	return paged(r.of.holders, opts, func(i int) (*v2.Grant, error) {
		return grant.NewGrant(of, assignedSlug, principal(userType, userID((number*r.of.holders+i)%r.of.users))), nil
	})
}

func principal(of *v2.ResourceType, id string) *v2.ResourceId {
	return v2.ResourceId_builder{ResourceType: of.GetId(), Resource: id}.Build()
}

// numberOf is the number that a resource's id ends with.
func numberOf(of *v2.Resource) (int, error) {
	id := of.GetId().GetResource()
	digits := id[len(id)-5:]
	number, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("%s %q has no number: %w", of.GetId().GetResourceType(), id, err)
	}
	return number, nil
}
