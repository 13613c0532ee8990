package fallback

import (
	"maps"
	"slices"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/rename"
)

// Recorder records what a later sync, or the rest of this one, has to know of what a
// plugin lists, in the aggregate's ids. It is safe for concurrent use.
type Recorder struct {
	names     *rename.Names
	statics   statics
	elsewhere elsewhereNotes
}

// NewRecorder returns a recorder for the plugin with these names.
func NewRecorder(names *rename.Names) *Recorder { return &Recorder{names: names} }

// Note notes a page that the plugin itself has listed.
func (r *Recorder) Note(request, reply proto.Message) {
	if static, ok := reply.(*v2.EntitlementsServiceListStaticEntitlementsResponse); ok {
		if asked, ok := request.(*v2.EntitlementsServiceListStaticEntitlementsRequest); ok {
			r.statics.add(asked.GetResourceTypeId(), static.GetList())
		}
		return
	}
	if asked, page, ok := rowsOf(request, reply); ok {
		r.elsewhere.note(asked, page)
	}
}

// Facts returns what is to be recorded of a plugin with these resource types, in its own
// ids: what the plugin listed, together with the part of the baseline that was fallen
// back to, if it was. source is nil where there is none.
func (r *Recorder) Facts(types []string, source *Source) baseline.Facts {
	facts := baseline.Facts{Static: map[string][]*v2.Entitlement{}}
	for _, typeID := range types {
		facts.ResourceTypes = append(facts.ResourceTypes, r.names.Prefix+typeID)
	}
	r.statics.mu.Lock()
	defer r.statics.mu.Unlock()
	maps.Copy(facts.Static, r.statics.byType)
	failed := source != nil && source.Failed()
	switch {
	case !failed:
		facts.Elsewhere = r.elsewhere.with(baseline.Elsewhere{})
	case source.part.Elsewhere != nil:
		facts.Elsewhere = r.elsewhere.with(*source.part.Elsewhere)
	}
	if failed {
		for typeID, rows := range source.part.Static {
			facts.Static[typeID] = withMissing(facts.Static[typeID], rows)
		}
	}
	return facts
}

// statics are a plugin's static entitlements by resource type, in the
// aggregate's ids, as this sync was given them.
type statics struct {
	mu     sync.Mutex
	byType map[string][]*v2.Entitlement
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

// elsewhereNotes collects an Elsewhere while the plugin lists.
type elsewhereNotes struct {
	mu           sync.Mutex
	entitlements map[string]struct{}
	grants       map[string]struct{}
}

// note notes a page of entitlements or grants that was listed for asked.
func (e *elsewhereNotes) note(asked scope, page rows) {
	for _, resource := range page.resources() {
		if asked.lists(resource.GetId()) {
			continue
		}
		typeID := resource.GetId().GetResourceType()
		e.mu.Lock()
		found := &e.entitlements
		if page.kind == baseline.Grants {
			found = &e.grants
		}
		if *found == nil {
			*found = map[string]struct{}{}
		}
		(*found)[typeID] = struct{}{}
		e.mu.Unlock()
	}
}

// with is what was noted together with what is known of an earlier sync.
func (e *elsewhereNotes) with(known baseline.Elsewhere) *baseline.Elsewhere {
	e.mu.Lock()
	defer e.mu.Unlock()
	union := func(found map[string]struct{}, known []string) []string {
		all := maps.Clone(found)
		if all == nil {
			all = map[string]struct{}{}
		}
		for _, typeID := range known {
			all[typeID] = struct{}{}
		}
		return slices.Sorted(maps.Keys(all))
	}
	return &baseline.Elsewhere{Entitlements: union(e.entitlements, known.Entitlements), Grants: union(e.grants, known.Grants)}
}

// rows are those of a page of entitlements or grants; the other list is empty.
type rows struct {
	kind         baseline.RowKind
	entitlements []*v2.Entitlement
	grants       []*v2.Grant
}

func (r rows) resources() []*v2.Resource {
	resources := make([]*v2.Resource, 0, len(r.entitlements)+len(r.grants))
	for _, row := range r.entitlements {
		resources = append(resources, row.GetResource())
	}
	for _, row := range r.grants {
		resources = append(resources, row.GetEntitlement().GetResource())
	}
	return resources
}

// rowsOf returns the rows of a page of entitlements or grants, and what they were listed
// for; ok is false for any other page.
func rowsOf(request, reply proto.Message) (asked scope, page rows, ok bool) {
	switch reply := reply.(type) {
	case *v2.EntitlementsServiceListEntitlementsResponse:
		of, ok := request.(*v2.EntitlementsServiceListEntitlementsRequest)
		return scopeOf(of.GetResource(), of.GetAnnotations(), &v2.TypeScopedEntitlements{}), rows{kind: baseline.Entitlements, entitlements: reply.GetList()}, ok
	case *v2.GrantsServiceListGrantsResponse:
		of, ok := request.(*v2.GrantsServiceListGrantsRequest)
		return scopeOf(of.GetResource(), of.GetAnnotations(), &v2.TypeScopedGrants{}), rows{kind: baseline.Grants, grants: reply.GetList()}, ok
	}
	return scope{}, rows{}, false
}
