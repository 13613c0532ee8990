package aggregate

import (
	"context"
	"slices"
	"sync/atomic"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// catalog is what is known of a plugin's resource types, by their own ids. It
// is filled by ListResourceTypes: the syncer's, at the start of every sync, or
// our own where something has to be known earlier (a sync that is resumed, a
// task that is no sync).
type catalog struct {
	types  atomic.Pointer[map[string]resourceType]
	asking chan struct{} // holds a token while no one asks
}

type resourceType struct {
	accounts bool
	// traits are the annotations that the syncer wants of every resource of the type.
	traits []string
	// skips: its resources have neither entitlements nor grants.
	skips bool
}

func newCatalog() *catalog {
	c := &catalog{asking: make(chan struct{}, 1)}
	c.asking <- struct{}{}
	return c
}

func (c *catalog) learn(rows []*v2.ResourceType) {
	types := make(map[string]resourceType, len(rows))
	for _, row := range rows {
		t := types[row.GetId()]
		t.skips = carries(row.GetAnnotations(), skipEntitlementsAndGrantsName)
		for _, trait := range row.GetTraits() {
			if name, ok := traitNames[trait]; ok && !slices.Contains(t.traits, name) {
				t.traits = append(t.traits, name)
			}
			t.accounts = t.accounts || trait == v2.ResourceType_TRAIT_USER
		}
		types[row.GetId()] = t
	}
	c.types.Store(&types)
}

// known is nil until something was learned.
func (c *catalog) known() map[string]resourceType {
	if types := c.types.Load(); types != nil {
		return *types
	}
	return nil
}

func (c *catalog) has(typeID string) bool {
	_, ok := c.known()[typeID]
	return ok
}

func (c *catalog) accounts(typeID string) bool { return c.known()[typeID].accounts }

// types are the plugin's resource types; the plugin is asked if they are not
// known yet, by one caller at a time.
func (r *route) types(ctx context.Context) (map[string]resourceType, error) {
	if types := r.catalog.known(); types != nil {
		return types, nil
	}
	select {
	case <-r.catalog.asking:
	case <-ctx.Done():
		return nil, r.interrupted(ctx, "listing resource types")
	}
	defer func() { r.catalog.asking <- struct{}{} }()
	if types := r.catalog.known(); types != nil {
		return types, nil
	}
	if _, err := r.resourceTypes(ctx, &v2.ResourceTypesServiceListResourceTypesRequest{}, nil); err != nil {
		return nil, err
	}
	return r.catalog.known(), nil
}

// learnBareTypes asks the plugins without a namespace for their types, as only
// these tell such plugins apart.
func (a *Aggregate) learnBareTypes(ctx context.Context) error {
	for _, r := range a.bare {
		if _, err := r.types(ctx); err != nil {
			return err
		}
	}
	return a.clashes()
}
