package rename

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
)

// namesOf are the names of a plugin "c" beside a plugin "a".
func namesOf(prefix, display string) *Names {
	return &Names{Prefix: prefix, Display: display, Instance: "c", Owners: owners{types: map[string]string{"a.": "a", "c.": "c"}}}
}

// owners are instances by what ids begin with.
type owners struct{ types, namespaced map[string]string }

func (o owners) Owner(typeID string) string { return ownerIn(o.types, typeID) }

func (o owners) Namespaced(id string) string { return ownerIn(o.namespaced, id) }

func ownerIn(beginnings map[string]string, id string) string {
	for beginning, instance := range beginnings {
		if strings.HasPrefix(id, beginning) {
			return instance
		}
	}
	return ""
}

func id(resourceType, resource string) *v2.ResourceId {
	return v2.ResourceId_builder{ResourceType: resourceType, Resource: resource}.Build()
}

func of(resourceType, resource string, annos ...proto.Message) *v2.Resource {
	return v2.Resource_builder{Id: id(resourceType, resource), Annotations: annotations.New(annos...)}.Build()
}

func TestNames_RenamesBothWays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		plugin    proto.Message
		aggregate proto.Message
	}{
		{
			"a resource: id and parent",
			v2.Resource_builder{Id: id("user", "u1"), ParentResourceId: id("org", "o1"), DisplayName: "User One"}.Build(),
			v2.Resource_builder{Id: id("c.user", "u1"), ParentResourceId: id("c.org", "o1"), DisplayName: "User One"}.Build(),
		},
		{
			"a type that has dots itself",
			of("a.user.v2", "x.y:z/w"),
			of("c.a.user.v2", "x.y:z/w"),
		},
		{
			"a resource type: id and name",
			v2.ResourceType_builder{Id: "user", DisplayName: "User"}.Build(),
			v2.ResourceType_builder{Id: "c.user", DisplayName: "Crm: User"}.Build(),
		},
		{
			"a resource type without a name",
			v2.ResourceType_builder{Id: "user"}.Build(),
			v2.ResourceType_builder{Id: "c.user"}.Build(),
		},
		{
			"an entitlement: id, resource, grantable types",
			v2.Entitlement_builder{
				Id: "group:g1:member", Slug: "member", Resource: of("group", "g1"),
				GrantableTo: []*v2.ResourceType{v2.ResourceType_builder{Id: "user", DisplayName: "User"}.Build()},
			}.Build(),
			v2.Entitlement_builder{
				Id: "c.group:g1:member", Slug: "member", Resource: of("c.group", "g1"),
				GrantableTo: []*v2.ResourceType{v2.ResourceType_builder{Id: "c.user", DisplayName: "Crm: User"}.Build()},
			}.Build(),
		},
		{
			"a Baton ID of an entitlement",
			v2.Entitlement_builder{Id: "bid:e:org/o1/group/g\\:1:member", Resource: of("group", "g:1")}.Build(),
			v2.Entitlement_builder{Id: "bid:e:c.org/o1/c.group/g\\:1:member", Resource: of("c.group", "g:1")}.Build(),
		},
		{
			"what only looks like a Baton ID",
			v2.Entitlement_builder{Id: "bid:e:group", Resource: of("group", "g1")}.Build(),
			v2.Entitlement_builder{Id: "c.bid:e:group", Resource: of("c.group", "g1")}.Build(),
		},
		{
			"a grant with the id that the SDK makes",
			v2.Grant_builder{Id: "group:g1:member:user:u1", Entitlement: v2.Entitlement_builder{Id: "group:g1:member", Resource: of("group", "g1")}.Build(), Principal: of("user", "u1")}.Build(),
			v2.Grant_builder{Id: "c.group:g1:member:c.user:u1", Entitlement: v2.Entitlement_builder{Id: "c.group:g1:member", Resource: of("c.group", "g1")}.Build(), Principal: of("c.user", "u1")}.Build(),
		},
		{
			"a grant with the id that the SDK makes of a Baton ID",
			v2.Grant_builder{Id: "bid:e:group/g1:member:user:u1", Entitlement: v2.Entitlement_builder{Id: "bid:e:group/g1:member", Resource: of("group", "g1")}.Build(), Principal: of("user", "u1")}.Build(),
			v2.Grant_builder{Id: "bid:e:c.group/g1:member:c.user:u1", Entitlement: v2.Entitlement_builder{Id: "bid:e:c.group/g1:member", Resource: of("c.group", "g1")}.Build(), Principal: of("c.user", "u1")}.Build(),
		},
		{
			"a grant with an id that is not made by the SDK",
			v2.Grant_builder{Id: "membership-77", Entitlement: v2.Entitlement_builder{Id: "e", Resource: of("group", "g1")}.Build(), Principal: of("user", "u1")}.Build(),
			v2.Grant_builder{Id: "c.membership-77", Entitlement: v2.Entitlement_builder{Id: "c.e", Resource: of("c.group", "g1")}.Build(), Principal: of("c.user", "u1")}.Build(),
		},
		{
			"a grant with a Baton ID",
			v2.Grant_builder{Id: "bid:g:group/g1:member:org/o/user/u1", Entitlement: v2.Entitlement_builder{Id: "e", Resource: of("group", "g1")}.Build(), Principal: of("user", "u1")}.Build(),
			v2.Grant_builder{Id: "bid:g:c.group/g1:member:c.org/o/c.user/u1", Entitlement: v2.Entitlement_builder{Id: "c.e", Resource: of("c.group", "g1")}.Build(), Principal: of("c.user", "u1")}.Build(),
		},
		{
			"a grant whose id C1 does not know",
			v2.Grant_builder{Id: grant.UnknownGrantId, Entitlement: v2.Entitlement_builder{Id: "e", Resource: of("group", "g1")}.Build(), Principal: of("user", "u1")}.Build(),
			v2.Grant_builder{Id: grant.UnknownGrantId, Entitlement: v2.Entitlement_builder{Id: "c.e", Resource: of("c.group", "g1")}.Build(), Principal: of("c.user", "u1")}.Build(),
		},
		{
			"a grant without an id",
			v2.Grant_builder{Entitlement: v2.Entitlement_builder{Id: "e", Resource: of("group", "g1")}.Build(), Principal: of("user", "u1")}.Build(),
			v2.Grant_builder{Entitlement: v2.Entitlement_builder{Id: "c.e", Resource: of("c.group", "g1")}.Build(), Principal: of("c.user", "u1")}.Build(),
		},
		{
			"the sources of a grant, also where a new key equals an old one",
			v2.GrantSources_builder{Sources: map[string]*v2.GrantSources_GrantSource{
				"e": v2.GrantSources_GrantSource_builder{IsDirect: true}.Build(), "c.e": {},
			}}.Build(),
			v2.GrantSources_builder{Sources: map[string]*v2.GrantSources_GrantSource{
				"c.e": v2.GrantSources_GrantSource_builder{IsDirect: true}.Build(), "c.c.e": {},
			}}.Build(),
		},
		{
			"annotations that carry references",
			of("group", "g1",
				v2.ChildResourceType_builder{ResourceTypeId: "repo"}.Build(),
				v2.GrantExpandable_builder{EntitlementIds: []string{"group:g2:member"}, ResourceTypeIds: []string{"user"}, Shallow: true}.Build(),
				v2.GrantReplaced_builder{ReplacedGrantId: "g-1"}.Build(),
				v2.ResourceDeleted_builder{ResourceId: id("user", "u1")}.Build(),
				v2.ScopeBindingTrait_builder{RoleId: id("role", "r1"), ScopeResourceId: id("project", "p1")}.Build(),
				v2.SecretTrait_builder{CreatedById: id("user", "u1"), IdentityId: id("user", "u2")}.Build(),
				v2.AgentTrait_builder{IdentityResourceId: id("user", "u1")}.Build(),
				v2.LicenseProfileTrait_builder{LicenseName: "E3", EntitlementIds: []string{"group:g1:member", "bid:e:group/g2:member"}}.Build(),
				v2.SecurityInsightTrait_builder{ResourceId: id("user", "u1")}.Build(),
				v2.EntitlementExclusionGroup_builder{ExclusionGroupId: "level", Order: 2}.Build(),
			),
			of("c.group", "g1",
				v2.ChildResourceType_builder{ResourceTypeId: "c.repo"}.Build(),
				v2.GrantExpandable_builder{EntitlementIds: []string{"c.group:g2:member"}, ResourceTypeIds: []string{"c.user"}, Shallow: true}.Build(),
				v2.GrantReplaced_builder{ReplacedGrantId: "c.g-1"}.Build(),
				v2.ResourceDeleted_builder{ResourceId: id("c.user", "u1")}.Build(),
				v2.ScopeBindingTrait_builder{RoleId: id("c.role", "r1"), ScopeResourceId: id("c.project", "p1")}.Build(),
				v2.SecretTrait_builder{CreatedById: id("c.user", "u1"), IdentityId: id("c.user", "u2")}.Build(),
				v2.AgentTrait_builder{IdentityResourceId: id("c.user", "u1")}.Build(),
				v2.LicenseProfileTrait_builder{LicenseName: "E3", EntitlementIds: []string{"c.group:g1:member", "bid:e:c.group/g2:member"}}.Build(),
				v2.SecurityInsightTrait_builder{ResourceId: id("c.user", "u1")}.Build(),
				v2.EntitlementExclusionGroup_builder{ExclusionGroupId: "c.level", Order: 2}.Build(),
			),
		},
		{
			"annotations that do not",
			of("user", "u1", leftAlone()...),
			of("c.user", "u1", leftAlone()...),
		},
		{
			"an annotation inside an annotation",
			of("user", "u1", of("user", "u2", v2.ChildResourceType_builder{ResourceTypeId: "repo"}.Build())),
			of("c.user", "u1", of("c.user", "u2", v2.ChildResourceType_builder{ResourceTypeId: "c.repo"}.Build())),
		},
		{
			"capabilities",
			v2.ResourceTypeCapability_builder{
				ResourceType: v2.ResourceType_builder{Id: "user", DisplayName: "User"}.Build(),
				CredentialIssue: v2.CredentialDetailsCredentialIssue_builder{Options: []*v2.CredentialIssueOptionDescriptor{
					v2.CredentialIssueOptionDescriptor_builder{SecretResourceTypeId: "key"}.Build(),
				}}.Build(),
			}.Build(),
			v2.ResourceTypeCapability_builder{
				ResourceType: v2.ResourceType_builder{Id: "c.user", DisplayName: "Crm: User"}.Build(),
				CredentialIssue: v2.CredentialDetailsCredentialIssue_builder{Options: []*v2.CredentialIssueOptionDescriptor{
					v2.CredentialIssueOptionDescriptor_builder{SecretResourceTypeId: "c.key"}.Build(),
				}}.Build(),
			}.Build(),
		},
		{
			"the resource types of requests",
			v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "repo", ParentResourceId: id("org", "o1"), PageToken: "user.repo"}.Build(),
			v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "c.repo", ParentResourceId: id("c.org", "o1"), PageToken: "user.repo"}.Build(),
		},
		{
			"C1's own principal in an account creation",
			v2.CreateAccountRequest_builder{
				ResourceTypeId:    "user",
				EncryptionConfigs: []*v2.EncryptionConfig{v2.EncryptionConfig_builder{Principal: of("user", "c1-user")}.Build()},
			}.Build(),
			v2.CreateAccountRequest_builder{
				ResourceTypeId:    "c.user",
				EncryptionConfigs: []*v2.EncryptionConfig{v2.EncryptionConfig_builder{Principal: of("user", "c1-user")}.Build()},
			}.Build(),
		},
		{
			"an event",
			v2.Event_builder{Id: "e1", UsageEvent: v2.UsageEvent_builder{TargetResource: of("app", "x"), ActorResource: of("user", "u1")}.Build()}.Build(),
			v2.Event_builder{Id: "c.e1", UsageEvent: v2.UsageEvent_builder{TargetResource: of("c.app", "x"), ActorResource: of("c.user", "u1")}.Build()}.Build(),
		},
		{
			"a ticket",
			v2.Ticket_builder{Id: "t1", Assignees: []*v2.Resource{of("user", "u1")}, Reporter: of("user", "u2"), RequestedFor: of("user", "u3")}.Build(),
			v2.Ticket_builder{Id: "c.t1", Assignees: []*v2.Resource{of("c.user", "u1")}, Reporter: of("c.user", "u2"), RequestedFor: of("c.user", "u3")}.Build(),
		},
		{
			"an action's schema",
			v2.BatonActionSchema_builder{
				Name: "lock", ResourceTypeId: "user",
				Arguments: []*configv1.Field{configv1.Field_builder{Name: "who", ResourceIdField: configv1.ResourceIdField_builder{
					Rules: configv1.ResourceIDRules_builder{AllowedResourceTypeIds: []string{"user", "bot"}}.Build(),
				}.Build()}.Build()},
			}.Build(),
			v2.BatonActionSchema_builder{
				Name: "c.lock", ResourceTypeId: "c.user",
				Arguments: []*configv1.Field{configv1.Field_builder{Name: "who", ResourceIdField: configv1.ResourceIdField_builder{
					Rules: configv1.ResourceIDRules_builder{AllowedResourceTypeIds: []string{"c.user", "c.bot"}}.Build(),
				}.Build()}.Build()},
			}.Build(),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := namesOf("c.", "Crm: ")
			got := proto.Clone(tc.plugin)
			require.NoError(t, n.ToAggregate(got, nil))
			require.Empty(t, cmp.Diff(tc.aggregate, got, protocmp.Transform()))

			require.NoError(t, n.ToPlugin(got))
			require.Empty(t, cmp.Diff(tc.plugin, got, protocmp.Transform()))
		})
	}
}

// leftAlone are annotations that must pass as they are.
func leftAlone() []proto.Message {
	return []proto.Message{
		v2.UserTrait_builder{Login: "user", EmployeeIds: []string{"user:1"}}.Build(),
		v2.ExternalResourceMatchID_builder{Id: "user:u1"}.Build(),
		v2.ExternalResourceMatch_builder{Key: "email", Value: "user"}.Build(),
		&v2.ExternalResourceMatchAll{},
		v2.ExternalTicketRef_builder{Id: "group:1"}.Build(),
		v2.V1Identifier_builder{Id: "user:u1"}.Build(),
		v2.RawId_builder{Id: "group:g1"}.Build(),
		v2.Aliases_builder{Ids: []string{"user:u1"}}.Build(),
		v2.EntitlementImmutable_builder{SourceId: "group:g1"}.Build(),
		v2.GrantImmutable_builder{SourceId: "group:g1"}.Build(),
		&v2.InsertResourceGrants{}, &v2.TypeScopedGrants{}, &v2.TypeScopedEntitlements{},
		&v2.SkipGrants{}, &v2.SkipEntitlements{}, &v2.SkipEntitlementsAndGrants{},
		v2.EnqueuePageTokens_builder{PageTokens: []string{"user:2"}}.Build(),
		v2.RequestId_builder{RequestId: "user"}.Build(),
		v2.RateLimitDescription_builder{Limit: 3}.Build(),
		v2.SessionStoreUsage_builder{Kind: "user"}.Build(),
	}
}

func TestNames_DropsStateOfOneSyncerAndOneConnector(t *testing.T) {
	t.Parallel()
	for _, one := range []proto.Message{
		&v2.SourceCacheCapability{}, &v2.SourceCacheRecord{}, &v2.SourceCacheReplay{}, &v2.SourceCacheLookupOffer{},
		&v2.SourceCacheLookupAsk{}, &v2.SourceCacheLookupAnswers{},
		&v2.ETag{}, &v2.ETagMetadata{}, &v2.ETagMatch{}, //nolint:staticcheck // Old connectors still send them.
	} {
		kept := v2.ExternalLink_builder{Url: "https://example.com"}.Build()
		m := of("user", "u1", one, kept)
		require.NoError(t, namesOf("c.", "").ToAggregate(m, nil))
		require.Empty(t, cmp.Diff(of("c.user", "u1", kept), m, protocmp.Transform()), "%T towards C1", one)

		m = of("c.user", "u1", kept, one)
		require.NoError(t, namesOf("c.", "").ToPlugin(m))
		require.Empty(t, cmp.Diff(of("user", "u1", kept), m, protocmp.Transform()), "%T towards the plugin", one)
	}
}

func TestNames_ReadsAReplacedGrantWithThePrincipalAtHand(t *testing.T) {
	t.Parallel()
	n := namesOf("c.", "")
	principal := id("user", "u1")
	for id, want := range map[string]string{
		"group:g1:member:user:u1":       "c.group:g1:member:c.user:u1",
		"bid:e:group/g1:member:user:u1": "bid:e:c.group/g1:member:c.user:u1",
		"bid:g:group/g1:member:user/u1": "bid:g:c.group/g1:member:c.user/u1",
		"membership-77":                 "c.membership-77",
		"group:g1:member:user:another":  "c.group:g1:member:user:another",
		":user:u1":                      "c.:user:u1",
	} {
		reply := v2.GrantManagerServiceGrantResponse_builder{
			Annotations: annotations.New(grant.NewGrantReplaced(id)),
		}.Build()
		require.NoError(t, n.ToAggregate(reply, principal))
		got := &v2.GrantReplaced{}
		annos := annotations.Annotations(reply.GetAnnotations())
		ok, err := annos.Pick(got)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, got.GetReplacedGrantId())
	}
}

func TestNames_StripsTheStubOfATypeScopedListing(t *testing.T) {
	t.Parallel()
	n := namesOf("c.", "")
	grants := v2.GrantsServiceListGrantsRequest_builder{
		Resource: of("c.team", "c.team"), Annotations: annotations.New(&v2.TypeScopedGrants{}),
	}.Build()
	require.NoError(t, n.ToPlugin(grants))
	require.Equal(t, "team", grants.GetResource().GetId().GetResource())

	entitlements := v2.EntitlementsServiceListEntitlementsRequest_builder{
		Resource: of("c.team", "c.team"), Annotations: annotations.New(&v2.TypeScopedEntitlements{}),
	}.Build()
	require.NoError(t, n.ToPlugin(entitlements))
	require.Equal(t, "team", entitlements.GetResource().GetId().GetResource())

	team := v2.GrantsServiceListGrantsRequest_builder{Resource: of("c.team", "c.team")}.Build()
	require.NoError(t, n.ToPlugin(team))
	require.Equal(t, "c.team", team.GetResource().GetId().GetResource(), "a resource that is really called so")
}

func TestNames_RefusesAnIDOfAnotherPlugin(t *testing.T) {
	t.Parallel()
	entitlement := func(id string) *v2.Entitlement {
		return v2.Entitlement_builder{Id: id, Resource: of("c.group", "g1")}.Build()
	}
	for _, tc := range []struct {
		name    string
		request proto.Message
		want    string
	}{
		{"a principal", v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement("c.group:g1:member"), Principal: of("a.user", "u1")}.Build(), `the resource type "a.user" belongs to plugin "a"`},
		{"an entitlement", v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement("a.group:g1:member"), Principal: of("c.user", "u1")}.Build(), `the entitlement "a.group:g1:member" belongs to plugin "a"`},
		{"a type without namespace", v2.GrantManagerServiceGrantRequest_builder{Entitlement: entitlement("c.e"), Principal: of("user", "u1")}.Build(), `the resource type "user" is not one of this plugin`},
		{"only a namespace", of("c.", "u1"), `the resource type "c." belongs to plugin "c"`},
		{"a Baton ID", entitlement("bid:e:a.group/g1:member"), `the resource type "a.group" belongs to plugin "a"`},
		{"an annotation", of("c.group", "g1", v2.GrantExpandable_builder{EntitlementIds: []string{"a.group:g1:member"}}.Build()), `the entitlement "a.group:g1:member" belongs to plugin "a"`},
		{"a grant's id", v2.Grant_builder{Id: "a.x", Entitlement: entitlement("c.e"), Principal: of("c.user", "u1")}.Build(), `the grant "a.x" belongs to plugin "a"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, namesOf("c.", "").ToPlugin(tc.request), tc.want)
		})
	}
}

func TestNames_WithoutANamespaceChangeNothing(t *testing.T) {
	t.Parallel()
	n := namesOf("", "")
	m := v2.Grant_builder{
		Id:          "group:g1:member:user:u1",
		Entitlement: v2.Entitlement_builder{Id: "bid:e:group/g1:member", Resource: of("group", "g1", v2.ChildResourceType_builder{ResourceTypeId: "repo"}.Build())}.Build(),
		Principal:   of("user.v2", "u1"),
	}.Build()
	got := proto.Clone(m)
	require.NoError(t, n.ToAggregate(got, nil))
	require.True(t, proto.Equal(m, got))
	require.NoError(t, n.ToPlugin(got))
	require.True(t, proto.Equal(m, got))

	require.ErrorContains(t, n.ToAggregate(of("a.user", "u1"), nil), `belongs to plugin "a"`)
	require.ErrorContains(t, n.ToPlugin(of("a.user", "u1")), `belongs to plugin "a"`)
}

func TestNames_RefusesAnAnnotationThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	broken, err := anypb.New(v2.ChildResourceType_builder{ResourceTypeId: "repo"}.Build())
	require.NoError(t, err)
	broken.Value = broken.GetValue()[:3]
	m := of("org", "o1")
	m.SetAnnotations([]*anypb.Any{broken})
	require.ErrorContains(t, namesOf("c.", "").ToAggregate(m, nil), "c1.connector.v2.ChildResourceType")

	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/example.Newer", Value: []byte{0xff}}
	m.SetAnnotations([]*anypb.Any{unknown})
	require.NoError(t, namesOf("c.", "").ToAggregate(m, nil))
	require.True(t, proto.Equal(unknown, m.GetAnnotations()[0]), "of a type that this SDK does not know: left alone")
}

func TestNames_RefusesAnnotationsNestedWithoutEnd(t *testing.T) {
	t.Parallel()
	m := of("user", "u1")
	for range 100 {
		m = of("user", "u1", m)
	}
	require.ErrorContains(t, namesOf("c.", "").ToAggregate(m, nil), "nested more than 16 deep")
}

// TestNames_EveryMessageComesBackAsItWent fills every message type of the connector's
// protocol at random.
func TestNames_EveryMessageComesBackAsItWent(t *testing.T) {
	t.Parallel()
	n := namesOf("c.", "Crm: ")
	for md := range connectorMessages() {
		mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
		require.NoError(t, err)
		for seed := range uint64(40) {
			m := mt.New()
			(&filler{Rand: rand.New(rand.NewPCG(seed, 1))}).fill(m, 5) //nolint:gosec // Messages to test with, the same every time.
			want, got := m.Interface(), proto.Clone(m.Interface())
			require.NoError(t, n.ToAggregate(got, nil))
			requireRenamed(t, got.ProtoReflect())
			require.NoError(t, n.ToPlugin(got))
			if !proto.Equal(want, got) {
				t.Fatalf("%s, seed %d:\n%s", md.FullName(), seed, cmp.Diff(want, got, protocmp.Transform()))
			}
		}
	}
}

// requireRenamed looks for what the engine missed, without using its plans.
func requireRenamed(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if wrapped, ok := m.Interface().(*anypb.Any); ok {
		content, err := wrapped.UnmarshalNew()
		require.NoError(t, err)
		requireRenamed(t, content.ProtoReflect())
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if exempt[fd.FullName()] {
			return true
		}
		each := func(value protoreflect.Value) {
			switch {
			case fd.Kind() == protoreflect.MessageKind && !fd.IsMap():
				requireRenamed(t, value.Message())
			case fd.IsMap() && fd.MapValue().Kind() == protoreflect.MessageKind:
				requireRenamed(t, value.Message())
			case references[fd.FullName()] == toType:
				require.True(t, strings.HasPrefix(value.String(), "c."), "%s: %q", fd.FullName(), value)
			}
		}
		switch {
		case fd.IsList():
			for i := range v.List().Len() {
				each(v.List().Get(i))
			}
		case fd.IsMap():
			v.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				if references[fd.FullName()] == toEntitlement {
					require.Regexp(t, `^(c\.|bid:[reg]:c\.)`, key.String())
				}
				each(value)
				return true
			})
		default:
			each(v)
		}
		return true
	})
}

// filler makes up messages.
type filler struct{ *rand.Rand }

// Ids as connectors make them: of parts with dots, colons, slashes.
var parts = []string{"user", "group", "g1", "x.y:z/w", "a.b", `back\slash`, "c.", "c.user", "ü", "bid:e:", "bid:g:x/y:z", " "}

func (f *filler) text(fd protoreflect.FieldDescriptor) string {
	part := func() string { return parts[f.IntN(len(parts))] }
	switch references[fd.FullName()] {
	case toEntitlement, toGrant, toReplacedGrant:
		switch f.IntN(4) {
		case 0:
			return "bid:e:org/o1/group/" + []string{"g1", `g\:1`, `g\/1`}[f.IntN(3)] + ":member"
		case 1:
			return "bid:g:group/g1:member:user/u1"
		}
	}
	return part() + []string{"", ":" + part(), ":" + part() + ":" + part()}[f.IntN(3)]
}

func (f *filler) fill(m protoreflect.Message, depth int) {
	if wrapped, ok := m.Interface().(*anypb.Any); ok {
		f.wrap(wrapped, depth)
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if f.IntN(4) == 0 || (fd.Message() != nil && depth <= 0) {
			continue
		}
		switch {
		case fd.IsMap():
			entries := m.Mutable(fd).Map()
			for range f.IntN(3) {
				key := protoreflect.ValueOfString(f.text(fd))
				if fd.MapKey().Kind() == protoreflect.StringKind {
					entries.Set(key.MapKey(), f.value(entries.NewValue(), fd.MapValue(), depth))
				}
			}
		case fd.IsList():
			list := m.Mutable(fd).List()
			for range f.IntN(3) {
				list.Append(f.value(list.NewElement(), fd, depth))
			}
		default:
			m.Set(fd, f.value(m.NewField(fd), fd, depth))
		}
	}
	if g, ok := m.Interface().(*v2.Grant); ok && g.GetPrincipal().GetId() != nil && f.IntN(2) == 0 {
		g.SetId(grant.NewGrantID(g.GetPrincipal(), g.GetEntitlement()))
	}
}

func (f *filler) value(empty protoreflect.Value, fd protoreflect.FieldDescriptor, depth int) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		f.fill(empty.Message(), depth-1)
		return empty
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text(fd))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	default:
		return empty
	}
}

// Annotations that carry references, and one that does not.
var wrappable = []proto.Message{
	&v2.ChildResourceType{}, &v2.GrantExpandable{}, &v2.GrantReplaced{}, &v2.ResourceDeleted{}, &v2.ScopeBindingTrait{}, &v2.SecretTrait{},
	&v2.AgentTrait{}, &v2.LicenseProfileTrait{}, &v2.SecurityInsightTrait{}, &v2.EntitlementExclusionGroup{}, &v2.Resource{}, &v2.Grant{}, &v2.UserTrait{},
}

func (f *filler) wrap(wrapped *anypb.Any, depth int) {
	content := wrappable[f.IntN(len(wrappable))].ProtoReflect().New()
	f.fill(content, depth-1)
	if err := anypb.MarshalFrom(wrapped, content.Interface(), proto.MarshalOptions{Deterministic: true}); err != nil {
		panic(err)
	}
}

func FuzzNames(f *testing.F) {
	for _, seed := range append([]string{"bid:e:group/g1:member", "bid:r:a/b/c/d", `bid:r:a\/b/c`, grant.UnknownGrantId, "bid:", "::"}, parts...) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		for ref := toType; ref <= typeName; ref++ {
			n := namesOf("c.", "Crm: ")
			renamed, err := (&rewriter{names: n}).rename(id, ref)
			if ref == ToEventFeed && len(n.Prefix+id) > maxFeedID {
				require.Error(t, err, "it is too long")
				continue
			}
			require.NoError(t, err)
			back, err := (&rewriter{names: n, removing: true}).rename(renamed, ref)
			require.NoError(t, err)
			require.Equal(t, id, back, "%v by way of %q", ref, renamed)
		}
	})
}

func BenchmarkRenaming(b *testing.B) {
	for _, bench := range []struct {
		name string
		row  func(i int) proto.Message
		page func(rows []proto.Message) proto.Message
	}{
		{"users", func(i int) proto.Message {
			return of("user", fmt.Sprintf("u%07d", i), v2.UserTrait_builder{Login: fmt.Sprintf("user%d@example.com", i)}.Build())
		}, func(rows []proto.Message) proto.Message {
			page := &v2.ResourcesServiceListResourcesResponse{}
			for _, row := range rows {
				page.SetList(append(page.GetList(), row.(*v2.Resource)))
			}
			return page
		}},
		{"grants", func(i int) proto.Message {
			user := of("user", fmt.Sprintf("u%07d", i))
			entitlement := v2.Entitlement_builder{Id: "group:g1:member", Resource: of("group", "g1")}.Build()
			return v2.Grant_builder{Id: grant.NewGrantID(user, entitlement), Entitlement: entitlement, Principal: user}.Build()
		}, func(rows []proto.Message) proto.Message {
			page := &v2.GrantsServiceListGrantsResponse{}
			for _, row := range rows {
				page.SetList(append(page.GetList(), row.(*v2.Grant)))
			}
			return page
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			rows := make([]proto.Message, 1000)
			for i := range rows {
				rows[i] = bench.row(i)
			}
			encoded, err := proto.Marshal(bench.page(rows))
			require.NoError(b, err)
			fresh := func() proto.Message {
				page := bench.page(nil)
				require.NoError(b, proto.Unmarshal(encoded, page))
				return page
			}
			n := namesOf("c.", "Crm: ")
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				page := fresh()
				b.StartTimer()
				if err := n.ToAggregate(page, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
