// Package fallback answers the calls of a sync from a plugin's part of the baseline once
// the plugin has failed.
//
// Package aggregate gives each plugin that has a baseline a [Source], and asks its
// [Recorder] what the next baseline has to know. It must never put a stored row over one
// that the plugin itself listed in this sync, and never lose one that it did not.
package fallback

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/rename"
)

// storedToken begins the page tokens of listings that are answered from the baseline. A
// plugin's own token, given to a plugin that has failed meanwhile, means that its listing
// begins there from the start.
const storedToken = "baton-host/last-good/"

// Source answers from a plugin's part of the baseline once the plugin has failed.
//
// What the plugin had listed before it failed stays and goes before what is stored: the
// syncer would let the last one win. What it had not listed is all taken from the file.
// So a resource that was deleted in the app may come back until the next accepted sync,
// but none is lost.
type Source struct {
	part     *baseline.Plugin
	names    *rename.Names
	types    *pagecheck.Types
	pages    *pagecheck.Checker
	recorder *Recorder

	// flight are the calls of the plugin that are under way, which end with inFlight.
	flight   sync.WaitGroup
	inFlight context.Context //nolint:containedctx // It is the plugin's time in this sync, not that of a call.
	land     context.CancelFunc

	mu      sync.Mutex
	failure Failure
	// delivered is every resource of the plugin that this sync has, listed the rows
	// of other kinds.
	delivered map[pagecheck.Fingerprint]struct{}
	listed    *rowNotes
	// begun are the listings that were begun from the file. Each is answered in
	// one piece, to the first who asks.
	begun map[string]bool
	// ready are pages that were made together with the one before, by their token.
	ready map[string]*v2.GrantsServiceListGrantsResponse
	// found is of resources that were asked for whether grants bring them.
	found map[pagecheck.Fingerprint]bool
}

// Failure is why, and how far, a plugin is fallen back for.
type Failure struct {
	// Err is why the plugin counts as failed.
	Err error
	// Contradicted says that a listing of the plugin was rejected as wrong.
	Contradicted bool
	// Accounts is how many accounts came from the baseline.
	Accounts int
}

// NewSource returns the source of a plugin that has not failed yet. A part without a file
// answers with nothing.
func NewSource(part *baseline.Plugin, names *rename.Names, types *pagecheck.Types, pages *pagecheck.Checker, recorder *Recorder) *Source {
	s := &Source{
		part: part, names: names, types: types, pages: pages, recorder: recorder,
		delivered: map[pagecheck.Fingerprint]struct{}{}, listed: newRowNotes(), begun: map[string]bool{},
		ready: map[string]*v2.GrantsServiceListGrantsResponse{}, found: map[pagecheck.Fingerprint]bool{},
	}
	s.inFlight, s.land = context.WithCancel(context.Background())
	return s
}

// AsOf returns when the app itself was last read completely, for the baseline.
func (s *Source) AsOf() time.Time { return s.part.AsOf }

// BeginCall returns the context for a call of the plugin, nil if it has failed. The
// context ends when it fails in another call. done must be called when the call has
// ended and what it brought is noted.
func (s *Source) BeginCall(ctx context.Context) (calling context.Context, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure.Err != nil {
		return nil, nil
	}
	s.flight.Add(1)
	calling, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.inFlight, cancel)
	return calling, func() {
		stop()
		cancel()
		s.flight.Done()
	}
}

// Fail counts the plugin as failed from now on. It returns whether that is news. A
// listing that is rejected at the same time as another call fails for less is not
// overlooked.
func (s *Source) Fail(err error, contradicted bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.failure.Err == nil
	if news || contradicted && !s.failure.Contradicted {
		s.failure.Err, s.failure.Contradicted = err, contradicted
	}
	if news {
		s.land()
	}
	return news
}

// Failed says whether the plugin has failed.
func (s *Source) Failed() bool {
	_, failed := s.Failure()
	return failed
}

// Failure returns how the plugin has failed; false if it has not.
func (s *Source) Failure() (Failure, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure, s.failure.Err != nil
}

// Note notes a page that the plugin itself has listed.
func (s *Source) Note(request, reply proto.Message) {
	if page, ok := reply.(*v2.ResourcesServiceListResourcesResponse); ok {
		s.noteResources(page.GetList())
		return
	}
	asked, page, ok := rowsOf(request, reply)
	listed, paged := reply.(interface {
		GetNextPageToken() string
		GetAnnotations() []*anypb.Any
	})
	if !ok || !paged {
		return
	}
	annos := annotations.Annotations(listed.GetAnnotations())
	if annos.Contains(&v2.InsertResourceGrants{}) {
		s.noteResources(page.resources())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed.note(asked.listing(page.kind), page, s.part.Elsewhere, annos.Contains(&v2.EnqueuePageTokens{}), listed.GetNextPageToken() == "")
}

func (s *Source) noteResources(rows []*v2.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		s.delivered[pagecheck.PrintOfResource(row.GetId())] = struct{}{}
	}
}

// Answers says whether a method can be answered from a sync file at all. What changes
// something cannot, nor what is asked for one resource.
func Answers(method string) bool {
	return policy.IsListing(method) || method == v2.ConnectorService_Validate_FullMethodName
}

// Answer answers one call, in the aggregate's ids, for a plugin that has failed. It waits
// until no call of the plugin is under way: what still came of one goes before what is
// stored.
func (s *Source) Answer(ctx context.Context, request, reply proto.Message) error {
	s.flight.Wait()
	if s.part.File == nil {
		proto.Reset(reply)
		return nil
	}
	if err := s.answer(ctx, request, reply); err != nil {
		return err
	}
	s.pages.Fit(request, reply, func(row, why string) {
		ctxzap.Extract(ctx).Warn("a row of the baseline does not fit what the plugin listed before it failed, and was fitted",
			zap.String("plugin", s.names.Instance), zap.String("row", row), zap.String("why", why))
	})
	return nil
}

func (s *Source) answer(ctx context.Context, request, reply proto.Message) error {
	switch request := request.(type) {
	case *v2.ConnectorServiceValidateRequest:
		proto.Reset(reply)
		return nil
	case *v2.ResourcesServiceListResourcesRequest:
		return answerAs(reply, func(page *v2.ResourcesServiceListResourcesResponse) error { return s.resources(ctx, request, page) })
	case *v2.EntitlementsServiceListEntitlementsRequest:
		return answerAs(reply, func(page *v2.EntitlementsServiceListEntitlementsResponse) error {
			return s.entitlements(ctx, request, page)
		})
	case *v2.EntitlementsServiceListStaticEntitlementsRequest:
		return answerAs(reply, func(page *v2.EntitlementsServiceListStaticEntitlementsResponse) error {
			// The syncer changes what it is given.
			typeID := request.GetResourceTypeId()
			for _, static := range s.recorder.statics.missing(typeID, s.part.Static[typeID]) {
				page.SetList(append(page.GetList(), proto.CloneOf(static)))
			}
			return nil
		})
	case *v2.GrantsServiceListGrantsRequest:
		return answerAs(reply, func(page *v2.GrantsServiceListGrantsResponse) error { return s.grants(ctx, request, page) })
	}
	return fmt.Errorf("a %T cannot be answered from a sync file", request)
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

// begin returns where a listing goes on in the file; ok is false if it has been
// answered, or is being answered, to another caller.
func (s *Source) begin(key, token string) (stored string, ok bool) {
	if stored, ours := strings.CutPrefix(token, storedToken); ours {
		return stored, true
	}
	return "", s.beginOnce(key)
}

func (s *Source) beginOnce(key string) bool {
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

// ResourceTypes returns the plugin's resource types as the file has them, in the
// aggregate's ids.
func (s *Source) ResourceTypes(ctx context.Context) ([]*v2.ResourceType, error) {
	var rows []*v2.ResourceType
	if s.part.File == nil {
		return nil, nil
	}
	for token := ""; ; {
		page, err := s.part.File.ListResourceTypes(ctx, v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: token}.Build())
		if err != nil {
			return nil, err
		}
		for _, row := range page.GetList() {
			if slices.Contains(s.part.ResourceTypes, row.GetId()) {
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
func (s *Source) resources(ctx context.Context, request *v2.ResourcesServiceListResourcesRequest, page *v2.ResourcesServiceListResourcesResponse) error {
	typeID := request.GetResourceTypeId()
	token, ok := s.begin("resources of "+typeID, request.GetPageToken())
	if !ok {
		return nil
	}
	stored, err := s.part.File.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: typeID, PageToken: token}.Build())
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
func (s *Source) claimResource(id *v2.ResourceId) bool {
	accounts := s.types.HasAccounts(s.names.OwnType(id.GetResourceType()))
	this := pagecheck.PrintOfResource(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, here := s.delivered[this]; here {
		return false
	}
	s.delivered[this] = struct{}{}
	if accounts {
		s.failure.Accounts++
	}
	return true
}

func (s *Source) isHere(id *v2.ResourceId) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, here := s.delivered[pagecheck.PrintOfResource(id)]
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
func (s scope) listing(kind baseline.RowKind) string {
	if s.resource == nil {
		return string(kind) + " of type " + s.typeID
	}
	return string(kind) + " of " + s.typeID + "/" + s.resource.GetId().GetResource()
}

// lists says whether the rows of a resource belong into a listing of the scope.
func (s scope) lists(id *v2.ResourceId) bool {
	return id.GetResourceType() == s.typeID && (s.resource == nil || id.GetResource() == s.resource.GetId().GetResource())
}
