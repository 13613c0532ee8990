package aggregate_test

import (
	"context"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/errtext"
)

// TestPublicError_NamesNoPerson has a plugin name somebody wherever it
// can: what is left is for a page without a login.
func TestPublicError_NamesNoPerson(t *testing.T) {
	t.Parallel()
	const ada = `ada "of type" lovelace@example.com`
	id := func(typeID string) *v2.ResourceId {
		return v2.ResourceId_builder{ResourceType: "x." + typeID, Resource: ada}.Build()
	}
	somebody := v2.Resource_builder{Id: id("user"), DisplayName: ada}.Build()
	refuses := func(context.Context, string, any, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.Unavailable, "app.example.com answered 503 Service Unavailable: "+ada)
	}
	client := func(t *testing.T, interfere interference) interface {
		v2.ResourcesServiceClient
		v2.ResourceGetterServiceClient
		v2.GrantsServiceClient
		v2.GrantManagerServiceClient
	} {
		t.Helper()
		return of(t, map[string]grpc.ClientConnInterface{"x": serve(t, users(2), interfere)}, aggregate.WithRetry(policy.Retries{MaxAttempts: 1}))
	}
	for name, c := range map[string]struct {
		interfere interference
		call      func(t *testing.T, interfere interference) error
		want      string
	}{
		"a listing": {refuses, func(t *testing.T, interfere interference) error {
			_, err := client(t, interfere).ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "x.user"}.Build())
			return err
		}, `plugin "x": listing resources of type "user": gave up after 1 attempt in `},
		"a listing under somebody": {refuses, func(t *testing.T, interfere interference) error {
			_, err := client(t, interfere).ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "x.user", ParentResourceId: id("user")}.Build())
			return err
		}, `plugin "x": listing resources of type "user" under user …: `},
		"somebody's grants": {refuses, func(t *testing.T, interfere interference) error {
			_, err := client(t, interfere).ListGrants(t.Context(), v2.GrantsServiceListGrantsRequest_builder{Resource: somebody}.Build())
			return err
		}, `plugin "x": listing grants of user …: gave up after 1 attempt in `},
		"a grant": {refuses, func(t *testing.T, interfere interference) error {
			_, err := client(t, interfere).Grant(t.Context(), v2.GrantManagerServiceGrantRequest_builder{
				Principal: somebody, Entitlement: v2.Entitlement_builder{Id: "x.user:" + ada, Resource: somebody}.Build(),
			}.Build())
			return err
		}, `plugin "x": granting … to user …: the answer was 503 Service Unavailable`},
		"a reply that cannot be used": {
			func(context.Context, string, any, grpc.UnaryHandler) (any, error) {
				return v2.ResourcesServiceListResourcesResponse_builder{List: []*v2.Resource{
					v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "user"}.Build(), DisplayName: ada}.Build(),
				}}.Build(), nil
			},
			func(t *testing.T, interfere interference) error {
				_, err := client(t, interfere).ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "x.user"}.Build())
				return err
			}, `plugin "x": listing resources of type "user": its reply cannot be used`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Only what lists or changes people: the aggregate asks for types first.
			err := c.call(t, func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
				if strings.HasSuffix(method, "/ListResourceTypes") {
					return handler(ctx, request)
				}
				return c.interfere(ctx, method, request, handler)
			})
			require.ErrorContains(t, err, "ada", "the log has it all")
			said := errtext.Public(err)
			require.True(t, strings.HasPrefix(said, c.want), said)
			require.NotContains(t, said, "ada")
			require.NotContains(t, said, "lovelace")
		})
	}
}
