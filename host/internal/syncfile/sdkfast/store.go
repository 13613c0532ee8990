// Package sdkfast is what makes a sync fast with baton-sdk v0.25.0 and relies on how that
// version works inside: a store between the SDK's syncer and its storage engine, a file
// read back by its rows, and pages of resources whose profiles stay encoded.
//
// Package syncfile writes and reads files with it, and package aggregate decodes pages with
// [Codec]. It must never change what a file holds: where an assumption about the SDK does
// not hold it does without, and each assumption has a test that says in a sentence what
// another version of the SDK broke.
package sdkfast

import (
	"context"
	gosync "sync"
	"sync/atomic"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	readerv2 "github.com/conductorone/baton-sdk/pb/c1/reader/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/engine/pebble"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// OpenStore returns the store of a new sync file at path, with its temporary files in
// work. The second value is the same store where it is one of ours, and nil where the SDK
// has another storage engine than the one that ours knows.
func OpenStore(ctx context.Context, path, work string, kind c1zstore.Engine) (c1zstore.Store, *Store, error) {
	options := []dotc1z.C1ZOption{dotc1z.WithTmpDir(work)}
	if kind != "" {
		options = append(options, dotc1z.WithEngine(kind))
	}
	store, err := dotc1z.NewStore(ctx, path, options...)
	if err != nil {
		return nil, nil, err
	}
	whole, ok := store.(syncerStore)
	engine, isPebble := pebble.AsEngine(store)
	if !ok || !isPebble {
		if store.Metadata().Engine == string(c1zstore.EnginePebble) {
			ctxzap.Extract(ctx).Warn("the sync takes longer than it should: this version of the SDK has another storage engine")
		}
		return store, nil, nil // The syncer goes its longer way.
	}
	sparing := &Store{
		syncerStore: whole,
		engine:      engine,
		put:         newIDFilter(),
		types:       map[string]bool{},
		rows:        map[string]int64{},
		flusher:     newFlusher(engine),
		grants:      newGrants(engine, work),
	}
	return sparing, sparing, nil
}

// syncerStore is all that the SDK's syncer asks a store for, or asks whether it has
// it (baton-sdk v0.25.0, pkg/sync). What stands between the two must have every one:
// the syncer checks less, or does it another way, where one is missing.
type syncerStore interface {
	c1zstore.Store
	c1zstore.GrantGenerationDigestReader
	connectorstore.DBSizeProvider
	dotc1z.IngestInvariantStore
	sync.EntitlementGraphStore

	DeleteResourceRecord(ctx context.Context, resourceTypeID, resourceID string) error
	DeleteEntitlementByRefs(ctx context.Context, entitlement *connectorv2.Entitlement) error
	DeleteGrantByRefs(ctx context.Context, grant *connectorv2.Grant) error
	DeleteGrantsByRefs(ctx context.Context, grants ...*connectorv2.Grant) error
	ListGrantPrincipalKeysForEntitlement(ctx context.Context, entitlement *connectorv2.Entitlement, pageToken string, pageSize uint32) ([]string, string, error)
	GrantsForEntitlementPrincipalSorted() bool
}

// Store stands between the SDK's syncer and the SDK's store of a new file. It spares the
// syncer two readings of all resources to find those with entitlements and grants, where
// their type has none (SkipEntitlementsAndGrants on the type). It spares the store to look
// for what is not there, and to read all rows once more to count them. And it keeps the
// memory of the store from growing with the rows: looking for rows would fill its cache of
// 256 MiB, and its write buffers grow to 64 MiB each.
//
// It relies on what the syncer does (baton-sdk v0.25.0): it reports a step before it looks
// for anything, and in the two steps lists all resources for nothing else, but for the
// check that WithFailFastInvariants adds, which is not used here.
type Store struct {
	syncerStore

	engine  *pebble.Engine
	op      atomic.Uint32 // the step that the syncer is at
	put     *idFilter
	flusher *flusher

	mu    gosync.Mutex
	types map[string]bool // by id: may have entitlements or grants

	putting   gosync.Mutex     // one put of resources or grants at a time
	rows      map[string]int64 // how many resources there are, by type
	uncounted atomic.Bool      // there may be more than resources, or fewer
	removed   atomic.Bool      // there may be fewer resources than in rows
	grants    grants           // of one put at a time, too
}

// BeginStep notes which step the syncer begins. It is for [sync.WithTransitionHandler].
func (p *Store) BeginStep(action sync.Action) { p.op.Store(uint32(action.Op)) }

// WaitForFlush waits, for a while, for what is being written to the engine's files. Nothing
// may be put afterwards.
func (p *Store) WaitForFlush() {
	p.putting.Lock()
	p.grants.abandon()
	p.putting.Unlock()
	p.flusher.wait()
}

func (p *Store) step() sync.ActionOp {
	return sync.ActionOp(p.op.Load()) //nolint:gosec // It is one.
}

// PutResourceTypes also notes which types may have entitlements or grants.
func (p *Store) PutResourceTypes(ctx context.Context, types ...*connectorv2.ResourceType) error {
	if err := p.syncerStore.PutResourceTypes(ctx, types...); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range types {
		annos := annotations.Annotations(one.GetAnnotations())
		p.types[one.GetId()] = !annos.Contains(&connectorv2.SkipEntitlementsAndGrants{})
	}
	return nil
}

// ListResources answers the two steps that look for resources with entitlements or
// grants (interleaved), with nothing where there is none. All other listings are what
// they are.
func (p *Store) ListResources(ctx context.Context, request *connectorv2.ResourcesServiceListResourcesRequest) (*connectorv2.ResourcesServiceListResourcesResponse, error) {
	op := p.step()
	if (op != sync.SyncEntitlementsOp && op != sync.SyncGrantsOp) || request.GetResourceTypeId() != "" || request.GetParentResourceId() != nil {
		return p.syncerStore.ListResources(ctx, request)
	}
	return p.interleaved(ctx, request)
}

// onlyResources reports whether no type may have entitlements or grants.
func (p *Store) onlyResources() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, mayHave := range p.types {
		if mayHave {
			return false
		}
	}
	return len(p.types) > 0
}

// GetResource returns NOT_FOUND at once for a resource that has not been put into this file:
// the syncer looks for every one before it puts it. What has been put, or only looks like
// it, is looked for in the store.
func (p *Store) GetResource(ctx context.Context, request *readerv2.ResourcesReaderServiceGetResourceRequest) (*readerv2.ResourcesReaderServiceGetResourceResponse, error) {
	if p.step() == sync.SyncResourcesOp && !p.put.mayHave(request.GetResourceId()) {
		return nil, errNotPut
	}
	return p.syncerStore.GetResource(ctx, request)
}

var errNotPut = status.Error(codes.NotFound, "the resource is not in the sync file yet")
