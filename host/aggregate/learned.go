package aggregate

import (
	"maps"
	"slices"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/proto"
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
	}
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
	for typeID := range r.catalog.known() {
		learned.ResourceTypes = append(learned.ResourceTypes, r.names.prefix+typeID)
	}
	slices.Sort(learned.ResourceTypes)
	r.statics.mu.Lock()
	defer r.statics.mu.Unlock()
	maps.Copy(learned.Static, r.statics.byType)
	if r.standIn != nil && r.standIn.failed() {
		for typeID, rows := range r.standIn.good.Static {
			learned.Static[typeID] = withMissing(learned.Static[typeID], rows)
		}
	}
	return learned
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
