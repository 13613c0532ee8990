package fallback

import (
	"maps"
	"slices"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/baseline"
)

// foundElsewhere collects an Elsewhere while the plugin lists.
type foundElsewhere struct {
	mu           sync.Mutex
	entitlements map[string]struct{}
	grants       map[string]struct{}
}

// note notes a page of entitlements or grants that was listed for asked.
func (e *foundElsewhere) note(asked scope, page rows) {
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
func (e *foundElsewhere) with(known baseline.Elsewhere) *baseline.Elsewhere {
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
