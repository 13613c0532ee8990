package pagecheck

import (
	"fmt"
	"slices"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// One row that the syncer refuses ends the whole sync, and its error names no
// plugin. So a row is checked here against everything that the syncer, its store and
// C1 would refuse it for, or leave out without a word: at the page of its plugin,
// which alone fails. What takes several pages to see is in the memory.
//
// A text is never changed: a row is taken as it is, or its page is refused.

const (
	annotationPrefix = "c1.connector.v2."

	batonIDName              = annotationPrefix + "BatonID"
	childResourceTypeName    = annotationPrefix + "ChildResourceType"
	exclusionGroupName       = annotationPrefix + "EntitlementExclusionGroup"
	enqueuePageTokensName    = annotationPrefix + "EnqueuePageTokens"
	grantExpandableName      = annotationPrefix + "GrantExpandable"
	insertResourceGrantsName = annotationPrefix + "InsertResourceGrants"

	skipEntitlementsAndGrantsName = annotationPrefix + "SkipEntitlementsAndGrants"
)

// traitNames are the annotations that the syncer wants of a resource whose type has
// the trait (baton-sdk v0.25.0, pkg/sync, resourceTraitMessage).
var traitNames = map[v2.ResourceType_Trait]string{
	v2.ResourceType_TRAIT_APP:    annotationPrefix + "AppTrait",
	v2.ResourceType_TRAIT_GROUP:  annotationPrefix + "GroupTrait",
	v2.ResourceType_TRAIT_USER:   annotationPrefix + "UserTrait",
	v2.ResourceType_TRAIT_ROLE:   annotationPrefix + "RoleTrait",
	v2.ResourceType_TRAIT_SECRET: annotationPrefix + "SecretTrait",
}

// carries says whether there is an annotation of a type.
func carries(annotations []*anypb.Any, name string) bool {
	for _, annotation := range annotations {
		if annotationName(annotation) == name {
			return true
		}
	}
	return false
}

// resourceTypeUnfit returns why a resource type cannot be synced, "" if it can.
func (c *Checker) resourceTypeUnfit(row *v2.ResourceType) string {
	if row.GetId() == "" {
		return "the resource type has no id"
	}
	words := idFlaw(row.GetId())
	if words == "" {
		words = c.tooLongWithNamespace(len(row.GetId()), len(c.names.Prefix)+len(row.GetId()))
	}
	if words != "" {
		return fmt.Sprintf("the resource type %s: its id %s", named(row.GetId()), words)
	}
	if words = textFlaw(row.GetDisplayName(), maxName-len(c.names.Display)); words != "" {
		words = "its display name " + words
	} else if words = textFlaw(row.GetDescription(), maxTypeDescription); words != "" {
		words = "its description " + words
	} else {
		words = annotationsFlaw(row.GetAnnotations())
	}
	if words != "" {
		return fmt.Sprintf("the resource type %s: %s", named(row.GetId()), words)
	}
	return ""
}

// CheckDistinct refuses resource types of one id: the syncer would keep only the last.
func CheckDistinct(rows []*v2.ResourceType) error {
	byID := make(map[string]*v2.ResourceType, len(rows))
	for _, row := range rows {
		if other, ok := byID[row.GetId()]; ok && !proto.Equal(other, row) {
			return fmt.Errorf("the resource type %s is listed twice, with different content: give each its own id", named(row.GetId()))
		}
		byID[row.GetId()] = row
	}
	return nil
}

// tooLongWithNamespace returns why an id that is fine by itself is none with the
// namespace in front; "" if it is.
func (c *Checker) tooLongWithNamespace(own, whole int) string {
	if own > maxID || whole <= maxID {
		return ""
	}
	return fmt.Sprintf("has %d bytes with the namespace %q in front, and C1 takes at most %d: the plugin needs a shorter name, which is its namespace",
		whole, strings.TrimSuffix(c.names.Prefix, "."), maxID)
}

// ofType is a resource as an error names it.
func ofType(id *v2.ResourceId) string {
	return fmt.Sprintf("the resource %s of type %s", named(id.GetResource()), named(id.GetResourceType()))
}

// resourceFlaw returns why the syncer, its store or C1 would not take a resource of
// a type with these traits; "" if they do. That it has an id and a type is known.
func (c *Checker) resourceFlaw(row *v2.Resource, traits []string) string {
	words := referenceFlaw(row.GetId())
	if words == "" {
		words = parentFlaw(row.GetParentResourceId())
	}
	if words == "" {
		words = batonIDFlaw(row)
	}
	if words == "" {
		words = traitFlaw(row, traits)
	}
	if words == "" {
		words = c.childrenFlaw(row)
	}
	if words == "" {
		words = annotationsFlaw(row.GetAnnotations())
	}
	if words == "" {
		words = profileFlaw(row.GetProfile())
	}
	if words != "" {
		return words
	}
	if words = textFlaw(row.GetDisplayName(), maxName); words != "" {
		return "its display name " + words
	}
	if words = textFlaw(row.GetDescription(), maxDescription); words != "" {
		return "its description " + words
	}
	if words = textFlaw(row.GetStatus().GetDetails(), maxDetails); words != "" {
		return "the details of its status: it " + words
	}
	return ""
}

// referenceFlaw is for the id of a resource, wherever it stands.
func referenceFlaw(id *v2.ResourceId) string {
	if words := idFlaw(id.GetResourceType()); words != "" {
		return "its resource type " + words
	}
	if words := idFlaw(id.GetResource()); words != "" {
		return "its id " + words
	}
	return ""
}

// parentFlaw is for the parent of a resource. One without an id is none, as to the store.
func parentFlaw(parent *v2.ResourceId) string {
	if parent.GetResource() == "" {
		return ""
	}
	if words := referenceFlaw(parent); words != "" {
		return "its parent: " + words
	}
	return ""
}

func batonIDFlaw(resource *v2.Resource) string {
	if carries(resource.GetAnnotations(), batonIDName) {
		return "it has the annotation BatonID, which the SDK keeps for itself: the connector must not set it"
	}
	return ""
}

func traitFlaw(row *v2.Resource, traits []string) string {
	for _, trait := range traits {
		if !carries(row.GetAnnotations(), trait) {
			return fmt.Sprintf("it has no %s, and its resource type says that all have one: add it to the resource, or take the trait from the type",
				trait[len(annotationPrefix):])
		}
	}
	return ""
}

// childrenFlaw is for the types of children that a resource says it has. The syncer
// lists these as if they were the aggregate's own.
func (c *Checker) childrenFlaw(row *v2.Resource) string {
	for _, annotation := range row.GetAnnotations() {
		if annotationName(annotation) != childResourceTypeName {
			continue
		}
		child := &v2.ChildResourceType{}
		if err := annotation.UnmarshalTo(child); err != nil {
			return fmt.Sprintf("its annotation ChildResourceType cannot be decoded: %v", err)
		}
		typeID := child.GetResourceTypeId()
		if words := idFlaw(typeID); words != "" {
			return "the resource type of its children " + words
		}
		if c.names.Prefix == "" && c.siblings && !c.types.Has(typeID) {
			return fmt.Sprintf("it says that it has children of type %s, which the plugin does not list among its resource types", named(typeID))
		}
	}
	return ""
}

func annotationsFlaw(annotations []*anypb.Any) string {
	for _, annotation := range annotations {
		if words := annotationFlaw(annotation); words != "" {
			return words
		}
	}
	return ""
}

// entitlementUnfit returns why an entitlement cannot be synced, "" if it can.
func entitlementUnfit(row *v2.Entitlement) string {
	if missing := entitlementWithoutIdentity(row); missing != "" {
		return missing
	}
	words := idFlaw(row.GetId())
	if words != "" {
		words = "its id " + words
	} else if words = entitledFlaw(row.GetResource()); words == "" {
		words = entitlementFlaw(row)
	}
	if words == "" {
		return ""
	}
	return fmt.Sprintf("the entitlement %s of %s: %s", named(row.GetId()), ofType(row.GetResource().GetId()), words)
}

// entitledFlaw is for the resource in an entitlement.
func entitledFlaw(resource *v2.Resource) string {
	words := referenceFlaw(resource.GetId())
	if words == "" {
		words = parentFlaw(resource.GetParentResourceId())
	}
	if words == "" {
		words = batonIDFlaw(resource)
	}
	if words != "" {
		return "its resource: " + words
	}
	return ""
}

// entitlementFlaw is for what static entitlements have too.
func entitlementFlaw(row *v2.Entitlement) string {
	if words := textFlaw(row.GetDisplayName(), maxName); words != "" {
		return "its display name " + words
	}
	if words := textFlaw(row.GetDescription(), maxDescription); words != "" {
		return "its description " + words
	}
	if words := flaw(row.GetSlug(), lines); words != "" {
		return "its slug " + words
	}
	for _, to := range row.GetGrantableTo() {
		if words := idFlaw(to.GetId()); words != "" && to.GetId() != "" {
			return "a resource type that it is grantable to: its id " + words
		}
	}
	return annotationsFlaw(row.GetAnnotations())
}

// staticUnfit returns why a static entitlement cannot be synced, "" if it can. The
// syncer makes its id and resource itself, for each resource of the type.
func staticUnfit(row *v2.Entitlement) string {
	words := flaw(row.GetSlug(), oneLine)
	if words != "" {
		words = "its slug, which becomes a part of ids, " + words
	} else {
		words = entitlementFlaw(row)
	}
	if words == "" {
		words = scopeFlaw(row)
	}
	if words == "" {
		return ""
	}
	return fmt.Sprintf("the static entitlement %s: %s", named(row.GetSlug()), words)
}

// scopeFlaw is for an exclusion group without an id that is scoped to resources: the
// syncer makes it an id that has no namespace, and so may be another plugin's too.
func scopeFlaw(row *v2.Entitlement) string {
	for _, annotation := range row.GetAnnotations() {
		if annotationName(annotation) != exclusionGroupName {
			continue
		}
		group := &v2.EntitlementExclusionGroup{}
		if err := annotation.UnmarshalTo(group); err != nil {
			return fmt.Sprintf("its annotation EntitlementExclusionGroup cannot be decoded: %v", err)
		}
		if group.GetExclusionGroupId() == "" && group.GetScopeToResource() {
			return "its exclusion group is scoped to the resource, and has no id"
		}
	}
	return ""
}

// grantUnfit returns why a grant cannot be synced, "" if it can. Where resources are
// to be inserted, that of its entitlement becomes another row.
func (c *Checker) grantUnfit(row *v2.Grant, inserts bool) string {
	if missing := grantWithoutIdentity(row); missing != "" {
		return missing
	}
	words := c.grantFlaw(row)
	if words == "" && inserts {
		words = c.insertedFlaw(row.GetEntitlement().GetResource())
	}
	if words == "" {
		return ""
	}
	return fmt.Sprintf("the grant %s of the entitlement %s of %s: %s",
		named(row.GetId()), named(row.GetEntitlement().GetId()), ofType(row.GetEntitlement().GetResource().GetId()), words)
}

func (c *Checker) grantFlaw(row *v2.Grant) string {
	if id := row.GetId(); id != "" { // The store makes one where there is none.
		if words := idFlaw(id); words != "" {
			return "its id " + words
		}
	}
	if words := idFlaw(row.GetEntitlement().GetId()); words != "" {
		return "the id of its entitlement " + words
	}
	if words := referenceFlaw(row.GetEntitlement().GetResource().GetId()); words != "" {
		return "the resource of its entitlement: " + words
	}
	if words := referenceFlaw(row.GetPrincipal().GetId()); words != "" {
		return "its principal: " + words
	}
	if words := parentFlaw(row.GetPrincipal().GetParentResourceId()); words != "" {
		return "its principal: " + words
	}
	for source := range row.GetSources().GetSources() {
		if words := idFlaw(source); words != "" {
			return "the entitlement of one of its sources " + words
		}
	}
	for _, annotation := range row.GetAnnotations() {
		if annotationName(annotation) != grantExpandableName {
			continue
		}
		if words := expandableFlaw(annotation); words != "" {
			return words
		}
	}
	return annotationsFlaw(row.GetAnnotations())
}

func expandableFlaw(annotation *anypb.Any) string {
	expandable := &v2.GrantExpandable{}
	if err := annotation.UnmarshalTo(expandable); err != nil {
		return fmt.Sprintf("its annotation GrantExpandable cannot be decoded: %v", err)
	}
	for _, id := range slices.Concat(expandable.GetEntitlementIds(), expandable.GetResourceTypeIds()) {
		if words := idFlaw(id); words != "" && id != "" {
			return "its annotation GrantExpandable: an id " + words
		}
	}
	return ""
}

// insertedFlaw is for a resource that is found through a grant.
func (c *Checker) insertedFlaw(resource *v2.Resource) string {
	words := c.resourceFlaw(resource, nil)
	if words == "" && resource.HasParentResourceId() && resource.GetParentResourceId().GetResource() == "" {
		words = "its parent has no id"
	}
	if words != "" {
		return "its resource is to be inserted: " + words
	}
	return ""
}

// The limits of the syncer (pkg/sync, collectEnqueuedPageTokens).
const (
	maxCursors     = 1024
	maxCursor      = 1 << 20
	maxCursorsSize = 16 << 20
)

// checkCursors is for the page tokens that a page asks to be listed beside its next.
func checkCursors(annotations []*anypb.Any, next string) error {
	enqueued := &v2.EnqueuePageTokens{}
	times := 0
	for _, annotation := range annotations {
		if annotationName(annotation) != enqueuePageTokensName {
			continue
		}
		if times++; times > 1 {
			return fmt.Errorf("its annotation EnqueuePageTokens is there more than once: put all page tokens into one")
		}
		if err := annotation.UnmarshalTo(enqueued); err != nil {
			return fmt.Errorf("its annotation EnqueuePageTokens cannot be decoded: %w", err)
		}
	}
	tokens := enqueued.GetPageTokens()
	if len(tokens) > maxCursors {
		return fmt.Errorf("its annotation EnqueuePageTokens has %d page tokens, and a page may have %d: enqueue the others on later pages", len(tokens), maxCursors)
	}
	size := 0
	seen := make(map[string]bool, len(tokens))
	for i, token := range tokens {
		size += len(token)
		switch {
		case token == "":
			return fmt.Errorf("its annotation EnqueuePageTokens: page token %d is empty", i+1)
		case len(token) > maxCursor:
			return fmt.Errorf("its annotation EnqueuePageTokens: page token %d has %d bytes, and may have %d", i+1, len(token), maxCursor)
		case size > maxCursorsSize:
			return fmt.Errorf("its annotation EnqueuePageTokens has more than %d bytes of page tokens: enqueue the others on later pages", maxCursorsSize)
		case seen[token]:
			return fmt.Errorf("its annotation EnqueuePageTokens has page token %d twice", i+1)
		case token == next:
			return fmt.Errorf("its annotation EnqueuePageTokens: page token %d is also the next page token", i+1)
		}
		seen[token] = true
	}
	return nil
}
