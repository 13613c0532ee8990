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
	elsewhere foundElsewhere
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
