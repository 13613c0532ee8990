package sdkfast

import (
	"context"
	"errors"
	"fmt"
	"maps"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"google.golang.org/protobuf/proto"
)

const (
	// importFrom is how many grants there are before the others are imported: what sorts them
	// takes some 60 MiB, which fewer are not worth.
	importFrom = 1 << 18
	// segmentGrants is how many grants one import has at most. What it has on the disk and
	// needs to merge that grows with it.
	segmentGrants = 1 << 18
	// mostAgain is how many grants wait that may have been put before.
	mostAgain = 1 << 10
	// mostRepeated is how many of them there may be before grants go the store's own way: the
	// connector lists them more than once, and then the imports spare nothing.
	mostRepeated = 1 << 15
)

// grants puts the grants of a new file into the engine. What was certainly not put before
// needs no look whether it is there; what may have been goes the store's own way, behind it:
// the last one of an identity stays.
//
// Of many grants those behind the first are kept until they are in the engine's tables. The
// engine's import (baton-sdk v0.25.0, BulkSyncImport) sorts them on the disk, by the eight
// MiB, and makes each a row of a table once: past the engine's log, its memory and the
// merging of its files, and without a look for what is not there. It wants each grant once.
// So one that may have been put before waits until the others are in the tables.
//
// Whoever holds [Store].putting may call it.
type grants struct {
	engine *pebble.Engine
	work   string // where the import has its files
	known  grantFilter

	// These are the constants, but for tests.
	importFrom, segment, mostAgain int

	open     *pebble.BulkSyncImport
	shard    *pebble.BulkGrantShard
	rows     int      // in open
	put      int      // that were not put before
	again    [][]byte // encoded: a decoded one holds on to the whole page that it came with
	repeated int

	finishing chan error // has the result of the import that is being finished; nil: none is
	err       error      // the first error: nothing may be relied on behind it

	added   map[string]int64 // how many were not put before, by resource type of the entitlement
	removed bool             // some may have been removed again
}

func newGrants(engine *pebble.Engine, work string) grants {
	return grants{engine: engine, work: work, importFrom: importFrom, segment: segmentGrants, mostAgain: mostAgain, added: map[string]int64{}}
}

// putPage puts the grants of a page. It returns how many of them went into the engine's
// memory.
func (g *grants) putPage(ctx context.Context, store syncerStore, rows []*connectorv2.Grant) (inMemory int, err error) {
	added := make([]*connectorv2.Grant, 0, len(rows))
	var again []*connectorv2.Grant
	for _, row := range rows {
		switch {
		case row == nil: // The engine leaves it out, too.
		case isWhole(row) && g.known.addNew(row):
			added = append(added, row)
		default:
			again = append(again, row)
		}
	}
	g.put += len(added)
	g.repeated += len(again)
	if g.put <= g.importFrom {
		if err := g.engine.UnsafePutUniqueGrants(ctx, added...); err != nil {
			return 0, fmt.Errorf("write grants: %w", err)
		}
		g.count(added)
		return len(rows), store.PutGrants(ctx, again...)
	}
	if len(added) > 0 {
		if err := g.add(ctx, added); err != nil {
			return 0, err
		}
	}
	for _, row := range again {
		encoded, err := proto.Marshal(row)
		if err != nil {
			return 0, fmt.Errorf("write grants: %w", err)
		}
		g.again = append(g.again, encoded)
	}
	if len(g.again) >= g.mostAgain {
		return 0, g.settle(ctx, store)
	}
	return 0, nil
}

func (g *grants) count(rows []*connectorv2.Grant) {
	for _, row := range rows {
		g.added[row.GetEntitlement().GetResource().GetId().GetResourceType()]++
	}
}

// isWhole reports whether a grant has all that the engine distinguishes grants by. The
// engine refuses the others, and its import leaves them out.
func isWhole(row *connectorv2.Grant) bool {
	resource, principal := row.GetEntitlement().GetResource().GetId(), row.GetPrincipal().GetId()
	return row.GetEntitlement().GetId() != "" && resource.GetResourceType() != "" && resource.GetResource() != "" &&
		principal.GetResourceType() != "" && principal.GetResource() != ""
}

func (g *grants) add(ctx context.Context, rows []*connectorv2.Grant) error {
	if g.open == nil {
		open, err := g.engine.StartBulkSyncImport(ctx, g.engine.CurrentSyncID(), g.work)
		if err != nil {
			return fmt.Errorf("write grants: %w", err)
		}
		shard, err := open.NewGrantShard()
		if err != nil {
			open.Abort()
			return fmt.Errorf("write grants: %w", err)
		}
		g.open, g.shard, g.rows = open, shard, 0
	}
	if err := g.shard.AddGrants(ctx, rows...); err != nil {
		return fmt.Errorf("write grants: %w", err)
	}
	g.count(rows)
	if g.rows += len(rows); g.rows >= g.segment {
		g.finish(ctx)
	}
	return nil
}

// finish makes tables of what is open, while the next import goes on.
func (g *grants) finish(ctx context.Context) {
	g.wait()
	if g.open == nil {
		return
	}
	g.shard.Close()
	open, finishing := g.open, make(chan error, 1)
	g.open, g.shard, g.finishing = nil, nil, finishing
	go func() { finishing <- open.Finish(context.WithoutCancel(ctx)) }()
}

// wait waits for the import that is being finished.
func (g *grants) wait() {
	if g.finishing == nil {
		return
	}
	if err := <-g.finishing; err != nil {
		g.fail(fmt.Errorf("write grants: %w", err))
	}
	g.finishing = nil
}

// fail keeps the first error.
func (g *grants) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// settle has every grant in the engine that was put.
func (g *grants) settle(ctx context.Context, store syncerStore) error {
	g.finish(ctx)
	g.wait()
	if g.err != nil || len(g.again) == 0 {
		return g.err
	}
	rows := make([]*connectorv2.Grant, 0, len(g.again))
	for _, encoded := range g.again {
		row := &connectorv2.Grant{}
		if err := proto.Unmarshal(encoded, row); err != nil {
			g.err = fmt.Errorf("write grants: %w", err)
			return g.err
		}
		rows = append(rows, row)
	}
	g.again = nil
	if err := store.PutGrants(ctx, rows...); err != nil {
		g.fail(err)
	}
	return g.err
}

// abandon drops what is not in the engine. Nothing may be put afterwards.
func (g *grants) abandon() {
	g.wait()
	if g.open != nil {
		g.open.Abort()
		g.open, g.shard = nil, nil
	}
	g.again = nil
	g.fail(errAbandoned)
}

var errAbandoned = errors.New("the sync file is closed")

// PutGrants writes grants, and leaves counting to the engine. While the syncer lists grants,
// the engine does not look for those that were not put before.
func (p *Store) PutGrants(ctx context.Context, rows ...*connectorv2.Grant) error {
	if len(rows) == 0 {
		return nil
	}
	p.uncounted.Store(true)
	p.putting.Lock()
	defer p.putting.Unlock()
	if p.grants.err != nil {
		return p.grants.err
	}
	if p.step() != sync.SyncGrantsOp || !p.engine.IsFreshSync() || p.grants.repeated > mostRepeated {
		if err := p.grants.settle(ctx, p.syncerStore); err != nil {
			return err
		}
		if err := p.syncerStore.PutGrants(ctx, rows...); err != nil {
			return err
		}
		p.flusher.added(ctx, len(rows))
		return nil
	}
	inMemory, err := p.grants.putPage(ctx, p.syncerStore, rows)
	if err != nil {
		p.grants.fail(err)
		return err
	}
	if inMemory > 0 {
		p.flusher.added(ctx, inMemory)
	}
	return nil
}

// GrantsPut returns how many grants the file must hold at least, by the resource type of
// their entitlement; nil if some may have been removed again.
func (p *Store) GrantsPut() map[string]int64 {
	p.putting.Lock()
	defer p.putting.Unlock()
	if p.grants.removed {
		return nil
	}
	return maps.Clone(p.grants.added)
}

// settleGrants has every grant in the engine that was put. Whatever reads grants calls it
// first. It takes no longer than a second or two, and nothing but the end of the process
// may stop it half-way.
func (p *Store) settleGrants() error {
	p.putting.Lock()
	defer p.putting.Unlock()
	return p.grants.settle(context.Background(), p.syncerStore)
}

// What follows reads or removes grants: those that wait are written first. Where a method
// has no error to return, EndSync returns it.

// Grants returns the store of grants.
func (p *Store) Grants() c1zstore.GrantStore {
	_ = p.settleGrants()
	return p.syncerStore.Grants()
}

// SyncMeta returns what the file says of its sync, such as its number of rows.
func (p *Store) SyncMeta() c1zstore.SyncMeta {
	_ = p.settleGrants()
	return p.syncerStore.SyncMeta()
}

// FileOps returns what copies the file.
func (p *Store) FileOps() c1zstore.FileOps {
	_ = p.settleGrants()
	return p.syncerStore.FileOps()
}

// Close closes the file. What waits is dropped: a sync that ended has nothing that does. The
// engine must not be closed while it is flushed: it reads then what Close writes.
func (p *Store) Close(ctx context.Context) error {
	p.WaitForFlush()
	return p.syncerStore.Close(ctx)
}

// ListGrants lists grants.
func (p *Store) ListGrants(ctx context.Context, request *connectorv2.GrantsServiceListGrantsRequest) (*connectorv2.GrantsServiceListGrantsResponse, error) {
	if err := p.settleGrants(); err != nil {
		return nil, err
	}
	return p.syncerStore.ListGrants(ctx, request)
}

// GetGrant returns a grant.
func (p *Store) GetGrant(ctx context.Context, request *readerv2.GrantsReaderServiceGetGrantRequest) (*readerv2.GrantsReaderServiceGetGrantResponse, error) {
	if err := p.settleGrants(); err != nil {
		return nil, err
	}
	return p.syncerStore.GetGrant(ctx, request)
}

// ListGrantsForEntitlement lists the grants of an entitlement.
func (p *Store) ListGrantsForEntitlement(ctx context.Context, request *readerv2.GrantsReaderServiceListGrantsForEntitlementRequest) (*readerv2.GrantsReaderServiceListGrantsForEntitlementResponse, error) {
	if err := p.settleGrants(); err != nil {
		return nil, err
	}
	return p.syncerStore.ListGrantsForEntitlement(ctx, request)
}

// ListGrantsForEntitlements lists the grants of several entitlements.
func (p *Store) ListGrantsForEntitlements(ctx context.Context, request *readerv2.GrantsReaderServiceListGrantsForEntitlementsRequest) (*readerv2.GrantsReaderServiceListGrantsForEntitlementsResponse, error) {
	if err := p.settleGrants(); err != nil {
		return nil, err
	}
	return p.syncerStore.ListGrantsForEntitlements(ctx, request)
}

// ListGrantsForPrincipal lists the grants of a principal.
func (p *Store) ListGrantsForPrincipal(ctx context.Context, request *readerv2.GrantsReaderServiceListGrantsForPrincipalRequest) (*readerv2.GrantsReaderServiceListGrantsForPrincipalResponse, error) {
	if err := p.settleGrants(); err != nil {
		return nil, err
	}
	return p.syncerStore.ListGrantsForPrincipal(ctx, request)
}

// ListGrantsForResourceType lists the grants of a resource type.
func (p *Store) ListGrantsForResourceType(ctx context.Context, request *readerv2.GrantsReaderServiceListGrantsForResourceTypeRequest) (*readerv2.GrantsReaderServiceListGrantsForResourceTypeResponse, error) {
	if err := p.settleGrants(); err != nil {
		return nil, err
	}
	return p.syncerStore.ListGrantsForResourceType(ctx, request)
}

// ListGrantPrincipalKeysForEntitlement lists the principals of an entitlement's grants.
func (p *Store) ListGrantPrincipalKeysForEntitlement(ctx context.Context, entitlement *connectorv2.Entitlement, pageToken string, pageSize uint32) ([]string, string, error) {
	if err := p.settleGrants(); err != nil {
		return nil, "", err
	}
	return p.syncerStore.ListGrantPrincipalKeysForEntitlement(ctx, entitlement, pageToken, pageSize)
}

// GrantGenerationDigest returns the digest of all grants.
func (p *Store) GrantGenerationDigest(ctx context.Context) (c1zstore.GrantGenerationDigest, bool, error) {
	if err := p.settleGrants(); err != nil {
		return c1zstore.GrantGenerationDigest{}, false, err
	}
	return p.syncerStore.GrantGenerationDigest(ctx)
}

// EnsureGrantIndexes builds the indexes of grants that are missing.
func (p *Store) EnsureGrantIndexes(ctx context.Context) error {
	if err := p.settleGrants(); err != nil {
		return err
	}
	return p.syncerStore.EnsureGrantIndexes(ctx)
}

// ForEachDistinctGrantEntitlementResource visits the resources that have been granted.
func (p *Store) ForEachDistinctGrantEntitlementResource(ctx context.Context, visit func(resourceTypeID, resourceID string) error) error {
	if err := p.settleGrants(); err != nil {
		return err
	}
	return p.syncerStore.ForEachDistinctGrantEntitlementResource(ctx, visit)
}

// GrantsForEntResourceCarryInsertFact reports whether a resource was found through a grant.
func (p *Store) GrantsForEntResourceCarryInsertFact(ctx context.Context, resourceTypeID, resourceID string) (bool, error) {
	if err := p.settleGrants(); err != nil {
		return false, err
	}
	return p.syncerStore.GrantsForEntResourceCarryInsertFact(ctx, resourceTypeID, resourceID)
}

// GrantsForEntitlementAllCarryInsertFact reports whether all grants of an entitlement
// brought its resource.
func (p *Store) GrantsForEntitlementAllCarryInsertFact(ctx context.Context, entitlementID, resourceTypeID, resourceID string) (bool, error) {
	if err := p.settleGrants(); err != nil {
		return false, err
	}
	return p.syncerStore.GrantsForEntitlementAllCarryInsertFact(ctx, entitlementID, resourceTypeID, resourceID)
}

// ForEachDanglingGrantEntitlement visits the entitlements that are granted and not there.
func (p *Store) ForEachDanglingGrantEntitlement(ctx context.Context, visit func(entitlementID, resourceTypeID, resourceID string) error) error {
	if err := p.settleGrants(); err != nil {
		return err
	}
	return p.syncerStore.ForEachDanglingGrantEntitlement(ctx, visit)
}

// ForEachDanglingGrantPrincipal visits the principals that have grants and are not there.
func (p *Store) ForEachDanglingGrantPrincipal(ctx context.Context, visit func(resourceTypeID, resourceID string, matchAnnotatedOnly bool, carriers int64) error) error {
	if err := p.settleGrants(); err != nil {
		return err
	}
	return p.syncerStore.ForEachDanglingGrantPrincipal(ctx, visit)
}

// DeleteGrant removes a grant.
func (p *Store) DeleteGrant(ctx context.Context, id string) error {
	if err := p.removing(); err != nil {
		return err
	}
	return p.syncerStore.DeleteGrant(ctx, id)
}

// DeleteGrantByRefs removes a grant.
func (p *Store) DeleteGrantByRefs(ctx context.Context, grant *connectorv2.Grant) error {
	if err := p.removing(); err != nil {
		return err
	}
	return p.syncerStore.DeleteGrantByRefs(ctx, grant)
}

// DeleteGrantsByRefs removes grants.
func (p *Store) DeleteGrantsByRefs(ctx context.Context, rows ...*connectorv2.Grant) error {
	if err := p.removing(); err != nil {
		return err
	}
	return p.syncerStore.DeleteGrantsByRefs(ctx, rows...)
}

func (p *Store) removing() error {
	p.putting.Lock()
	defer p.putting.Unlock()
	p.grants.removed = true
	return p.grants.settle(context.Background(), p.syncerStore)
}
