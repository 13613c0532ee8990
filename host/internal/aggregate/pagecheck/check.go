// Package pagecheck decides whether a page of a plugin can be believed: whether the SDK's
// syncer, its store and C1 would take every row of it, as it is.
//
// Package aggregate has each reply checked before it goes on, and package fallback has
// rows of the baseline fitted to what the sync has seen. It must never change a text of
// a row, and never let a page through of which a row would go missing without a word.
package pagecheck

import (
	"fmt"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/rename"
)

// The syncer (baton-sdk v0.25.0, pkg/sync) leaves out what it cannot store and
// goes on: rows that are nil or have no identity (filterConnectorData, for
// grants filterFreshGrants and the InsertResourceGrants path), and the whole
// rest of a listing once its store answers NOT_FOUND for the resource type of a
// row (validateResourceTraits). Here such a page is refused, as what it leaves
// out is an account or an access that silently goes missing. What the syncer refuses
// for all plugins together is refused here too: see rows.go and memory.go.
//
// What the syncer drops on purpose stays its business: entitlements and grants
// that refer to resource types that are not part of the sync.

// Checker checks the pages of one plugin in one sync.
type Checker struct {
	names  *rename.Names
	types  *Types
	memory *Memory
	// siblings says that other plugins without a namespace share the ids.
	siblings bool
}

// NewChecker returns a checker for a plugin with these names. Its types must be known
// before a page that [NeedsTypes] is checked. memory is shared by plugins that share ids.
func NewChecker(names *rename.Names, types *Types, memory *Memory, siblings bool) *Checker {
	return &Checker{names: names, types: types, memory: memory, siblings: siblings}
}

// NeedsTypes says whether the check of a reply needs the plugin's resource types.
func NeedsTypes(reply proto.Message) bool {
	switch reply.(type) {
	case *v2.ResourcesServiceListResourcesResponse, *v2.ResourceGetterServiceGetResourceResponse:
		return true
	}
	return false
}

// Check refuses a reply, in the plugin's own ids, of which the SDK would lose
// something.
func (c *Checker) Check(request, reply proto.Message) error {
	if err := checkPage(request, reply); err != nil {
		return err
	}
	switch reply := reply.(type) {
	case *v2.ResourceTypesServiceListResourceTypesResponse:
		return checkRows(reply.GetList(), c.resourceTypeUnfit)
	case *v2.ResourcesServiceListResourcesResponse:
		return checkRows(reply.GetList(), c.resourceUnfit())
	case *v2.EntitlementsServiceListEntitlementsResponse:
		if err := checkRows(reply.GetList(), entitlementUnfit); err != nil {
			return err
		}
		return checkCursors(reply.GetAnnotations(), reply.GetNextPageToken())
	case *v2.EntitlementsServiceListStaticEntitlementsResponse:
		return checkRows(reply.GetList(), staticUnfit)
	case *v2.GrantsServiceListGrantsResponse:
		inserts := carries(reply.GetAnnotations(), insertResourceGrantsName)
		if err := checkRows(reply.GetList(), func(row *v2.Grant) string { return c.grantUnfit(row, inserts) }); err != nil {
			return err
		}
		return checkCursors(reply.GetAnnotations(), reply.GetNextPageToken())
	case *v2.ResourceGetterServiceGetResourceResponse:
		return checkRows([]*v2.Resource{reply.GetResource()}, c.resourceUnfit())
	}
	return nil
}

// resourceUnfit returns why a resource of this plugin cannot be synced, "" if it can.
func (c *Checker) resourceUnfit() func(*v2.Resource) string {
	types := c.types.known()
	return func(row *v2.Resource) string {
		if missing := withoutIdentity(row); missing != "" {
			return missing
		}
		ofThis, ok := types[row.GetId().GetResourceType()]
		if !ok {
			return fmt.Sprintf("the resource %s is of type %s, which the plugin does not list among its resource types",
				named(row.GetId().GetResource()), named(row.GetId().GetResourceType()))
		}
		if words := c.resourceFlaw(row, ofThis.traits); words != "" {
			return ofType(row.GetId()) + ": " + words
		}
		return ""
	}
}

// checkPage is for what all listings have in common.
func checkPage(request, reply proto.Message) error {
	asked, ok := request.(interface{ GetPageToken() string })
	if !ok {
		return nil
	}
	page, ok := reply.(interface {
		GetNextPageToken() string
		GetAnnotations() []*anypb.Any
	})
	if !ok {
		return nil
	}
	if token := asked.GetPageToken(); token != "" && token == page.GetNextPageToken() {
		return fmt.Errorf("the next page token is the one of this page, so the listing would never end")
	}
	for _, annotation := range page.GetAnnotations() {
		if elsewhere[annotation.MessageName()] {
			return fmt.Errorf("it carries %s in place of rows, which works only between one syncer and one connector", annotation.MessageName())
		}
	}
	return nil
}

// elsewhere are annotations that say "take the rows of the last sync" or "call
// again". Connectors may use them only after having been offered to, which
// an aggregate never does.
var elsewhere = map[protoreflect.FullName]bool{
	"c1.connector.v2.SourceCacheReplay":    true,
	"c1.connector.v2.SourceCacheLookupAsk": true,
	"c1.connector.v2.ETagMatch":            true,
}

// row is a message of a list.
type row interface {
	comparable
	proto.Message
}

// checkRows names the first row that is not fit, counted from 1.
func checkRows[T row](rows []T, problem func(T) string) error {
	var none T
	for i, row := range rows {
		words := "it is empty"
		if row != none {
			words = problem(row)
		}
		if words != "" {
			return fmt.Errorf("row %d of %d: %s", i+1, len(rows), words)
		}
	}
	return nil
}

func withoutIdentity(resource *v2.Resource) string {
	id := resource.GetId()
	switch {
	case id.GetResourceType() == "" && id.GetResource() == "":
		return fmt.Sprintf("the resource %s has no id", named(resource.GetDisplayName()))
	case id.GetResourceType() == "":
		return fmt.Sprintf("the resource %s has no resource type", named(id.GetResource()))
	case id.GetResource() == "":
		return fmt.Sprintf("a resource of type %s (%s) has no id", named(id.GetResourceType()), named(resource.GetDisplayName()))
	}
	return ""
}

func entitlementWithoutIdentity(entitlement *v2.Entitlement) string {
	if entitlement.GetId() == "" {
		return fmt.Sprintf("the entitlement %s has no id", named(entitlement.GetDisplayName()))
	}
	if missing := withoutIdentity(entitlement.GetResource()); missing != "" {
		return fmt.Sprintf("the entitlement %s: %s", named(entitlement.GetId()), missing)
	}
	return ""
}

func grantWithoutIdentity(grant *v2.Grant) string {
	if missing := entitlementWithoutIdentity(grant.GetEntitlement()); missing != "" {
		return fmt.Sprintf("the grant %s: %s", named(grant.GetId()), missing)
	}
	if missing := withoutIdentity(grant.GetPrincipal()); missing != "" {
		return fmt.Sprintf("the grant %s: the principal: %s", named(grant.GetId()), missing)
	}
	return ""
}
