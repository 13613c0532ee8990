package aggregate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/baseline"
)

// A sync lists resources first and their entitlements and grants later, and a resource
// may be deleted in the app in between. Connectors then answer NOT_FOUND, and rely on the
// SDK's syncer (baton-sdk v0.25.0, pkg/sync, isWarning), which takes it for a warning and
// goes on with the next resource. So does the aggregate, with an empty last page, after it
// has looked the resource up: a connector that finds it has lost a part of an answer.
//
// What had been listed of the resource stays in the sync: its own row, its entitlements,
// and the pages that came before the one that was not found. The syncer keeps them too, so
// that the rows are those of the same connector alone. They were true when they were
// listed, and go with the next sync; the warning has their number, so that a part is not
// taken for a full answer. Its children and the grants in which it is the principal are
// listings of other resources, and are as these have them.
//
// Nothing else is skipped. A listing of resources, of the static entitlements of a type,
// or of all entitlements or grants of a type (TypeScopedGrants) stands for more than one
// resource: the syncer would drop the rest of it, and here it fails.

// The bound is that of the SDK's syncer (tooManyWarnings), for each plugin by itself:
// more than skippedFew resources and more than one in skippedOneIn.
const (
	skippedFew   = 10
	skippedOneIn = 10
)

// Skipped is a resource that the plugin has listed, and then did not find.
type Skipped struct {
	Instance string
	// ResourceTypeID and ResourceID are the resource, as the sync file has it.
	ResourceTypeID, ResourceID string
	// Kind is what was being listed, and Rows is how many of them had come before, which
	// stay in the sync.
	Kind baseline.RowKind
	Rows int64
	// Err is what the plugin answered.
	Err error
	// Unknown is why the resource cannot be looked up; nil where the plugin answers that
	// it is gone.
	Unknown error
}

// SkippedPart is what a sync has skipped of one plugin.
type SkippedPart struct {
	Instance string
	// Resources is how many resources there are of which entitlements or grants were
	// skipped, Gone how many of them the plugin says are gone; the others cannot be looked
	// up.
	Resources, Gone int
	// First is one of them.
	First Skipped
}

// Skipped returns what was skipped so far of the plugins, in their order, without those of
// which nothing was.
func (a *Aggregate) Skipped() []SkippedPart {
	var parts []SkippedPart
	for _, p := range a.plugins {
		p.skips.mu.Lock()
		if part := p.skips.part; part.Resources > 0 {
			parts = append(parts, part)
		}
		p.skips.mu.Unlock()
	}
	return parts
}

// skips are the resources of one plugin that were skipped in one sync, and those that
// could have been. It is safe for concurrent use; the zero value has none.
type skips struct {
	mu    sync.Mutex
	part  SkippedPart
	known map[pagecheck.Fingerprint]struct{}
	// listed is how many resources were listed whose entitlements or grants are read, and
	// begun how many of their listings have begun, by kind. All of the first are known
	// before the first of the second begins, unless single resources are synced. So
	// whether too many are skipped does not depend on which are read first.
	listed int
	begun  map[baseline.RowKind]int
}

// list counts the resources of a page.
func (s *skips) list(resources int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed += resources
}

// begin counts a listing.
func (s *skips) begin(kind baseline.RowKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun == nil {
		s.begun = map[baseline.RowKind]int{}
	}
	s.begun[kind]++
}

// has says whether the resource was skipped before, by another of its listings.
func (s *skips) has(resource pagecheck.Fingerprint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known[resource]
	return known
}

// add counts a resource. It returns whether that is news, and how many there are of how
// many.
func (s *skips) add(resource pagecheck.Fingerprint, one Skipped) (news bool, skipped, of int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.known[resource]; !known {
		news = true
		if s.known == nil {
			s.known = map[pagecheck.Fingerprint]struct{}{}
			s.part.Instance, s.part.First = one.Instance, one
		}
		s.known[resource] = struct{}{}
		s.part.Resources++
		if one.Unknown == nil {
			s.part.Gone++
		}
	}
	return news, s.part.Resources, max(s.listed, s.begun[baseline.Entitlements], s.begun[baseline.Grants])
}

// countAccess counts the resources of a page, in the aggregate's ids, whose entitlements
// or grants the sync is going to read.
func (p *plugin) countAccess(reply proto.Message) {
	page, ok := reply.(*v2.ResourcesServiceListResourcesResponse)
	if !ok {
		return
	}
	resources, last, counts := 0, "", false
	for _, row := range page.GetList() {
		if typeID := row.GetId().GetResourceType(); typeID != last {
			last, counts = typeID, p.types.HasAccess(p.names.OwnType(typeID))
		}
		if counts {
			resources++
		}
	}
	p.skips.list(resources)
}

// accessRequest is a request for a page of entitlements or grants.
type accessRequest interface {
	proto.Message
	GetResource() *v2.Resource
	GetPageToken() string
	GetActiveSyncId() string
}

// accessOf returns the request for the entitlements or grants of one resource; false for
// any other.
func accessOf(request proto.Message) (accessRequest, baseline.RowKind, bool) {
	switch request := request.(type) {
	case *v2.EntitlementsServiceListEntitlementsRequest:
		annos := annotations.Annotations(request.GetAnnotations())
		return request, baseline.Entitlements, request.GetResource().HasId() && !annos.Contains(&v2.TypeScopedEntitlements{})
	case *v2.GrantsServiceListGrantsRequest:
		annos := annotations.Annotations(request.GetAnnotations())
		return request, baseline.Grants, request.GetResource().HasId() && !annos.Contains(&v2.TypeScopedGrants{})
	}
	return nil, "", false
}

// isNotFound says whether a plugin answered a call of a listing with NOT_FOUND.
func isNotFound(err error) bool {
	call, ok := errors.AsType[*callError](err)
	return ok && status.Code(call.cause) == codes.NotFound
}

// skip decides about a call of a listing for which the plugin answered NOT_FOUND, as
// failure says. It returns nil where the rest of the listing is skipped, which reply then
// ends. rows is how many rows of the listing had come before. The caller holds the
// listing's place: the plugin is asked for nothing else meanwhile.
func (p *plugin) skip(ctx context.Context, doing string, request, reply proto.Message, rows int64, failure error) error {
	asked, kind, ok := accessOf(request)
	if !ok {
		return failure
	}
	call, ok := errors.AsType[*callError](failure)
	if !ok {
		return failure
	}
	id := asked.GetResource().GetId()
	one := Skipped{
		Instance: p.Instance, ResourceTypeID: p.names.Prefix + id.GetResourceType(), ResourceID: id.GetResource(),
		Kind: kind, Rows: rows, Err: call.cause,
	}
	this := pagecheck.PrintOfResource(id)
	if !p.skips.has(this) {
		found, unknown, err := p.lookUp(ctx, asked)
		switch {
		case err != nil:
			return err
		case found:
			return p.failed(codes.FailedPrecondition, doing, call.cause, "the plugin answered NOT_FOUND, and yet finds the resource when it is looked up")
		}
		one.Unknown = unknown
	}
	news, skipped, of := p.skips.add(this, one)
	if skipped > skippedFew && skipped*skippedOneIn > of {
		return p.refused(codes.FailedPrecondition, doing,
			"the plugin answered NOT_FOUND for the entitlements or grants of %d of its %d resources: that is too many for deletions during the sync, of which 10 are skipped, or one in ten", skipped, of)
	}
	if news {
		p.aggregate.observer.Skipped(one)
	}
	proto.Reset(reply)
	return nil
}

// lookUp asks the plugin whether it still has the resource of a listing. found says that
// it has, unknown why that cannot be found out; if both are not so, it is gone. The error
// is for an app that cannot be read at all any more, in which NOT_FOUND means nothing.
func (p *plugin) lookUp(ctx context.Context, of accessRequest) (found bool, unknown, err error) {
	const method = v2.ResourceGetterService_GetResource_FullMethodName
	id := of.GetResource().GetId()
	request := v2.ResourceGetterServiceGetResourceRequest_builder{
		ResourceId: proto.CloneOf(id), ParentResourceId: proto.CloneOf(of.GetResource().GetParentResourceId()), ActiveSyncId: of.GetActiveSyncId(),
	}.Build()
	answer := &v2.ResourceGetterServiceGetResourceResponse{}
	_, err = p.invoke(ctx, method, describe(method, request), request, answer, nil)
	if err != nil {
		call, ok := errors.AsType[*callError](err)
		switch {
		case ok && status.Code(call.cause) == codes.NotFound:
			return false, nil, nil
		case ctx.Err() != nil, ok && status.Code(call.cause) != codes.PermissionDenied && !contradicts(err):
			return false, nil, err
		}
		return false, err, nil
	}
	// The syncer takes no resource for one that is gone, too.
	switch got := answer.GetResource().GetId(); {
	case answer.GetResource() == nil:
		return false, nil, nil
	case got.GetResourceType() == id.GetResourceType() && got.GetResource() == id.GetResource():
		return true, nil, nil
	default:
		return false, fmt.Errorf("looked up, the plugin answers with %s %q", got.GetResourceType(), got.GetResource()), nil
	}
}
