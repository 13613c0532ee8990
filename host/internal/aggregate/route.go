package aggregate

import (
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
	"github.com/batonhost/baton-host/host/internal/page"
	"github.com/batonhost/baton-host/host/internal/rename"
)

// route is the way to one plugin: renaming on both ends, retries in between,
// and a look at every reply before it is believed.
//
// What answers in a plugin's place, or ahead of being asked, belongs between
// call and ask: there ids are the plugin's own and errors are still the
// plugin's.
type route struct {
	aggregate *Aggregate
	instance  string
	namespace string
	names     *rename.Names
	conn      grpc.ClientConnInterface
	broken    error // why conn is not used at all
	types     *pagecheck.Types
	pages     *pagecheck.Checker
	recorder  *fallback.Recorder
	fallback  *fallback.Source // nil: a failure fails the call
	ahead     *policy.ReadAhead
	listings  *policy.Listings

	provisioning bool
	passwords    Passwords // nil: requests keep theirs
	abilities    atomic.Pointer[abilities]
	askingTypes  chan struct{} // full while somebody asks
}

func newRoute(a *Aggregate, plugin Plugin, seen *pagecheck.Seen, siblings bool) *route {
	r := &route{
		aggregate: a,
		instance:  plugin.Instance,
		namespace: plugin.Namespace,
		conn:      plugin.Conn,
		broken:    plugin.Err,
		types:     &pagecheck.Types{},

		provisioning: plugin.Provisioning,
		passwords:    plugin.Passwords,
		ahead:        policy.NewReadAhead(plugin.Conn, a.retry, plugin.ReadAhead),
		listings:     policy.NewListings(plugin.Instance, plugin.Listings, plugin.IdleTimeout, plugin.MaxRows),
		askingTypes:  make(chan struct{}, 1),
	}
	r.names = &rename.Names{Instance: plugin.Instance, Owner: a.owner, Namespaced: a.namespaced}
	if plugin.Namespace != "" {
		display := plugin.DisplayName
		if display == "" {
			display = plugin.Instance
		}
		r.names.Prefix = plugin.Namespace + "."
		r.names.Display = display + ": "
	}
	r.pages = pagecheck.NewChecker(r.names, r.types, seen, siblings)
	r.recorder = fallback.NewRecorder(r.names)
	if plugin.Baseline != nil {
		r.fallback = fallback.NewSource(plugin.Baseline, r.names, r.types, r.pages, r.recorder)
	}
	return r
}

// pick finds the plugin that a request is for.
func (a *Aggregate) pick(ctx context.Context, method string, request proto.Message) (*route, error) {
	typeID := rename.FirstType(request)
	if typeID == "" {
		return nil, status.Errorf(codes.Unimplemented, "%s: the request names no resource type, so no plugin can be told from it", method)
	}
	if r := a.namespaceOf(typeID); r != nil {
		return r, nil
	}
	switch len(a.bare) {
	case 0:
	case 1:
		return a.bare[0], nil
	default:
		if err := a.learnBareTypes(ctx); err != nil {
			return nil, err
		}
		for _, r := range a.bare {
			if r.types.Has(typeID) {
				return r, nil
			}
		}
	}
	return nil, status.Errorf(codes.InvalidArgument, "%s: no plugin of this upload has the resource type %q", method, typeID)
}

// namespaceOf is the plugin whose namespace a resource type begins with.
func (a *Aggregate) namespaceOf(typeID string) *route {
	namespace, _, dotted := strings.Cut(typeID, ".")
	if !dotted {
		return nil
	}
	return a.byNamespace[namespace]
}

// owner is the instance that an id of the aggregate belongs to, as far as is
// known without asking a plugin.
func (a *Aggregate) owner(typeID string) string {
	if r := a.namespaceOf(typeID); r != nil {
		return r.instance
	}
	for _, r := range a.bare {
		if r.types.Has(typeID) {
			return r.instance
		}
	}
	return ""
}

// call answers one call, with this plugin or from the baseline. request stays as it is.
func (r *route) call(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) error {
	if r.fallback == nil || !fallback.Answers(method) {
		return r.callPlugin(ctx, method, request, reply, opts)
	}
	if calling, done := r.fallback.BeginCall(ctx); calling != nil {
		err := r.callPlugin(calling, method, request, reply, opts)
		if err != nil && ctx.Err() == nil {
			r.fail(method, err)
		}
		done()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	if err := r.fallback.Answer(ctx, request, reply); err != nil {
		if ctx.Err() != nil {
			return err
		}
		failure, _ := r.fallback.Failure()
		return r.failed(codes.Internal, "reading its part of the last good sync", err, fmt.Sprintf("it failed (%s), and", policy.Message(failure.Err)))
	}
	r.observe(request, reply)
	return nil
}

// fail takes the plugin for failed, for the rest of this sync.
func (r *route) fail(method string, err error) {
	// Before its resource types are known the plugin has listed nothing that could
	// be wrong.
	contradicted := method != v2.ConnectorService_Validate_FullMethodName &&
		method != v2.ResourceTypesService_ListResourceTypes_FullMethodName && contradicts(err)
	if !r.fallback.Fail(err, contradicted) {
		return
	}
	r.ahead.Stop()
	r.listings.Close()
	r.aggregate.observer.FellBack(Fallback{Instance: r.instance, AsOf: r.fallback.AsOf(), Err: err, Contradicted: contradicted})
}

// callPlugin answers one call with the plugin itself.
func (r *route) callPlugin(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) error {
	own, err := r.own(method, request)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, method, own, reply, opts); err != nil {
		return err
	}
	if err := r.names.ToAggregate(reply, rename.PrincipalOf(own)); err != nil {
		return r.failed(codes.Internal, describe(method, own), err, "its reply cannot be used")
	}
	r.aggregate.leaveOut(reply)
	if err := r.pages.Match(request, reply); err != nil {
		return r.failed(codes.Internal, describe(method, own), err, "its reply cannot be used")
	}
	r.recorder.Note(request, reply)
	if r.fallback != nil {
		r.fallback.Note(request, reply)
	}
	r.observe(request, reply)
	return nil
}

// leaveOut takes the resources out of a page whose type is not one of the sync's.
func (a *Aggregate) leaveOut(reply proto.Message) {
	page, ok := reply.(*v2.ResourcesServiceListResourcesResponse)
	if !ok || len(a.only) == 0 {
		return
	}
	page.SetList(slices.DeleteFunc(page.GetList(), func(row *v2.Resource) bool {
		return !slices.Contains(a.only, row.GetId().GetResourceType())
	}))
}

// own is the request as the plugin knows it.
func (r *route) own(method string, request proto.Message) (proto.Message, error) {
	own := proto.Clone(request)
	if err := r.names.ToPlugin(own); err != nil {
		return nil, r.failed(codes.InvalidArgument, describe(method, request), err, "")
	}
	return own, nil
}

// ask calls the plugin, in its own ids, and checks what it answers. The request is
// the caller's clone.
func (r *route) ask(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) error {
	doing := describe(method, request)
	if err := r.permitted(method, doing); err != nil {
		return err
	}
	if r.broken != nil {
		return r.failed(codes.Aborted, doing, r.broken, "")
	}
	if err := r.reencrypt(ctx, doing, request); err != nil {
		return err
	}
	r.join(request)
	if policy.IsListing(method) {
		return r.askPage(ctx, method, doing, request, reply, opts)
	}
	if _, err := r.invoke(ctx, method, doing, request, reply, opts); err != nil {
		return err
	}
	return r.check(ctx, doing, request, reply)
}

// askPage asks for a page of a listing, of which the plugin reads as many at the same
// time as its limit allows.
func (r *route) askPage(ctx context.Context, method, doing string, request, reply proto.Message, opts []grpc.CallOption) error {
	if method == v2.ResourcesService_ListResources_FullMethodName {
		// The check of its rows needs the types, and to learn them is a listing too: it
		// must not come between two pages of this one, nor wait for its end.
		if err := r.learnTypes(ctx); err != nil {
			return err
		}
	}
	this, err := r.listings.Begin(ctx, method, request)
	if err != nil {
		return r.interrupted(ctx, doing)
	}
	if r.aggregate.packed && method == v2.ResourcesService_ListResources_FullMethodName {
		opts = append(slices.Clip(opts), grpc.ForceCodecV2(page.Codec))
	}
	took, err := r.invoke(ctx, method, doing, request, reply, opts)
	if err == nil {
		err = r.check(ctx, doing, request, reply)
	}
	if err != nil {
		r.listings.Drop(this)
		return err
	}
	after, refusal := r.listings.Page(this, method, request, reply, took)
	if refusal != nil {
		return r.failed(refusal.Code, doing, refusal, "")
	}
	r.ahead.Next(ctx, method, after, reply, opts)
	return nil
}

// check refuses a reply that the SDK would take for less than it is.
func (r *route) check(ctx context.Context, doing string, request, reply proto.Message) error {
	if pagecheck.NeedsTypes(reply) {
		if err := r.learnTypes(ctx); err != nil {
			return err
		}
	}
	if err := r.pages.Check(request, reply); err != nil {
		return r.failed(codes.Internal, doing, err, "its reply cannot be used")
	}
	return nil
}

// invoke makes the call, and repeats one that changes nothing where that may help. It
// returns how long the plugin itself took.
func (r *route) invoke(ctx context.Context, method, doing string, request, reply proto.Message, opts []grpc.CallOption) (took time.Duration, err error) {
	attempt := func(ctx context.Context) error {
		if asked := r.ahead.Take(method, request); asked != nil {
			itsTime, err := asked.Wait(ctx, reply)
			took += itsTime
			return err
		}
		defer func(start time.Time) { took += time.Since(start) }(time.Now())
		return r.conn.Invoke(ctx, method, request, reply, opts...)
	}
	if policy.IsRepeatable(method) {
		err = r.aggregate.retry.Do(ctx, attempt, func(n int, wait time.Duration, err error) {
			ctxzap.Extract(ctx).Warn("plugin call failed, trying again",
				zap.String("plugin", r.instance), zap.String("call", doing),
				zap.Int("attempt", n), zap.Duration("wait", wait), zap.String("error", policy.Message(err)))
			r.aggregate.observer.Retrying(Retry{Instance: r.instance, Method: path.Base(method), Attempt: n, Wait: wait, Err: err})
		})
	} else {
		err = attempt(ctx)
	}
	if err != nil && policy.MeansNone(method, request, err) {
		proto.Reset(reply)
		return took, nil
	}
	if err != nil {
		return took, r.translate(ctx, method, doing, err)
	}
	return took, nil
}

// translate turns a plugin's error into one that the SDK treats as what it is.
func (r *route) translate(ctx context.Context, method, doing string, err error) error {
	if ctx.Err() != nil {
		return r.interrupted(ctx, doing)
	}
	if policy.IsReplaced(err) && !policy.IsRepeatable(method) {
		return r.failed(codes.Aborted, doing, err, "it broke off, and whether the app did it is not known")
	}
	if exhausted, ok := errors.AsType[*policy.ExhaustedError](err); ok {
		return r.failed(codes.Aborted, doing, exhausted.Last, exhausted.Note())
	}
	switch code := status.Code(err); {
	case code == codes.NotFound && policy.IsListing(method):
		// For the SDK's syncer that is a warning: it drops the rest of the
		// listing and calls the sync a success.
		return r.failed(codes.FailedPrecondition, doing, err, "the plugin answered NOT_FOUND in the middle of a sync")
	case code == codes.Canceled:
		// Nobody here did: to the caller it would look as if it had itself.
		return r.failed(codes.Aborted, doing, err, "the plugin broke the call off")
	default:
		return r.failed(code, doing, err, "")
	}
}

func (r *route) observe(request, reply proto.Message) {
	switch page := reply.(type) {
	case *v2.ResourcesServiceListResourcesResponse:
		asked, ok := request.(*v2.ResourcesServiceListResourcesRequest)
		if !ok {
			return
		}
		r.aggregate.observer.Listed(Page{
			Instance:       r.instance,
			ResourceTypeID: asked.GetResourceTypeId(),
			Accounts:       r.types.HasAccounts(r.names.OwnType(asked.GetResourceTypeId())),
			Rows:           len(page.GetList()),
			Done:           page.GetNextPageToken() == "",
		})
	case *v2.GrantsServiceListGrantsResponse:
		asked, ok := request.(*v2.GrantsServiceListGrantsRequest)
		if !ok {
			return
		}
		r.aggregate.observer.Listed(Page{
			Instance:       r.instance,
			ResourceTypeID: asked.GetResource().GetId().GetResourceType(),
			Grants:         true,
			Rows:           len(page.GetList()),
			Done:           page.GetNextPageToken() == "",
		})
	}
}
