package call_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/call"
)

// app is a connector of which a test needs three methods.
type app struct {
	v2.UnimplementedAssetServiceServer
	v2.UnimplementedResourcesServiceServer
	v2.UnimplementedConnectorServiceServer
}

func (app) GetAsset(_ *v2.AssetServiceGetAssetRequest, stream grpc.ServerStreamingServer[v2.AssetServiceGetAssetResponse]) error {
	for _, data := range []string{"one", "two", "three"} {
		message := v2.AssetServiceGetAssetResponse_builder{Data: v2.AssetServiceGetAssetResponse_Data_builder{Data: []byte(data)}.Build()}.Build()
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return nil
}

func (app) ListResources(_ context.Context, request *v2.ResourcesServiceListResourcesRequest) (*v2.ResourcesServiceListResourcesResponse, error) {
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/acme.v1.Unheard", Value: []byte{0x0a, 0x01, 'x'}}
	known, err := anypb.New(v2.ExternalId_builder{Id: "e-1"}.Build())
	return v2.ResourcesServiceListResourcesResponse_builder{
		NextPageToken: request.GetResourceTypeId() + "<2>", Annotations: []*anypb.Any{unknown, known},
	}.Build(), err
}

func (app) Validate(context.Context, *v2.ConnectorServiceValidateRequest) (*v2.ConnectorServiceValidateResponse, error) {
	failure, err := status.New(codes.Unavailable, "too many requests").WithDetails(v2.RateLimitDescription_builder{Limit: 7}.Build())
	if err != nil {
		return nil, err
	}
	return nil, failure.Err()
}

func serve(t *testing.T) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	v2.RegisterAssetServiceServer(server, app{})
	v2.RegisterResourcesServiceServer(server, app{})
	v2.RegisterConnectorServiceServer(server, app{})
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:app", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// answers returns what a method answers, each as one line of JSON.
func answers(t *testing.T, name, text string) (lines, unknown []string, err error) {
	t.Helper()
	method, err := call.Find(name)
	require.NoError(t, err)
	request, err := method.Request([]byte(text))
	require.NoError(t, err)
	err = method.Call(t.Context(), serve(t), request, func(answer proto.Message) error {
		line, missing, err := call.Format(answer, true)
		lines, unknown = append(lines, string(line)), append(unknown, missing...)
		return err
	})
	if err != nil {
		err = method.Explain(err)
	}
	return lines, unknown, err
}

func TestCall_PassesOnEachMessageOfAStream(t *testing.T) {
	t.Parallel()
	lines, _, err := answers(t, "GetAsset", "{}")
	require.NoError(t, err)
	require.Equal(t, []string{`{"data":{"data":"b25l"}}`, `{"data":{"data":"dHdv"}}`, `{"data":{"data":"dGhyZWU="}}`}, lines)
}

func TestCall_EndsAStreamWhoseMessagesAreRefused(t *testing.T) {
	t.Parallel()
	method, err := call.Find("AssetService/GetAsset")
	require.NoError(t, err)
	enough := errors.New("enough")
	request, err := method.Request([]byte("{}"))
	require.NoError(t, err)
	calls := 0
	err = method.Call(t.Context(), serve(t), request, func(proto.Message) error { calls++; return enough })
	require.Equal(t, enough, err)
	require.Equal(t, 1, calls)
}

func TestFormat_ShowsTheRestOfAnAnswerWithAnUnknownAnnotation(t *testing.T) {
	t.Parallel()
	lines, unknown, err := answers(t, "c1.connector.v2.ResourcesService/ListResources", `{"resource_type_id": "user"}`)
	require.NoError(t, err)
	require.Equal(t, []string{"acme.v1.Unheard"}, unknown)
	require.Equal(t, []string{`{"next_page_token":"user<2>","annotations":[` +
		`{"@type":"type.googleapis.com/acme.v1.Unheard"},` +
		`{"@type":"type.googleapis.com/c1.connector.v2.ExternalId","id":"e-1"}]}`}, lines)
}

func TestExplain_ShowsCodeAndDetails(t *testing.T) {
	t.Parallel()
	_, _, err := answers(t, "Validate", "{}")
	require.EqualError(t, err, "ConnectorService/Validate failed with UNAVAILABLE: too many requests\n"+
		`{"@type":"type.googleapis.com/c1.connector.v2.RateLimitDescription","limit":"7"}`)
}

func TestFind_TakesEachNameOfAMethod(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ListGrants", "GrantsService/ListGrants", "c1.connector.v2.GrantsService/ListGrants", "/c1.connector.v2.GrantsService/ListGrants"} {
		method, err := call.Find(name)
		require.NoError(t, err)
		require.Equal(t, "/c1.connector.v2.GrantsService/ListGrants", method.Path)
		require.False(t, method.Changes)
	}
	for _, method := range call.Methods() {
		found, err := call.Find(method.String())
		require.NoError(t, err)
		require.Equal(t, method.Path, found.Path)
	}
}

func TestFind_OffersNearMethodsForAnUnknownOne(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"ListGrant":                     "GrantsService/ListGrants?",
		"listresource":                  "ResourceTypesService/ListResourceTypes or ResourcesService/ListResources?",
		"ResourceService/ListResources": "ResourcesService/ListResources?",
		"GrantManagerService/Take":      "GrantManagerService/Grant or GrantManagerService/Revoke?",
		"Frobnicate":                    "leave it out to see the methods there are",
		"":                              "leave it out to see the methods there are",
		strings.Repeat("x", 1000):       "leave it out to see the methods there are",
	} {
		_, err := call.Find(name)
		require.ErrorContains(t, err, want)
	}
}

func TestRequest_ShowsThePlaceOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	method, err := call.Find("ListResources")
	require.NoError(t, err)
	for text, want := range map[string]string{
		"{\n  \"resource_type\": \"user\"}": `line 2, column 3: unknown field "resource_type"; its fields are resource_type_id, `,
		`{"page_size": "many"}`:             "line 1, column 15: invalid value",
		`{"page_size": 1`:                   "the JSON ends too early",
		`{"page_size": 1} 2`:                "line 1, column 18: ",
		`[]`:                                "line 1, column 1: ",
		`user`:                              "line 1, column 1: ",
		` `:                                 "it is empty, and the least is {}",
		`{"page_size":1,"pageSize":2}`:      "duplicate field",
	} {
		_, err := method.Request([]byte(text))
		require.ErrorContains(t, err, "ResourcesService/ListResources", text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "proto:", text)
		require.NotContains(t, err.Error(), "EOF", text)
	}
	validate, err := call.Find("Validate")
	require.NoError(t, err)
	_, err = validate.Request([]byte(`{"x": 1}`))
	require.ErrorContains(t, err, "it has no fields; leave the request out")
}
