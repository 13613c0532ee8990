package connector

import (
	"context"
	"net/http"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	ticketfield "github.com/conductorone/baton-sdk/pkg/types/ticket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type ticket struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Text   string   `json:"text"`
	Queue  string   `json:"queue"`
	Labels []string `json:"labels"`
}

const (
	requestSchema = "request"
	queueField    = "queue"
)

func (t *ticket) proto() *v2.Ticket {
	return v2.Ticket_builder{
		Id: t.ID, DisplayName: t.Title, Description: t.Text, Labels: t.Labels, Url: "https://workspace.example.com/tickets/" + t.ID,
		Status:       v2.TicketStatus_builder{Id: "open", DisplayName: "Open"}.Build(),
		CustomFields: map[string]*v2.TicketCustomField{queueField: ticketfield.StringField(queueField, t.Queue)},
	}.Build()
}

// ListTicketSchemas has one schema.
func (c *Connector) ListTicketSchemas(ctx context.Context, _ *pagination.Token) ([]*v2.TicketSchema, string, annotations.Annotations, error) {
	one, notes, err := c.GetTicketSchema(ctx, requestSchema)
	return []*v2.TicketSchema{one}, "", notes, err
}

// GetTicketSchema has one schema.
func (*Connector) GetTicketSchema(_ context.Context, id string) (*v2.TicketSchema, annotations.Annotations, error) {
	if id != requestSchema {
		return nil, nil, status.Errorf(codes.NotFound, "there is no ticket schema %q", id)
	}
	return v2.TicketSchema_builder{
		Id: requestSchema, DisplayName: "Request",
		Statuses:     []*v2.TicketStatus{v2.TicketStatus_builder{Id: "open", DisplayName: "Open"}.Build()},
		CustomFields: map[string]*v2.TicketCustomField{queueField: ticketfield.StringFieldSchema(queueField, "Queue", true)},
	}.Build(), nil, nil
}

// CreateTicket opens one.
func (c *Connector) CreateTicket(ctx context.Context, wanted *v2.Ticket, schema *v2.TicketSchema) (*v2.Ticket, annotations.Annotations, error) {
	valid, err := ticketfield.ValidateTicket(ctx, schema, wanted)
	if err != nil {
		return nil, nil, err
	}
	if !valid {
		return nil, nil, status.Error(codes.InvalidArgument, "the ticket does not fit its schema")
	}
	var made ticket
	err = c.client.do(ctx, http.MethodPost, nil, ticket{
		Title: wanted.GetDisplayName(), Text: wanted.GetDescription(), Labels: wanted.GetLabels(),
		Queue: wanted.GetCustomFields()[queueField].GetStringValue().GetValue(),
	}, &made, "tickets")
	if err != nil {
		return nil, nil, err
	}
	return made.proto(), nil, nil
}

// GetTicket reads one.
func (c *Connector) GetTicket(ctx context.Context, id string) (*v2.Ticket, annotations.Annotations, error) {
	var found ticket
	if err := c.client.get(ctx, &found, "tickets", id); err != nil {
		return nil, nil, err
	}
	return found.proto(), nil, nil
}

// BulkCreateTickets opens several, one after the other.
func (c *Connector) BulkCreateTickets(ctx context.Context, request *v2.TicketsServiceBulkCreateTicketsRequest) (*v2.TicketsServiceBulkCreateTicketsResponse, error) {
	var made []*v2.TicketsServiceCreateTicketResponse
	for _, one := range request.GetTicketRequests() {
		body := one.GetRequest()
		created, _, err := c.CreateTicket(ctx, v2.Ticket_builder{
			DisplayName: body.GetDisplayName(), Description: body.GetDescription(), Status: body.GetStatus(), Type: body.GetType(),
			Labels: body.GetLabels(), CustomFields: body.GetCustomFields(), RequestedFor: body.GetRequestedFor(),
		}.Build(), one.GetSchema())
		answer := v2.TicketsServiceCreateTicketResponse_builder{Ticket: created}.Build()
		if err != nil {
			answer.SetError(err.Error())
		}
		made = append(made, answer)
	}
	return v2.TicketsServiceBulkCreateTicketsResponse_builder{Tickets: made}.Build(), nil
}

// BulkGetTickets reads several, one after the other.
func (c *Connector) BulkGetTickets(ctx context.Context, request *v2.TicketsServiceBulkGetTicketsRequest) (*v2.TicketsServiceBulkGetTicketsResponse, error) {
	var found []*v2.TicketsServiceGetTicketResponse
	for _, one := range request.GetTicketRequests() {
		got, _, err := c.GetTicket(ctx, one.GetId())
		answer := v2.TicketsServiceGetTicketResponse_builder{Ticket: got}.Build()
		if err != nil {
			answer.SetError(err.Error())
		}
		found = append(found, answer)
	}
	return v2.TicketsServiceBulkGetTicketsResponse_builder{Tickets: found}.Build(), nil
}
