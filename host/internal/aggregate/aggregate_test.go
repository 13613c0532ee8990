package aggregate_test

import (
	"context"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/sdk"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/aggregate"
)

func TestNew_RefusesWhatCannotBeDistinguished(t *testing.T) {
	t.Parallel()
	conn := serve(t, users(1))
	for _, tc := range []struct {
		name    string
		plugins []aggregate.Plugin
		want    string
	}{
		{"none", nil, "at least one plugin"},
		{"no name", []aggregate.Plugin{{Namespace: "a", Conn: conn}}, "plugin 1 has no instance name"},
		{"no connection", []aggregate.Plugin{{Instance: "a", Namespace: "a"}}, `plugin "a" has no connection`},
		{"equal names", []aggregate.Plugin{{Instance: "a", Namespace: "a", Conn: conn}, {Instance: "a", Namespace: "b", Conn: conn}}, `two plugins are named "a"`},
		{"equal namespaces", []aggregate.Plugin{{Instance: "a", Namespace: "x", Conn: conn}, {Instance: "b", Namespace: "x", Conn: conn}}, `plugins "a" and "b" share the namespace "x"`},
		{"a dot", []aggregate.Plugin{{Instance: "a", Namespace: "a.b", Conn: conn}}, `the namespace "a.b"`},
		{"a colon", []aggregate.Plugin{{Instance: "a", Namespace: "a:b", Conn: conn}}, `the namespace "a:b"`},
		{"too long", []aggregate.Plugin{{Instance: "a", Namespace: strings.Repeat("a", 65), Conn: conn}}, "at most 64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := aggregate.New(tc.plugins)
			require.ErrorContains(t, err, tc.want)
		})
	}
	_, err := aggregate.New([]aggregate.Plugin{{Instance: "a", Namespace: "a.b", Conn: conn}, {Instance: "a", Namespace: "b"}})
	require.ErrorContains(t, err, "a.b")
	require.ErrorContains(t, err, `two plugins are named "a"`)
	require.ErrorContains(t, err, "no connection")
}

func TestValidate_ReportsEveryPluginThatFails(t *testing.T) {
	t.Parallel()
	refused := users(1)
	refused.validate = func() error { return status.Error(codes.Unauthenticated, "the token is not valid") }
	forbidden := users(1)
	forbidden.validate = func() error { return status.Error(codes.PermissionDenied, "the token may not read users") }
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1)), "b": serve(t, refused), "c": serve(t, forbidden)})

	_, err := client.Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
	require.EqualError(t, err, ""+
		"plugin \"b\": validating: validate failed: the token is not valid\n"+
		"plugin \"c\": validating: validate failed: the token may not read users")
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "they do not agree on one code")

	client = of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1)), "b": serve(t, refused)})
	_, err = client.Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err))
}

func TestValidate_ReturnsTheOldestVersionOfTheSDK(t *testing.T) {
	t.Parallel()
	version := func(v string) interference {
		return func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
			reply, err := handler(ctx, request)
			if answer, ok := reply.(*v2.ConnectorServiceValidateResponse); ok {
				answer.SetSdkVersion(v)
				answer.SetAnnotations(annotations.New(&v2.SourceCacheCapability{}, v2.RequestId_builder{RequestId: v}.Build()))
			}
			return reply, err
		}
	}
	for _, tc := range []struct {
		name     string
		versions []string
		want     string
	}{
		{"by number, not by letter", []string{"v0.10.0", "v0.9.7", "v0.25.0"}, "v0.9.7"},
		{"plugins without the SDK do not count", []string{"", "v0.24.6", "my own"}, "v0.24.6"},
		{"none with the SDK", []string{"", ""}, sdk.Version},
		{"at least what the syncer needs to send a sync id", []string{"v0.3.0", "v0.25.0"}, "v0.4.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			conns := map[string]grpc.ClientConnInterface{}
			for i, v := range tc.versions {
				conns[string(rune('a'+i))] = serve(t, users(1), version(v))
			}
			answer, err := of(t, conns).Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
			require.NoError(t, err)
			require.Equal(t, tc.want, answer.GetSdkVersion())
			annos := annotations.Annotations(answer.GetAnnotations())
			require.False(t, annos.Contains(&v2.SourceCacheCapability{}))
			require.True(t, annos.Contains(&v2.RequestId{}))
		})
	}
}

func TestMetadata_IsThatOfAllPlugins(t *testing.T) {
	t.Parallel()
	everything := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		reply, err := handler(ctx, request)
		if answer, ok := reply.(*v2.ConnectorServiceGetMetadataResponse); ok {
			capabilities := answer.GetMetadata().GetCapabilities()
			capabilities.SetConnectorCapabilities(append(capabilities.GetConnectorCapabilities(),
				v2.Capability_CAPABILITY_EVENT_FEED, v2.Capability_CAPABILITY_EVENT_FEED_V2, v2.Capability_CAPABILITY_TICKETING,
				v2.Capability_CAPABILITY_ACTIONS, v2.Capability_CAPABILITY_PROVISION))
			answer.GetMetadata().SetAnnotations(annotations.New(v2.ExternalTicketSettings_builder{Enabled: true}.Build()))
		}
		return reply, err
	}
	named := func(a *app, name string) *app {
		a.metadata = v2.ConnectorMetadata_builder{DisplayName: name, HelpUrl: "https://example.com/" + name}.Build()
		return a
	}
	several := of(t, map[string]grpc.ClientConnInterface{
		"b": serve(t, named(users(1), "Bee"), everything), "a": serve(t, named(crm(t), "Ay")),
	})
	answer, err := several.GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	metadata := answer.GetMetadata()
	require.Equal(t, "Ay, Bee", metadata.GetDisplayName())
	require.Equal(t, []v2.Capability{
		v2.Capability_CAPABILITY_PROVISION, v2.Capability_CAPABILITY_SYNC, v2.Capability_CAPABILITY_EVENT_FEED,
		v2.Capability_CAPABILITY_TICKETING, v2.Capability_CAPABILITY_ACTIONS, v2.Capability_CAPABILITY_EVENT_FEED_V2,
	}, metadata.GetCapabilities().GetConnectorCapabilities())
	require.Empty(t, metadata.GetHelpUrl())
	settings := annotations.Annotations(metadata.GetAnnotations())
	require.True(t, settings.Contains(&v2.ExternalTicketSettings{}), "a plugin with tickets has said how")
	var types []string
	for _, c := range metadata.GetCapabilities().GetResourceTypeCapabilities() {
		types = append(types, c.GetResourceType().GetId())
	}
	require.Equal(t, []string{"a.binding", "a.group", "a.key.v2", "a.license", "a.org", "a.project", "a.role", "a.user", "b.user"}, types)

	one := of(t, map[string]grpc.ClientConnInterface{"b": serve(t, named(users(1), "Bee"), everything)})
	answer, err = one.GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
	require.NoError(t, err)
	require.Equal(t, "https://example.com/Bee", answer.GetMetadata().GetHelpUrl(), "one plugin keeps its own")
	require.Contains(t, answer.GetMetadata().GetCapabilities().GetConnectorCapabilities(), v2.Capability_CAPABILITY_TICKETING)
}

func TestResourceTypes_OfAllPagesComeInOne(t *testing.T) {
	t.Parallel()
	inPages := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		asked, ok := request.(*v2.ResourceTypesServiceListResourceTypesRequest)
		if !ok {
			return handler(ctx, request)
		}
		next := map[string]string{"": "2", "2": "3", "3": ""}[asked.GetPageToken()]
		return v2.ResourceTypesServiceListResourceTypesResponse_builder{
			List:          []*v2.ResourceType{v2.ResourceType_builder{Id: "type" + next}.Build()},
			NextPageToken: next,
		}.Build(), nil
	}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), inPages), "b": serve(t, users(1))})
	answer, err := client.ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
	require.NoError(t, err)
	require.Empty(t, answer.GetNextPageToken())
	var ids []string
	for _, rt := range answer.GetList() {
		ids = append(ids, rt.GetId())
	}
	require.Equal(t, []string{"a.type2", "a.type3", "a.type", "b.user"}, ids)

	_, err = client.ListResourceTypes(t.Context(), v2.ResourceTypesServiceListResourceTypesRequest_builder{PageToken: "2"}.Build())
	require.Equal(t, codes.InvalidArgument, status.Code(err))

	inCircles := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if asked, ok := request.(*v2.ResourceTypesServiceListResourceTypesRequest); ok {
			next := map[string]string{"": "x", "x": "y", "y": "x"}[asked.GetPageToken()]
			return v2.ResourceTypesServiceListResourceTypesResponse_builder{NextPageToken: next}.Build(), nil
		}
		return handler(ctx, request)
	}
	_, err = of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), inCircles)}).
		ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
	require.ErrorContains(t, err, `plugin "a": listing resource types: its page tokens come round in a circle`)
}

func TestResourceTypes_NoneAreRefused(t *testing.T) {
	t.Parallel()
	empty := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if _, ok := request.(*v2.ResourceTypesServiceListResourceTypesRequest); ok {
			return &v2.ResourceTypesServiceListResourceTypesResponse{}, nil
		}
		return handler(ctx, request)
	}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), empty), "b": serve(t, users(1))})
	_, err := synced(t.Context(), t, client, 1)
	require.ErrorContains(t, err, `plugin "a": listing resource types: the plugin has no resource types`)
}

func TestPlugin_NeedNotHaveStaticEntitlementsOrACleanup(t *testing.T) {
	t.Parallel()
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(3),
		failing(v2.EntitlementsService_ListStaticEntitlements_FullMethodName, code(codes.Unimplemented, "unknown method")),
		failing(v2.ConnectorService_Cleanup_FullMethodName, code(codes.Unimplemented, "unknown method")),
	)})
	path, err := synced(t.Context(), t, client, 1)
	require.NoError(t, err)
	require.Len(t, read(t, path).resources, 3)
	_, err = client.Cleanup(t.Context(), &v2.ConnectorServiceCleanupRequest{})
	require.NoError(t, err)

	// But no listing may end so in the middle, and no other at all.
	_, err = client.ListStaticEntitlements(t.Context(), v2.EntitlementsServiceListStaticEntitlementsRequest_builder{ResourceTypeId: "a.user", PageToken: "2"}.Build())
	require.Equal(t, codes.Unimplemented, status.Code(err))
	client = of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(3), failing(listResources, code(codes.Unimplemented, "unknown method")))})
	_, err = synced(t.Context(), t, client, 1)
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

func typed(id string) *app {
	return &app{types: []*appType{{resourceType: v2.ResourceType_builder{Id: id, DisplayName: "T"}.Build()}}}
}

func TestResourceTypes_ClashesWithoutNamespaceAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		conns map[string]grpc.ClientConnInterface
		want  string
	}{
		{
			"equal types",
			map[string]grpc.ClientConnInterface{"bare:x": serve(t, users(1)), "bare:y": serve(t, users(1))},
			`the plugins "x" and "y" have no namespace and both have the resource type "user"`,
		},
		{
			"in another's namespace",
			map[string]grpc.ClientConnInterface{"bare:x": serve(t, typed("a.thing")), "a": serve(t, users(1))},
			`the resource type "a.thing" of plugin "x", which has no namespace, begins with the namespace of plugin "a"`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := of(t, tc.conns).ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
		})
	}
}

func TestCleanup_ReachesEveryPlugin(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 3)
	count := func(name string, err error) interference {
		return func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
			if asked, ok := request.(*v2.ConnectorServiceCleanupRequest); ok {
				reached <- name + asked.GetActiveSyncId()
				if err != nil {
					return nil, err
				}
			}
			return handler(ctx, request)
		}
	}
	client := of(t, map[string]grpc.ClientConnInterface{
		"a": serve(t, users(1), count("a", status.Error(codes.Unavailable, "gone"))),
		"b": serve(t, users(1), count("b", nil)),
		"c": serve(t, users(1), count("c", status.Error(codes.Internal, "broken"))),
	})
	_, err := client.Cleanup(t.Context(), v2.ConnectorServiceCleanupRequest_builder{ActiveSyncId: "1"}.Build())
	require.ErrorContains(t, err, `plugin "a": cleaning up: gone`)
	require.ErrorContains(t, err, `plugin "c": cleaning up: broken`)
	require.ElementsMatch(t, []string{"a1", "b1", "c1"}, []string{<-reached, <-reached, <-reached}, "each once: nothing is repeated")
	require.Empty(t, reached)
}

func TestNamespace_NoneKeepsIDs(t *testing.T) {
	t.Parallel()
	repos := &app{types: []*appType{{
		resourceType: v2.ResourceType_builder{Id: "repo.v2", DisplayName: "Repository"}.Build(),
		resources:    []*v2.Resource{v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "repo.v2", Resource: "r1"}.Build()}.Build()},
	}}}
	list := func(typeID string, conns map[string]grpc.ClientConnInterface) ([]*v2.Resource, error) {
		// No ListResourceTypes before: what has to be known is asked for.
		answer, err := of(t, conns).ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: typeID}.Build())
		return answer.GetList(), err
	}
	several := map[string]grpc.ClientConnInterface{"bare:x": serve(t, users(1)), "bare:y": serve(t, repos), "z": serve(t, users(1))}
	for typeID, want := range map[string]string{"user": "u1", "repo.v2": "r1", "z.user": "u1"} {
		rows, err := list(typeID, several)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, typeID, rows[0].GetId().GetResourceType())
		require.Equal(t, want, rows[0].GetId().GetResource())
	}
	_, err := list("nobody.knows", several)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, `no plugin of this upload has the resource type "nobody.knows"`)

	rows, err := list("user", map[string]grpc.ClientConnInterface{"bare:x": serve(t, users(1)), "z": serve(t, users(1))})
	require.NoError(t, err, "the only one without a namespace has all that has none")
	require.Len(t, rows, 1)

	_, err = list("user", map[string]grpc.ClientConnInterface{"z": serve(t, users(1))})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

func TestNamespace_NoneSyncs(t *testing.T) {
	t.Parallel()
	client := of(t, map[string]grpc.ClientConnInterface{"bare:x": serve(t, crm(t)), "a": serve(t, users(3))})
	path, err := synced(t.Context(), t, client, 4)
	require.NoError(t, err)
	c := read(t, path)
	c.requireNothingDangles(t)
	require.Contains(t, c.resourceIDs(), "user/u1")
	require.Contains(t, c.resourceIDs(), "a.user/u1")
	for _, rt := range c.types {
		if rt.GetId() == "user" {
			require.Equal(t, "User", rt.GetDisplayName(), "its name stays as it was")
		}
	}
}

func TestPlugin_CannotReportResourcesOfAnother(t *testing.T) {
	t.Parallel()
	intruding := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		reply, err := handler(ctx, request)
		switch answer := reply.(type) {
		case *v2.ResourcesServiceListResourcesResponse:
			answer.GetList()[0].GetId().SetResourceType("a.user")
		case *v2.ResourceTypesServiceListResourceTypesResponse:
			answer.SetList(append(answer.GetList(), v2.ResourceType_builder{Id: "a.user"}.Build()))
		}
		return reply, err
	}
	client := of(t, map[string]grpc.ClientConnInterface{"bare:x": serve(t, users(1), intruding), "a": serve(t, users(1))})
	_, err := client.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
	require.ErrorContains(t, err, `plugin "x": listing resources of type "user": its reply cannot be used: the resource type "a.user" belongs to plugin "a"`)
	require.Equal(t, codes.Internal, status.Code(err))
}

func TestGrantAndRevoke_ReachThePluginInItsOwnIDs(t *testing.T) {
	t.Parallel()
	group := v2.ResourceId_builder{ResourceType: "c.group", Resource: "g1"}.Build()
	principal := func(typeID string) *v2.Resource {
		return v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: typeID, Resource: "u1"}.Build()}.Build()
	}
	entitlement := v2.Entitlement_builder{Id: "c.group:g1:member", Resource: v2.Resource_builder{Id: group}.Build()}.Build()

	asked := make(chan proto.Message, 10)
	provisioner := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		switch request := request.(type) {
		case *v2.GrantManagerServiceGrantRequest:
			asked <- request
			if request.GetPrincipal().GetId().GetResource() == "nobody" {
				return nil, grant.NewErrGrantCancelled("the group is full")
			}
			g := v2.Grant_builder{Entitlement: request.GetEntitlement(), Principal: request.GetPrincipal()}.Build()
			g.SetId(grant.NewGrantID(request.GetPrincipal(), request.GetEntitlement()))
			return v2.GrantManagerServiceGrantResponse_builder{
				Grants:      []*v2.Grant{g},
				Annotations: annotations.New(grant.NewGrantReplaced("group:g0:member:user:u1")),
			}.Build(), nil
		case *v2.GrantManagerServiceRevokeRequest:
			asked <- request
			return v2.GrantManagerServiceRevokeResponse_builder{
				Annotations: annotations.New(v2.ResourceDeleted_builder{ResourceId: request.GetGrant().GetPrincipal().GetId()}.Build()),
			}.Build(), nil
		}
		return handler(ctx, request)
	}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1)), "c": serve(t, crm(t), provisioner)})

	request := v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement, Principal: principal("c.user")}.Build()
	before := proto.CloneOf(request)
	answer, err := client.Grant(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(before, request), "the caller's request stays as it was")
	seen := (<-asked).(*v2.GrantManagerServiceGrantRequest)
	require.Equal(t, "group:g1:member", seen.GetEntitlement().GetId())
	require.Equal(t, "group", seen.GetEntitlement().GetResource().GetId().GetResourceType())
	require.Equal(t, "user", seen.GetPrincipal().GetId().GetResourceType())
	require.Equal(t, "c.group:g1:member:c.user:u1", answer.GetGrants()[0].GetId())
	replaced := &v2.GrantReplaced{}
	annos := annotations.Annotations(answer.GetAnnotations())
	ok, err := annos.Pick(replaced)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "c.group:g0:member:c.user:u1", replaced.GetReplacedGrantId())

	revoked, err := client.Revoke(t.Context(), v2.GrantManagerServiceRevokeRequest_builder{Grant: answer.GetGrants()[0]}.Build())
	require.NoError(t, err)
	require.Equal(t, "group:g1:member:user:u1", (<-asked).(*v2.GrantManagerServiceRevokeRequest).GetGrant().GetId())
	deleted := &v2.ResourceDeleted{}
	annos = revoked.GetAnnotations()
	_, err = annos.Pick(deleted)
	require.NoError(t, err)
	require.Equal(t, "c.user", deleted.GetResourceId().GetResourceType())

	// A principal of another plugin.
	_, err = client.Grant(t.Context(), v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement, Principal: principal("a.user")}.Build())
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, `plugin "c": granting "c.group:g1:member" to a.user "u1": the resource type "a.user" belongs to plugin "a"`)
	require.Empty(t, asked, "the plugin was not asked")

	// What a plugin says in a status's details is for C1.
	nobody := principal("c.user")
	nobody.GetId().SetResource("nobody")
	_, err = client.Grant(t.Context(), v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement, Principal: nobody}.Build())
	reason, cancelled := grant.IsErrGrantCancelled(err)
	require.True(t, cancelled)
	require.Equal(t, "the group is full", reason)
	require.ErrorContains(t, err, `plugin "c": granting "group:g1:member" to user "nobody": the group is full`)
}

func TestAssets_AreThoseOfASinglePlugin(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1)), "b": serve(t, users(1))})
	_, err := client.GetAsset(ctx, &v2.AssetServiceGetAssetRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))

	single := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1))})
	_, err = single.GetAsset(ctx, v2.AssetServiceGetAssetRequest_builder{Asset: v2.AssetRef_builder{Id: "logo"}.Build()}.Build())
	require.NoError(t, err, "assets of a single plugin")
}

func TestPluginError_KeepsItsCodeAndIsASentence(t *testing.T) {
	t.Parallel()
	failing := func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
		if _, ok := request.(*v2.ResourcesServiceListResourcesRequest); ok {
			inner := status.Error(codes.PermissionDenied, "no right to read users")
			return nil, status.Errorf(codes.PermissionDenied, "listing failed: %v", inner)
		}
		return handler(ctx, request)
	}
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(1), failing)})
	_, err := client.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "a.user"}.Build())
	require.EqualError(t, err, `plugin "a": listing resources of type "user": listing failed: no right to read users`)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
}
