package aggregate

import (
	"context"
	"fmt"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/rename"
)

// listActionSchemas answers with the actions of all plugins.
func (a *Aggregate) listActionSchemas(ctx context.Context, request *v2.ListActionSchemasRequest, reply proto.Message, opts []grpc.CallOption) error {
	answers, _, err := askEach(ctx, a, v2.ActionService_ListActionSchemas_FullMethodName, request,
		func() *v2.ListActionSchemasResponse { return &v2.ListActionSchemasResponse{} }, opts)
	if err != nil {
		return err
	}
	merged := &v2.ListActionSchemasResponse{}
	for _, answer := range answers {
		merged.SetSchemas(append(merged.GetSchemas(), answer.GetSchemas()...))
		merged.SetAnnotations(append(merged.GetAnnotations(), answer.GetAnnotations()...))
	}
	return into(reply, merged)
}

// invokeAction runs an action. Its arguments and what it returns are renamed as
// the action's schema says, which therefore is read before anything is done.
func (a *Aggregate) invokeAction(ctx context.Context, request *v2.InvokeActionRequest, reply proto.Message, opts []grpc.CallOption) error {
	const method = v2.ActionService_InvokeAction_FullMethodName
	p, err := a.actionOwner(ctx, method, request)
	if err != nil {
		return err
	}
	doing := describe(method, request)
	if err := p.permitted(method, doing); err != nil {
		return err
	}
	own := proto.CloneOf(request)
	if err := p.names.ToPlugin(own); err != nil {
		return p.failed(codes.InvalidArgument, doing, err, "")
	}
	arguments, returned, err := p.actionFields(ctx, own.GetName(), own.GetResourceTypeId(), opts, func(schema *v2.BatonActionSchema) bool {
		return schema.GetResourceTypeId() == own.GetResourceTypeId() || schema.GetResourceTypeId() == ""
	})
	if err != nil {
		return err
	}
	if err := p.names.Arguments(own.GetArgs(), arguments); err != nil {
		return p.failed(codes.InvalidArgument, doing, err, "")
	}
	answer := &v2.InvokeActionResponse{}
	if err := p.ask(ctx, method, own, answer, opts); err != nil {
		return err
	}
	if err := p.names.ToAggregate(answer, nil); err != nil {
		return p.failed(codes.Internal, doing, err, "its reply cannot be used")
	}
	if err := p.names.Returned(answer.GetResponse(), returned); err != nil {
		return p.failed(codes.Internal, doing, err, "its reply cannot be used")
	}
	return into(reply, answer)
}

// actionOwner is the plugin that an action is of. If the request names a
// resource type too, that is where the call goes, and a name of another plugin
// is refused there.
func (a *Aggregate) actionOwner(ctx context.Context, method string, request *v2.InvokeActionRequest) (*plugin, error) {
	if request.GetResourceTypeId() != "" {
		return a.pick(ctx, method, request)
	}
	return a.ownerOf(ctx, describe(method, request), request.GetName(), rename.ToAction)
}

// actionStatus asks how a run of an action stands.
func (a *Aggregate) actionStatus(ctx context.Context, request *v2.GetActionStatusRequest, reply proto.Message, opts []grpc.CallOption) error {
	const method = v2.ActionService_GetActionStatus_FullMethodName
	p, err := a.ownerOf(ctx, describe(method, request), request.GetId(), rename.ToActionRun)
	if err != nil {
		return err
	}
	own := proto.CloneOf(request)
	if err := p.names.ToPlugin(own); err != nil {
		return p.failed(codes.InvalidArgument, describe(method, request), err, "")
	}
	answer := &v2.GetActionStatusResponse{}
	if err := p.ask(ctx, method, own, answer, opts); err != nil {
		return err
	}
	// The reply's name is the plugin's own until it is renamed.
	if holdsObjects(answer.GetResponse()) {
		_, returned, err := p.actionFields(ctx, answer.GetName(), "", opts, func(*v2.BatonActionSchema) bool { return true })
		if err != nil {
			return err
		}
		if err := p.names.Returned(answer.GetResponse(), returned); err != nil {
			return p.failed(codes.Internal, describe(method, own), err, "its reply cannot be used")
		}
	}
	if err := p.names.ToAggregate(answer, nil); err != nil {
		return p.failed(codes.Internal, describe(method, own), err, "its reply cannot be used")
	}
	return into(reply, answer)
}

// holdsObjects says whether a struct has anything in it that may name a
// resource, an entitlement or a grant: these are structs themselves.
func holdsObjects(fields *structpb.Struct) bool {
	for _, value := range fields.GetFields() {
		if value.GetStructValue() != nil || len(value.GetListValue().GetValues()) > 0 {
			return true
		}
	}
	return false
}

// actionFields are the arguments and the returned fields of an action, by name.
// name and typeID are the plugin's own. Actions of a resource type have their
// schemas in the list of the type and in that of all, and not under their names.
//
// The status of a run names its action, but not the resource type. So there may
// be several actions that fit, and their fields count together.
func (p *plugin) actionFields(ctx context.Context, name, typeID string, opts []grpc.CallOption, fits func(*v2.BatonActionSchema) bool) (arguments, returned map[string]*configv1.Field, err error) {
	const method = v2.ActionService_ListActionSchemas_FullMethodName
	if p.names.Prefix == "" && len(p.aggregate.plugins) == 1 {
		return nil, nil, nil // nothing is renamed, and no one else's ids are about
	}
	request := v2.ListActionSchemasRequest_builder{ResourceTypeId: typeID}.Build()
	answer := &v2.ListActionSchemasResponse{}
	if err := p.ask(ctx, method, request, answer, opts); err != nil {
		return nil, nil, err
	}
	found := false
	arguments, returned = map[string]*configv1.Field{}, map[string]*configv1.Field{}
	for _, schema := range answer.GetSchemas() {
		if schema.GetName() != name || !fits(schema) {
			continue
		}
		found = true
		if err := addFields(arguments, schema.GetArguments()); err != nil {
			return nil, nil, p.failed(codes.FailedPrecondition, fmt.Sprintf("reading the schema of the action %q", name), err, "")
		}
		if err := addFields(returned, schema.GetReturnTypes()); err != nil {
			return nil, nil, p.failed(codes.FailedPrecondition, fmt.Sprintf("reading the schema of the action %q", name), err, "")
		}
	}
	if !found {
		return nil, nil, p.refused(codes.NotFound, fmt.Sprintf("reading the schema of the action %q", name), "the plugin lists no such action")
	}
	return arguments, returned, nil
}

func addFields(known map[string]*configv1.Field, fields []*configv1.Field) error {
	for _, field := range fields {
		if other := known[field.GetName()]; other != nil && rename.FieldKind(other) != rename.FieldKind(field) {
			return status.Errorf(codes.FailedPrecondition, "the plugin has several actions of this name, and the field %q is of different kinds in them", field.GetName())
		}
		known[field.GetName()] = field
	}
	return nil
}
