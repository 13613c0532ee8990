package aggregate

import v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

// changing are the calls that change something in an app.
var changing = map[string]bool{
	v2.GrantManagerService_Grant_FullMethodName:                 true,
	v2.GrantManagerService_Revoke_FullMethodName:                true,
	v2.ResourceManagerService_CreateResource_FullMethodName:     true,
	v2.ResourceManagerService_DeleteResource_FullMethodName:     true,
	v2.ResourceDeleterService_DeleteResourceV2_FullMethodName:   true,
	v2.AccountManagerService_CreateAccount_FullMethodName:       true,
	v2.CredentialManagerService_RotateCredential_FullMethodName: true,
	v2.CredentialManagerService_IssueCredential_FullMethodName:  true,
	v2.ActionService_InvokeAction_FullMethodName:                true,
	v2.TicketsService_CreateTicket_FullMethodName:               true,
	v2.TicketsService_BulkCreateTickets_FullMethodName:          true,
}

// Changes tells whether a call, by its full gRPC method name, changes something
// in an app. Such a call is never repeated.
func Changes(method string) bool { return changing[method] }
