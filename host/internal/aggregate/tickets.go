package aggregate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/rename"
)

// maxPageToken is the longest page token, in bytes (validate rule of
// TicketsServiceListTicketSchemasRequest.page_token).
const maxPageToken = 4096

// schemasAt is where a listing of all plugins' ticket schemas stands. Its JSON
// in base64 is the page token.
type schemasAt struct {
	Instance string `json:"plugin"`
	Token    string `json:"token"` // the plugin's own
}

func (at schemasAt) token() (string, error) {
	words, err := json.Marshal(at)
	if err != nil {
		return "", err
	}
	token := base64.RawURLEncoding.EncodeToString(words)
	if len(token) > maxPageToken {
		return "", fmt.Errorf("its page token has %d bytes, which leaves no room for what this host adds (at most %d together)", len(at.Token), maxPageToken)
	}
	return token, nil
}

// resume returns the plugin that a page token has come to, by its place among all,
// and the plugin's own token.
func (a *Aggregate) resume(token string) (place int, own string, err error) {
	if token == "" {
		return 0, "", nil
	}
	var at schemasAt
	words, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(words, &at)
	}
	if err == nil {
		for i, p := range a.plugins {
			// Only what was given out is taken: the same JSON, byte by byte.
			if again, err := at.token(); p.Instance == at.Instance && err == nil && again == token {
				return i, at.Token, nil
			}
		}
	}
	return 0, "", status.Error(codes.InvalidArgument, "listing ticket schemas: the page token was not issued for these plugins")
}

// listTicketSchemas reads the plugins' schemas one plugin after the other. A
// plugin that answers UNIMPLEMENTED has none; if all do, so does the aggregate.
func (a *Aggregate) listTicketSchemas(ctx context.Context, request *v2.TicketsServiceListTicketSchemasRequest, reply proto.Message, opts []grpc.CallOption) error {
	const method = v2.TicketsService_ListTicketSchemas_FullMethodName
	place, own, err := a.resume(request.GetPageToken())
	if err != nil {
		return err
	}
	var none []error
	for i, p := range a.plugins[place:] {
		asked := proto.CloneOf(request)
		asked.SetPageToken(own)
		page := &v2.TicketsServiceListTicketSchemasResponse{}
		err := p.call(ctx, method, asked, page, opts)
		if status.Code(err) == codes.Unimplemented && own == "" {
			none = append(none, err)
			continue
		}
		if err != nil {
			return err
		}
		next := schemasAt{Instance: p.Instance, Token: page.GetNextPageToken()}
		if next.Token == "" {
			if place+i+1 == len(a.plugins) {
				return into(reply, page)
			}
			next.Instance = a.plugins[place+i+1].Instance
		}
		token, err := next.token()
		if err != nil {
			return p.failed(codes.Internal, describe(method, asked), err, "its reply cannot be used")
		}
		page.SetNextPageToken(token)
		return into(reply, page)
	}
	if len(none) == len(a.plugins) {
		return join(none)
	}
	return into(reply, &v2.TicketsServiceListTicketSchemasResponse{})
}

// bulkCreateTickets has each plugin create its own tickets. What one plugin
// fails at is in the error field of its tickets, so that the tickets which
// others have created are not lost.
func (a *Aggregate) bulkCreateTickets(ctx context.Context, request *v2.TicketsServiceBulkCreateTicketsRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := bulk(ctx, a, bulkCall[*v2.TicketsServiceCreateTicketRequest, *v2.TicketsServiceCreateTicketResponse]{
		method: v2.TicketsService_BulkCreateTickets_FullMethodName,
		single: v2.TicketsService_CreateTicket_FullMethodName,
		owner: func(one *v2.TicketsServiceCreateTicketRequest) (string, rename.Reference) {
			return one.GetSchema().GetId(), rename.ToTicketSchema
		},
		ask: func(ctx context.Context, p *plugin, own []*v2.TicketsServiceCreateTicketRequest) ([]*v2.TicketsServiceCreateTicketResponse, error) {
			answer := &v2.TicketsServiceBulkCreateTicketsResponse{}
			err := p.ask(ctx, v2.TicketsService_BulkCreateTickets_FullMethodName,
				v2.TicketsServiceBulkCreateTicketsRequest_builder{TicketRequests: own}.Build(), answer, opts)
			return answer.GetTickets(), err
		},
		failed: func(err error) *v2.TicketsServiceCreateTicketResponse {
			return v2.TicketsServiceCreateTicketResponse_builder{Error: policy.Message(err)}.Build()
		},
	}, request.GetTicketRequests())
	if err != nil {
		return err
	}
	return into(reply, v2.TicketsServiceBulkCreateTicketsResponse_builder{Tickets: answers}.Build())
}

// bulkGetTickets reads tickets of any plugins, see bulkCreateTickets.
func (a *Aggregate) bulkGetTickets(ctx context.Context, request *v2.TicketsServiceBulkGetTicketsRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, err := bulk(ctx, a, bulkCall[*v2.TicketsServiceGetTicketRequest, *v2.TicketsServiceGetTicketResponse]{
		method: v2.TicketsService_BulkGetTickets_FullMethodName,
		single: v2.TicketsService_GetTicket_FullMethodName,
		owner: func(one *v2.TicketsServiceGetTicketRequest) (string, rename.Reference) {
			return one.GetId(), rename.ToTicket
		},
		ask: func(ctx context.Context, p *plugin, own []*v2.TicketsServiceGetTicketRequest) ([]*v2.TicketsServiceGetTicketResponse, error) {
			answer := &v2.TicketsServiceBulkGetTicketsResponse{}
			err := p.ask(ctx, v2.TicketsService_BulkGetTickets_FullMethodName,
				v2.TicketsServiceBulkGetTicketsRequest_builder{TicketRequests: own}.Build(), answer, opts)
			return answer.GetTickets(), err
		},
		failed: func(err error) *v2.TicketsServiceGetTicketResponse {
			return v2.TicketsServiceGetTicketResponse_builder{Error: policy.Message(err)}.Build()
		},
	}, request.GetTicketRequests())
	if err != nil {
		return err
	}
	return into(reply, v2.TicketsServiceBulkGetTicketsResponse_builder{Tickets: answers}.Build())
}

// bulkCall is a call that is many calls in one, each with its own answer.
type bulkCall[Q, A proto.Message] struct {
	method, single string
	owner          func(Q) (id string, ref rename.Reference)
	ask            func(ctx context.Context, p *plugin, own []Q) ([]A, error)
	failed         func(error) A
}

// bulk splits the requests by plugin and puts the answers together in the
// requests' order, one for each. It fails only if no plugin has answered.
func bulk[Q, A proto.Message](ctx context.Context, a *Aggregate, call bulkCall[Q, A], requests []Q) ([]A, error) {
	answers := make([]A, len(requests))
	type share struct {
		places []int
		own    []Q
	}
	shares := map[*plugin]*share{}
	var asked []*plugin
	var failures []error
	refuse := func(place int, err error) {
		answers[place] = call.failed(err)
		failures = append(failures, err)
	}
	for place, request := range requests {
		id, ref := call.owner(request)
		p, err := a.ownerOf(ctx, describe(call.single, request), id, ref)
		if err == nil {
			err = p.permitted(call.method, describe(call.single, request))
		}
		var own proto.Message
		if err == nil {
			own, err = p.own(call.single, request)
		}
		if err != nil {
			refuse(place, err)
			continue
		}
		typed, ok := own.(Q)
		if !ok {
			refuse(place, status.Errorf(codes.Internal, "%s: the request became a %T", call.single, own))
			continue
		}
		if shares[p] == nil {
			shares[p] = &share{}
			asked = append(asked, p)
		}
		shares[p].places = append(shares[p].places, place)
		shares[p].own = append(shares[p].own, typed)
	}

	type outcome struct {
		answers []A
		err     error
	}
	outcomes, err := fanOut(ctx, asked, func(ctx context.Context, p *plugin) (outcome, error) {
		given, err := call.ask(ctx, p, shares[p].own)
		if err == nil && len(given) != len(shares[p].own) {
			err = p.refused(codes.Internal, describe(call.method, nil), "it answered with %d tickets to %d requests, so none can be matched", len(given), len(shares[p].own))
		}
		return outcome{answers: given, err: err}, nil
	})
	if err != nil {
		return nil, err
	}
	succeeded := len(requests) == 0
	for i, o := range outcomes {
		p := asked[i]
		for j, place := range shares[p].places {
			if o.err != nil {
				answers[place] = call.failed(o.err)
				continue
			}
			succeeded = true
			answers[place] = o.answers[j]
			if err := p.names.ToAggregate(o.answers[j], nil); err != nil {
				answers[place] = call.failed(p.failed(codes.Internal, describe(call.single, shares[p].own[j]), err, "its reply cannot be used"))
			}
		}
		if o.err != nil {
			failures = append(failures, o.err)
		}
	}
	if !succeeded {
		return nil, join(failures)
	}
	return answers, nil
}
