package aggregate

import (
	"context"
	"slices"
	"strings"
	"sync"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// Process is the process of a plugin, which may end while it has nothing to do, and wait for
// others before it runs again. *supervise.Plugin is one.
type Process interface {
	// Hold keeps it for several calls; release is called once.
	Hold() (release func())
	// AwaitTurn waits, for who holds it, until it need not wait for others.
	AwaitTurn(ctx context.Context) error
}

// KnownTypes are the resource types that a plugin has listed last, in its own ids, over all
// aggregates. They are safe for concurrent use, and nil keeps none.
type KnownTypes struct {
	mu    sync.Mutex
	types []*v2.ResourceType
}

// Set takes in a complete list, which must not be changed any more.
func (k *KnownTypes) Set(types []*v2.ResourceType) {
	if k == nil {
		return
	}
	clones := clonesOf(types)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.types = clones
}

// get returns copies; none where they are not known.
func (k *KnownTypes) get() []*v2.ResourceType {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return clonesOf(k.types)
}

// visit is how far a sync has come that calls the plugin in one row ([Plugin].OneVisit).
type visit struct {
	verifying sync.Mutex

	mu       sync.Mutex
	assumed  []*v2.ResourceType // the resource types of the sync; nil: they are not known yet
	verified bool               // the plugin has listed them in this sync
}

// assumesTypes reports whether the syncer is given the resource types that are known.
func (p *plugin) assumesTypes() bool {
	return p.OneVisit && p.Err == nil && len(p.KnownTypes.get()) > 0
}

// assumeTypes returns the resource types that are known, for the syncer, which asks for them
// several times; nil: the plugin is to be asked.
func (p *plugin) assumeTypes(request *v2.ResourceTypesServiceListResourceTypesRequest) []*v2.ResourceType {
	if !p.OneVisit || request.GetActiveSyncId() == "" {
		return nil
	}
	p.visit.mu.Lock()
	defer p.visit.mu.Unlock()
	if p.visit.assumed == nil {
		if !p.assumesTypes() || p.types.Known() {
			return nil
		}
		p.visit.assumed = p.KnownTypes.get()
		p.types.Learn(p.visit.assumed)
		p.answered.Store(true) // The syncer has its types.
	}
	return clonesOf(p.visit.assumed) // The answer is rewritten.
}

// listedTypes takes in the resource types that the plugin has listed.
func (p *plugin) listedTypes(types []*v2.ResourceType) {
	p.KnownTypes.Set(types)
	p.visit.mu.Lock()
	defer p.visit.mu.Unlock()
	if p.visit.assumed != nil {
		return // See verifyTypes.
	}
	p.types.Learn(types)
	if p.OneVisit {
		p.visit.assumed, p.visit.verified = clonesOf(types), true
	}
}

func clonesOf(types []*v2.ResourceType) []*v2.ResourceType {
	clones := make([]*v2.ResourceType, 0, len(types))
	for _, one := range types {
		clones = append(clones, proto.CloneOf(one))
	}
	return clones
}

// verifyTypes has the plugin validate, and list its resource types, before the first call of a
// sync that was given the types that were known. If they are others by now the sync fails and
// is made again: nothing has been listed by the wrong ones.
func (p *plugin) verifyTypes(ctx context.Context, method string, request proto.Message) error {
	if !p.OneVisit || !policy.IsListing(method) || method == v2.ResourceTypesService_ListResourceTypes_FullMethodName {
		return nil
	}
	p.visit.verifying.Lock()
	defer p.visit.verifying.Unlock()
	p.visit.mu.Lock()
	assumed, verified := p.visit.assumed, p.visit.verified
	p.visit.mu.Unlock()
	if assumed == nil || verified {
		return nil
	}
	if err := p.callPlugin(ctx, v2.ConnectorService_Validate_FullMethodName, &v2.ConnectorServiceValidateRequest{}, &v2.ConnectorServiceValidateResponse{}, nil); err != nil {
		return err
	}
	asked := &v2.ResourceTypesServiceListResourceTypesRequest{}
	if of, ok := request.(interface{ GetActiveSyncId() string }); ok {
		asked.SetActiveSyncId(of.GetActiveSyncId())
	}
	listed, err := p.listTypes(ctx, asked, nil)
	if err != nil {
		return err
	}
	if !sameTypes(listed.GetList(), assumed) {
		p.aggregate.others.Store(true)
		return p.refused(codes.FailedPrecondition, describe(method, request), "its resource types are others than it listed last, so the sync begins again")
	}
	p.visit.mu.Lock()
	defer p.visit.mu.Unlock()
	p.visit.verified = true
	return nil
}

// TypesChanged reports whether the sync has failed because the resource types of a plugin are
// others than those that were known. KnownTypes has the new ones.
func (a *Aggregate) TypesChanged() bool { return a.others.Load() }

func sameTypes(one, other []*v2.ResourceType) bool {
	byID := func(one, other *v2.ResourceType) int { return strings.Compare(one.GetId(), other.GetId()) }
	one, other = slices.SortedFunc(slices.Values(one), byID), slices.SortedFunc(slices.Values(other), byID)
	return slices.EqualFunc(one, other, func(one, other *v2.ResourceType) bool { return proto.Equal(one, other) })
}

// hold keeps the plugin's process for a call, once it need not wait for others. What is
// answered without a process waits for none.
func (p *plugin) hold(ctx context.Context, method string) (release func()) {
	if p.Process == nil || method == v2.ConnectorService_Cleanup_FullMethodName || method == v2.ConnectorService_GetMetadata_FullMethodName ||
		method == v2.EntitlementsService_ListStaticEntitlements_FullMethodName && p.OneVisit {
		return func() {}
	}
	release = p.Process.Hold()
	_ = p.Process.AwaitTurn(ctx) // Where ctx has ended, the call fails too.
	return release
}

// askStatic asks for the static entitlements of a resource type once its resources are listed,
// while the process is there, and keeps them until the syncer wants them.
func (p *plugin) askStatic(ctx context.Context, request, reply proto.Message) {
	of, ok := request.(*v2.ResourcesServiceListResourcesRequest)
	if !ok || !p.OneVisit || of.HasParentResourceId() || !policy.IsLastPage(reply) {
		return
	}
	p.ahead.Keep(ctx, v2.EntitlementsService_ListStaticEntitlements_FullMethodName, v2.EntitlementsServiceListStaticEntitlementsRequest_builder{
		ResourceTypeId: of.GetResourceTypeId(), ActiveSyncId: of.GetActiveSyncId(),
	}.Build(), &v2.EntitlementsServiceListStaticEntitlementsResponse{})
}

// takeKept answers with what askStatic has kept, if that is the whole of the listing; took is
// false where the plugin is to be asked.
func (p *plugin) takeKept(ctx context.Context, method, doing string, request, reply proto.Message) (took bool, err error) {
	if !p.OneVisit {
		return false, nil
	}
	page := p.ahead.TakeKept(method, request)
	if page == nil {
		return false, nil
	}
	_, err = page.Wait(ctx, reply)
	switch {
	case err != nil && policy.MeansNone(method, request, err):
		proto.Reset(reply)
	case err != nil || !policy.IsLastPage(reply):
		proto.Reset(reply)
		return false, nil //nolint:nilerr // The call itself, and its retries, decide.
	}
	if err := p.check(ctx, doing, request, reply); err != nil {
		return false, err
	}
	return true, p.requireEvidence(doing, reply)
}
