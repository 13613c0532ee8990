package aggregate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	"github.com/batonhost/baton-host/host/internal/aggregate/fallback"
	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/rename"
	"github.com/batonhost/baton-host/host/internal/syncfile/sdkfast"
)

// plugin is a plugin as the aggregate calls it: renaming on both ends, retries in between,
// and a check of every reply before it is believed.
//
// What falls back, or reads ahead, belongs between call and ask: there ids are the
// plugin's own and errors are still the plugin's.
type plugin struct {
	Plugin
	aggregate *Aggregate

	names    *rename.Names
	types    *pagecheck.Types
	pages    *pagecheck.Checker
	recorder *fallback.Recorder
	fallback *fallback.Source // nil: a failure fails the call
	ahead    *policy.ReadAhead
	listings *policy.Listings
	skips    skips
	visit    visit
	evidence evidence

	abilities   atomic.Pointer[abilities]
	answered    atomic.Bool   // it has listed its resource types itself
	askingTypes chan struct{} // full while a caller asks
}

func newPlugin(a *Aggregate, of Plugin, memory *pagecheck.Memory, siblings bool) *plugin {
	of.Conn = policy.Renewing(of.Instance, of.Conn, of.Credentials)
	p := &plugin{
		Plugin: of, aggregate: a,
		names: &rename.Names{Instance: of.Instance, Owners: a},
		types: &pagecheck.Types{},
		ahead: policy.NewReadAhead(of.Conn, a.retries, of.ReadAhead),

		listings:    policy.NewListings(of.Instance, of.Listings, of.IdleTimeout, of.MaxRows),
		askingTypes: make(chan struct{}, 1),
	}
	if of.Namespace != "" {
		p.names.Prefix = of.Namespace + "."
		p.names.Display = cmp.Or(of.DisplayName, of.Instance) + ": "
	}
	p.pages = pagecheck.NewChecker(p.names, p.types, memory, siblings)
	p.recorder = fallback.NewRecorder(p.names)
	switch {
	case of.Baseline != nil:
		p.fallback = fallback.NewSource(of.Baseline, p.names, p.types, p.pages, p.recorder)
	case of.MayBeMissing:
		p.fallback = fallback.NewSource(&baseline.Plugin{}, p.names, p.types, p.pages, p.recorder)
	}
	return p
}

// pick returns the plugin that a request is for.
func (a *Aggregate) pick(ctx context.Context, method string, request proto.Message) (*plugin, error) {
	typeID := rename.FirstType(request)
	if typeID == "" {
		return nil, status.Errorf(codes.Unimplemented, "%s: the request names no resource type, so its plugin is not known", method)
	}
	if p := a.namespaceOf(typeID); p != nil {
		return p, nil
	}
	switch len(a.bare) {
	case 0:
	case 1:
		return a.bare[0], nil
	default:
		if err := a.learnBareTypes(ctx); err != nil {
			return nil, err
		}
		for _, p := range a.bare {
			if p.types.Has(typeID) {
				return p, nil
			}
		}
	}
	return nil, status.Errorf(codes.InvalidArgument, "%s: no plugin of this upload has the resource type %q", method, typeID)
}

// namespaceOf returns the plugin whose namespace a resource type begins with.
func (a *Aggregate) namespaceOf(typeID string) *plugin {
	namespace, _, dotted := strings.Cut(typeID, ".")
	if !dotted {
		return nil
	}
	return a.byNamespace[namespace]
}

// Owner returns the instance that a resource type of the aggregate belongs to, as far as is
// known without asking a plugin; "" if it is not.
func (a *Aggregate) Owner(typeID string) string {
	if p := a.namespaceOf(typeID); p != nil {
		return p.Instance
	}
	for _, p := range a.bare {
		if p.types.Has(typeID) {
			return p.Instance
		}
	}
	return ""
}

// call answers one call, with this plugin or from the baseline. request stays as it is.
func (p *plugin) call(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) error {
	if p.fallback == nil || !fallback.Answers(method) {
		return p.callPlugin(ctx, method, request, reply, opts)
	}
	if calling, done := p.fallback.BeginCall(ctx); calling != nil {
		err := p.callPlugin(calling, method, request, reply, opts)
		again := p.aggregate.TypesChanged()
		if err != nil && ctx.Err() == nil && !again {
			p.fail(method, err)
		}
		done()
		if err == nil || ctx.Err() != nil || again {
			return err
		}
	}
	if err := p.fallback.Answer(ctx, request, reply); err != nil {
		if ctx.Err() != nil {
			return err
		}
		failure, _ := p.fallback.Failure()
		return p.failed(codes.Internal, "reading its part of the baseline", err, fmt.Sprintf("it failed (%s), and", policy.Message(failure.Err)))
	}
	p.observe(request, reply)
	return nil
}

// fail counts the plugin as failed for the rest of this sync.
func (p *plugin) fail(method string, err error) {
	// Before its resource types are known the plugin has listed nothing that could
	// be wrong.
	contradicted := method != v2.ConnectorService_Validate_FullMethodName &&
		method != v2.ResourceTypesService_ListResourceTypes_FullMethodName && contradicts(err)
	if !p.fallback.Fail(err, contradicted) {
		return
	}
	p.ahead.Stop()
	p.listings.Close()
	p.aggregate.observer.FellBack(Fallback{Instance: p.Instance, AsOf: p.fallback.AsOf(), Err: err, Contradicted: contradicted, Missing: p.isMissing()})
}

// isMissing reports whether there is nothing in the plugin's place once it has failed.
func (p *plugin) isMissing() bool { return p.Baseline == nil && p.MayBeMissing }

// callPlugin answers one call with the plugin itself.
func (p *plugin) callPlugin(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) error {
	own, err := p.own(method, request)
	if err != nil {
		return err
	}
	if err := p.ask(ctx, method, own, reply, opts); err != nil {
		return err
	}
	if err := p.names.ToAggregate(reply, rename.PrincipalOf(own)); err != nil {
		return p.failed(codes.Internal, describe(method, own), err, "its reply cannot be used")
	}
	p.aggregate.leaveOut(reply)
	if err := p.pages.Match(request, reply); err != nil {
		return p.failed(codes.Internal, describe(method, own), err, "its reply cannot be used")
	}
	p.recorder.Note(request, reply)
	p.countAccess(reply)
	p.noteEvidence(request, reply)
	if p.fallback != nil {
		p.fallback.Note(request, reply)
	}
	p.observe(request, reply)
	return nil
}

// leaveOut removes the resources from a page whose type is not one of the sync's.
func (a *Aggregate) leaveOut(reply proto.Message) {
	page, ok := reply.(*v2.ResourcesServiceListResourcesResponse)
	if !ok || len(a.only) == 0 {
		return
	}
	page.SetList(slices.DeleteFunc(page.GetList(), func(row *v2.Resource) bool {
		return !slices.Contains(a.only, row.GetId().GetResourceType())
	}))
}

// own returns the request as the plugin knows it.
func (p *plugin) own(method string, request proto.Message) (proto.Message, error) {
	own := proto.Clone(request)
	if err := p.names.ToPlugin(own); err != nil {
		return nil, p.failed(codes.InvalidArgument, describe(method, request), err, "")
	}
	return own, nil
}

// ask calls the plugin, in its own ids, and checks what it answers. The request is
// the caller's clone.
func (p *plugin) ask(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) error {
	doing := describe(method, request)
	if err := p.permitted(method, doing); err != nil {
		return err
	}
	if p.Err != nil {
		return p.failed(codes.Aborted, doing, p.Err, "")
	}
	defer p.hold(ctx, method)()
	if err := p.verifyTypes(ctx, method, request); err != nil {
		return err
	}
	if err := p.reencrypt(ctx, doing, request); err != nil {
		return err
	}
	p.join(request)
	if policy.IsListing(method) {
		return p.askPage(ctx, method, doing, request, reply, opts)
	}
	if _, err := p.invoke(ctx, method, doing, request, reply, opts); err != nil {
		return err
	}
	return p.check(ctx, doing, request, reply)
}

// askPage asks for a page of a listing, of which the plugin reads as many at the same
// time as its limit allows.
func (p *plugin) askPage(ctx context.Context, method, doing string, request, reply proto.Message, opts []grpc.CallOption) error {
	if method == v2.ResourcesService_ListResources_FullMethodName {
		// The check of its rows needs the types, and to learn them is a listing too: it
		// must not come between two pages of this one, nor wait for its end.
		if err := p.learnTypes(ctx); err != nil {
			return err
		}
	}
	if took, err := p.takeKept(ctx, method, doing, request, reply); took || err != nil {
		return err
	}
	this, err := p.listings.Begin(ctx, method, request)
	if err != nil {
		return p.interrupted(ctx, doing)
	}
	if p.aggregate.packed && method == v2.ResourcesService_ListResources_FullMethodName ||
		p.aggregate.packedGrants && method == v2.GrantsService_ListGrants_FullMethodName {
		opts = append(slices.Clip(opts), grpc.ForceCodecV2(sdkfast.Codec))
	}
	if of, kind, ok := accessOf(request); ok && of.GetPageToken() == "" {
		p.skips.begin(kind)
	}
	took, err := p.invoke(ctx, method, doing, request, reply, opts)
	if isNotFound(err) {
		err = p.skip(ctx, doing, request, reply, this.Rows(), err)
	}
	if err == nil {
		err = p.check(ctx, doing, request, reply)
	}
	if err == nil {
		err = p.requireEvidence(doing, reply)
	}
	if err != nil {
		p.listings.Drop(this)
		return err
	}
	after, refusal := p.listings.Page(this, method, request, reply, took)
	if refusal != nil {
		return p.failed(refusal.Code, doing, refusal, "")
	}
	p.ahead.Next(ctx, method, after, reply, opts)
	p.askStatic(ctx, request, reply)
	return nil
}

// check refuses a reply of which the SDK would lose something.
func (p *plugin) check(ctx context.Context, doing string, request, reply proto.Message) error {
	if pagecheck.NeedsTypes(reply) {
		if err := p.learnTypes(ctx); err != nil {
			return err
		}
	}
	if err := p.pages.Check(request, reply); err != nil {
		return p.failed(codes.Internal, doing, err, "its reply cannot be used")
	}
	return nil
}

// invoke makes the call, and repeats one that changes nothing where that may help. It
// returns how long the plugin itself took.
func (p *plugin) invoke(ctx context.Context, method, doing string, request, reply proto.Message, opts []grpc.CallOption) (took time.Duration, err error) {
	attempt := func(ctx context.Context) error {
		if asked := p.ahead.Take(method, request); asked != nil {
			itsTime, err := asked.Wait(ctx, reply)
			took += itsTime
			return err
		}
		defer func(start time.Time) { took += time.Since(start) }(time.Now())
		return p.Conn.Invoke(ctx, method, request, reply, opts...)
	}
	if policy.IsRepeatable(method) {
		err = p.aggregate.retries.Do(ctx, attempt, func(n int, wait time.Duration, err error) {
			ctxzap.Extract(ctx).Warn("plugin call failed, trying again",
				zap.String("plugin", p.Instance), zap.String("call", doing),
				zap.Int("attempt", n), zap.Duration("wait", wait), zap.String("error", policy.Message(err)))
			p.aggregate.observer.Retrying(Retry{Instance: p.Instance, Method: path.Base(method), Attempt: n, Wait: wait, Err: err})
		})
	} else {
		err = attempt(ctx)
	}
	if err != nil && policy.MeansNone(method, request, err) {
		proto.Reset(reply)
		return took, nil
	}
	if err != nil {
		return took, p.translate(ctx, method, doing, err)
	}
	return took, nil
}

// translate turns a plugin's error into one that the SDK treats as what it is.
func (p *plugin) translate(ctx context.Context, method, doing string, err error) error {
	if ctx.Err() != nil {
		return p.interrupted(ctx, doing)
	}
	if policy.IsReplaced(err) && !policy.IsRepeatable(method) {
		return p.failed(codes.Aborted, doing, err, "it broke off, and whether the app did it is not known")
	}
	if exhausted, ok := errors.AsType[*policy.ExhaustedError](err); ok {
		return p.failed(codes.Aborted, doing, exhausted.Last, exhausted.Note())
	}
	switch code := status.Code(err); {
	case code == codes.NotFound && policy.IsListing(method):
		// For the SDK's syncer that is a warning: it drops the rest of the
		// listing and calls the sync a success. See skip for where that is right.
		return p.failed(codes.FailedPrecondition, doing, err, "the plugin answered NOT_FOUND in the middle of a sync")
	case code == codes.Canceled:
		// The host did not: to the caller it would look as if it had itself.
		return p.failed(codes.Aborted, doing, err, "the plugin broke the call off")
	default:
		return p.failed(code, doing, err, "")
	}
}

func (p *plugin) observe(request, reply proto.Message) {
	switch page := reply.(type) {
	case *v2.ResourcesServiceListResourcesResponse:
		asked, ok := request.(*v2.ResourcesServiceListResourcesRequest)
		if !ok {
			return
		}
		p.aggregate.observer.Listed(Page{
			Instance:       p.Instance,
			ResourceTypeID: asked.GetResourceTypeId(),
			Accounts:       p.types.HasAccounts(p.names.OwnType(asked.GetResourceTypeId())),
			Rows:           len(page.GetList()),
			Done:           page.GetNextPageToken() == "",
		})
	case *v2.EntitlementsServiceListEntitlementsResponse:
		asked, ok := request.(*v2.EntitlementsServiceListEntitlementsRequest)
		if !ok {
			return
		}
		p.aggregate.observer.Listed(Page{
			Instance:       p.Instance,
			ResourceTypeID: asked.GetResource().GetId().GetResourceType(),
			Entitlements:   true,
			Rows:           len(page.GetList()),
			Done:           page.GetNextPageToken() == "",
		})
	case *v2.GrantsServiceListGrantsResponse:
		asked, ok := request.(*v2.GrantsServiceListGrantsRequest)
		if !ok {
			return
		}
		p.aggregate.observer.Listed(Page{
			Instance:       p.Instance,
			ResourceTypeID: asked.GetResource().GetId().GetResourceType(),
			Grants:         true,
			Rows:           len(page.GetList()),
			Done:           page.GetNextPageToken() == "",
		})
	}
}
