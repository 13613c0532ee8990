package aggregate_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// on interferes with one method from its nth call on.
func on(method string, from int, answer func(reply any) (any, error)) interference {
	calls := make(chan int, 1)
	calls <- 0
	return func(ctx context.Context, called string, request any, handler grpc.UnaryHandler) (any, error) {
		reply, err := handler(ctx, request)
		if called != method || err != nil {
			return reply, err
		}
		n := <-calls + 1
		calls <- n
		if n < from {
			return reply, nil
		}
		return answer(reply)
	}
}

// TestListing_NotFoundNeverEndsIt is the worst that can happen: the SDK's syncer
// takes NOT_FOUND for "there is no more", and calls the sync a success. The listings of a
// single resource may be skipped (TestSkip_ResourceOfAListing).
func TestListing_NotFoundNeverEndsIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method string
		from   int
		doing  string
	}{
		{v2.ResourceTypesService_ListResourceTypes_FullMethodName, 1, "listing resource types"},
		{v2.ResourceTypesService_ListResourceTypes_FullMethodName, 2, "listing resource types"}, // before static entitlements
		{v2.ResourcesService_ListResources_FullMethodName, 2, "listing resources of type"},
		{v2.EntitlementsService_ListStaticEntitlements_FullMethodName, 3, "listing static entitlements of type"},
	} {
		for _, workers := range []int{1, 4} {
			t.Run(fmt.Sprintf("H3: %s %d workers", tc.doing, workers), func(t *testing.T) {
				t.Parallel()
				gone := on(tc.method, tc.from, func(any) (any, error) { return nil, status.Error(codes.NotFound, "no such page") })
				client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(3)), "c": serve(t, crm(t), gone)})
				_, err := synced(t.Context(), t, client, workers)
				require.ErrorContains(t, err, `plugin "c": `+tc.doing)
				require.ErrorContains(t, err, "the plugin answered NOT_FOUND in the middle of a sync: no such page")
				require.Equal(t, codes.FailedPrecondition, status.Code(err))
			})
		}
	}
}

func TestGetResource_NotFoundIsAnAnswer(t *testing.T) {
	t.Parallel()
	gone := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if _, ok := request.(*v2.ResourceGetterServiceGetResourceRequest); ok {
			return nil, status.Error(codes.NotFound, "no such user")
		}
		return handler(ctx, request)
	}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(3), gone)})
	_, err := client.GetResource(t.Context(), v2.ResourceGetterServiceGetResourceRequest_builder{
		ResourceId: v2.ResourceId_builder{ResourceType: "a.user", Resource: "u1"}.Build(),
	}.Build())
	require.Equal(t, codes.NotFound, status.Code(err))
	require.EqualError(t, err, `plugin "a": getting user "u1": no such user`)
}

// TestPages_ThatTheSyncerWouldThinOutFailTheSync covers every place where the
// syncer leaves something out and goes on.
func TestPages_ThatTheSyncerWouldThinOutFailTheSync(t *testing.T) {
	t.Parallel()
	resources := func(change func([]*v2.Resource) []*v2.Resource) interference {
		return on(v2.ResourcesService_ListResources_FullMethodName, 2, func(reply any) (any, error) {
			answer := reply.(*v2.ResourcesServiceListResourcesResponse)
			if len(answer.GetList()) > 0 {
				answer.SetList(change(answer.GetList()))
			}
			return answer, nil
		})
	}
	entitlements := func(change func([]*v2.Entitlement) []*v2.Entitlement) interference {
		return on(v2.EntitlementsService_ListEntitlements_FullMethodName, 1, func(reply any) (any, error) {
			answer := reply.(*v2.EntitlementsServiceListEntitlementsResponse)
			if len(answer.GetList()) > 0 {
				answer.SetList(change(answer.GetList()))
			}
			return answer, nil
		})
	}
	grants := func(change func(*v2.Grant)) interference {
		return on(v2.GrantsService_ListGrants_FullMethodName, 1, func(reply any) (any, error) {
			answer := reply.(*v2.GrantsServiceListGrantsResponse)
			for _, g := range answer.GetList() {
				change(g)
			}
			return answer, nil
		})
	}
	page := func(method string, change func(setter interface {
		SetAnnotations([]*anypb.Any)
	}),
	) interference {
		return on(method, 1, func(reply any) (any, error) {
			change(reply.(interface {
				SetAnnotations([]*anypb.Any)
			}))
			return reply, nil
		})
	}
	for _, tc := range []struct {
		name      string
		interfere interference
		want      string
	}{
		{"a resource type that is empty", on(v2.ResourceTypesService_ListResourceTypes_FullMethodName, 1, func(reply any) (any, error) {
			answer := reply.(*v2.ResourceTypesServiceListResourceTypesResponse)
			answer.SetList(append(answer.GetList(), nil))
			return answer, nil
		}), "listing resource types: its reply cannot be used: row 9 of 9: the resource type has no id"},
		{"a resource that is empty", resources(func(rows []*v2.Resource) []*v2.Resource { return append(rows, nil) }), "has no id"},
		{"a resource without an id", resources(func(rows []*v2.Resource) []*v2.Resource { rows[0].GetId().SetResource(""); return rows }), "has no id"},
		{"a resource without a type", resources(func(rows []*v2.Resource) []*v2.Resource { rows[0].GetId().SetResourceType(""); return rows }), "has no resource type"},
		{"a resource of a type that is not listed", resources(func(rows []*v2.Resource) []*v2.Resource { rows[0].GetId().SetResourceType("robot"); return rows }), `of type "robot", which the plugin does not list among its resource types`},
		{"an entitlement that is empty", entitlements(func(rows []*v2.Entitlement) []*v2.Entitlement { return append(rows, nil) }), "row 2 of 2: the entitlement \"\" has no id"},
		{"an entitlement without an id", entitlements(func(rows []*v2.Entitlement) []*v2.Entitlement { rows[0].SetId(""); return rows }), "row 1 of 1: the entitlement"},
		{"an entitlement without a resource", entitlements(func(rows []*v2.Entitlement) []*v2.Entitlement { rows[0].ClearResource(); return rows }), "the resource \"\" has no id"},
		{"a grant that is empty", on(v2.GrantsService_ListGrants_FullMethodName, 1, func(reply any) (any, error) {
			answer := reply.(*v2.GrantsServiceListGrantsResponse)
			answer.SetList(append(answer.GetList(), nil))
			return answer, nil
		}), "the grant \"\": the entitlement \"\" has no id"},
		{"a grant without an entitlement's resource", grants(func(g *v2.Grant) { g.GetEntitlement().ClearResource() }), "the resource \"\" has no id"},
		{"a grant without a principal", grants(func(g *v2.Grant) { g.ClearPrincipal() }), "the principal: the resource \"\" has no id"},
		{
			"rows of the last sync",
			page(v2.ResourcesService_ListResources_FullMethodName, func(s interface{ SetAnnotations([]*anypb.Any) }) {
				s.SetAnnotations(annotations.New(v2.SourceCacheReplay_builder{ScopeKey: "/users"}.Build()))
			}), "c1.connector.v2.SourceCacheReplay in place of rows",
		},
		{
			"a question in place of rows",
			page(v2.GrantsService_ListGrants_FullMethodName, func(s interface{ SetAnnotations([]*anypb.Any) }) {
				s.SetAnnotations(annotations.New(&v2.SourceCacheLookupAsk{}))
			}), "c1.connector.v2.SourceCacheLookupAsk in place of rows",
		},
		{
			"the error by which the syncer knows an old connector",
			on(v2.EntitlementsService_ListStaticEntitlements_FullMethodName, 1, func(any) (any, error) {
				return nil, status.Error(codes.Unknown,
					`unable to resolve \"type.googleapis.com/c1.connector.v2.EntitlementsServiceListStaticEntitlementsRequest\": \"not found\"","errorType":"prefixError"`)
			}), "listing static entitlements of type",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(3)), "c": serve(t, crm(t), tc.interfere)})
			_, err := synced(t.Context(), t, client, 1)
			require.ErrorContains(t, err, `plugin "c": listing`)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestListing_ThatNeverEndsFailsTheSync(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		v2.ResourcesService_ListResources_FullMethodName, v2.EntitlementsService_ListEntitlements_FullMethodName,
		v2.EntitlementsService_ListStaticEntitlements_FullMethodName, v2.GrantsService_ListGrants_FullMethodName,
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			stuck := func(ctx context.Context, called string, request any, handler grpc.UnaryHandler) (any, error) {
				if called != method {
					return handler(ctx, request)
				}
				// The connector itself does not know the token.
				empty := proto.Clone(request.(proto.Message))
				empty.(interface{ SetPageToken(string) }).SetPageToken("")
				reply, err := handler(ctx, empty)
				if err == nil {
					reply.(interface{ SetNextPageToken(string) }).SetNextPageToken("again")
				}
				return reply, err
			}
			client := of(t, map[string]grpc.ClientConnInterface{"c": serve(t, crm(t), stuck)})
			_, err := synced(t.Context(), t, client, 1)
			require.ErrorContains(t, err, `plugin "c": listing`)
			require.ErrorContains(t, err, "so the listing would never end")
		})
	}
}

func TestListing_EmptyAppIsNoError(t *testing.T) {
	t.Parallel()
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(0)), "b": serve(t, users(1))})
	path, err := synced(t.Context(), t, client, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"b.user/u1"}, read(t, path).resourceIDs())
	require.FileExists(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Positive(t, info.Size())
}
