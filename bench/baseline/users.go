package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// userType has no entitlements and grants to ask for, which halves the work.
var userType = v2.ResourceType_builder{
	Id:          "user",
	DisplayName: "User",
	Traits:      []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER},
	Annotations: annotations.New(&v2.SkipEntitlementsAndGrants{}),
}.Build()

// users lists the accounts.
type users struct {
	client      *client
	profileOnce bool
}

func (u *users) ResourceType(context.Context) *v2.ResourceType { return userType }

// List reads one page for each call. The page token is the number of the first
// user of the page.
func (u *users) List(ctx context.Context, parent *v2.ResourceId, attrs resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error) {
	if parent != nil {
		return nil, &resource.SyncOpResults{}, nil
	}
	start := 1
	if token := attrs.PageToken.Token; token != "" {
		var err error
		if start, err = strconv.Atoi(token); err != nil {
			return nil, nil, fmt.Errorf("the page token is not a number: %w", err)
		}
	}
	page, err := u.client.users(ctx, start, pageSize)
	if err != nil {
		return nil, nil, err
	}
	accounts := make([]*v2.Resource, 0, len(page.Resources))
	for i := range page.Resources {
		account, err := u.account(&page.Resources[i])
		if err != nil {
			return nil, nil, err
		}
		accounts = append(accounts, account)
	}
	results := &resource.SyncOpResults{}
	if next := start + len(page.Resources); len(page.Resources) > 0 && next <= page.TotalResults {
		results.NextPageToken = strconv.Itoa(next)
	}
	return accounts, results, nil
}

// account has in it what the product's has. Profile, status and creation time are
// set as options of the user trait, as connectors do, and the SDK puts a copy on
// the resource.
func (u *users) account(user *user) (*v2.Resource, error) {
	status := v2.UserTrait_Status_STATUS_ENABLED
	if user.Active != nil && !*user.Active {
		status = v2.UserTrait_Status_STATUS_DISABLED
	}
	traits := []resource.UserTraitOption{
		resource.WithUserLogin(user.UserName),
		resource.WithStatus(status), //nolint:staticcheck // What connectors do today is what is measured.
	}
	for _, email := range user.Emails {
		traits = append(traits, resource.WithEmail(email.Value, email.Primary))
	}
	if u.profileOnce {
		return resource.NewUserResource(user.DisplayName, userType, user.ID, traits,
			resource.WithResourceProfile(profile(user)), resource.WithResourceCreatedAt(user.Meta.Created))
	}
	traits = append(traits,
		resource.WithUserProfile(profile(user)),   //nolint:staticcheck // See above.
		resource.WithCreatedAt(user.Meta.Created)) //nolint:staticcheck // See above.
	return resource.NewUserResource(user.DisplayName, userType, user.ID, traits)
}

func profile(user *user) map[string]any {
	profile := map[string]any{
		"scim_id":      user.ID,
		"user_id":      user.ID,
		"user_name":    user.UserName,
		"login":        user.UserName,
		"display_name": user.DisplayName,
		"first_name":   user.Name.GivenName,
		"last_name":    user.Name.FamilyName,
		"external_id":  user.ExternalID,
	}
	if user.Title != "" {
		profile["title"] = user.Title
	}
	for _, email := range user.Emails {
		if email.Primary {
			profile["email"] = email.Value
		}
	}
	var roles []string
	for _, role := range user.Roles {
		roles = append(roles, role.Display)
	}
	if len(roles) > 0 {
		profile["roles"] = strings.Join(roles, ", ")
	}
	return profile
}

// Entitlements of an account: none.
func (u *users) Entitlements(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Entitlement, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}

// Grants of an account: none.
func (u *users) Grants(context.Context, *v2.Resource, resource.SyncOpAttrs) ([]*v2.Grant, *resource.SyncOpResults, error) {
	return nil, &resource.SyncOpResults{}, nil
}
