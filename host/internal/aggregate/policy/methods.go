package policy

import (
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// listings are the calls whose pages make up a sync.
var listings = map[string]bool{
	v2.ResourceTypesService_ListResourceTypes_FullMethodName:     true,
	v2.ResourcesService_ListResources_FullMethodName:             true,
	v2.EntitlementsService_ListEntitlements_FullMethodName:       true,
	v2.EntitlementsService_ListStaticEntitlements_FullMethodName: true,
	v2.GrantsService_ListGrants_FullMethodName:                   true,
}

// IsListing says whether a call lists a part of a sync.
func IsListing(method string) bool { return listings[method] }

// IsRepeatable says whether a call may be repeated: such calls change nothing in the app. Among them are all that the
// syncer makes, apart from Cleanup, whose failure it only logs.
func IsRepeatable(method string) bool {
	switch method {
	case v2.ConnectorService_Validate_FullMethodName,
		v2.ConnectorService_GetMetadata_FullMethodName,
		v2.ResourceGetterService_GetResource_FullMethodName,
		v2.ActionService_ListActionSchemas_FullMethodName,
		v2.ActionService_GetActionSchema_FullMethodName,
		v2.ActionService_GetActionStatus_FullMethodName,
		v2.EventService_ListEventFeeds_FullMethodName,
		v2.EventService_ListEvents_FullMethodName,
		v2.TicketsService_ListTicketSchemas_FullMethodName,
		v2.TicketsService_GetTicketSchema_FullMethodName,
		v2.TicketsService_GetTicket_FullMethodName,
		v2.TicketsService_BulkGetTickets_FullMethodName:
		return true
	}
	return IsListing(method)
}

// MeansNone says whether an error is no more than the answer "I have none".
// A plugin that is not built with the SDK need not have the two calls that
// every sync makes without having asked whether there is anything to get; the
// SDK answers them with nothing where an author has written nothing.
func MeansNone(method string, request proto.Message, err error) bool {
	if status.Code(err) != codes.Unimplemented {
		return false
	}
	if method == v2.ConnectorService_Cleanup_FullMethodName {
		return true
	}
	asked, ok := request.(*v2.EntitlementsServiceListStaticEntitlementsRequest)
	return ok && asked.GetPageToken() == ""
}
