package aggregate

import (
	"maps"
	"slices"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// Elsewhere are the resource types of a plugin whose rows came in a listing of
// another resource than the row's own: the grants of a role that is found in the
// grants of a group, say. A sync file does not keep which listing a row came in, it
// files the row under its own resource.
type Elsewhere struct {
	Entitlements []string
	Grants       []string
}

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
		if page.kind == kindGrants {
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
func (e *foundElsewhere) with(known Elsewhere) *Elsewhere {
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
	return &Elsewhere{Entitlements: union(e.entitlements, known.Entitlements), Grants: union(e.grants, known.Grants)}
}

// mayHold says whether rows of a resource of this type may have come in the listing
// of another resource. What is not known may be.
func (e *Elsewhere) mayHold(kind rowKind, typeID string) bool {
	if e == nil {
		return true
	}
	if kind == kindGrants {
		return slices.Contains(e.Grants, typeID)
	}
	return slices.Contains(e.Entitlements, typeID)
}

// mayHoldAny says whether there may be any such rows.
func (e *Elsewhere) mayHoldAny(kind rowKind) bool {
	if e == nil {
		return true
	}
	if kind == kindGrants {
		return len(e.Grants) > 0
	}
	return len(e.Entitlements) > 0
}

// rowKind is what a listing under a resource is of.
type rowKind string

const (
	kindEntitlements rowKind = "entitlements"
	kindGrants       rowKind = "grants"
)

// rows are those of a page of entitlements or grants; the other list is empty.
type rows struct {
	kind         rowKind
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
