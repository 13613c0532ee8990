package conformance

import (
	"context"
	"fmt"
	"maps"
	"slices"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/segmentio/ksuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

const (
	// askedPerType is of how many resources of a type the entitlements and grants
	// are asked for, each by itself: an app may have very many.
	// They are the first ones by id, so that each crawl samples the same ones,
	// whatever the order in which the app lists them.
	askedPerType = 100
	// mostPages is how many pages a list may have that ends some time.
	mostPages = 100_000
)

// readList is a list with the pages that were read.
type readList struct {
	listing
	pages []page
	// repeated is the token that came a second time, at which reading was given up;
	// "" if none did.
	repeated string
}

// world is all that a connector lists.
type world struct {
	sync  string // the id of the sync that read it
	lists []*readList
	types map[string]*connectorv2.ResourceType
	asked map[string]int // resources, by type, of which more was asked for
}

// crawl reads everything, in the way of a sync.
func crawl(ctx context.Context, conn grpc.ClientConnInterface) (*world, error) {
	w := &world{sync: ksuid.New().String(), types: map[string]*connectorv2.ResourceType{}, asked: map[string]int{}}
	types, err := w.readAll(ctx, conn, listing{kind: resourceTypes})
	if err != nil {
		return nil, err
	}
	var queue []listing
	for _, one := range types {
		resourceType, _ := one.message.(*connectorv2.ResourceType)
		w.types[one.id] = resourceType
		queue = append(queue, listing{kind: resources, typeID: one.id})
		queue = append(queue, scopedLists(resourceType)...)
	}
	if len(w.types) == 0 {
		return nil, fmt.Errorf("the connector has no resource types")
	}
	found := map[string]*connectorv2.Resource{} // by name
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		rows, err := w.readAll(ctx, conn, next)
		if err != nil {
			return nil, err
		}
		if next.kind != resources {
			continue
		}
		for _, one := range rows {
			if resource, ok := one.message.(*connectorv2.Resource); ok {
				queue = append(queue, children(resource)...)
				found[one.id] = resource
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		for _, next := range w.behind(found[name]) {
			if _, err := w.readAll(ctx, conn, next); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// readAll reads a list to its end, or until a page token comes a second time.
func (w *world) readAll(ctx context.Context, conn grpc.ClientConnInterface, of listing) ([]row, error) {
	of.sync = w.sync
	list, err := readFrom(ctx, conn, of, "")
	if err != nil {
		return nil, err
	}
	w.lists = append(w.lists, list)
	var rows []row
	for _, read := range list.pages {
		rows = append(rows, read.rows...)
	}
	return rows, nil
}

func readFrom(ctx context.Context, conn grpc.ClientConnInterface, of listing, token string) (*readList, error) {
	list := &readList{listing: of}
	seen := map[string]bool{}
	for {
		seen[token] = true
		read, err := of.read(ctx, conn, token)
		if err != nil {
			return nil, err
		}
		for i, one := range read.rows {
			if one.id == "" {
				return nil, fmt.Errorf("%s: row %d of page %d has no id", of, i+1, len(list.pages)+1)
			}
		}
		list.pages = append(list.pages, read)
		token = read.next
		switch {
		case token == "":
			return list, nil
		case seen[token]:
			list.repeated = token
			return list, nil
		case len(list.pages) >= mostPages:
			return nil, fmt.Errorf("%s has no end: it goes on after %d pages", of, mostPages)
		}
	}
}

// scopedLists are those that a connector offers for all resources of a type.
func scopedLists(resourceType *connectorv2.ResourceType) []listing {
	var lists []listing
	stub := connectorv2.Resource_builder{
		Id: connectorv2.ResourceId_builder{ResourceType: resourceType.GetId(), Resource: resourceType.GetId()}.Build(),
	}.Build()
	for _, one := range []listing{
		{kind: entitlements, of: stub, scoped: &connectorv2.TypeScopedEntitlements{}},
		{kind: grants, of: stub, scoped: &connectorv2.TypeScopedGrants{}},
	} {
		if carries(resourceType.GetAnnotations(), one.scoped) {
			lists = append(lists, one)
		}
	}
	return lists
}

// children are the lists of resources below a resource.
func children(resource *connectorv2.Resource) []listing {
	var lists []listing
	for _, one := range resource.GetAnnotations() {
		child := &connectorv2.ChildResourceType{}
		if one.MessageIs(child) && one.UnmarshalTo(child) == nil {
			lists = append(lists, listing{kind: resources, typeID: child.GetResourceTypeId(), parent: resource.GetId()})
		}
	}
	return lists
}

// behind are the lists of a resource's entitlements and grants; none if enough resources
// of its type have been asked.
func (w *world) behind(resource *connectorv2.Resource) []listing {
	typeID := resource.GetId().GetResourceType()
	ofType := w.types[typeID].GetAnnotations()
	neither := &connectorv2.SkipEntitlementsAndGrants{}
	if carries(ofType, neither) || carries(resource.GetAnnotations(), neither) || w.asked[typeID] >= askedPerType {
		return nil
	}
	w.asked[typeID]++
	var lists []listing
	noEntitlements := &connectorv2.SkipEntitlements{}
	if !carries(ofType, noEntitlements) && !carries(resource.GetAnnotations(), noEntitlements) && !carries(ofType, &connectorv2.TypeScopedEntitlements{}) {
		lists = append(lists, listing{kind: entitlements, of: resource})
	}
	if !carries(resource.GetAnnotations(), &connectorv2.SkipGrants{}) && !carries(ofType, &connectorv2.TypeScopedGrants{}) {
		lists = append(lists, listing{kind: grants, of: resource})
	}
	return lists
}

func carries(all annotations.Annotations, marker proto.Message) bool { return all.Contains(marker) }

// count is how much of a kind there is, with those that come twice.
func (w *world) count(of kind) int {
	count := 0
	for _, list := range w.lists {
		if list.kind != of {
			continue
		}
		for _, read := range list.pages {
			count += len(read.rows)
		}
	}
	return count
}

// ids are the ids of a kind.
func (w *world) ids(of kind) map[string]bool {
	ids := map[string]bool{}
	for _, list := range w.lists {
		if list.kind == of {
			add(ids, list.pages)
		}
	}
	return ids
}

func add(ids map[string]bool, pages []page) {
	for _, read := range pages {
		for _, one := range read.rows {
			ids[one.id] = true
		}
	}
}
