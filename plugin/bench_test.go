package plugin_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const benchAccounts = 1000

// crowd is a connector of 1,000 accounts, made beforehand, on one page.
type crowd struct {
	testConnector
	accounts []*connectorv2.Resource
}

func newCrowd(context.Context, *settings, *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
	c := &crowd{}
	for i := range benchAccounts {
		id := fmt.Sprintf("2819c223-7f76-453a-919d-%012d", i)
		login := fmt.Sprintf("person%d@example.com", i)
		account, err := resource.NewUserResource(fmt.Sprintf("Person Number %d", i), userType, id,
			[]resource.UserTraitOption{
				resource.WithUserLogin(login), resource.WithEmail(login, true),
				resource.WithStatus(connectorv2.UserTrait_Status_STATUS_ENABLED), //nolint:staticcheck // As the SCIM connectors do.
			},
			resource.WithResourceCreatedAt(time.Date(2025, 3, 25, 16, 17, 0, 0, time.UTC)),
			resource.WithResourceProfile(map[string]any{
				"scim_id": id, "user_id": id, "user_name": login, "login": login, "email": login,
				"display_name": fmt.Sprintf("Person Number %d", i), "first_name": "Person", "last_name": fmt.Sprint(i),
				"external_id": fmt.Sprintf("E%07d", i), "title": "Engineer", "roles": "Standard",
			}))
		if err != nil {
			return nil, nil, err
		}
		c.accounts = append(c.accounts, account)
	}
	return c, nil, nil
}

func (c *crowd) Validate(context.Context) (annotations.Annotations, error) { return nil, nil }

func (c *crowd) ResourceSyncers(context.Context) []connectorbuilder.ResourceSyncerV2 {
	return []connectorbuilder.ResourceSyncerV2{c}
}

func (c *crowd) List(context.Context, *connectorv2.ResourceId, resource.SyncOpAttrs) ([]*connectorv2.Resource, *resource.SyncOpResults, error) {
	return c.accounts, &resource.SyncOpResults{}, nil
}

// BenchmarkBoundary moves pages of 1,000 accounts out of a plugin's process, over
// its socket and with mutual TLS. Allocations are the host's.
func BenchmarkBoundary(b *testing.B) {
	client := start(b, "crowd")
	answer, err := client.Configure(b.Context(), &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{"base-url": text("https://app.example.com")}})
	require.NoError(b, err)
	require.Empty(b, answer.GetDiagnostics())
	lister := connectorv2.NewResourcesServiceClient(client.Conn)
	request := connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build()
	page, err := lister.ListResources(b.Context(), request)
	require.NoError(b, err)
	b.SetBytes(int64(proto.Size(page)))
	b.ReportAllocs()
	for b.Loop() {
		page, err := lister.ListResources(b.Context(), request)
		if err != nil {
			b.Fatal(err)
		}
		if len(page.GetList()) != benchAccounts {
			b.Fatalf("%d accounts", len(page.GetList()))
		}
	}
	b.ReportMetric(float64(benchAccounts)*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
}
