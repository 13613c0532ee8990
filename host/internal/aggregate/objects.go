package aggregate

import (
	"context"
	"strconv"
	"strings"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/rename"
)

// Actions and their runs, event feeds, events, ticket schemas and tickets are
// objects of no resource type. Their ids take the namespace as a plain prefix,
// and a call is routed by it.

// servedBy are the capabilities that a plugin with such objects has.
var servedBy = map[rename.Reference][]v2.Capability{
	rename.ToAction:       {v2.Capability_CAPABILITY_ACTIONS},
	rename.ToActionRun:    {v2.Capability_CAPABILITY_ACTIONS},
	rename.ToEventFeed:    {v2.Capability_CAPABILITY_EVENT_FEED, v2.Capability_CAPABILITY_EVENT_FEED_V2},
	rename.ToTicket:       {v2.Capability_CAPABILITY_TICKETING},
	rename.ToTicketSchema: {v2.Capability_CAPABILITY_TICKETING},
}

// Namespaced returns the instance whose namespace an id begins with, "" if none.
func (a *Aggregate) Namespaced(id string) string {
	if p := a.namespaceOf(id); p != nil {
		return p.Instance
	}
	return ""
}

// ownerOf returns the plugin that an object is of. No id, or one without a
// namespace, distinguishes several plugins only if no more than one has objects
// of the kind. doing says what the call does, as describe does.
func (a *Aggregate) ownerOf(ctx context.Context, doing, id string, ref rename.Reference) (*plugin, error) {
	candidates := a.plugins
	if id != "" {
		if p := a.namespaceOf(id); p != nil {
			return p, nil
		}
		candidates = a.bare
	}
	switch len(candidates) {
	case 0:
		return nil, status.Errorf(codes.InvalidArgument, "%s: the %s %q is of no plugin of this upload: it does not begin with the namespace of any",
			doing, ref.String(), id)
	case 1:
		return candidates[0], nil
	}
	want := "the request must name which " + ref.String() + " it is about"
	if id != "" {
		want = "they have no namespace to distinguish them by, so put them into different uploads or give all but one a namespace"
	}
	return a.onlyAble(ctx, candidates, doing, want, servedBy[ref]...)
}

// untyped answers the calls that no resource type routes. answered is false for
// all others.
func (a *Aggregate) untyped(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) (answered bool, err error) {
	switch request := request.(type) {
	case *v2.CreateAccountRequest:
		if request.GetResourceTypeId() != "" {
			return false, nil
		}
		return true, a.createAccount(ctx, request, reply, opts)

	case *v2.ListActionSchemasRequest:
		if request.GetResourceTypeId() != "" {
			return false, nil
		}
		return true, a.listActionSchemas(ctx, request, reply, opts)
	case *v2.GetActionSchemaRequest:
		return true, a.toOwner(ctx, method, request.GetName(), rename.ToAction, request, reply, opts)
	case *v2.InvokeActionRequest:
		return true, a.invokeAction(ctx, request, reply, opts)
	case *v2.GetActionStatusRequest:
		return true, a.actionStatus(ctx, request, reply, opts)

	case *v2.ListEventFeedsRequest:
		return true, a.listEventFeeds(ctx, request, reply, opts)
	case *v2.ListEventsRequest:
		return true, a.listEvents(ctx, request, reply, opts)

	case *v2.TicketsServiceListTicketSchemasRequest:
		return true, a.listTicketSchemas(ctx, request, reply, opts)
	case *v2.TicketsServiceGetTicketSchemaRequest:
		return true, a.toOwner(ctx, method, request.GetId(), rename.ToTicketSchema, request, reply, opts)
	case *v2.TicketsServiceGetTicketRequest:
		return true, a.toOwner(ctx, method, request.GetId(), rename.ToTicket, request, reply, opts)
	case *v2.TicketsServiceCreateTicketRequest:
		return true, a.toOwner(ctx, method, request.GetSchema().GetId(), rename.ToTicketSchema, request, reply, opts)
	case *v2.TicketsServiceBulkCreateTicketsRequest:
		return true, a.bulkCreateTickets(ctx, request, reply, opts)
	case *v2.TicketsServiceBulkGetTicketsRequest:
		return true, a.bulkGetTickets(ctx, request, reply, opts)
	}
	return false, nil
}

// toOwner has the plugin that an object is of answer.
func (a *Aggregate) toOwner(ctx context.Context, method, id string, ref rename.Reference, request, reply proto.Message, opts []grpc.CallOption) error {
	p, err := a.ownerOf(ctx, describe(method, request), id, ref)
	if err != nil {
		return err
	}
	return p.call(ctx, method, request, reply, opts)
}

// askEach asks every plugin for the objects it has, and leaves out those that
// answer UNIMPLEMENTED: they have none. If all do, so does the aggregate.
func askEach[A proto.Message](ctx context.Context, a *Aggregate, method string, request proto.Message, answer func() A, opts []grpc.CallOption) (answers []A, from []*plugin, err error) {
	type result struct {
		answer A
		none   error
	}
	all, err := fanOut(ctx, a.plugins, func(ctx context.Context, p *plugin) (result, error) {
		g := result{answer: answer()}
		err := p.call(ctx, method, request, g.answer, opts)
		if status.Code(err) == codes.Unimplemented {
			g.none, err = err, nil
		}
		return g, err
	})
	if err != nil {
		return nil, nil, err
	}
	var none []error
	for i, g := range all {
		if g.none != nil {
			none = append(none, g.none)
			continue
		}
		answers, from = append(answers, g.answer), append(from, a.plugins[i])
	}
	if len(answers) == 0 {
		return nil, nil, join(none)
	}
	return answers, from, nil
}

// instances returns the names of plugins, in quotes.
func instances(plugins []*plugin) string {
	quoted := make([]string, len(plugins))
	for i, p := range plugins {
		quoted[i] = strconv.Quote(p.Instance)
	}
	return strings.Join(quoted, ", ")
}
