package connector

import (
	"context"
	"fmt"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// EventFeeds are what the audit log is read by.
func (c *Connector) EventFeeds(context.Context) []connectorbuilder.EventFeed {
	return []connectorbuilder.EventFeed{&audit{&c.app}}
}

// audit tells who has used which role.
type audit struct{ *app }

func (*audit) EventFeedMetadata(context.Context) *v2.EventFeedMetadata {
	return v2.EventFeedMetadata_builder{Id: "audit", SupportedEventTypes: []v2.EventType{v2.EventType_EVENT_TYPE_USAGE}}.Build()
}

func (a *audit) ListEvents(ctx context.Context, earliest *timestamppb.Timestamp, token *pagination.StreamToken) ([]*v2.Event, *pagination.StreamState, annotations.Annotations, error) {
	size := 25
	if token.Size > 0 {
		size = min(size, token.Size)
	}
	found, next, err := page[struct {
		Number int       `json:"number"`
		At     time.Time `json:"at"`
		UserID string    `json:"user_id"`
		RoleID string    `json:"role_id"`
	}](ctx, a.client, token.Cursor, size, "events")
	if err != nil {
		return nil, nil, nil, err
	}
	var events []*v2.Event
	for _, one := range found {
		if earliest != nil && one.At.Before(earliest.AsTime()) {
			continue
		}
		events = append(events, v2.Event_builder{
			Id: fmt.Sprintf("event-%d", one.Number), OccurredAt: timestamppb.New(one.At),
			UsageEvent: v2.UsageEvent_builder{
				TargetResource: v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: roleType.GetId(), Resource: one.RoleID}.Build(), DisplayName: one.RoleID}.Build(),
				ActorResource:  v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: userType.GetId(), Resource: one.UserID}.Build(), DisplayName: one.UserID}.Build(),
			}.Build(),
		}.Build())
	}
	return events, &pagination.StreamState{Cursor: next, HasMore: next != ""}, nil, nil
}
