package aggregate

import (
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
)

// listedRows are the entitlements and grants of a plugin that this sync has, as far
// as the file may be asked for the same ones: the syncer keeps the last row of an
// identity that it is given, and that must be the fresh one. Rows that no listing can
// come back to are forgotten, as a sync may have millions.
type listedRows struct {
	// kept are rows that may come in more than one listing.
	kept map[fingerprint]struct{}
	// open are those of other types, by listing, while the plugin is in the middle of
	// it: one that it has ended is not asked of the file.
	open map[string]map[fingerprint]struct{}
	// forked are listings whose end is not to be seen, as their pages fork.
	forked map[string]struct{}
}

func newListedRows() *listedRows {
	return &listedRows{kept: map[fingerprint]struct{}{}, open: map[string]map[fingerprint]struct{}{}, forked: map[string]struct{}{}}
}

// identity is what a row is known by: what the storage engines tell rows apart by.
type identity struct {
	kind               rowKind
	resourceType, id   string // of the entitlement's resource
	entitlement        string
	principalType, who string // of grants
	grant              string // only in identities by a grant's own id
}

func entitlementPrint(row *v2.Entitlement) fingerprint {
	id := row.GetResource().GetId()
	return fingerprintOf(identity{kind: kindEntitlements, resourceType: id.GetResourceType(), id: id.GetResource(), entitlement: row.GetId()})
}

func grantPrint(row *v2.Grant) fingerprint {
	resource, principal := row.GetEntitlement().GetResource().GetId(), row.GetPrincipal().GetId()
	return fingerprintOf(identity{
		kind: kindGrants, resourceType: resource.GetResourceType(), id: resource.GetResource(), entitlement: row.GetEntitlement().GetId(),
		principalType: principal.GetResourceType(), who: principal.GetResource(),
	})
}

// grantIDPrint is for grants with an id of the app's, which one engine tells grants
// apart by. It is false for the SDK's form of an id, which says no more than grantPrint.
func grantIDPrint(row *v2.Grant) (fingerprint, bool) {
	if row.GetId() == "" || row.GetId() == grant.NewGrantID(row.GetPrincipal(), row.GetEntitlement()) {
		return fingerprint{}, false
	}
	return fingerprintOf(identity{kind: kindGrants, grant: row.GetId()}), true
}

// note notes a page that the plugin itself has listed.
func (l *listedRows) note(listing string, page rows, known *Elsewhere, forks, last bool) {
	add := func(typeID string, prints ...fingerprint) {
		to := l.kept
		if !known.mayHold(page.kind, typeID) {
			if l.open[listing] == nil {
				l.open[listing] = map[fingerprint]struct{}{}
			}
			to = l.open[listing]
		}
		for _, one := range prints {
			to[one] = struct{}{}
		}
	}
	for _, row := range page.entitlements {
		add(row.GetResource().GetId().GetResourceType(), entitlementPrint(row))
	}
	for _, row := range page.grants {
		prints := []fingerprint{grantPrint(row)}
		if byID, ok := grantIDPrint(row); ok {
			prints = append(prints, byID)
		}
		add(row.GetEntitlement().GetResource().GetId().GetResourceType(), prints...)
	}
	if forks {
		l.forked[listing] = struct{}{}
	}
	if _, forked := l.forked[listing]; last && !forked {
		delete(l.open, listing)
	}
}

// claim says whether a row of the file is to be delivered: it is not in this sync yet.
func (l *listedRows) claim(listing string, kept bool, this fingerprint, others ...fingerprint) bool {
	for _, one := range append(others, this) {
		if _, ok := l.kept[one]; ok {
			return false
		}
		if _, ok := l.open[listing][one]; ok {
			return false
		}
	}
	if kept {
		l.kept[this] = struct{}{}
	}
	return true
}
