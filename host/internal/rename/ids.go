package rename

import (
	"fmt"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/bid"
	"github.com/conductorone/baton-sdk/pkg/types/grant"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// rename renames one string of a message.
func (w *rewriter) rename(id string, ref Reference) (string, error) {
	if id == "" {
		return "", nil
	}
	var renamed string
	var err error
	switch ref {
	case toType:
		renamed, err = w.typeID(id)
	case toEntitlement:
		if w.entitlement.from != id {
			if renamed, err = w.builtID(id, "entitlement"); err != nil {
				return "", err
			}
			w.entitlement = memo{id, renamed}
		}
		renamed = w.entitlement.to
	case toGrant:
		renamed, err = w.grantID(id)
	case toReplacedGrant:
		renamed, err = w.replacedGrantID(id)
	case toExclusionGroup:
		renamed, err = w.affix(id, "exclusion group")
	case ToAction, ToActionRun, ToEvent, ToEventFeed, ToTicket, ToTicketSchema:
		renamed, err = w.objectID(id, ref)
	case typeName:
		renamed = w.typeName(id)
	default:
		renamed = id
	}
	if renamed != id {
		w.edits++
	}
	return renamed, err
}

// affix adds or removes the namespace as a plain prefix.
func (w *rewriter) affix(id, what string) (string, error) {
	if !w.removing {
		return w.names.Prefix + id, nil
	}
	own, ok := strings.CutPrefix(id, w.names.Prefix)
	if !ok || own == "" {
		return "", &foreignError{what: what, id: id, owner: w.names.Owners.Owner(id)}
	}
	return own, nil
}

func (w *rewriter) typeID(id string) (string, error) {
	for i := range w.types {
		if w.types[i].from == id {
			return w.types[i].to, nil
		}
	}
	if w.names.Prefix == "" {
		// Nothing distinguishes the ids of a plugin without a namespace from another's,
		// in either direction, but what is known of the others.
		if owner := w.names.Owners.Owner(id); owner != "" && owner != w.names.Instance {
			return "", &foreignError{what: "resource type", id: id, owner: owner}
		}
	}
	renamed, err := w.affix(id, "resource type")
	if err != nil {
		return "", err
	}
	w.types[0], w.types[1] = memo{id, renamed}, w.types[0]
	return renamed, nil
}

// builtID renames an id that may be a Baton ID ("bid:…"), which must stay one:
// the syncer parses them.
func (w *rewriter) builtID(id, what string) (string, error) {
	if w.names.Prefix == "" {
		return id, nil
	}
	if renamed, ok, err := w.batonID(id); ok {
		return renamed, err
	}
	return w.affix(id, what)
}

func (w *rewriter) grantID(id string) (string, error) {
	if id == grant.UnknownGrantId {
		return id, nil
	}
	return w.builtID(id, "grant")
}

// replacedGrantID renames a grant id that stands alone. If it ends like one
// that the SDK made for the principal at hand, it is taken for one.
func (w *rewriter) replacedGrantID(id string) (string, error) {
	entitlement, ok := strings.CutSuffix(id, ":"+w.principalType+":"+w.principalID)
	if !ok || w.principalType == "" || entitlement == "" {
		return w.grantID(id)
	}
	entitlement, err := w.builtID(entitlement, "grant")
	if err != nil {
		return "", err
	}
	principalType, err := w.typeID(w.principalType)
	if err != nil {
		return "", err
	}
	return entitlement + ":" + principalType + ":" + w.principalID, nil
}

func (w *rewriter) typeName(name string) string {
	if w.removing {
		return strings.TrimPrefix(name, w.names.Display)
	}
	return w.names.Display + name
}

// batonID renames the types inside a Baton ID. ok is false if it is none, or
// not written as the SDK writes it, so that it could not be recognized later.
func (w *rewriter) batonID(id string) (renamed string, ok bool, err error) {
	parsed, ok := parseBatonID(id)
	if !ok {
		return "", false, nil
	}
	switch parsed := parsed.(type) {
	case *v2.Resource:
		err = w.resourceTypes(parsed)
	case *v2.Entitlement:
		err = w.resourceTypes(parsed.GetResource())
	case *v2.Grant:
		if err = w.resourceTypes(parsed.GetEntitlement().GetResource()); err == nil {
			err = w.resourceTypes(parsed.GetPrincipal())
		}
	}
	if err != nil {
		return "", true, err
	}
	renamed, err = bid.MakeBid(parsed)
	return renamed, true, err
}

func parseBatonID(id string) (parsed bid.BID, ok bool) {
	if !strings.HasPrefix(id, bid.BidPrefix+":") {
		return nil, false
	}
	parsed, err := bid.Parse(id)
	if err != nil {
		return nil, false
	}
	canonical, err := bid.MakeBid(parsed)
	return parsed, err == nil && canonical == id
}

func (w *rewriter) resourceTypes(r *v2.Resource) error {
	for _, id := range []*v2.ResourceId{r.GetId(), r.GetParentResourceId()} {
		if id == nil {
			continue
		}
		if err := w.resourceID(id); err != nil {
			return err
		}
	}
	return nil
}

// maxFeedID is the longest id of an event feed, in bytes (validate rule of
// ListEventsRequest.event_feed_id and EventFeedMetadata.id). The other objects'
// ids have no limit.
const maxFeedID = 1024

// objectID renames the id of an object of no resource type.
func (w *rewriter) objectID(id string, ref Reference) (string, error) {
	what := ref.String()
	if w.names.Prefix == "" {
		// Calls are never routed by the ids of events, so nothing is mistaken.
		if owner := w.names.Owners.Namespaced(id); owner != "" && ref != ToEvent {
			return "", &foreignError{what: what, id: id, owner: owner}
		}
		return id, nil
	}
	renamed, err := w.affix(id, what)
	if err == nil && ref == ToEventFeed && len(renamed) > maxFeedID {
		return "", fmt.Errorf("the id of the event feed %q has %d bytes with the namespace in front, and no more than %d are allowed", errtext.Cut(id, 64), len(renamed), maxFeedID)
	}
	return renamed, err
}

// OwnType returns what the plugin itself calls a resource type.
func (n *Names) OwnType(typeID string) string { return strings.TrimPrefix(typeID, n.Prefix) }

// OwnID returns what the plugin itself calls an entitlement, a grant or an exclusion
// group; a Baton ID stays as it is.
func (n *Names) OwnID(id string) string { return strings.TrimPrefix(id, n.Prefix) }

// OwnGrantID returns what the plugin itself calls a grant.
func (n *Names) OwnGrantID(row *v2.Grant) string {
	if !hasMadeID(row) {
		return n.OwnID(row.GetId())
	}
	principal := row.GetPrincipal().GetId()
	return n.OwnID(row.GetEntitlement().GetId()) + ":" + n.OwnType(principal.GetResourceType()) + ":" + principal.GetResource()
}
