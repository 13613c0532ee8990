package connector

import (
	"context"
	"net/http"

	config "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/actions"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// GlobalActions are what can be done in the workspace as a whole.
func (c *Connector) GlobalActions(ctx context.Context, registry actions.ActionRegistry) error {
	return registry.Register(ctx, v2.BatonActionSchema_builder{
		Name: "announce", DisplayName: "Announce", Description: "Tells everybody something.",
		Arguments:   []*config.Field{config.Field_builder{Name: "text", DisplayName: "Text", IsRequired: true, StringField: &config.StringField{}}.Build()},
		ReturnTypes: []*config.Field{config.Field_builder{Name: "readers", DisplayName: "Readers", IntField: &config.IntField{}}.Build()},
	}.Build(), c.announce)
}

func (c *Connector) announce(ctx context.Context, args *structpb.Struct) (*structpb.Struct, annotations.Annotations, error) {
	text, ok := actions.GetStringArg(args, "text")
	if !ok {
		return nil, nil, status.Error(codes.InvalidArgument, "there is no text to announce")
	}
	var done struct {
		Readers float64 `json:"readers"`
	}
	if err := c.client.do(ctx, http.MethodPost, nil, map[string]string{"text": text}, &done, "announcements"); err != nil {
		return nil, nil, err
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"success": structpb.NewBoolValue(true), "readers": structpb.NewNumberValue(done.Readers)}}, nil, nil
}

// ResourceActions are what can be done to one account.
func (u *users) ResourceActions(ctx context.Context, registry actions.ActionRegistry) error {
	return registry.Register(ctx, v2.BatonActionSchema_builder{
		Name: "suspend", DisplayName: "Suspend", Description: "Keeps somebody out.",
		ActionType: []v2.ActionType{v2.ActionType_ACTION_TYPE_ACCOUNT_DISABLE},
		Arguments:  []*config.Field{config.Field_builder{Name: "user", DisplayName: "User", IsRequired: true, ResourceIdField: &config.ResourceIdField{}}.Build()},
	}.Build(), u.suspend)
}

func (u *users) suspend(ctx context.Context, args *structpb.Struct) (*structpb.Struct, annotations.Annotations, error) {
	id, ok := actions.GetResourceIDArg(args, "user")
	if !ok {
		return nil, nil, status.Error(codes.InvalidArgument, "it does not say who")
	}
	if err := u.client.do(ctx, http.MethodPut, nil, map[string]bool{"suspended": true}, nil, "users", id.GetResource(), "suspended"); err != nil {
		return nil, nil, err
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{"success": structpb.NewBoolValue(true)}}, nil, nil
}
