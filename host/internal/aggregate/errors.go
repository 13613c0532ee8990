package aggregate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate/fallback"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// callError is a failed call in a sentence for an operator, with a gRPC status
// for the SDK. It keeps the details of the plugin's own status: C1 reads them
// (a declined grant, for one).
type callError struct {
	instance string
	status   *status.Status
	cause    error

	doing, note string // as failed has them
}

func (e *callError) Error() string              { return e.status.Message() }
func (e *callError) GRPCStatus() *status.Status { return e.status }
func (e *callError) Unwrap() error              { return e.cause }

// Plugin is the instance that failed.
func (e *callError) Plugin() string { return e.instance }

// Public is the error without anything that comes from the plugin or is the id
// of anything in its app.
func (e *callError) Public() string {
	parts := []string{fmt.Sprintf("plugin %q", e.instance), withoutValues(e.doing)}
	for _, part := range []string{e.note, errtext.Public(e.cause)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// quoted are the values in describe's words; those of resource types say of which
// type they are.
var quoted = regexp.MustCompile(`(of type )?"(?:[^"\\]|\\.)*"`)

// withoutValues leaves the ids of an app out of describe's words, but for those of
// its resource types.
func withoutValues(doing string) string {
	return quoted.ReplaceAllStringFunc(doing, func(value string) string {
		if strings.HasPrefix(value, "of type ") {
			return value
		}
		return "…"
	})
}

// failed makes a callError of an error of any kind, keeping its details.
func (p *plugin) failed(code codes.Code, doing string, cause error, note string) error {
	words := policy.Message(cause)
	if note != "" {
		words = note + ": " + words
	}
	wire := status.New(code, fmt.Sprintf("plugin %q: %s: %s", p.Instance, doing, words)).Proto()
	wire.Details = status.Convert(cause).Proto().GetDetails()
	return &callError{instance: p.Instance, status: status.FromProto(wire), cause: cause, doing: doing, note: note}
}

// FailedPlugins are the instances that an error of an aggregate, or one around
// it, is about, each once.
func FailedPlugins(err error) []string {
	if call, ok := err.(*callError); ok { //nolint:errorlint // The tree is walked here.
		return []string{call.instance}
	}
	var inner []error
	switch err := err.(type) { //nolint:errorlint // The tree is walked here.
	case interface{ Unwrap() error }:
		inner = []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		inner = err.Unwrap()
	}
	var instances []string
	for _, one := range inner {
		for _, instance := range FailedPlugins(one) {
			if !slices.Contains(instances, instance) {
				instances = append(instances, instance)
			}
		}
	}
	return instances
}

// refused is a callError that this package itself gives the reason for.
func (p *plugin) refused(code codes.Code, doing, format string, args ...any) error {
	return p.failed(code, doing, &policy.Refusal{Code: code, Format: format, Args: args}, "")
}

// interrupted is what a call returns when its own context ended.
func (p *plugin) interrupted(ctx context.Context, doing string) error {
	code := codes.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = codes.DeadlineExceeded
	}
	return p.failed(code, doing, ctx.Err(), "")
}

// joinedError is several plugins failing at once. Its code is theirs if they
// agree.
type joinedError struct {
	errs []error
	code codes.Code
}

// join returns nil for no errors and a single error as it is.
func join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	code := status.Code(errs[0])
	for _, err := range errs[1:] {
		if status.Code(err) != code {
			code = codes.FailedPrecondition
		}
	}
	return &joinedError{errs: errs, code: code}
}

func (e *joinedError) Error() string {
	lines := make([]string, len(e.errs))
	for i, err := range e.errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

func (e *joinedError) GRPCStatus() *status.Status { return status.New(e.code, e.Error()) }
func (e *joinedError) Unwrap() []error            { return e.errs }

// describe says in words what a call does, in the plugin's own ids.
func describe(method string, request proto.Message) string {
	of := func(id *v2.ResourceId) string {
		return fmt.Sprintf("%s %q", id.GetResourceType(), id.GetResource())
	}
	switch request := request.(type) {
	case *v2.ConnectorServiceValidateRequest:
		return "validating"
	case *v2.ConnectorServiceGetMetadataRequest:
		return "reading metadata"
	case *v2.ConnectorServiceCleanupRequest:
		return "cleaning up"
	case *v2.ResourceTypesServiceListResourceTypesRequest:
		return "listing resource types"
	case *v2.ResourcesServiceListResourcesRequest:
		words := fmt.Sprintf("listing resources of type %q", request.GetResourceTypeId())
		if parent := request.GetParentResourceId(); parent.GetResource() != "" {
			words += " under " + of(parent)
		}
		return words
	case *v2.EntitlementsServiceListEntitlementsRequest:
		return "listing entitlements of " + of(request.GetResource().GetId())
	case *v2.EntitlementsServiceListStaticEntitlementsRequest:
		return fmt.Sprintf("listing static entitlements of type %q", request.GetResourceTypeId())
	case *v2.GrantsServiceListGrantsRequest:
		return "listing grants of " + of(request.GetResource().GetId())
	case *v2.ResourceGetterServiceGetResourceRequest:
		return "getting " + of(request.GetResourceId())
	case *v2.GrantManagerServiceGrantRequest:
		return fmt.Sprintf("granting %q to %s", request.GetEntitlement().GetId(), of(request.GetPrincipal().GetId()))
	case *v2.GrantManagerServiceRevokeRequest:
		grant := request.GetGrant()
		return fmt.Sprintf("revoking %q from %s", grant.GetEntitlement().GetId(), of(grant.GetPrincipal().GetId()))
	case *v2.CreateAccountRequest:
		return "creating an account"
	case *v2.RotateCredentialRequest:
		return "rotating the credential of " + of(request.GetResourceId())
	case *v2.IssueCredentialRequest:
		return "issuing a credential for " + of(request.GetIdentityId())
	case *v2.CreateResourceRequest:
		return "creating " + of(request.GetResource().GetId())
	case *v2.DeleteResourceRequest:
		return "deleting " + of(request.GetResourceId())
	case *v2.DeleteResourceV2Request:
		return "deleting " + of(request.GetResourceId())
	case *v2.InvokeActionRequest:
		return fmt.Sprintf("invoking the action %q", request.GetName())
	case *v2.GetActionStatusRequest:
		return fmt.Sprintf("reading the status of the run %q of an action", request.GetId())
	case *v2.GetActionSchemaRequest:
		return fmt.Sprintf("reading the schema of the action %q", request.GetName())
	case *v2.ListActionSchemasRequest:
		return "listing actions"
	case *v2.ListEventFeedsRequest:
		return "listing event feeds"
	case *v2.ListEventsRequest:
		return fmt.Sprintf("listing events of the feed %q", request.GetEventFeedId())
	case *v2.TicketsServiceListTicketSchemasRequest:
		return "listing ticket schemas"
	case *v2.TicketsServiceGetTicketSchemaRequest:
		return fmt.Sprintf("reading the ticket schema %q", request.GetId())
	case *v2.TicketsServiceGetTicketRequest:
		return fmt.Sprintf("reading the ticket %q", request.GetId())
	case *v2.TicketsServiceCreateTicketRequest:
		return fmt.Sprintf("creating a ticket of the schema %q", request.GetSchema().GetId())
	case *v2.TicketsServiceBulkGetTicketsRequest:
		return fmt.Sprintf("reading %d tickets", len(request.GetTicketRequests()))
	case *v2.TicketsServiceBulkCreateTicketsRequest:
		return fmt.Sprintf("creating %d tickets", len(request.GetTicketRequests()))
	}
	return "calling " + path.Base(method)
}

// contradicts says whether the failure of a call means that what the plugin listed is
// wrong.
func contradicts(err error) bool {
	if call, ok := errors.AsType[*callError](err); ok {
		err = call.cause // The code of the call is ABORTED for much of both kinds.
	}
	return fallback.Contradicts(err)
}
