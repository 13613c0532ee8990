package aggregate

import (
	"context"
	"fmt"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/rename"
)

// listEventFeeds answers with the feeds of all plugins.
func (a *Aggregate) listEventFeeds(ctx context.Context, request *v2.ListEventFeedsRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, from, err := askEach(ctx, a, v2.EventService_ListEventFeeds_FullMethodName, request,
		func() *v2.ListEventFeedsResponse { return &v2.ListEventFeedsResponse{} }, opts)
	if err != nil {
		return err
	}
	merged := &v2.ListEventFeedsResponse{}
	owners := map[string]*plugin{}
	for i, answer := range answers {
		for _, feed := range answer.GetList() {
			if other := owners[feed.GetId()]; other != nil && other != from[i] {
				return clash(fmt.Sprintf("the plugins %q and %q have no namespace and both have the event feed %q", other.Instance, from[i].Instance, feed.GetId()))
			}
			owners[feed.GetId()] = from[i]
		}
		merged.SetList(append(merged.GetList(), answer.GetList()...))
		merged.SetAnnotations(append(merged.GetAnnotations(), answer.GetAnnotations()...))
	}
	return into(reply, merged)
}

// listEvents reads a page of the feed that the request names. Cursors are the
// plugin's own: a cursor goes where its feed does.
func (a *Aggregate) listEvents(ctx context.Context, request *v2.ListEventsRequest, reply proto.Message, opts []grpc.CallOption) error {
	const method = v2.EventService_ListEvents_FullMethodName
	id := request.GetEventFeedId()
	if id == "" && len(a.plugins) > 1 {
		p, err := a.oldFeed(ctx)
		if err != nil {
			return err
		}
		return p.call(ctx, method, request, reply, opts)
	}
	return a.toOwner(ctx, method, id, rename.ToEventFeed, request, reply, opts)
}

// oldFeed is the only plugin with the one feed that connectors had before feeds
// had ids. The SDK of today gives that feed an id but still answers for it
// without one.
func (a *Aggregate) oldFeed(ctx context.Context) (*plugin, error) {
	type verdict struct {
		has bool
		err error
	}
	verdicts, err := fanOut(ctx, a.plugins, func(ctx context.Context, p *plugin) (verdict, error) {
		has, err := p.hasOldFeed(ctx)
		return verdict{has: has, err: err}, nil
	})
	if err != nil {
		return nil, err
	}
	var having []*plugin
	var unknown []error
	for i, v := range verdicts {
		if v.err != nil {
			unknown = append(unknown, v.err)
		}
		if v.has {
			having = append(having, a.plugins[i])
		}
	}
	switch {
	case len(having) == 1:
		return having[0], nil
	case len(having) > 1:
		return nil, status.Errorf(codes.InvalidArgument,
			"listing events without the id of a feed: the plugins %s all have such events; the request must name a feed", instances(having))
	case len(unknown) > 0:
		return nil, join(unknown)
	}
	return nil, status.Errorf(codes.Unimplemented, "listing events without the id of a feed: none of the plugins %s has such events", instances(a.plugins))
}

func (p *plugin) hasOldFeed(ctx context.Context) (bool, error) {
	old, err := p.able(ctx, v2.Capability_CAPABILITY_EVENT_FEED)
	if err != nil || old {
		return old, err
	}
	feeds, err := p.able(ctx, v2.Capability_CAPABILITY_EVENT_FEED_V2)
	if err != nil || !feeds {
		return false, err
	}
	answer := &v2.ListEventFeedsResponse{}
	if err := p.askSoon(ctx, v2.EventService_ListEventFeeds_FullMethodName, &v2.ListEventFeedsRequest{}, answer); err != nil {
		return false, err
	}
	for _, feed := range answer.GetList() {
		if feed.GetId() == connectorbuilder.LegacyBatonFeedId {
			return true, nil
		}
	}
	return false, nil
}
