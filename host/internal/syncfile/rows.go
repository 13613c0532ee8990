package syncfile

import (
	"context"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
)

// pageSize is how many rows are held at a time.
const pageSize = 2000

// AccountTypes are the resource types of accounts, by id.
func (f *File) AccountTypes(ctx context.Context) (map[string]*connectorv2.ResourceType, error) {
	all, err := resourceTypes(ctx, f)
	if err != nil {
		return nil, damaged(f.path, err)
	}
	types := map[string]*connectorv2.ResourceType{}
	for _, resourceType := range all {
		if ofAccounts(resourceType) {
			types[resourceType.GetId()] = resourceType
		}
	}
	return types, nil
}

// EachAccount gives every account to each, in the order of the file, which is
// stable. It stops at the first error.
func (f *File) EachAccount(ctx context.Context, each func(Account) error) error {
	types, err := f.AccountTypes(ctx)
	if err != nil || len(types) == 0 {
		return err
	}
	token := ""
	for {
		page, err := f.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return damaged(f.path, err)
		}
		for _, row := range page.GetList() {
			resourceType, ok := types[row.GetId().GetResourceType()]
			if !ok {
				continue
			}
			account, err := accountOf(resourceType, row)
			if err != nil {
				return damaged(f.path, err)
			}
			if err := each(account); err != nil {
				return err
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return nil
		}
	}
}

// Grant is one grant: somebody has an entitlement of a resource.
type Grant struct {
	// Principal is who has it.
	Principal *connectorv2.ResourceId
	// Resource is what the entitlement is of, such as a group.
	Resource *connectorv2.ResourceId
	// Entitlement is its id.
	Entitlement string
}

// EachGrant gives every grant to each, those that follow from others included. It
// stops at the first error.
func (f *File) EachGrant(ctx context.Context, each func(Grant) error) error {
	token := ""
	for {
		page, err := f.ListGrants(ctx, connectorv2.GrantsServiceListGrantsRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return damaged(f.path, err)
		}
		for _, row := range page.GetList() {
			grant := Grant{
				Principal: row.GetPrincipal().GetId(), Resource: row.GetEntitlement().GetResource().GetId(), Entitlement: row.GetEntitlement().GetId(),
			}
			if err := each(grant); err != nil {
				return err
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return nil
		}
	}
}

// ResourceName is the display name of a resource; empty if it has none, or the file
// has no such resource.
func (f *File) ResourceName(ctx context.Context, id *connectorv2.ResourceId) string {
	found, err := f.GetResource(ctx, readerv2.ResourcesReaderServiceGetResourceRequest_builder{ResourceId: id}.Build())
	if err != nil {
		return ""
	}
	return found.GetResource().GetDisplayName()
}

// Unfinished is when the latest sync in the file began that is later than the one
// that is read and was never finished; the zero time if there is none.
func (f *File) Unfinished(ctx context.Context) (time.Time, error) {
	var began time.Time
	token := ""
	for {
		page, err := f.ListSyncs(ctx, readerv2.SyncsReaderServiceListSyncsRequest_builder{PageToken: token}.Build())
		if err != nil {
			return time.Time{}, damaged(f.path, err)
		}
		for _, run := range page.GetSyncs() {
			at := run.GetStartedAt().AsTime()
			if !run.HasEndedAt() && at.After(f.FinishedAt) && at.After(began) {
				began = at
			}
		}
		token = page.GetNextPageToken()
		if token == "" {
			return began, nil
		}
	}
}
