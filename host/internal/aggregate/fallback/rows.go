package fallback

import (
	"context"
	"slices"
	"strconv"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	reader_v2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/baseline"
)

// A listing of entitlements or grants is answered with what the file has of its
// resource. Behind the first one that is, once, comes the rest: what the file has of
// resources whose rows may have come in any other listing (Elsewhere), among them
// those that the plugin has listed already, without the rows.
const (
	restToken  = "rest/" // a listing that has come to the rest
	readyToken = "held/" // a page that is ready
)

// following is the token behind a page of a listing from the file, stored that of the
// file.
func (s *Source) following(kind baseline.RowKind, rest bool, stored string) string {
	switch {
	case stored == "" && rest:
		return ""
	case stored == "" && s.part.Elsewhere.MayHoldAny(kind) && s.beginOnce("the rest of the "+string(kind)):
		return storedToken + restToken
	case stored == "":
		return ""
	case rest:
		return storedToken + restToken + stored
	default:
		return storedToken + stored
	}
}

// in says whether a row of the file belongs into an answer: of the scope, or of the
// rest.
func (s *Source) in(asked scope, rest bool, kind baseline.RowKind, resource *v2.ResourceId) bool {
	if !rest {
		return asked.lists(resource)
	}
	return s.part.Elsewhere.MayHold(kind, resource.GetResourceType()) && s.isMine(resource)
}

func (s *Source) isMine(id *v2.ResourceId) bool {
	return s.names.Owners.Owner(id.GetResourceType()) == s.names.Instance
}

func (s *Source) entitlements(ctx context.Context, request *v2.EntitlementsServiceListEntitlementsRequest, page *v2.EntitlementsServiceListEntitlementsResponse) error {
	asked := scopeOf(request.GetResource(), request.GetAnnotations(), &v2.TypeScopedEntitlements{})
	listing := asked.listing(baseline.Entitlements)
	token, ok := s.begin(listing, request.GetPageToken())
	if !ok {
		return nil
	}
	token, rest := strings.CutPrefix(token, restToken)
	query := v2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: token}
	if !rest {
		query.Resource = asked.resource
	}
	stored, err := s.part.File.ListEntitlements(ctx, query.Build())
	if err != nil {
		return err
	}
	for _, row := range stored.GetList() {
		resource := row.GetResource().GetId()
		if !s.in(asked, rest, baseline.Entitlements, resource) || s.recorder.statics.changed(row, s.part.Static) {
			continue
		}
		gone, err := s.gone(ctx, resource)
		if err != nil {
			return err
		}
		if !gone && s.claim(listing, baseline.Entitlements, resource, entitlementPrint(row)) {
			page.SetList(append(page.GetList(), row))
		}
	}
	page.SetNextPageToken(s.following(baseline.Entitlements, rest, stored.GetNextPageToken()))
	return nil
}

func (s *Source) grants(ctx context.Context, request *v2.GrantsServiceListGrantsRequest, page *v2.GrantsServiceListGrantsResponse) error {
	if s.takeReady(request.GetPageToken(), page) {
		return nil
	}
	asked := scopeOf(request.GetResource(), request.GetAnnotations(), &v2.TypeScopedGrants{})
	listing := asked.listing(baseline.Grants)
	token, ok := s.begin(listing, request.GetPageToken())
	if !ok {
		return nil
	}
	token, rest := strings.CutPrefix(token, restToken)
	var stored []c1zstore.GrantAnnotation
	var next string
	var err error
	if rest || asked.resource == nil {
		stored, next, err = s.part.File.Grants().ListWithAnnotationsPage(ctx, token)
	} else {
		stored, next, err = s.part.File.Grants().ListWithAnnotationsForResourcePage(ctx, asked.resource, "", token, 0)
	}
	if err != nil {
		return err
	}
	// The syncer puts the resources of a page that carries InsertResourceGrants into
	// the sync as the grants have them, and a stored grant has but the ids of its
	// resource. So that page has only one grant for each resource that is missing, with
	// the resource as it is stored itself.
	inserting := &v2.GrantsServiceListGrantsResponse{}
	for _, row := range stored {
		grant := row.Grant
		if !s.in(asked, rest, baseline.Grants, grant.GetEntitlement().GetResource().GetId()) || !asListed(grant) {
			continue
		}
		restoreExpansion(row)
		inserts, skip, err := s.place(ctx, listing, grant)
		if err != nil {
			return err
		}
		switch {
		case skip:
		case inserts:
			inserting.SetList(append(inserting.GetList(), grant))
		default:
			page.SetList(append(page.GetList(), grant))
		}
	}
	page.SetNextPageToken(s.following(baseline.Grants, rest, next))
	if len(inserting.GetList()) > 0 {
		inserting.SetAnnotations(annotations.New(&v2.InsertResourceGrants{}))
		s.queue(inserting, page)
	}
	return nil
}

// place decides about a stored grant: whether it is delivered, and whether its
// resource has to be inserted with it, which the grant then has whole.
func (s *Source) place(ctx context.Context, listing string, grant *v2.Grant) (inserts, skip bool, err error) {
	resource := grant.GetEntitlement().GetResource().GetId()
	gone, err := s.gone(ctx, grant.GetPrincipal().GetId())
	if gone || err != nil {
		return false, true, err
	}
	if !insertsResource(grant) {
		if gone, err = s.gone(ctx, resource); gone || err != nil {
			return false, true, err
		}
	}
	var others []pagecheck.Fingerprint
	if byID, ok := grantIDPrint(grant); ok {
		others = append(others, byID)
	}
	if !s.claim(listing, baseline.Grants, resource, grantPrint(grant), others...) {
		return false, true, nil
	}
	if !insertsResource(grant) || s.isHere(resource) {
		return false, false, nil
	}
	whole, err := s.stored(ctx, resource)
	if err != nil {
		return false, true, err
	}
	if !s.claimResource(resource) {
		return false, false, nil
	}
	if whole != nil {
		grant.GetEntitlement().SetResource(whole)
	}
	return true, false, nil
}

// claim says whether a row of the file is to be delivered: it is not in this sync yet.
func (s *Source) claim(listing string, kind baseline.RowKind, resource *v2.ResourceId, this pagecheck.Fingerprint, others ...pagecheck.Fingerprint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed.claim(listing, s.part.Elsewhere.MayHold(kind, resource.GetResourceType()), this, others...)
}

// queue puts a page behind another one.
func (s *Source) queue(page, before *v2.GrantsServiceListGrantsResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page.SetNextPageToken(before.GetNextPageToken())
	token := storedToken + readyToken + strconv.Itoa(len(s.ready))
	s.ready[token] = page
	before.SetNextPageToken(token)
}

// takeReady fills in the page of the token, if it is ready.
func (s *Source) takeReady(token string, page *v2.GrantsServiceListGrantsResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready := s.ready[token]
	if ready == nil {
		return false
	}
	s.ready[token] = nil // The number of the next one counts it.
	page.SetList(ready.GetList())
	page.SetAnnotations(ready.GetAnnotations())
	page.SetNextPageToken(ready.GetNextPageToken())
	return true
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

// restoreExpansion puts back what one engine stores beside a grant.
func restoreExpansion(row c1zstore.GrantAnnotation) {
	if row.Annotation == nil {
		return
	}
	annos := annotations.Annotations(row.Grant.GetAnnotations())
	annos.Update(row.Annotation)
	row.Grant.SetAnnotations(annos)
}

// insertsResource says whether the plugin had said of a stored grant that its resource
// is one of the sync, although no listing of resources has it.
func insertsResource(grant *v2.Grant) bool {
	annos := annotations.Annotations(grant.GetAnnotations())
	return annos.Contains(&v2.InsertResourceGrants{})
}

// stored is a resource as the file has it, nil if it has not.
func (s *Source) stored(ctx context.Context, id *v2.ResourceId) (*v2.Resource, error) {
	answer, err := s.part.File.GetResource(ctx, reader_v2.ResourcesReaderServiceGetResourceRequest_builder{ResourceId: id}.Build())
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	return answer.GetResource(), err
}

// gone says whether a resource of this plugin was in the baseline and, as the
// plugin listed before it failed, is no longer. One that grants bring may still come.
func (s *Source) gone(ctx context.Context, id *v2.ResourceId) (bool, error) {
	if !s.isMine(id) || s.isHere(id) {
		return false, nil
	}
	before, err := s.stored(ctx, id)
	if before == nil || err != nil {
		return false, err // It never was a resource of the sync.
	}
	found, err := s.foundByGrants(ctx, id)
	return !found, err
}

// foundByGrants says whether a resource that is in the file will come with the rest of
// the grants, wherever it came from.
func (s *Source) foundByGrants(ctx context.Context, id *v2.ResourceId) (bool, error) {
	if !s.part.Elsewhere.MayHold(baseline.Grants, id.GetResourceType()) {
		return false, nil
	}
	this := pagecheck.PrintOfResource(id)
	s.mu.Lock()
	found, known := s.found[this]
	s.mu.Unlock()
	if known {
		return found, nil
	}
	resource := v2.Resource_builder{Id: id}.Build()
	for token := ""; !found; {
		rows, next, err := s.part.File.Grants().ListWithAnnotationsForResourcePage(ctx, resource, "", token, 0)
		if err != nil {
			return false, err
		}
		found = slices.ContainsFunc(rows, func(row c1zstore.GrantAnnotation) bool { return insertsResource(row.Grant) && asListed(row.Grant) })
		if token = next; token == "" {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found[this] = found
	return found, nil
}

// foundLate says whether a resource of the file was found in grants, after the static
// entitlements had been listed, and so has none of those of its type. Were it listed
// now with the others, it would get them.
func (s *Source) foundLate(ctx context.Context, row *v2.Resource) (bool, error) {
	static := s.part.Static[row.GetId().GetResourceType()]
	if len(static) == 0 {
		return false, nil
	}
	found, err := s.foundByGrants(ctx, row.GetId())
	if !found || err != nil {
		return false, err
	}
	for token := ""; ; {
		page, err := s.part.File.ListEntitlements(ctx, v2.EntitlementsServiceListEntitlementsRequest_builder{Resource: row, PageToken: token}.Build())
		if err != nil {
			return false, err
		}
		for _, one := range page.GetList() {
			if slices.ContainsFunc(static, func(of *v2.Entitlement) bool { return entitlement.NewEntitlementID(row, of.GetSlug()) == one.GetId() }) {
				return false, nil
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return true, nil
		}
	}
}
