package aggregate

import (
	"context"
	"fmt"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
)

// listResourceTypes answers with the types of all plugins in one page.
func (a *Aggregate) listResourceTypes(ctx context.Context, request *v2.ResourceTypesServiceListResourceTypesRequest, reply proto.Message, opts []grpc.CallOption) error {
	if request.GetPageToken() != "" {
		return status.Error(codes.InvalidArgument, "listing resource types: an aggregate answers in one page, so it has never given out a page token")
	}
	answers, err := fanOut(ctx, a.plugins, func(ctx context.Context, p *plugin) (*v2.ResourceTypesServiceListResourceTypesResponse, error) {
		return p.resourceTypes(ctx, request, opts)
	})
	if err != nil {
		return err
	}
	if err := a.clashes(); err != nil {
		return err
	}
	merged := &v2.ResourceTypesServiceListResourceTypesResponse{}
	var rows []*v2.ResourceType
	var annos []*anypb.Any
	for i, answer := range answers {
		if err := a.plugins[i].names.ToAggregate(answer, nil); err != nil {
			return a.plugins[i].failed(codes.Internal, "listing resource types", err, "its reply cannot be used")
		}
		rows = append(rows, answer.GetList()...)
		annos = append(annos, answer.GetAnnotations()...)
	}
	merged.SetList(rows)
	merged.SetAnnotations(annos)
	return into(reply, merged)
}

// resourceTypes returns the plugin's resource types in its own ids, from the plugin
// or from the baseline.
func (p *plugin) resourceTypes(ctx context.Context, request *v2.ResourceTypesServiceListResourceTypesRequest, opts []grpc.CallOption) (*v2.ResourceTypesServiceListResourceTypesResponse, error) {
	if p.fallback == nil || !p.fallback.Failed() {
		if types := p.assumeTypes(request); types != nil {
			return v2.ResourceTypesServiceListResourceTypesResponse_builder{List: types}.Build(), nil
		}
		answer, err := p.listTypes(ctx, request, opts)
		if err == nil || p.fallback == nil || ctx.Err() != nil {
			return answer, err
		}
		p.fail(v2.ResourceTypesService_ListResourceTypes_FullMethodName, err)
	}
	rows, err := p.fallback.ResourceTypes(ctx)
	if err != nil {
		return nil, p.failed(codes.Internal, "reading its resource types from the baseline", err, "")
	}
	stored := v2.ResourceTypesServiceListResourceTypesResponse_builder{List: rows}.Build()
	if err := p.names.ToPlugin(stored); err != nil {
		return nil, p.failed(codes.Internal, "reading its resource types from the baseline", err, "")
	}
	p.types.Learn(stored.GetList())
	return stored, nil
}

// listTypes reads all pages of a plugin's resource types, in its own ids, into
// one, and remembers them.
func (p *plugin) listTypes(ctx context.Context, request *v2.ResourceTypesServiceListResourceTypesRequest, opts []grpc.CallOption) (*v2.ResourceTypesServiceListResourceTypesResponse, error) {
	const method = v2.ResourceTypesService_ListResourceTypes_FullMethodName
	own, err := p.own(method, request)
	if err != nil {
		return nil, err
	}
	asked, ok := own.(*v2.ResourceTypesServiceListResourceTypesRequest)
	if !ok {
		return nil, status.Errorf(codes.Internal, "the request became a %T", own)
	}
	all := &v2.ResourceTypesServiceListResourceTypesResponse{}
	for {
		page := &v2.ResourceTypesServiceListResourceTypesResponse{}
		if err := p.ask(ctx, method, asked, page, opts); err != nil {
			return nil, err
		}
		all.SetList(append(all.GetList(), page.GetList()...))
		all.SetAnnotations(append(all.GetAnnotations(), page.GetAnnotations()...))
		token := page.GetNextPageToken()
		if token == "" && len(all.GetList()) == 0 {
			// Nothing of the plugin would be synced, and nothing would say so.
			return nil, p.refused(codes.FailedPrecondition, describe(method, asked), "the plugin has no resource types")
		}
		if token == "" {
			if err := pagecheck.CheckDistinct(all.GetList()); err != nil {
				return nil, p.failed(codes.Internal, describe(method, asked), err, "its reply cannot be used")
			}
			p.listedTypes(all.GetList())
			p.answered.Store(true)
			return all, nil
		}
		asked.SetPageToken(token)
	}
}

// clashes refuses resource types that two plugins would share in the aggregate.
// That takes a plugin without a namespace.
func (a *Aggregate) clashes() error {
	owners := map[string]*plugin{}
	for _, p := range a.bare {
		for _, typeID := range p.types.IDs() {
			if other := a.namespaceOf(typeID); other != nil {
				return clash(fmt.Sprintf("the resource type %q of plugin %q, which has no namespace, begins with the namespace of plugin %q", typeID, p.Instance, other.Instance))
			}
			if other := owners[typeID]; other != nil {
				return clash(fmt.Sprintf("the plugins %q and %q have no namespace and both have the resource type %q", other.Instance, p.Instance, typeID))
			}
			owners[typeID] = p
		}
	}
	return nil
}

func clash(what string) error {
	return status.Errorf(codes.FailedPrecondition, "%s; give one of them a namespace, or put them into different uploads", what)
}

// learnTypes asks the plugin for its resource types if they are not known yet, one
// caller at a time. They become known by the syncer's ListResourceTypes, at the start
// of every sync, or here where something has to be known earlier (a sync that is
// resumed, a task that is no sync).
func (p *plugin) learnTypes(ctx context.Context) error {
	if p.types.Known() {
		return nil
	}
	select {
	case p.askingTypes <- struct{}{}:
	case <-ctx.Done():
		return p.interrupted(ctx, "listing resource types")
	}
	defer func() { <-p.askingTypes }()
	if p.types.Known() {
		return nil
	}
	_, err := p.resourceTypes(ctx, &v2.ResourceTypesServiceListResourceTypesRequest{}, nil)
	return err
}

// learnBareTypes asks the plugins without a namespace for their types, as only
// these distinguish such plugins.
func (a *Aggregate) learnBareTypes(ctx context.Context) error {
	for _, p := range a.bare {
		if err := p.learnTypes(ctx); err != nil {
			return err
		}
	}
	return a.clashes()
}
