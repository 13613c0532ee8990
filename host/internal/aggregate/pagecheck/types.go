package pagecheck

import (
	"maps"
	"slices"
	"sync/atomic"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
)

// Types are what is known of a plugin's resource types, by their own ids. The zero
// value knows nothing. It is safe for concurrent use.
type Types struct {
	types atomic.Pointer[map[string]resourceType]
}

type resourceType struct {
	accounts bool
	// traits are the annotations that the syncer wants of every resource of the type.
	traits []string
	// skips: its resources have neither entitlements nor grants.
	skips bool
}

// Learn replaces what is known.
func (t *Types) Learn(rows []*v2.ResourceType) {
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
	t.types.Store(&types)
}

// Known says whether anything was learned.
func (t *Types) Known() bool { return t.types.Load() != nil }

func (t *Types) known() map[string]resourceType {
	if types := t.types.Load(); types != nil {
		return *types
	}
	return nil
}

// IDs returns the ids of all resource types, sorted.
func (t *Types) IDs() []string { return slices.Sorted(maps.Keys(t.known())) }

// Has says whether the plugin has a resource type, as far as is known.
func (t *Types) Has(typeID string) bool {
	_, ok := t.known()[typeID]
	return ok
}

// HasAccounts says whether the resources of a type are accounts.
func (t *Types) HasAccounts(typeID string) bool { return t.known()[typeID].accounts }

// HasAccess says whether the entitlements or grants of the resources of a type are read.
func (t *Types) HasAccess(typeID string) bool { return !t.known()[typeID].skips }
