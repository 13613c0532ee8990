package aggregate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

const benchAccounts = 1000

// encodedPage is a page of accounts as a plugin sends it.
func encodedPage(b *testing.B, resourceType *v2.ResourceType) []byte {
	b.Helper()
	var accounts []*v2.Resource
	for i := range benchAccounts {
		id := fmt.Sprintf("2819c223-7f76-453a-919d-%012d", i)
		login := fmt.Sprintf("person%d@example.com", i)
		account, err := resource.NewUserResource(fmt.Sprintf("Person Number %d", i), resourceType, id,
			[]resource.UserTraitOption{
				resource.WithUserLogin(login), resource.WithEmail(login, true),
				resource.WithStatus(v2.UserTrait_Status_STATUS_ENABLED), //nolint:staticcheck // As the SCIM connectors do.
			},
			resource.WithResourceCreatedAt(time.Date(2025, 3, 25, 16, 17, 0, 0, time.UTC)),
			resource.WithResourceProfile(map[string]any{
				"scim_id": id, "user_id": id, "user_name": login, "login": login, "email": login,
				"display_name": fmt.Sprintf("Person Number %d", i), "first_name": "Person", "last_name": fmt.Sprint(i),
				"external_id": fmt.Sprintf("E%07d", i), "title": "Engineer", "roles": "Standard",
			}))
		require.NoError(b, err)
		accounts = append(accounts, account)
	}
	page, err := proto.Marshal(v2.ResourcesServiceListResourcesResponse_builder{List: accounts}.Build())
	require.NoError(b, err)
	return page
}

// pagePlugin answers every listing with one page, decoded again as gRPC does, and
// everything else as the connection that it is made of.
type pagePlugin struct {
	grpc.ClientConnInterface
	page []byte
}

func (p *pagePlugin) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if strings.HasSuffix(method, "/ListResources") {
		return proto.Unmarshal(p.page, reply.(proto.Message))
	}
	return p.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// BenchmarkListResources reads a page of 1,000 accounts: from the plugin alone,
// which is to decode it, and through the aggregate. The difference is what
// renaming and remembering them costs.
func BenchmarkListResources(b *testing.B) {
	one := users(0)
	plugin := &pagePlugin{serve(b, one), encodedPage(b, one.types[0].resourceType)}
	request := func(resourceType string) *v2.ResourcesServiceListResourcesRequest {
		return v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: resourceType}.Build()
	}
	aggregated, err := aggregate.New([]aggregate.Plugin{{Instance: "app", Namespace: "app", Conn: plugin}})
	require.NoError(b, err)
	client := aggregated.Client(b.Context())
	_, err = client.ListResourceTypes(b.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
	require.NoError(b, err)

	for _, c := range []struct {
		name, resourceType string
		lister             v2.ResourcesServiceClient
	}{
		{"plugin", "user", v2.NewResourcesServiceClient(plugin)},
		{"aggregate", "app.user", client},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := c.lister.ListResources(b.Context(), request(c.resourceType))
				if err != nil {
					b.Fatal(err)
				}
				if list := page.GetList(); len(list) != benchAccounts || list[0].GetId().GetResourceType() != c.resourceType {
					b.Fatalf("%d accounts", len(list))
				}
			}
			b.ReportMetric(float64(benchAccounts)*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
		})
	}
}

// BenchmarkGroupsOfFourApps syncs four apps of 750 groups each that take 2 ms for a
// call: by how many listings of a plugin go on at the same time.
func BenchmarkGroupsOfFourApps(b *testing.B) {
	const apps, each, latency = 4, 750, 2 * time.Millisecond
	slow := func(ctx context.Context, _ string, request any, handler grpc.UnaryHandler) (any, error) {
		time.Sleep(latency)
		return handler(ctx, request)
	}
	app := groups(each)
	for _, one := range app.types {
		one.pageSize = 100
	}
	var conns []grpc.ClientConnInterface
	for range apps {
		conns = append(conns, serve(b, app, slow))
	}
	for _, concurrency := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("%d at a time", concurrency), func(b *testing.B) {
			for range b.N {
				var plugins []aggregate.Plugin
				for i, conn := range conns {
					name := string(rune('a' + i))
					plugins = append(plugins, aggregate.Plugin{
						Instance: name, Namespace: name, Conn: conn, ReadAhead: 1,
						Listings: supervise.New(b.Context(), supervise.Settings{Concurrency: concurrency}),
					})
				}
				a := aggregateOf(b, plugins, aggregate.WithPackedProfiles())
				draft, err := syncfile.Make(b.Context(), a.Client(b.Context()), b.TempDir(), syncfile.Settings{Workers: 100})
				require.NoError(b, err)
				require.Equal(b, each, draft.Resources["d.group"])
				a.Close()
			}
		})
	}
}
