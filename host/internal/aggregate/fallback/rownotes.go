package fallback

import (
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/grant"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/baseline"
)

// rowNotes are the entitlements and grants of a plugin that this sync has, as far
// as the file may be asked for the same ones: the syncer keeps the last row of an
// identity that it is given, and that must be the fresh one. Rows that no listing can
// come back to are forgotten, as a sync may have millions.
type rowNotes struct {
	// kept are rows that may come in more than one listing.
	kept map[pagecheck.Fingerprint]struct{}
	// open are those of other types, by listing, while the plugin is in the middle of
	// it: one that it has ended is not asked of the file.
	open map[string]map[pagecheck.Fingerprint]struct{}
	// forked are listings whose end is not to be seen, as their pages fork.
	forked map[string]struct{}
}

func newRowNotes() *rowNotes {
	return &rowNotes{kept: map[pagecheck.Fingerprint]struct{}{}, open: map[string]map[pagecheck.Fingerprint]struct{}{}, forked: map[string]struct{}{}}
}

// identity is what a row is known by: what the storage engines distinguish rows by.
type identity struct {
	kind               baseline.RowKind
	resourceType, id   string // of the entitlement's resource
	entitlement        string
	principalType, who string // of grants
	grant              string // only in identities by a grant's own id
}

func entitlementPrint(row *v2.Entitlement) pagecheck.Fingerprint {
	id := row.GetResource().GetId()
	return pagecheck.FingerprintOf(identity{kind: baseline.Entitlements, resourceType: id.GetResourceType(), id: id.GetResource(), entitlement: row.GetId()})
}

func grantPrint(row *v2.Grant) pagecheck.Fingerprint {
	resource, principal := row.GetEntitlement().GetResource().GetId(), row.GetPrincipal().GetId()
	return pagecheck.FingerprintOf(identity{
		kind: baseline.Grants, resourceType: resource.GetResourceType(), id: resource.GetResource(), entitlement: row.GetEntitlement().GetId(),
		principalType: principal.GetResourceType(), who: principal.GetResource(),
	})
}

// grantIDPrint is for grants with an id of the app's, which one engine distinguishes grants
// apart by. It is false for the SDK's form of an id, which says no more than grantPrint.
func grantIDPrint(row *v2.Grant) (pagecheck.Fingerprint, bool) {
	if row.GetId() == "" || row.GetId() == grant.NewGrantID(row.GetPrincipal(), row.GetEntitlement()) {
		return pagecheck.Fingerprint{}, false
	}
	return pagecheck.FingerprintOf(identity{kind: baseline.Grants, grant: row.GetId()}), true
}

// note notes a page that the plugin itself has listed.
func (l *rowNotes) note(listing string, page rows, known *baseline.Elsewhere, forks, last bool) {
	if forks {
		l.forked[listing] = struct{}{}
	}
	_, forked := l.forked[listing]
	ended := last && !forked
	// to is where rows of a type are noted, nil if they need not be.
	to := func(typeID string) map[pagecheck.Fingerprint]struct{} {
		switch {
		case known.MayHold(page.kind, typeID):
			return l.kept
		case ended:
			return nil
		case l.open[listing] == nil:
			l.open[listing] = map[pagecheck.Fingerprint]struct{}{}
		}
		return l.open[listing]
	}
	for _, row := range page.entitlements {
		if noted := to(row.GetResource().GetId().GetResourceType()); noted != nil {
			noted[entitlementPrint(row)] = struct{}{}
		}
	}
	for _, row := range page.grants {
		noted := to(row.GetEntitlement().GetResource().GetId().GetResourceType())
		if noted == nil {
			continue
		}
		noted[grantPrint(row)] = struct{}{}
		if byID, ok := grantIDPrint(row); ok {
			noted[byID] = struct{}{}
		}
	}
	if ended {
		delete(l.open, listing)
	}
}

// claim says whether a row of the file is to be delivered: it is not in this sync yet.
func (l *rowNotes) claim(listing string, kept bool, this pagecheck.Fingerprint, others ...pagecheck.Fingerprint) bool {
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
