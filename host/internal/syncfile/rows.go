package syncfile

import (
	"context"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
)

// Row is one resource in a sync file, as far as two files are compared.
type Row struct {
	ResourceType, ID string
	Name             string
	// Account says that it is an account. Others have no login, address and status.
	Account      bool
	Login, Email string
	// Enabled says that it is an account, and enabled.
	Enabled bool
}

// EachRow calls each with every resource, in the order of the file, which is stable. It
// stops at the first error.
func (f *File) EachRow(ctx context.Context, each func(Row) error) error {
	accounts, err := f.AccountTypes(ctx)
	if err != nil {
		return err
	}
	for token := ""; ; {
		page, err := f.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return damaged(f.path, err)
		}
		for _, found := range page.GetList() {
			row, err := rowOf(found, accounts[found.GetId().GetResourceType()] != nil)
			if err != nil {
				return damaged(f.path, err)
			}
			if err := each(row); err != nil {
				return err
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return nil
		}
	}
}

// Row returns a resource; ok is false if the file does not have it.
func (f *File) Row(ctx context.Context, typeID, id string, account bool) (row Row, ok bool) {
	found, err := f.GetResource(ctx, readerv2.ResourcesReaderServiceGetResourceRequest_builder{
		ResourceId: connectorv2.ResourceId_builder{ResourceType: typeID, Resource: id}.Build(),
	}.Build())
	if err != nil {
		return Row{}, false
	}
	row, err = rowOf(found.GetResource(), account)
	return row, err == nil
}

func rowOf(found *connectorv2.Resource, account bool) (Row, error) {
	row := Row{ResourceType: found.GetId().GetResourceType(), ID: found.GetId().GetResource(), Name: found.GetDisplayName(), Account: account}
	if !account {
		return row, nil
	}
	trait, err := resource.GetUserTrait(found)
	if err != nil {
		return Row{}, err
	}
	row.Login, row.Email = trait.GetLogin(), primaryEmail(trait)
	row.Enabled = resource.GetStatus(found).GetStatus() == connectorv2.Status_RESOURCE_STATUS_ENABLED
	return row, nil
}

// Entitlement is one entitlement in a sync file.
type Entitlement struct {
	ID       string
	Resource *connectorv2.ResourceId
}

// EachEntitlement calls each with every entitlement, in the order of the file, which is
// stable. It stops at the first error.
func (f *File) EachEntitlement(ctx context.Context, each func(Entitlement) error) error {
	for token := ""; ; {
		page, err := f.ListEntitlements(ctx, connectorv2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: token, PageSize: pageSize}.Build())
		if err != nil {
			return damaged(f.path, err)
		}
		for _, row := range page.GetList() {
			if err := each(Entitlement{ID: row.GetId(), Resource: row.GetResource().GetId()}); err != nil {
				return err
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return nil
		}
	}
}
