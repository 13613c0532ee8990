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

// changing says of every call whether it changes something in an app. A test
// compares it with the SDK's services, so that a call that a later SDK adds is
// decided on here; until then it counts as one that does.
var changing = map[string]bool{
	v2.GrantManagerService_Grant_FullMethodName:                  true,
	v2.GrantManagerService_Revoke_FullMethodName:                 true,
	v2.ResourceManagerService_CreateResource_FullMethodName:      true,
	v2.ResourceManagerService_DeleteResource_FullMethodName:      true,
	v2.ResourceDeleterService_DeleteResourceV2_FullMethodName:    true,
	v2.CredentialManagerService_RotateCredential_FullMethodName:  true,
	v2.CredentialManagerService_IssueCredential_FullMethodName:   true,
	v2.AccountManagerService_CreateAccount_FullMethodName:        true,
	v2.ActionService_InvokeAction_FullMethodName:                 true,
	v2.TicketsService_CreateTicket_FullMethodName:                true,
	v2.TicketsService_BulkCreateTickets_FullMethodName:           true,
	v2.ConnectorService_GetMetadata_FullMethodName:               false,
	v2.ConnectorService_Validate_FullMethodName:                  false,
	v2.ConnectorService_Cleanup_FullMethodName:                   false,
	v2.SchemaService_GetSchema_FullMethodName:                    false,
	v2.AssetService_GetAsset_FullMethodName:                      false,
	v2.ResourceTypesService_ListResourceTypes_FullMethodName:     false,
	v2.ResourcesService_ListResources_FullMethodName:             false,
	v2.ResourceGetterService_GetResource_FullMethodName:          false,
	v2.EntitlementsService_ListEntitlements_FullMethodName:       false,
	v2.EntitlementsService_ListStaticEntitlements_FullMethodName: false,
	v2.GrantsService_ListGrants_FullMethodName:                   false,
	v2.ActionService_GetActionStatus_FullMethodName:              false,
	v2.ActionService_GetActionSchema_FullMethodName:              false,
	v2.ActionService_ListActionSchemas_FullMethodName:            false,
	v2.EventService_ListEvents_FullMethodName:                    false,
	v2.EventService_ListEventFeeds_FullMethodName:                false,
	v2.TicketsService_GetTicket_FullMethodName:                   false,
	v2.TicketsService_ListTicketSchemas_FullMethodName:           false,
	v2.TicketsService_GetTicketSchema_FullMethodName:             false,
	v2.TicketsService_BulkGetTickets_FullMethodName:              false,
}

// Changes says whether a call, by its full gRPC method name, changes something
// in an app. Such a call is never repeated.
func Changes(method string) bool {
	does, known := changing[method]
	return does || !known
}
