package aggregate

import (
	"maps"
	"slices"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// statics are a plugin's static entitlements by resource type, in the
// aggregate's ids, as this sync was given them.
type statics struct {
	mu     sync.Mutex
	byType map[string][]*v2.Entitlement
}

// learn notes what a later sync, or the rest of this one, has to know.
func (r *route) learn(request, reply proto.Message) {
	switch reply := reply.(type) {
	case *v2.ResourcesServiceListResourcesResponse:
		if r.standIn != nil {
			r.standIn.note(reply.GetList())
		}
	case *v2.EntitlementsServiceListStaticEntitlementsResponse:
		if asked, ok := request.(*v2.EntitlementsServiceListStaticEntitlementsRequest); ok {
			r.statics.add(asked.GetResourceTypeId(), reply.GetList())
		}
	case *v2.EntitlementsServiceListEntitlementsResponse:
		if asked, ok := request.(*v2.EntitlementsServiceListEntitlementsRequest); ok {
			r.learnRows(scopeOf(asked.GetResource(), asked.GetAnnotations(), &v2.TypeScopedEntitlements{}),
				rows{kind: kindEntitlements, entitlements: reply.GetList()}, reply)
		}
	case *v2.GrantsServiceListGrantsResponse:
		if asked, ok := request.(*v2.GrantsServiceListGrantsRequest); ok {
			r.learnRows(scopeOf(asked.GetResource(), asked.GetAnnotations(), &v2.TypeScopedGrants{}),
				rows{kind: kindGrants, grants: reply.GetList()}, reply)
		}
	}
}

// listedPage is what the replies with entitlements and with grants have in common.
type listedPage interface {
	GetNextPageToken() string
	GetAnnotations() []*anypb.Any
}

// learnRows notes a page of entitlements or grants.
func (r *route) learnRows(asked scope, page rows, reply listedPage) {
	r.elsewhere.note(asked, page)
	if r.standIn == nil {
		return
	}
	annos := annotations.Annotations(reply.GetAnnotations())
	if annos.Contains(&v2.InsertResourceGrants{}) {
		r.standIn.note(page.resources())
	}
	r.standIn.noteRows(asked, page, annos.Contains(&v2.EnqueuePageTokens{}), reply.GetNextPageToken() == "")
}

// add keeps copies: the syncer changes what it is given.
func (s *statics) add(typeID string, rows []*v2.Entitlement) {
	if len(rows) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byType == nil {
		s.byType = map[string][]*v2.Entitlement{}
	}
	for _, row := range rows {
		s.byType[typeID] = append(s.byType[typeID], proto.CloneOf(row))
	}
}

// learned joins what the plugin said with what was answered for it.
func (r *route) learned() Learned {
	learned := Learned{Static: map[string][]*v2.Entitlement{}}
	for _, typeID := range r.types.IDs() {
		learned.ResourceTypes = append(learned.ResourceTypes, r.names.Prefix+typeID)
	}
	slices.Sort(learned.ResourceTypes)
	r.statics.mu.Lock()
	defer r.statics.mu.Unlock()
	maps.Copy(learned.Static, r.statics.byType)
	failed := r.standIn != nil && r.standIn.failed()
	switch {
	case !failed:
		learned.Elsewhere = r.elsewhere.with(Elsewhere{})
	case r.standIn.good.Elsewhere != nil:
		learned.Elsewhere = r.elsewhere.with(*r.standIn.good.Elsewhere)
	}
	if failed {
		for typeID, rows := range r.standIn.good.Static {
			learned.Static[typeID] = withMissing(learned.Static[typeID], rows)
		}
	}
	return learned
}

// changed says that the plugin itself has listed a static entitlement in this sync, in
// another form than stored, if there was one.
func (s *statics) changed(row *v2.Entitlement, stored map[string][]*v2.Entitlement) bool {
	typeID := row.GetResource().GetId().GetResourceType()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fresh := range s.byType[typeID] {
		if entitlement.NewEntitlementID(row.GetResource(), fresh.GetSlug()) != row.GetId() {
			continue
		}
		return !slices.ContainsFunc(stored[typeID], func(before *v2.Entitlement) bool { return proto.Equal(before, fresh) })
	}
	return false
}

// missing are the stored static entitlements of a type that the plugin has not listed
// in this sync.
func (s *statics) missing(typeID string, stored []*v2.Entitlement) []*v2.Entitlement {
	s.mu.Lock()
	defer s.mu.Unlock()
	return withMissing(s.byType[typeID], stored)[len(s.byType[typeID]):]
}

// withMissing adds the stored static entitlements that the plugin had not listed
// before it failed. Their slugs are their identity.
func withMissing(fresh, stored []*v2.Entitlement) []*v2.Entitlement {
	all := slices.Clone(fresh)
	for _, row := range stored {
		if !slices.ContainsFunc(fresh, func(known *v2.Entitlement) bool { return known.GetSlug() == row.GetSlug() }) {
			all = append(all, row)
		}
	}
	return all
}
