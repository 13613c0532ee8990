package aggregate

import (
	"context"
	"fmt"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/sdk"
	"golang.org/x/mod/semver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// fanOut calls every plugin at once and waits for all of them. Answers come in
// the plugins' order; if any failed, all the errors come together.
func fanOut[T any](ctx context.Context, routes []*route, call func(context.Context, *route) (T, error)) ([]T, error) {
	answers := make([]T, len(routes))
	errs := make([]error, len(routes))
	var wg sync.WaitGroup
	for i, r := range routes {
		wg.Go(func() { answers[i], errs[i] = call(ctx, r) })
	}
	wg.Wait()
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return answers, join(failed)
}

// into puts what was put together into the caller's reply.
func into(reply, answer proto.Message) error {
	if reply.ProtoReflect().Descriptor() != answer.ProtoReflect().Descriptor() {
		return status.Errorf(codes.Internal, "the reply is a %T, not a %T", reply, answer)
	}
	proto.Reset(reply)
	proto.Merge(reply, answer)
	return nil
}

// The syncer sends active_sync_id only to connectors of at least this version
// of the SDK. Older ones do not mind: for them it is an unknown field.
const activeSyncIDVersion = "v0.4.3"

// validate has every plugin check its credentials and reports all that fail.
func (a *Aggregate) validate(ctx context.Context, request *v2.ConnectorServiceValidateRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := fanOut(ctx, a.routes, func(ctx context.Context, r *route) (*v2.ConnectorServiceValidateResponse, error) {
		answer := &v2.ConnectorServiceValidateResponse{}
		return answer, r.call(ctx, v2.ConnectorService_Validate_FullMethodName, request, answer, opts)
	})
	if err != nil {
		return err
	}
	merged := &v2.ConnectorServiceValidateResponse{}
	var annos []*anypb.Any
	versions := make([]string, 0, len(answers))
	for _, answer := range answers {
		versions = append(versions, answer.GetSdkVersion())
		annos = append(annos, answer.GetAnnotations()...)
	}
	merged.SetSdkVersion(lowestVersion(versions))
	merged.SetAnnotations(annos)
	return into(reply, merged)
}

// lowestVersion is the oldest of the SDK versions that can be read. Plugins
// that are not built with the SDK have none.
func lowestVersion(versions []string) string {
	lowest, original := "", ""
	for _, text := range versions {
		version := "v" + strings.TrimPrefix(text, "v")
		if semver.IsValid(version) && (lowest == "" || semver.Compare(version, lowest) < 0) {
			lowest, original = version, text
		}
	}
	switch {
	case lowest == "":
		return sdk.Version
	case semver.Compare(lowest, activeSyncIDVersion) < 0:
		return activeSyncIDVersion
	default:
		return original
	}
}

// cleanup tells every plugin that a sync has ended, whoever fails.
func (a *Aggregate) cleanup(ctx context.Context, request *v2.ConnectorServiceCleanupRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := fanOut(ctx, a.routes, func(ctx context.Context, r *route) (*v2.ConnectorServiceCleanupResponse, error) {
		answer := &v2.ConnectorServiceCleanupResponse{}
		if r.broken != nil {
			return answer, nil // It was never asked for anything.
		}
		limited, cancel := context.WithTimeout(ctx, a.retry.CallTimeout)
		defer cancel()
		return answer, r.call(limited, v2.ConnectorService_Cleanup_FullMethodName, request, answer, opts)
	})
	if failed := a.endSessions(ctx); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	merged := &v2.ConnectorServiceCleanupResponse{}
	var annos []*anypb.Any
	for _, answer := range answers {
		annos = append(annos, answer.GetAnnotations()...)
	}
	merged.SetAnnotations(annos)
	return into(reply, merged)
}

// listResourceTypes answers with the types of all plugins in one page.
func (a *Aggregate) listResourceTypes(ctx context.Context, request *v2.ResourceTypesServiceListResourceTypesRequest, reply proto.Message, opts []grpc.CallOption) error {
	if request.GetPageToken() != "" {
		return status.Error(codes.InvalidArgument, "listing resource types: an aggregate answers in one page, so it has never given out a page token")
	}
	answers, err := fanOut(ctx, a.routes, func(ctx context.Context, r *route) (*v2.ResourceTypesServiceListResourceTypesResponse, error) {
		return r.resourceTypes(ctx, request, opts)
	})
	if err != nil {
		return err
	}
	if err := a.clashes(); err != nil {
		return err
	}
	merged := &v2.ResourceTypesServiceListResourceTypesResponse{}
	var rows []*v2.ResourceType
	var annos []*anypb.Any
	for i, answer := range answers {
		if err := a.routes[i].names.toAggregate(answer, nil); err != nil {
			return a.routes[i].failed(codes.Internal, "listing resource types", err, "its reply cannot be used")
		}
		rows = append(rows, answer.GetList()...)
		annos = append(annos, answer.GetAnnotations()...)
	}
	merged.SetList(rows)
	merged.SetAnnotations(annos)
	return into(reply, merged)
}

// resourceTypes are the plugin's resource types in its own ids, from the plugin
// or from what stands in for it.
func (r *route) resourceTypes(ctx context.Context, request *v2.ResourceTypesServiceListResourceTypesRequest, opts []grpc.CallOption) (*v2.ResourceTypesServiceListResourceTypesResponse, error) {
	if r.standIn == nil || !r.standIn.failed() {
		answer, err := r.listTypes(ctx, request, opts)
		if err == nil || r.standIn == nil || ctx.Err() != nil {
			return answer, err
		}
		r.fail(v2.ResourceTypesService_ListResourceTypes_FullMethodName, err)
	}
	rows, err := r.standIn.resourceTypes(ctx)
	if err != nil {
		return nil, err
	}
	stored := v2.ResourceTypesServiceListResourceTypesResponse_builder{List: rows}.Build()
	if err := r.names.toPlugin(stored); err != nil {
		return nil, r.failed(codes.Internal, "reading its resource types from the last good sync", err, "")
	}
	r.catalog.learn(stored.GetList())
	return stored, nil
}

// listTypes reads all pages of a plugin's resource types, in its own ids, into
// one, and remembers them.
func (r *route) listTypes(ctx context.Context, request *v2.ResourceTypesServiceListResourceTypesRequest, opts []grpc.CallOption) (*v2.ResourceTypesServiceListResourceTypesResponse, error) {
	const method = v2.ResourceTypesService_ListResourceTypes_FullMethodName
	own, err := r.own(method, request)
	if err != nil {
		return nil, err
	}
	asked, ok := own.(*v2.ResourceTypesServiceListResourceTypesRequest)
	if !ok {
		return nil, status.Errorf(codes.Internal, "the request became a %T", own)
	}
	all := &v2.ResourceTypesServiceListResourceTypesResponse{}
	for {
		page := &v2.ResourceTypesServiceListResourceTypesResponse{}
		if err := r.ask(ctx, method, asked, page, opts); err != nil {
			return nil, err
		}
		all.SetList(append(all.GetList(), page.GetList()...))
		all.SetAnnotations(append(all.GetAnnotations(), page.GetAnnotations()...))
		token := page.GetNextPageToken()
		if token == "" && len(all.GetList()) == 0 {
			// Nothing of the plugin would be synced, and nothing would say so.
			return nil, r.refused(codes.FailedPrecondition, describe(method, asked), "the plugin has no resource types")
		}
		if token == "" {
			if err := checkTwice(all.GetList()); err != nil {
				return nil, r.failed(codes.Internal, describe(method, asked), err, "its reply cannot be used")
			}
			r.catalog.learn(all.GetList())
			return all, nil
		}
		asked.SetPageToken(token)
	}
}

// clashes finds resource types that two plugins would share in the aggregate.
// That takes a plugin without a namespace.
func (a *Aggregate) clashes() error {
	owners := map[string]*route{}
	for _, r := range a.bare {
		for typeID := range r.catalog.known() {
			if other := a.namespaceOf(typeID); other != nil {
				return clash(fmt.Sprintf("the resource type %q of plugin %q, which has no namespace, begins with the namespace of plugin %q", typeID, r.instance, other.instance))
			}
			if other := owners[typeID]; other != nil {
				return clash(fmt.Sprintf("the plugins %q and %q have no namespace and both have the resource type %q", other.instance, r.instance, typeID))
			}
			owners[typeID] = r
		}
	}
	return nil
}

func clash(what string) error {
	return status.Errorf(codes.FailedPrecondition, "%s; give one of them a namespace, or put them into different uploads", what)
}
