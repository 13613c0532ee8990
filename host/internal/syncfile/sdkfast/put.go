package sdkfast

import (
	"context"
	"fmt"
	"maps"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v3 "github.com/conductorone/baton-sdk/pb/c1/storage/v3"
	"github.com/conductorone/baton-sdk/pkg/sync"
)

// PutResources writes resources that are new to the file without having the store look
// for each, and counts. The others, and those that only look as if they were there, go
// the store's own way.
func (p *Store) PutResources(ctx context.Context, resources ...*connectorv2.Resource) error {
	p.putting.Lock()
	defer p.putting.Unlock()
	others := resources
	if p.mayPutAsNew() {
		var err error
		if others, err = p.putNew(ctx, resources); err != nil {
			return err
		}
	}
	if err := p.putOthers(ctx, others); err != nil {
		return err
	}
	p.flusher.added(ctx, len(resources))
	return nil
}

// mayPutAsNew is false where marking the engine as without resources would mark it as more
// than that: as without grants too.
func (p *Store) mayPutAsNew() bool {
	return p.step() == sync.SyncResourcesOp && !p.uncounted.Load() && p.engine.IsFreshSync()
}

// putNew writes those that have certainly not been put before, and returns the others.
// Their order stays: of two with the same id, the second is one of the others.
func (p *Store) putNew(ctx context.Context, resources []*connectorv2.Resource) ([]*connectorv2.Resource, error) {
	added := make([]*connectorv2.Resource, 0, len(resources))
	var others []*connectorv2.Resource
	for _, one := range resources {
		if one == nil || p.put.mayHave(one.GetId()) {
			others = append(others, one)
			continue
		}
		p.put.add(one.GetId())
		p.rows[one.GetId().GetResourceType()]++
		added = append(added, one)
	}
	if len(added) == 0 {
		return others, nil
	}
	// The engine looks for none of the resources of the first put after this. It does
	// so itself at the beginning of a sync (baton-sdk v0.25.0, PutResourceRecords).
	if err := p.engine.MarkFreshSync(p.engine.CurrentSyncID()); err != nil {
		return nil, fmt.Errorf("write resources: %w", err)
	}
	return others, p.syncerStore.PutResources(ctx, added...)
}

func (p *Store) putOthers(ctx context.Context, resources []*connectorv2.Resource) error {
	if len(resources) == 0 {
		return nil
	}
	type id struct{ resourceType, resource string }
	counted := map[id]bool{}
	for _, one := range resources {
		key := id{one.GetId().GetResourceType(), one.GetId().GetResource()}
		if one == nil || counted[key] {
			continue
		}
		counted[key] = true
		there := p.put.mayHave(one.GetId())
		if there {
			var err error
			if there, err = p.engine.HasResourceRecord(ctx, key.resourceType, key.resource); err != nil {
				return fmt.Errorf("look for a resource that is written again: %w", err)
			}
		}
		if !there {
			p.rows[key.resourceType]++
		}
		// Before it is put: one that is there and not noted would be taken for none.
		p.put.add(one.GetId())
	}
	return p.syncerStore.PutResources(ctx, resources...)
}

// ResourcesPut returns how many resources the file must hold, by type; nil if some may have
// been removed again.
func (p *Store) ResourcesPut() map[string]int64 {
	if p.removed.Load() {
		return nil
	}
	p.putting.Lock()
	defer p.putting.Unlock()
	return maps.Clone(p.rows)
}

// EndSync gives the engine the number of rows, where it is known, so that it does not read
// them all to count. What was written is counted when it is read back.
func (p *Store) EndSync(ctx context.Context) error {
	if err := p.settleGrants(); err != nil {
		return err
	}
	if stats := p.stats(); stats != nil {
		p.engine.StashComputedSyncStats(p.engine.CurrentSyncID(), stats)
	}
	return p.syncerStore.EndSync(ctx)
}

// stats returns the number of rows; nil where there may be more than resources and their types.
func (p *Store) stats() *v3.SyncStatsRecord {
	if p.uncounted.Load() || !p.onlyResources() {
		return nil
	}
	rows, total := p.ResourcesPut(), int64(0)
	for _, count := range rows {
		total += count
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return v3.SyncStatsRecord_builder{ResourceTypes: int64(len(p.types)), Resources: total, ResourcesByResourceType: rows}.Build()
}

// What follows writes or removes something else: from then on the engine counts, and
// looks for what it is given.

// PutAsset writes an asset, and leaves counting to the engine.
func (p *Store) PutAsset(ctx context.Context, ref *connectorv2.AssetRef, contentType string, data []byte) error {
	p.uncounted.Store(true)
	return p.syncerStore.PutAsset(ctx, ref, contentType, data)
}

// PutEntitlements writes entitlements, and leaves counting to the engine.
func (p *Store) PutEntitlements(ctx context.Context, entitlements ...*connectorv2.Entitlement) error {
	p.uncounted.Store(true)
	return p.syncerStore.PutEntitlements(ctx, entitlements...)
}

// DeleteResourceRecord removes a resource, and leaves counting to the engine.
func (p *Store) DeleteResourceRecord(ctx context.Context, resourceTypeID, resourceID string) error {
	p.uncounted.Store(true)
	p.removed.Store(true)
	return p.syncerStore.DeleteResourceRecord(ctx, resourceTypeID, resourceID)
}
