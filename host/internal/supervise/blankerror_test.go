//go:build unix

package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func packed(message proto.Message) *anypb.Any {
	one, err := anypb.New(message)
	if err != nil {
		panic(err)
	}
	return one
}

func rateLimit() *connectorv2.RateLimitDescription {
	return connectorv2.RateLimitDescription_builder{
		Status: connectorv2.RateLimitDescription_STATUS_OVERLIMIT, Limit: 100, ResetAt: timestamppb.Now(),
	}.Build()
}

// leakyDetails is an error that holds the token in every place that there is.
func leakyDetails(token string) error {
	fields, err := structpb.NewStruct(map[string]any{"a": []any{map[string]any{"b": "x " + token}}})
	if err != nil {
		return err
	}
	unknown := &wrapperspb.StringValue{Value: "kept"}
	unknown.ProtoReflect().SetUnknown(append([]byte{0x7a, byte(len(token))}, token...)) //nolint:gosec // The token is short.
	return status.ErrorProto(&spb.Status{
		Code:    int32(codes.ResourceExhausted),
		Message: "refused " + token,
		Details: []*anypb.Any{
			packed(rateLimit()),
			packed(&errdetails.ErrorInfo{Reason: "BAD", Domain: "d " + token, Metadata: map[string]string{"key": "v " + token, "k " + token: "v", "ok": "kept"}}),
			packed(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "f", Description: "got " + token}}}),
			packed(&errdetails.DebugInfo{StackEntries: []string{"kept", "frame " + token}}),
			packed(fields),
			packed(packed(wrapperspb.String("deeper " + token))),
			packed(wrapperspb.Bytes([]byte("bytes " + token))),
			packed(unknown),
			{TypeUrl: "type.googleapis.com/no.such.Type", Value: []byte("\n\x40raw " + token)},
		},
	})
}

// foreignRole is a plugin that is not made with package plugin: one whose streams
// fail with an error that holds the token, and which may hang before it is known.
func foreignRole(hangs bool, newServer func([]grpc.ServerOption) *grpc.Server) {
	plugins := map[int]goplugin.PluginSet{}
	for version, set := range plugin.HostPlugins() {
		plugins[version] = goplugin.PluginSet{}
		for name := range set {
			plugins[version][name] = foreignPlugin{server: &foreignServer{hangs: hangs}}
		}
	}
	goplugin.Serve(&goplugin.ServeConfig{HandshakeConfig: plugin.Handshake, VersionedPlugins: plugins, GRPCServer: newServer})
}

type foreignPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	server *foreignServer
}

func (p foreignPlugin) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	pluginv1.RegisterPluginServiceServer(server, p.server)
	connectorv2.RegisterAssetServiceServer(server, p.server)
	connectorv2.RegisterResourcesServiceServer(server, p.server)
	return nil
}

func (foreignPlugin) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is no client")
}

type foreignServer struct {
	pluginv1.UnimplementedPluginServiceServer
	connectorv2.UnimplementedAssetServiceServer
	connectorv2.UnimplementedResourcesServiceServer
	token string
	hangs bool // in Describe
}

func (s *foreignServer) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	if s.hangs {
		select {}
	}
	return &pluginv1.DescribeResponse{Manifest: &pluginv1.Manifest{Name: "foreign", Version: "v1.0.0"}}, nil
}

func (s *foreignServer) Configure(_ context.Context, request *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	s.token = request.GetSecrets()["token"].GetStringValue()
	return &pluginv1.ConfigureResponse{}, nil
}

func (s *foreignServer) GetAsset(request *connectorv2.AssetServiceGetAssetRequest, _ grpc.ServerStreamingServer[connectorv2.AssetServiceGetAssetResponse]) error {
	switch request.GetAsset().GetId() {
	case "leaky":
		return leakyDetails(s.token)
	case "hangs":
		select {}
	}
	return nil
}

// ListResources reports evidence whose reason holds the token.
func (s *foreignServer) ListResources(context.Context, *connectorv2.ResourcesServiceListResourcesRequest) (*connectorv2.ResourcesServiceListResourcesResponse, error) {
	evidence := packed(&pluginv1.Evidence{Grade: pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN, Reason: "the app sent " + s.token, Resources: 7})
	return connectorv2.ResourcesServiceListResourcesResponse_builder{Annotations: []*anypb.Any{packed(rateLimit()), evidence}}.Build(), nil
}

func TestProcess_BlanksSecretsInEvidence(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("foreign"))
	page, err := connectorv2.NewResourcesServiceClient(process.Conn()).ListResources(ctx, &connectorv2.ResourcesServiceListResourcesRequest{})
	require.NoError(t, err)
	require.Len(t, page.GetAnnotations(), 2)
	evidence := &pluginv1.Evidence{}
	require.NoError(t, page.GetAnnotations()[1].UnmarshalTo(evidence))
	require.True(t, proto.Equal(&pluginv1.Evidence{
		Grade: pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN, Reason: "the app sent (secret)", Resources: 7,
	}, evidence), "%v", evidence)
}

func TestProcess_BlanksSecretsInErrorDetails(t *testing.T) {
	t.Parallel()
	planted := prototext.Format(status.Convert(leakyDetails("s3cr3tcanarytok")).Proto())
	require.Greater(t, strings.Count(planted, "s3cr3tcanarytok"), 8, "the search finds it")

	ctx, _ := logged(t)
	err := validate(ctx, started(t, ctx, spec("leaky-details")))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	told := status.Convert(err)
	require.Equal(t, "refused (secret)", told.Message())
	wire, marshalErr := proto.Marshal(told.Proto())
	require.NoError(t, marshalErr)
	require.NotContains(t, string(wire), "s3cr3t")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, told.Details(), told.Proto()), "s3cr3t")

	details := told.Details()
	require.Len(t, details, 9)
	limit := details[0].(*connectorv2.RateLimitDescription)
	require.Equal(t, int64(100), limit.GetLimit())
	require.True(t, limit.HasResetAt())
	info := details[1].(*errdetails.ErrorInfo)
	require.Equal(t, "BAD", info.GetReason())
	require.Equal(t, map[string]string{"key": "v (secret)", "ok": "kept"}, info.GetMetadata())
	require.Equal(t, "got (secret)", details[2].(*errdetails.BadRequest).GetFieldViolations()[0].GetDescription())
	require.Equal(t, []string{"kept", "frame (secret)"}, details[3].(*errdetails.DebugInfo).GetStackEntries())
	require.Equal(t, "kept", details[7].(*wrapperspb.StringValue).GetValue())
}

func TestProcess_BlanksSecretsInStreamErrors(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("foreign"))
	stream, err := connectorv2.NewAssetServiceClient(process.Conn()).GetAsset(ctx, &connectorv2.AssetServiceGetAssetRequest{Asset: &connectorv2.AssetRef{Id: "leaky"}})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Error(t, err)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.NotContains(t, err.Error(), "s3cr3t")
	require.Contains(t, err.Error(), "(secret)")

	stream, err = connectorv2.NewAssetServiceClient(process.Conn()).GetAsset(ctx, &connectorv2.AssetServiceGetAssetRequest{Asset: &connectorv2.AssetRef{Id: "fine"}})
	require.NoError(t, err)
	for err == nil {
		_, err = stream.Recv()
	}
	require.ErrorIs(t, err, io.EOF, "the end of a stream is no failure")
}
