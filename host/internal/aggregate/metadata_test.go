package aggregate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

// TestMetadata_OfAHostilePlugin: what C1 would refuse is taken out, so that it gets all
// plugins of the upload.
func TestMetadata_OfAHostilePlugin(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	ofType := func(id, name string) *v2.ResourceTypeCapability {
		return v2.ResourceTypeCapability_builder{ResourceType: v2.ResourceType_builder{Id: id, DisplayName: name}.Build()}.Build()
	}
	good := func(metadata *v2.ConnectorMetadata) *v2.ConnectorMetadata {
		metadata.SetCapabilities(v2.ConnectorCapabilities_builder{ResourceTypeCapabilities: []*v2.ResourceTypeCapability{ofType("thing", "Thing")}}.Build())
		return metadata
	}
	for name, c := range map[string]struct {
		reports *v2.ConnectorMetadata
		warns   string // "" for nothing
		title   string
		types   []string
	}{
		"no name":              {good(&v2.ConnectorMetadata{}), "", "b", []string{"b.thing"}},
		"a name of 3 MiB":      {good(v2.ConnectorMetadata_builder{DisplayName: long}.Build()), "its display name has 3145728 bytes, and C1 takes at most 1024", "b", []string{"b.thing"}},
		"a name for terminals": {good(v2.ConnectorMetadata_builder{DisplayName: "B\x1b[2J"}.Build()), "its display name has the control character U+001B", "b", []string{"b.thing"}},
		"a long description":   {good(v2.ConnectorMetadata_builder{DisplayName: "B", Description: long}.Build()), "its description has 3145728 bytes, and C1 takes at most 4096", "B", []string{"b.thing"}},
		"help without TLS":     {good(v2.ConnectorMetadata_builder{DisplayName: "B", HelpUrl: "http://example.com"}.Build()), "its help URL is no https:// URL", "B", []string{"b.thing"}},
		"no icon":              {good(v2.ConnectorMetadata_builder{DisplayName: "B", Icon: &v2.AssetRef{}}.Build()), "the id of its icon is empty", "B", []string{"b.thing"}},
		"a type of 3 MiB": {v2.ConnectorMetadata_builder{DisplayName: "B", Capabilities: v2.ConnectorCapabilities_builder{
			ResourceTypeCapabilities: []*v2.ResourceTypeCapability{ofType("thing", "Thing"), ofType("bad", long)},
		}.Build()}.Build(), `its resource type "bad" has 3145728 bytes, and C1 takes at most 1024`, "B", []string{"b.thing"}},
		"a profile of 3 MiB": {good(v2.ConnectorMetadata_builder{DisplayName: "B", Profile: &structpb.Struct{Fields: map[string]*structpb.Value{"x": structpb.NewStringValue(long)}}}.Build()), "of which 1048576 are taken", "B", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.WarnLevel)
			ctx := ctxzap.ToContext(t.Context(), zap.New(core))
			as := func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
				if _, ok := request.(*v2.ConnectorServiceGetMetadataRequest); ok {
					return v2.ConnectorServiceGetMetadataResponse_builder{Metadata: c.reports}.Build(), nil
				}
				return handler(ctx, request)
			}
			a, err := aggregate.New([]aggregate.Plugin{
				{Instance: "a", Namespace: "a", Conn: serve(t, users(1))}, {Instance: "b", Namespace: "b", Conn: serve(t, users(1), as)},
			})
			require.NoError(t, err)
			answer, err := a.Client(ctx).GetMetadata(ctx, &v2.ConnectorServiceGetMetadataRequest{})
			require.NoError(t, err)
			require.NoError(t, answer.GetMetadata().Validate(), "C1 takes it")
			require.Equal(t, "App, "+c.title, answer.GetMetadata().GetDisplayName())
			var types []string
			for _, of := range answer.GetMetadata().GetCapabilities().GetResourceTypeCapabilities() {
				types = append(types, of.GetResourceType().GetId())
			}
			require.Equal(t, append([]string{"a.user"}, c.types...), types)
			if c.warns == "" {
				require.Zero(t, logs.Len())
				return
			}
			require.Equal(t, 1, logs.Len())
			require.Equal(t, "b", logs.All()[0].ContextMap()["plugin"])
			require.Contains(t, fmt.Sprint(logs.All()[0].ContextMap()["flaws"]), c.warns)
		})
	}
}
