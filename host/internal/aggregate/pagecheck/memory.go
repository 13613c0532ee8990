package pagecheck

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Memory is what one sync has seen so far of the rows that others are compared with,
// on whatever page these come: exclusion groups (the syncer's invariant I5), the
// entitlements that grants expand from, the resources that grants are to insert (I3).
// All ids are those of the aggregate. Plugins without a namespace share one, as they
// share ids.
//
// What it cannot know, because there is too much of it, it lets through: the syncer
// decides.
type Memory struct {
	mu        sync.Mutex
	resources map[string]*typeMemory
	// entitlements is which resource an entitlement is of, by its id; several if
	// there are entitlements of one id on different resources.
	entitlements map[Fingerprint]Fingerprint
	statics      map[string][]*v2.Entitlement // by resource type
	groups       map[string]*exclusionGroup
}

// several is no resource's Fingerprint, but for one in 2^128.
var several Fingerprint

// mostSeen is how many resources of a type, and how many entitlements, are
// remembered: 16 to 32 bytes each.
const mostSeen = 1 << 20

// typeMemory is what was listed of one resource type.
type typeMemory struct {
	ids     map[Fingerprint]struct{}
	most    int      // as many are remembered
	more    bool     // there are more
	some    []string // the ids of the first
	longest int      // of the ids, in bytes
}

// exclusionGroup is one group as the syncer's invariant I5 counts it.
type exclusionGroup struct {
	typeID    string
	defaultID string // the entitlement that is the default; "" if none is
	members   map[Fingerprint]struct{}
}

// maxGroupMembers is how many entitlements may share an exclusion group (baton-sdk
// v0.25.0, pkg/sync, maxEntitlementsPerExclusionGroup).
const maxGroupMembers = 50

// NewMemory returns a Memory of a sync that has seen nothing.
func NewMemory() *Memory {
	return &Memory{
		resources: map[string]*typeMemory{}, entitlements: map[Fingerprint]Fingerprint{},
		statics: map[string][]*v2.Entitlement{}, groups: map[string]*exclusionGroup{},
	}
}

// Match refuses a page of the plugin, in the aggregate's ids, that does not fit what the
// sync has seen so far, and remembers it.
func (c *Checker) Match(request, reply proto.Message) error {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	switch reply := reply.(type) {
	case *v2.ResourcesServiceListResourcesResponse:
		c.noteResources(request, reply.GetList())
	case *v2.EntitlementsServiceListEntitlementsResponse:
		return checkRows(reply.GetList(), c.matchEntitlement)
	case *v2.EntitlementsServiceListStaticEntitlementsResponse:
		asked, _ := request.(*v2.EntitlementsServiceListStaticEntitlementsRequest)
		return checkRows(reply.GetList(), func(row *v2.Entitlement) string { return c.matchStatic(asked.GetResourceTypeId(), row) })
	case *v2.GrantsServiceListGrantsResponse:
		inserts := carries(reply.GetAnnotations(), insertResourceGrantsName)
		if inserts {
			for _, row := range reply.GetList() {
				c.noteResources(nil, []*v2.Resource{row.GetEntitlement().GetResource()})
			}
		}
		return checkRows(reply.GetList(), func(row *v2.Grant) string { return c.matchGrant(row, inserts) })
	}
	return nil
}

// Fit makes a page of the baseline fit what the plugin itself had listed before it
// failed: between the two the app, or the connector, may have changed, and a row that
// the syncer refuses would end the sync of all plugins. The row stays; what cannot be
// true of it any more goes, and fitted is called with the row and why.
func (c *Checker) Fit(request, reply proto.Message, fitted func(row, why string)) {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	switch reply := reply.(type) {
	case *v2.ResourcesServiceListResourcesResponse:
		for _, row := range reply.GetList() {
			for _, trait := range c.types.known()[c.names.OwnType(row.GetId().GetResourceType())].traits {
				if !carries(row.GetAnnotations(), trait) {
					row.SetAnnotations(append(slices.Clip(row.GetAnnotations()), &anypb.Any{TypeUrl: "type.googleapis.com/" + trait}))
					fitted("resource "+named(row.GetId().GetResource()), "its resource type has a trait that it had not")
				}
			}
		}
		c.noteResources(request, reply.GetList())
	case *v2.EntitlementsServiceListEntitlementsResponse:
		for _, row := range reply.GetList() {
			if why := c.noteEntitlement(row); why != "" {
				row.SetAnnotations(without(row.GetAnnotations(), exclusionGroupName))
				fitted("entitlement "+named(row.GetId()), why)
			}
		}
	case *v2.EntitlementsServiceListStaticEntitlementsResponse:
		asked, _ := request.(*v2.EntitlementsServiceListStaticEntitlementsRequest)
		for _, row := range reply.GetList() {
			if why := c.noteStatic(asked.GetResourceTypeId(), row); why != "" {
				row.SetAnnotations(without(row.GetAnnotations(), exclusionGroupName))
				fitted("static entitlement "+named(row.GetSlug()), why)
			}
		}
	case *v2.GrantsServiceListGrantsResponse:
		for _, row := range reply.GetList() {
			if why := c.expansionUnfit(row); why != "" {
				row.SetAnnotations(without(row.GetAnnotations(), grantExpandableName))
				fitted("grant "+named(row.GetId()), why)
			}
		}
	}
}

// without leaves annotations of one type out.
func without(annos annotations.Annotations, name string) []*anypb.Any {
	return slices.DeleteFunc(slices.Clone(annos), func(one *anypb.Any) bool { return annotationName(one) == name })
}

// skips says that resources of a type have neither entitlements nor grants, so that
// nothing refers to them but as a principal.
func (c *Checker) skips(typeID string) bool { return c.types.known()[c.names.OwnType(typeID)].skips }

func (s *Memory) typeOf(typeID string, skips bool) *typeMemory {
	t := s.resources[typeID]
	if t == nil {
		t = &typeMemory{ids: map[Fingerprint]struct{}{}, most: mostSeen}
		if skips {
			t.most = maxGroupMembers + 1 // for static entitlements
		}
		s.resources[typeID] = t
	}
	return t
}

// noteResources remembers resources, and that those of a type were listed. The syncer
// lists all of them before it lists entitlements.
func (c *Checker) noteResources(request proto.Message, rows []*v2.Resource) {
	var t *typeMemory
	var typeID string
	if asked, ok := request.(*v2.ResourcesServiceListResourcesRequest); ok {
		typeID = asked.GetResourceTypeId()
		t = c.memory.typeOf(typeID, c.skips(typeID))
	}
	for _, row := range rows {
		if t == nil || row.GetId().GetResourceType() != typeID {
			typeID = row.GetId().GetResourceType()
			t = c.memory.typeOf(typeID, c.skips(typeID))
		}
		t.note(row.GetId())
	}
}

func (t *typeMemory) note(id *v2.ResourceId) {
	t.longest = max(t.longest, len(id.GetResource()))
	if t.more {
		return
	}
	this := PrintOfResource(id)
	if _, ok := t.ids[this]; ok {
		return
	}
	if len(t.ids) == t.most {
		t.more = true
		return
	}
	t.ids[this] = struct{}{}
	if len(t.some) <= maxGroupMembers {
		t.some = append(t.some, strings.Clone(id.GetResource()))
	}
}

// has says whether a resource was listed; ok is false if that is not known.
func (s *Memory) has(id *v2.ResourceId) (has, ok bool) {
	t := s.resources[id.GetResourceType()]
	if t == nil {
		return false, false
	}
	_, has = t.ids[PrintOfResource(id)]
	return has, has || !t.more
}

// fingerprintOfEntitlement stands for an entitlement's id.
func fingerprintOfEntitlement(id string) Fingerprint {
	return PrintOfResource(v2.ResourceId_builder{ResourceType: "", Resource: id}.Build())
}

func (c *Checker) matchEntitlement(row *v2.Entitlement) string {
	words := c.tooLongWithNamespace(len(c.names.OwnID(row.GetId())), len(row.GetId()))
	if words != "" {
		words = "its id " + words
	} else {
		words = c.noteEntitlement(row)
	}
	if words == "" {
		return ""
	}
	return fmt.Sprintf("the entitlement %s of %s: %s", named(c.names.OwnID(row.GetId())), c.ofType(row.GetResource().GetId()), words)
}

// noteEntitlement remembers an entitlement, or returns which rule of exclusion groups
// it breaks.
func (c *Checker) noteEntitlement(row *v2.Entitlement) string {
	resource := row.GetResource().GetId()
	if !c.types.Has(c.names.OwnType(resource.GetResourceType())) {
		return "" // The syncer leaves it out on purpose.
	}
	c.memory.noteEntitlement(row.GetId(), PrintOfResource(resource))
	for _, group := range exclusionGroups(row) {
		if words := c.noteMember(group, resource, row.GetId()); words != "" {
			return words
		}
	}
	return ""
}

func (s *Memory) noteEntitlement(id string, of Fingerprint) {
	this := fingerprintOfEntitlement(id)
	known, ok := s.entitlements[this]
	switch {
	case ok && known != of:
		s.entitlements[this] = several
	case !ok && len(s.entitlements) < mostSeen:
		s.entitlements[this] = of
	}
}

// ofType is a resource as an error names it.
func (c *Checker) ofType(id *v2.ResourceId) string {
	return fmt.Sprintf("the resource %s of type %s", named(id.GetResource()), named(c.names.OwnType(id.GetResourceType())))
}

// exclusionGroups are the groups that an entitlement says it is in.
func exclusionGroups(row *v2.Entitlement) []*v2.EntitlementExclusionGroup {
	var groups []*v2.EntitlementExclusionGroup
	for _, annotation := range row.GetAnnotations() {
		if annotationName(annotation) != exclusionGroupName {
			continue
		}
		group := &v2.EntitlementExclusionGroup{}
		if annotation.UnmarshalTo(group) == nil { // Otherwise it was refused before.
			groups = append(groups, group)
		}
	}
	return groups
}

func (c *Checker) matchStatic(typeID string, row *v2.Entitlement) string {
	unfit := func(words string) string {
		return fmt.Sprintf("the static entitlement %s of type %s: %s", named(row.GetSlug()), named(c.names.OwnType(typeID)), words)
	}
	for _, other := range c.memory.statics[typeID] {
		if other.GetSlug() == row.GetSlug() && !proto.Equal(other, row) {
			return unfit("the type has another of the same slug, and only the last would be kept: give each its own")
		}
	}
	longest := c.memory.typeOf(typeID, c.skips(typeID)).longest + len(row.GetSlug()) + len("::")
	own, whole := len(c.names.OwnType(typeID))+longest, len(typeID)+longest
	words := c.tooLongWithNamespace(own, whole)
	if own > maxID {
		words = tooLong(own, maxID)
	}
	if words != "" {
		return unfit("the id of its entitlement for the resource with the longest id " + words)
	}
	if words = c.noteStatic(typeID, row); words != "" {
		return unfit(words)
	}
	return ""
}

// noteStatic remembers a static entitlement, or returns which rule of exclusion groups
// is broken by what the syncer makes of it: one entitlement for each resource of the
// type, all in the same exclusion group if that is not scoped to the resource.
func (c *Checker) noteStatic(typeID string, row *v2.Entitlement) string {
	c.memory.statics[typeID] = append(c.memory.statics[typeID], proto.CloneOf(row)) // The syncer changes what it is given.
	groups := exclusionGroups(row)
	scoped := len(groups) > 0 && groups[0].GetScopeToResource()
	if scoped {
		groups = groups[:1] // The syncer writes this one over the others.
	}
	t := c.memory.typeOf(typeID, c.skips(typeID))
	for _, group := range groups {
		base := group.GetExclusionGroupId()
		for _, id := range t.some {
			if scoped {
				group.SetExclusionGroupId(base + "-" + id)
			}
			resource := v2.ResourceId_builder{ResourceType: typeID, Resource: id}.Build()
			if words := c.noteMember(group, resource, staticID(typeID, id, row.GetSlug())); words != "" {
				return fmt.Sprintf("every resource of the type has it, and there are %s: for the resource %s, %s", t.count(), named(id), words)
			}
		}
	}
	return ""
}

// count is how many there are, in words.
func (t *typeMemory) count() string {
	if t.more {
		return fmt.Sprintf("more than %d", len(t.ids))
	}
	return fmt.Sprint(len(t.ids))
}

// staticID is the id that the syncer gives to a static entitlement of a resource.
func staticID(typeID, id, slug string) string { return typeID + ":" + id + ":" + slug }

// noteMember adds an entitlement to an exclusion group, or returns which rule of the
// syncer that would break. An entitlement that is listed again counts once.
func (c *Checker) noteMember(annotation *v2.EntitlementExclusionGroup, resource *v2.ResourceId, id string) string {
	groupID := annotation.GetExclusionGroupId()
	if groupID == "" {
		return "" // To the syncer it is in none.
	}
	if c.memory.groups[groupID] == nil {
		c.memory.groups[groupID] = &exclusionGroup{typeID: resource.GetResourceType(), members: map[Fingerprint]struct{}{}}
	}
	group := c.memory.groups[groupID]
	own := named(c.names.OwnID(groupID))
	if group.typeID != resource.GetResourceType() {
		return fmt.Sprintf("its exclusion group %s has entitlements of type %s too: an exclusion group must be of one resource type",
			own, named(c.names.OwnType(group.typeID)))
	}
	if annotation.GetIsDefault() && group.defaultID != "" && group.defaultID != id {
		return fmt.Sprintf("it is the default of the exclusion group %s, and so is the entitlement %s: a group may have one default, and a group of each resource needs its own id",
			own, named(c.names.OwnID(group.defaultID)))
	}
	this := PrintOfResource(v2.ResourceId_builder{ResourceType: resource.GetResource(), Resource: id}.Build())
	_, again := group.members[this]
	if !again && len(group.members) == maxGroupMembers {
		return fmt.Sprintf("its exclusion group %s has %d entitlements without it, and no more are allowed", own, maxGroupMembers)
	}
	group.members[this] = struct{}{}
	switch {
	case annotation.GetIsDefault():
		group.defaultID = id
	case group.defaultID == id:
		group.defaultID = "" // It was the default when it was listed before.
	}
	return ""
}

func (c *Checker) matchGrant(row *v2.Grant, inserts bool) string {
	entitlement, principal := row.GetEntitlement(), row.GetPrincipal()
	words := c.grantTooLong(row)
	if words == "" && !inserts && carries(row.GetAnnotations(), insertResourceGrantsName) {
		if has, ok := c.memory.has(entitlement.GetResource().GetId()); ok && !has {
			words = "it says that its resource is to be inserted, which the annotations of the page must say, and the resource is not listed"
		}
	}
	if words == "" {
		words = c.expansionUnfit(row)
	}
	if words == "" {
		return ""
	}
	return fmt.Sprintf("the grant %s of the entitlement %s of %s to %s: %s", named(c.names.OwnGrantID(row)), named(c.names.OwnID(entitlement.GetId())),
		c.ofType(entitlement.GetResource().GetId()), c.ofType(principal.GetId()), words)
}

// grantTooLong is for the ids of a grant and of its entitlement. The namespace stands
// in a grant's id once or twice.
func (c *Checker) grantTooLong(row *v2.Grant) string {
	entitlement, principal := row.GetEntitlement().GetId(), row.GetPrincipal().GetId()
	if words := c.tooLongWithNamespace(len(c.names.OwnID(entitlement)), len(entitlement)); words != "" {
		return "the id of its entitlement " + words
	}
	size := len(row.GetId())
	if size == 0 { // The store makes one.
		size = len(entitlement) + len(principal.GetResourceType()) + len(principal.GetResource()) + 2
	}
	if size <= maxID {
		return ""
	}
	if own := size - 2*len(c.names.Prefix); own > maxID {
		return "its id " + tooLong(own, maxID)
	}
	return "its id " + c.tooLongWithNamespace(0, size)
}

// expansionUnfit returns why the syncer could not expand a grant, "" if it can, or
// need not. It leaves out what expands from an entitlement that there is not.
func (c *Checker) expansionUnfit(row *v2.Grant) string {
	target, principal := row.GetEntitlement(), row.GetPrincipal().GetId()
	if !carries(row.GetAnnotations(), grantExpandableName) ||
		!c.types.Has(c.names.OwnType(target.GetResource().GetId().GetResourceType())) || !c.types.Has(c.names.OwnType(principal.GetResourceType())) {
		return ""
	}
	annos := annotations.Annotations(row.GetAnnotations())
	expandable := &v2.GrantExpandable{}
	if ok, err := annos.Pick(expandable); !ok || err != nil {
		return ""
	}
	for _, source := range expandable.GetEntitlementIds() {
		of, ok := c.memory.resourceOf(source, principal)
		if !ok {
			continue
		}
		for _, id := range []string{source, target.GetId()} {
			if c.memory.ofSeveral(id) {
				return fmt.Sprintf("it expands from the entitlement %s, and several resources have an entitlement of the id %s: give each its own id",
					named(c.names.OwnID(source)), named(c.names.OwnID(id)))
			}
		}
		if of != PrintOfResource(principal) {
			return fmt.Sprintf("it expands from the entitlement %s, which is not one of its principal: its principal must be the resource whose entitlement it expands from",
				named(c.names.OwnID(source)))
		}
	}
	return ""
}

// ofSeveral says whether several resources have an entitlement of one id.
func (s *Memory) ofSeveral(id string) bool {
	of, ok := s.entitlements[fingerprintOfEntitlement(id)]
	return ok && of == several
}

// resourceOf is the resource that an entitlement is of; ok is false if there is none,
// or it is not known.
func (s *Memory) resourceOf(id string, principal *v2.ResourceId) (of Fingerprint, ok bool) {
	if of, ok := s.entitlements[fingerprintOfEntitlement(id)]; ok {
		return of, true
	}
	for typeID, rows := range s.statics {
		rest, ok := strings.CutPrefix(id, typeID+":")
		if !ok {
			continue
		}
		for _, row := range rows {
			resource, ok := strings.CutSuffix(rest, ":"+row.GetSlug())
			if !ok {
				continue
			}
			made := v2.ResourceId_builder{ResourceType: typeID, Resource: resource}.Build()
			if has, ok := s.has(made); has && ok || proto.Equal(made, principal) {
				return PrintOfResource(made), true
			}
		}
	}
	return Fingerprint{}, false
}

// Fingerprint stands for the identity of a resource or another row: 16 bytes in place
// of strings. That two of one sync are equal by chance is not to be expected (for a
// million resources, 1 in 10^26).
type Fingerprint [2]uint64

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// FingerprintOf returns the fingerprint of an identity.
func FingerprintOf[T comparable](this T) Fingerprint {
	return Fingerprint{maphash.Comparable(fingerprintSeeds[0], this), maphash.Comparable(fingerprintSeeds[1], this)}
}

// PrintOfResource returns the fingerprint of a resource.
func PrintOfResource(id *v2.ResourceId) Fingerprint {
	type identity struct{ resourceType, resource string }
	return FingerprintOf(identity{id.GetResourceType(), id.GetResource()})
}
