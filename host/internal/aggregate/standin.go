package aggregate

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/grpc/codes"
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

	// flight are the calls of the plugin that are under way, which end with inFlight.
	flight   sync.WaitGroup
	inFlight context.Context //nolint:containedctx // It is the plugin's time in this sync, not that of a call.
	land     context.CancelFunc

	mu           sync.Mutex
	failure      error // why the plugin is not asked any more
	contradicted bool
	accounts     int
	// delivered is every resource of the plugin that this sync has, listed the rows
	// of other kinds.
	delivered map[fingerprint]struct{}
	listed    *listedRows
	// begun are the listings that were begun from the file. Each is answered in
	// one piece, to the first who asks.
	begun map[string]bool
	// held are pages that were made together with the one before, by their token.
	held map[string]*v2.GrantsServiceListGrantsResponse
	// found is of resources that were asked for whether grants bring them.
	found map[fingerprint]bool
}

// fingerprint stands for the identity of a resource or another row: 16 bytes in place
// of strings. That two of one sync are equal by chance is not to be expected (for a
// million resources, 1 in 10^26).
type fingerprint [2]uint64

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintOf[T comparable](this T) fingerprint {
	return fingerprint{maphash.Comparable(fingerprintSeeds[0], this), maphash.Comparable(fingerprintSeeds[1], this)}
}

func resourcePrint(id *v2.ResourceId) fingerprint {
	type identity struct{ resourceType, resource string }
	return fingerprintOf(identity{id.GetResourceType(), id.GetResource()})
}

func newStandIn(r *route, good *LastGood) *standIn {
	s := &standIn{
		route: r, good: good, delivered: map[fingerprint]struct{}{}, listed: newListedRows(), begun: map[string]bool{},
		held: map[string]*v2.GrantsServiceListGrantsResponse{}, found: map[fingerprint]bool{},
	}
	s.inFlight, s.land = context.WithCancel(context.Background())
	return s
}

// asking returns the context for a call of the plugin, nil if it has failed. The
// context ends when it fails in another call. done must be called when the call has
// ended and what it brought is noted.
func (s *standIn) asking(ctx context.Context) (asking context.Context, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, nil
	}
	s.flight.Add(1)
	asking, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.inFlight, cancel)
	return asking, func() {
		stop()
		cancel()
		s.flight.Done()
	}
}

// settle waits until no call of the plugin, which has failed, is under way: what
// still came of one goes before what is stored.
func (s *standIn) settle() { s.flight.Wait() }

// fail has the plugin answered for from now on. It returns whether that is news. A
// listing that is rejected at the same time as another call fails for less is not
// overlooked.
func (s *standIn) fail(err error, contradicted bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.failure == nil
	if news || contradicted && !s.contradicted {
		s.failure, s.contradicted = err, contradicted
	}
	if news {
		s.land()
	}
	return news
}

func (s *standIn) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure != nil
}

func (s *standIn) report() (Stale, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stale{Instance: s.route.instance, AsOf: s.good.AsOf, Accounts: s.accounts, Err: s.failure, Contradicted: s.contradicted}, s.failure != nil
}

// note remembers what the plugin itself has listed.
func (s *standIn) note(rows []*v2.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		s.delivered[resourcePrint(row.GetId())] = struct{}{}
	}
}

// noteRows remembers entitlements or grants that the plugin itself has listed.
func (s *standIn) noteRows(asked scope, page rows, forks, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed.note(asked.listing(page.kind), page, s.good.Elsewhere, forks, last)
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
			typeID := request.GetResourceTypeId()
			for _, static := range s.route.statics.missing(typeID, s.good.Static[typeID]) {
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
	return "", s.beginOnce(key)
}

func (s *standIn) beginOnce(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun[key] {
		return false
	}
	s.begun[key] = true
	return true
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
	var rows []*v2.Resource
	for _, row := range stored.GetList() {
		late, err := s.foundLate(ctx, row)
		if err != nil {
			return err
		}
		if !late && s.claimResource(row.GetId()) {
			rows = append(rows, row)
		}
	}
	page.SetList(rows)
	page.SetNextPageToken(nextToken(stored.GetNextPageToken()))
	return nil
}

// claimResource says whether a resource of the file is to be delivered: it is not in
// this sync yet.
func (s *standIn) claimResource(id *v2.ResourceId) bool {
	accounts := s.route.types.HasAccounts(s.route.names.OwnType(id.GetResourceType()))
	this := resourcePrint(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, here := s.delivered[this]; here {
		return false
	}
	s.delivered[this] = struct{}{}
	if accounts {
		s.accounts++
	}
	return true
}

func (s *standIn) isHere(id *v2.ResourceId) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, here := s.delivered[resourcePrint(id)]
	return here
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

// listing is the scope's listing of a kind of rows.
func (s scope) listing(kind rowKind) string {
	if s.resource == nil {
		return string(kind) + " of type " + s.typeID
	}
	return string(kind) + " of " + s.typeID + "/" + s.resource.GetId().GetResource()
}

// lists says whether the rows of a resource belong into a listing of the scope.
func (s scope) lists(id *v2.ResourceId) bool {
	return id.GetResourceType() == s.typeID && (s.resource == nil || id.GetResource() == s.resource.GetId().GetResource())
}
