package aggregate

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	reader_v2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// storedToken begins the page tokens of listings that are answered from the last
// good sync. A plugin's own token, given to a plugin that has failed meanwhile,
// means that its listing begins anew there.
const storedToken = "baton-host/last-good/"

// standIn answers from the last good sync in the place of a plugin that failed.
//
// What the plugin had listed before it failed stays and goes before what is
// stored: the syncer would let the last one win. What it had not listed is all
// taken from the file. So a resource that was deleted in the app may come back
// until the next good sync, but none is lost.
type standIn struct {
	route *route
	good  *LastGood

	mu       sync.Mutex
	failure  error // why the plugin is not asked any more
	accounts int
	// delivered is every resource of the plugin that this sync has.
	delivered map[fingerprint]struct{}
	// begun are the listings that were begun from the file. Each is answered in
	// one piece, to the first who asks.
	begun map[string]bool
}

// fingerprint stands for a resource's identity: 16 bytes in place of two
// strings. That two of one sync are equal by chance is not to be expected (for a
// million resources, 1 in 10^26).
type fingerprint [2]uint64

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintOf(id *v2.ResourceId) fingerprint {
	type identity struct{ resourceType, resource string }
	this := identity{id.GetResourceType(), id.GetResource()}
	return fingerprint{maphash.Comparable(fingerprintSeeds[0], this), maphash.Comparable(fingerprintSeeds[1], this)}
}

func newStandIn(r *route, good *LastGood) *standIn {
	return &standIn{route: r, good: good, delivered: map[fingerprint]struct{}{}, begun: map[string]bool{}}
}

// fail has the plugin answered for from now on. It tells whether that is news.
func (s *standIn) fail(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return false
	}
	s.failure = err
	return true
}

func (s *standIn) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != nil
}

func (s *standIn) report() (Stale, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stale{Instance: s.route.instance, AsOf: s.good.AsOf, Accounts: s.accounts, Err: s.failure}, s.failure != nil
}

// note remembers what the plugin itself has listed.
func (s *standIn) note(rows []*v2.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		s.delivered[fingerprintOf(row.GetId())] = struct{}{}
	}
}

// answers tells whether a method can be answered from a sync file at all. What
// changes something cannot, nor what is asked for one resource.
func answersFromFile(method string) bool {
	return listing(method) || method == v2.ConnectorService_Validate_FullMethodName
}

// answer answers one call, in the aggregate's ids.
func (s *standIn) answer(ctx context.Context, request, reply proto.Message) error {
	var err error
	switch request := request.(type) {
	case *v2.ConnectorServiceValidateRequest:
		proto.Reset(reply)
	case *v2.ResourcesServiceListResourcesRequest:
		err = answerAs(reply, func(page *v2.ResourcesServiceListResourcesResponse) error { return s.resources(ctx, request, page) })
	case *v2.EntitlementsServiceListEntitlementsRequest:
		err = answerAs(reply, func(page *v2.EntitlementsServiceListEntitlementsResponse) error {
			return s.entitlements(ctx, request, page)
		})
	case *v2.EntitlementsServiceListStaticEntitlementsRequest:
		err = answerAs(reply, func(page *v2.EntitlementsServiceListStaticEntitlementsResponse) error {
			// The syncer changes what it is given.
			for _, static := range s.good.Static[request.GetResourceTypeId()] {
				page.SetList(append(page.GetList(), proto.CloneOf(static)))
			}
			return nil
		})
	case *v2.GrantsServiceListGrantsRequest:
		err = answerAs(reply, func(page *v2.GrantsServiceListGrantsResponse) error { return s.grants(ctx, request, page) })
	default:
		err = fmt.Errorf("a %T cannot be answered from a sync file", request)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	failure, _ := s.report()
	return s.route.failed(codes.Internal, "reading its part of the last good sync", err, fmt.Sprintf("it failed (%s), and", cleaned(failure.Err)))
}

// answerAs empties a reply of the expected type and has it filled.
func answerAs[T proto.Message](reply proto.Message, fill func(T) error) error {
	typed, ok := reply.(T)
	if !ok {
		return fmt.Errorf("the reply is a %T, not a %T", reply, typed)
	}
	proto.Reset(typed)
	return fill(typed)
}

// begin tells where a listing goes on in the file; ok is false if it has been
// answered, or is being answered, to somebody else.
func (s *standIn) begin(key, token string) (stored string, ok bool) {
	if stored, ours := strings.CutPrefix(token, storedToken); ours {
		return stored, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun[key] {
		return "", false
	}
	s.begun[key] = true
	return "", true
}

func nextToken(stored string) string {
	if stored == "" {
		return ""
	}
	return storedToken + stored
}

// resourceTypes are the plugin's resource types as the file has them.
func (s *standIn) resourceTypes(ctx context.Context) ([]*v2.ResourceType, error) {
	var rows []*v2.ResourceType
	for token := ""; ; {
		page, err := s.good.Store.ListResourceTypes(ctx, v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return nil, s.route.failed(codes.Internal, "reading its resource types from the last good sync", err, "")
		}
		for _, row := range page.GetList() {
			if slices.Contains(s.good.ResourceTypes, row.GetId()) {
				rows = append(rows, row)
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return rows, nil
		}
	}
}

// resources answers a listing of a resource type with all that the file has of
// the type and this sync has not, under whatever parent: a resource may have
// moved to another one since, or its parent may be gone.
func (s *standIn) resources(ctx context.Context, request *v2.ResourcesServiceListResourcesRequest, page *v2.ResourcesServiceListResourcesResponse) error {
	typeID := request.GetResourceTypeId()
	token, ok := s.begin("resources of "+typeID, request.GetPageToken())
	if !ok {
		return nil
	}
	stored, err := s.good.Store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: typeID, PageToken: token}.Build())
	if err != nil {
		return err
	}
	accounts := s.route.catalog.accounts(strings.TrimPrefix(typeID, s.route.names.prefix))
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []*v2.Resource
	for _, row := range stored.GetList() {
		this := fingerprintOf(row.GetId())
		if _, fresh := s.delivered[this]; fresh {
			continue
		}
		s.delivered[this] = struct{}{}
		rows = append(rows, row)
	}
	if accounts {
		s.accounts += len(rows)
	}
	page.SetList(rows)
	page.SetNextPageToken(nextToken(stored.GetNextPageToken()))
	return nil
}

func (s *standIn) entitlements(ctx context.Context, request *v2.EntitlementsServiceListEntitlementsRequest, page *v2.EntitlementsServiceListEntitlementsResponse) error {
	scope := scopeOf(request.GetResource(), request.GetAnnotations(), &v2.TypeScopedEntitlements{})
	token, ok := s.begin("entitlements of "+scope.key(), request.GetPageToken())
	if !ok {
		return nil
	}
	stored, err := s.good.Store.ListEntitlements(ctx, v2.EntitlementsServiceListEntitlementsRequest_builder{Resource: scope.resource, PageToken: token}.Build())
	if err != nil {
		return err
	}
	page.SetList(slices.DeleteFunc(stored.GetList(), func(row *v2.Entitlement) bool { return !scope.holds(row.GetResource()) }))
	page.SetNextPageToken(nextToken(stored.GetNextPageToken()))
	return nil
}

func (s *standIn) grants(ctx context.Context, request *v2.GrantsServiceListGrantsRequest, page *v2.GrantsServiceListGrantsResponse) error {
	scope := scopeOf(request.GetResource(), request.GetAnnotations(), &v2.TypeScopedGrants{})
	token, ok := s.begin("grants of "+scope.key(), request.GetPageToken())
	if !ok {
		return nil
	}
	var rows []c1zstore.GrantAnnotation
	var next string
	var err error
	if scope.resource != nil {
		rows, next, err = s.good.Store.Grants().ListWithAnnotationsForResourcePage(ctx, scope.resource, "", token, 0)
	} else {
		rows, next, err = s.good.Store.Grants().ListWithAnnotationsPage(ctx, token)
	}
	if err != nil {
		return err
	}
	var annos annotations.Annotations
	for _, row := range rows {
		if !scope.holds(row.Grant.GetEntitlement().GetResource()) || !asListed(row.Grant) {
			continue
		}
		gone, err := s.principalGone(ctx, row.Grant)
		if err != nil {
			return err
		}
		if gone {
			continue
		}
		own := annotations.Annotations(row.Grant.GetAnnotations())
		if row.Annotation != nil {
			own.Update(row.Annotation)
			row.Grant.SetAnnotations(own)
		}
		if own.Contains(&v2.InsertResourceGrants{}) {
			// The plugin had said it of the whole page: that the resources of its
			// grants are resources of the sync.
			annos.Update(&v2.InsertResourceGrants{})
		}
		page.SetList(append(page.GetList(), row.Grant))
	}
	page.SetAnnotations(annos)
	page.SetNextPageToken(nextToken(next))
	return nil
}

// asListed brings a stored grant back to what the plugin had listed. It returns
// false for grants that the SDK's expansion made: it will make them again.
func asListed(grant *v2.Grant) bool {
	sources := grant.GetSources().GetSources()
	if len(sources) == 0 {
		return true
	}
	if _, direct := sources[grant.GetEntitlement().GetId()]; !direct {
		return false
	}
	grant.SetSources(nil)
	return true
}

// principalGone tells whether a grant's principal is a resource that the app had
// in the last good sync and, as it listed before it failed, has no longer.
func (s *standIn) principalGone(ctx context.Context, grant *v2.Grant) (bool, error) {
	id := grant.GetPrincipal().GetId()
	if s.route.aggregate.owner(id.GetResourceType()) != s.route.instance {
		return false, nil
	}
	s.mu.Lock()
	_, here := s.delivered[fingerprintOf(id)]
	s.mu.Unlock()
	if here {
		return false, nil
	}
	_, err := s.good.Store.GetResource(ctx, reader_v2.ResourcesReaderServiceGetResourceRequest_builder{ResourceId: id}.Build())
	if status.Code(err) == codes.NotFound {
		return false, nil // It never was a resource of the sync.
	}
	return err == nil, err
}

// scope is what a listing of entitlements or grants is about: one resource, or
// all of a type.
type scope struct {
	typeID   string
	resource *v2.Resource // nil: the whole type
}

func scopeOf(resource *v2.Resource, annos annotations.Annotations, typeScoped proto.Message) scope {
	if annos.Contains(typeScoped) {
		return scope{typeID: resource.GetId().GetResourceType()}
	}
	return scope{typeID: resource.GetId().GetResourceType(), resource: resource}
}

func (s scope) key() string {
	if s.resource == nil {
		return "type " + s.typeID
	}
	return s.typeID + "/" + s.resource.GetId().GetResource()
}

func (s scope) holds(resource *v2.Resource) bool {
	return s.resource != nil || resource.GetId().GetResourceType() == s.typeID
}
