package connector

import (
	"context"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// userType has the user trait: its resources are accounts.
var userType = v2.ResourceType_builder{
	Id:          "user",
	DisplayName: "User",
	Traits:      []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER},
	// A user is granted to no one, so the syncer need not ask for it.
	Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
}.Build()

// users lists the accounts.
type users struct{ client *client }

func (u *users) ResourceType(context.Context) *v2.ResourceType { return userType }

// List delivers one page. The page token is all that the next call has: it may
// come to another process.
func (u *users) List(ctx context.Context, parent *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil // Users have no parent.
	}
	page, err := u.client.people(ctx, attrs.PageToken.Token)
	if err != nil {
		return nil, nil, err
	}
	var accounts []*v2.Resource
	for _, person := range page.Items {
		account, err := accountOf(person)
		if err != nil {
			return nil, nil, err
		}
		accounts = append(accounts, account)
	}
	return accounts, &resource.SyncOpResults{NextPageToken: page.Next}, nil
}

func accountOf(person person) (*v2.Resource, error) {
	state := v2.UserTrait_Status_STATUS_ENABLED
	if !person.Active {
		state = v2.UserTrait_Status_STATUS_DISABLED
	}
	return resource.NewUserResource(person.Name, userType, person.ID, []resource.UserTraitOption{
		resource.WithUserLogin(person.Email),
		resource.WithEmail(person.Email, true),
		resource.WithStatus(state), //nolint:staticcheck // With WithResourceStatus alone the trait would be enabled.
	})
}

// Entitlements of an account: none.
func (u *users) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// Grants of an account: none.
func (u *users) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}
