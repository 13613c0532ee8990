package conformance

import (
	"context"
	"fmt"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// kind is what a listing lists.
type kind string

const (
	resourceTypes kind = "resource types"
	resources     kind = "resources"
	entitlements  kind = "entitlements"
	grants        kind = "grants"
)

// listing is one list that a connector has, page by page.
type listing struct {
	kind kind
	// sync is the id of the sync that it is part of, under which a connector keeps
	// its notes in the session store.
	sync string
	// typeID and parent are of a list of resources.
	typeID string
	parent *connectorv2.ResourceId
	// of is the resource of a list of entitlements or grants, or a stub that stands
	// for all of its type, with the annotation for it.
	of     *connectorv2.Resource
	scoped proto.Message
}

func (l listing) String() string {
	switch {
	case l.kind == resourceTypes:
		return "the list of resource types"
	case l.scoped != nil:
		return fmt.Sprintf("the list of %s of all of type %s", l.kind, l.of.GetId().GetResourceType())
	case l.of != nil:
		return fmt.Sprintf("the list of %s of %s", l.kind, nameOf(l.of.GetId()))
	case l.parent != nil:
		return fmt.Sprintf("the list of %s of type %s in %s", l.kind, l.typeID, nameOf(l.parent))
	default:
		return fmt.Sprintf("the list of %s of type %s", l.kind, l.typeID)
	}
}

// nameOf is a resource's name within its connector.
func nameOf(id *connectorv2.ResourceId) string {
	return id.GetResourceType() + "/" + id.GetResource()
}

// row is one entry of a page.
type row struct {
	id      string
	message proto.Message
}

// page is one answer.
type page struct {
	token string // with which it was asked for
	next  string
	rows  []row
}

// read asks for one page.
func (l listing) read(ctx context.Context, conn grpc.ClientConnInterface, token string) (page, error) {
	read := page{token: token}
	var err error
	switch l.kind {
	case resourceTypes:
		var answer *connectorv2.ResourceTypesServiceListResourceTypesResponse
		answer, err = connectorv2.NewResourceTypesServiceClient(conn).ListResourceTypes(ctx,
			connectorv2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token, ActiveSyncId: l.sync}.Build())
		read.next = answer.GetNextPageToken()
		for _, one := range answer.GetList() {
			read.rows = append(read.rows, row{one.GetId(), one})
		}
	case resources:
		var answer *connectorv2.ResourcesServiceListResourcesResponse
		answer, err = connectorv2.NewResourcesServiceClient(conn).ListResources(ctx,
			connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: l.typeID, ParentResourceId: l.parent, PageToken: token, ActiveSyncId: l.sync}.Build())
		read.next = answer.GetNextPageToken()
		for _, one := range answer.GetList() {
			id := nameOf(one.GetId())
			if one.GetId().GetResource() == "" {
				id = ""
			}
			read.rows = append(read.rows, row{id, one})
		}
	case entitlements:
		var answer *connectorv2.EntitlementsServiceListEntitlementsResponse
		answer, err = connectorv2.NewEntitlementsServiceClient(conn).ListEntitlements(ctx,
			connectorv2.EntitlementsServiceListEntitlementsRequest_builder{Resource: l.of, PageToken: token, Annotations: l.annotations(), ActiveSyncId: l.sync}.Build())
		read.next = answer.GetNextPageToken()
		for _, one := range answer.GetList() {
			read.rows = append(read.rows, row{one.GetId(), one})
		}
	case grants:
		var answer *connectorv2.GrantsServiceListGrantsResponse
		answer, err = connectorv2.NewGrantsServiceClient(conn).ListGrants(ctx,
			connectorv2.GrantsServiceListGrantsRequest_builder{Resource: l.of, PageToken: token, Annotations: l.annotations(), ActiveSyncId: l.sync}.Build())
		read.next = answer.GetNextPageToken()
		for _, one := range answer.GetList() {
			read.rows = append(read.rows, row{one.GetId(), one})
		}
	}
	if err != nil {
		return page{}, fmt.Errorf("%s fails: %w", l, plain(err))
	}
	return read, nil
}

func (l listing) annotations() annotations.Annotations {
	if l.scoped == nil {
		return nil
	}
	return annotations.New(l.scoped)
}
