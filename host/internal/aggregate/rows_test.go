package aggregate_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
	"github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// shop is an app of users, teams with their members (one team in another), and roles
// with static entitlements, that the syncer takes.
type shop struct {
	*app
	users, teams, roles *appType
}

func newShop() shop {
	s := shop{users: users(3).types[0]}
	s.teams = &appType{
		resourceType: v2.ResourceType_builder{Id: "team", DisplayName: "Team", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build(),
		entitlements: map[string][]*v2.Entitlement{}, grants: map[string][]*v2.Grant{}, pageSize: 2,
	}
	s.addTeams("t1", "t2", "t3")
	s.teams.grants["t2"] = append(s.teams.grants["t2"], s.nested("t2", "t1", "team:t1:member"))
	s.roles = &appType{
		resourceType: v2.ResourceType_builder{Id: "role", DisplayName: "Role", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_ROLE}}.Build(),
		static:       []*v2.Entitlement{static("assigned", v2.EntitlementExclusionGroup_builder{ExclusionGroupId: "roles", ScopeToResource: true, IsDefault: true}.Build())},
	}
	s.addRoles("r1", "r2")
	s.app = &app{types: []*appType{s.users, s.teams, s.roles}}
	return s
}

func (s shop) addTeams(names ...string) {
	for _, name := range names {
		team := v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "team", Resource: name}.Build(), DisplayName: name, Annotations: annotations.New(&v2.GroupTrait{}),
		}.Build()
		s.teams.resources = append(s.teams.resources, team)
		s.teams.entitlements[name] = []*v2.Entitlement{entitlement.NewAssignmentEntitlement(team, "member")}
		s.teams.grants[name] = []*v2.Grant{grant.NewGrant(proto.CloneOf(team), "member", s.users.resources[0].GetId())}
	}
}

func (s shop) addRoles(names ...string) {
	for _, name := range names {
		s.roles.resources = append(s.roles.resources, v2.Resource_builder{
			Id: v2.ResourceId_builder{ResourceType: "role", Resource: name}.Build(), DisplayName: name, Annotations: annotations.New(&v2.RoleTrait{}),
		}.Build())
	}
}

// nested is a grant of one team's membership to another team, expanded from an
// entitlement.
func (s shop) nested(team, principal, source string) *v2.Grant {
	of := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "team", Resource: team}.Build()}.Build()
	return grant.NewGrant(of, "member", v2.ResourceId_builder{ResourceType: "team", Resource: principal}.Build(),
		grant.WithAnnotation(v2.GrantExpandable_builder{EntitlementIds: []string{source}}.Build()))
}

func (s shop) user() *v2.Resource              { return s.users.resources[2] } // on the second page
func (s shop) team() *v2.Resource              { return s.teams.resources[2] }
func (s shop) member(t string) *v2.Entitlement { return s.teams.entitlements[t][0] }

// grant is one that shares nothing with the rows of other listings.
func (s shop) grant() *v2.Grant { return s.teams.grants["t3"][0] }

func static(slug string, annos ...proto.Message) *v2.Entitlement {
	return v2.Entitlement_builder{Slug: slug, DisplayName: slug, Annotations: annotations.New(annos...)}.Build()
}

func addTo(row interface {
	GetAnnotations() []*anypb.Any
	SetAnnotations([]*anypb.Any)
}, annos ...proto.Message,
) {
	added := annotations.Annotations(row.GetAnnotations())
	added.Append(annos...)
	row.SetAnnotations(added)
}

// garbled is an annotation whose content is no message.
func garbled(of proto.Message) *anypb.Any {
	made, _ := anypb.New(of)
	made.Value = []byte{0x0a, 0x7f, 'x'}
	return made
}

func inGroup(group string, isDefault bool) *v2.EntitlementExclusionGroup {
	return v2.EntitlementExclusionGroup_builder{ExclusionGroupId: group, IsDefault: isDefault}.Build()
}

// pageOf adds annotations to every page of a method.
func pageOf(method string, annos ...proto.Message) interference {
	return func(ctx context.Context, called string, request any, handler grpc.UnaryHandler) (any, error) {
		reply, err := handler(ctx, request)
		if err == nil && called == method {
			addTo(reply.(interface {
				GetAnnotations() []*anypb.Any
				SetAnnotations([]*anypb.Any)
			}), annos...)
		}
		return reply, err
	}
}

func cursors(tokens ...string) *v2.EnqueuePageTokens {
	return v2.EnqueuePageTokens_builder{PageTokens: tokens}.Build()
}

// plainly syncs a connector with nothing but the SDK.
func plainly(t testing.TB, conn grpc.ClientConnInterface) error {
	t.Helper()
	syncer, err := sync.NewSyncer(t.Context(), connectorclient.NewConnectorClient(t.Context(), conn),
		sync.WithC1ZPath(filepath.Join(t.TempDir(), "sync.c1z")), sync.WithTmpDir(t.TempDir()), sync.WithWorkerCount(1))
	require.NoError(t, err)
	err = syncer.Sync(t.Context())
	_ = syncer.Close(t.Context())
	return err
}

// written makes a sync file as the host does, and returns its path.
func written(t testing.TB, a *aggregate.Aggregate) (string, error) {
	t.Helper()
	draft, err := syncfile.Make(t.Context(), a.Client(t.Context()), t.TempDir(), syncfile.Settings{Workers: 4})
	if err != nil {
		return "", err
	}
	path := filepath.Join(t.TempDir(), "sync.c1z")
	require.NoError(t, draft.Publish(path))
	return path, nil
}

const (
	listTypesMethod        = v2.ResourceTypesService_ListResourceTypes_FullMethodName
	listEntitlementsMethod = v2.EntitlementsService_ListEntitlements_FullMethodName
	listGrantsMethod       = v2.GrantsService_ListGrants_FullMethodName
)

// refusal is a row, or a page, that ends a sync of the SDK, or that C1 does not take.
type refusal struct {
	name string
	// sdk is what the SDK's own syncer says of it; "" if it takes it, and C1 does not.
	sdk       string
	change    func(s shop)
	interfere interference
	want      []string // of the error: where, which row, why
}

func refusals() []refusal {
	long := strings.Repeat("x", 1025)
	fits := strings.Repeat("x", 1020) // without the namespace "shop."
	return []refusal{
		// Of a resource.
		{
			name: "H8: a user without UserTrait", sdk: "missing expected trait UserTrait",
			change: func(s shop) { s.user().SetAnnotations(nil) },
			want:   []string{`listing resources of type "user"`, `the resource "u3" of type "user": it has no UserTrait`, "take the trait from the type"},
		},
		{
			name: "H8: a group with another's trait", sdk: "missing expected trait GroupTrait",
			change: func(s shop) { s.team().SetAnnotations(annotations.New(&v2.UserTrait{})) },
			want:   []string{`the resource "t3" of type "team": it has no GroupTrait`},
		},
		{
			name: "H8: a role without RoleTrait", sdk: "missing expected trait RoleTrait",
			change: func(s shop) { s.roles.resources[0].SetAnnotations(nil) },
			want:   []string{`the resource "r1" of type "role": it has no RoleTrait`},
		},
		{
			name: "H8: a type of apps, and a resource without AppTrait", sdk: "missing expected trait AppTrait",
			change: func(s shop) {
				s.teams.resourceType.SetTraits([]v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP, v2.ResourceType_TRAIT_APP})
			},
			want: []string{`the resource "t1" of type "team": it has no AppTrait`},
		},
		{
			name: "H8: a type of secrets, and a resource without SecretTrait", sdk: "missing expected trait SecretTrait",
			change: func(s shop) { s.roles.resourceType.SetTraits([]v2.ResourceType_Trait{v2.ResourceType_TRAIT_SECRET}) },
			want:   []string{`the resource "r1" of type "role": it has no SecretTrait`},
		},
		{
			name: "H8: a resource with the SDK's own BatonID", sdk: "SDK-reserved BatonID",
			change: func(s shop) { addTo(s.user(), &v2.BatonID{}) },
			want:   []string{`the resource "u3" of type "user"`, "BatonID"},
		},
		{
			name: "H8: children that cannot be decoded", sdk: "proto",
			change: func(s shop) {
				s.team().SetAnnotations(append(s.team().GetAnnotations(), garbled(&v2.ChildResourceType{})))
			},
			want: []string{`the resource "t3" of type "team"`, "ChildResourceType cannot be decoded"},
		},
		{
			name:   "H8: children of no type",
			change: func(s shop) { addTo(s.team(), &v2.ChildResourceType{}) },
			want:   []string{`the resource "t3" of type "team"`, "the resource type of its children is empty"},
		},
		{
			name: "H8: a parent without a type",
			change: func(s shop) {
				s.user().SetParentResourceId(v2.ResourceId_builder{Resource: "t1"}.Build())
				s.users.flat = true
			},
			want: []string{`the resource "u3" of type "user"`, "its parent: its resource type is empty"},
		},
		{
			name: "H8: a resource type twice",
			interfere: on(listTypesMethod, 1, func(reply any) (any, error) {
				answer := reply.(*v2.ResourceTypesServiceListResourceTypesResponse)
				other := proto.CloneOf(answer.GetList()[0])
				other.SetDisplayName("Another")
				answer.SetList(append(answer.GetList(), other))
				return answer, nil
			}),
			want: []string{"listing resource types", `the resource type "`, "is listed twice"},
		},

		// Of exclusion groups.
		{
			name: "H8: two defaults in an exclusion group, on one page", sdk: "multiple default entitlements",
			change: func(s shop) {
				other := entitlement.NewAssignmentEntitlement(s.team(), "owner")
				addTo(s.member("t3"), inGroup("g", true))
				addTo(other, inGroup("g", true))
				s.teams.entitlements["t3"] = append(s.teams.entitlements["t3"], other)
			},
			want: []string{`listing entitlements of team "t3"`, `the entitlement "team:t3:owner" of the resource "t3" of type "team"`, `the default of the exclusion group "g"`, `"team:t3:member"`},
		},
		{
			name: "H8: two defaults in an exclusion group, on two pages", sdk: "multiple default entitlements",
			change: func(s shop) {
				for i := range 3 {
					one := entitlement.NewAssignmentEntitlement(s.team(), fmt.Sprint("level", i))
					addTo(one, inGroup("g", i != 1))
					s.teams.entitlements["t3"] = append(s.teams.entitlements["t3"], one)
				}
			},
			want: []string{`listing entitlements of team "t3"`, `type "team"`, `the default of the exclusion group "g"`},
		},
		{
			name: "H8: two defaults in an exclusion group, of two resources", sdk: "multiple default entitlements",
			change: func(s shop) { addTo(s.member("t1"), inGroup("g", true)); addTo(s.member("t3"), inGroup("g", true)) },
			want:   []string{"listing entitlements of team", `type "team"`, `the default of the exclusion group "g"`},
		},
		{
			name: "H8: an exclusion group of two resource types", sdk: "multiple resource types",
			change: func(s shop) {
				addTo(s.member("t3"), inGroup("g", false))
				s.roles.static = append(s.roles.static, static("granted", inGroup("g", false)))
			},
			want: []string{`listing entitlements of team "t3"`, `"team:t3:member"`, `exclusion group "g" has entitlements of type "role" too`},
		},
		{
			name: "H8: more than 50 entitlements in an exclusion group", sdk: "too many entitlements",
			change: func(s shop) {
				for i := range 51 {
					one := entitlement.NewAssignmentEntitlement(s.team(), fmt.Sprint("level", i))
					addTo(one, inGroup("g", false))
					s.teams.entitlements["t3"] = append(s.teams.entitlements["t3"], one)
				}
			},
			want: []string{`listing entitlements of team "t3"`, `"team:t3:level50"`, `exclusion group "g" has 50 entitlements without it`},
		},
		{
			name: "H8: more than 50 resources in an exclusion group", sdk: "too many entitlements",
			change: func(s shop) {
				for i := range 51 {
					name := fmt.Sprint("more", i)
					s.addTeams(name)
					addTo(s.member(name), inGroup("g", false))
				}
			},
			want: []string{"listing entitlements of team", `type "team"`, `exclusion group "g" has 50 entitlements without it`},
		},
		{
			name: "H8: a second exclusion group of one entitlement breaks the rules", sdk: "multiple default entitlements",
			change: func(s shop) {
				addTo(s.member("t1"), inGroup("g", true))
				addTo(s.member("t3"), inGroup("h", false))
			},
			// The SDK's connectors refuse that themselves; others do not.
			interfere: func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
				reply, err := handler(ctx, request)
				if answer, ok := reply.(*v2.EntitlementsServiceListEntitlementsResponse); ok && err == nil {
					answer = proto.CloneOf(answer)
					reply = answer
					for _, row := range answer.GetList() {
						if row.GetId() == "team:t3:member" {
							addTo(row, inGroup("g", true))
						}
					}
				}
				return reply, err
			},
			want: []string{"listing entitlements of team", `the default of the exclusion group "g"`},
		},
		{
			name: "H8: a static default that is not scoped to the resource", sdk: "multiple default entitlements",
			change: func(s shop) { s.roles.static[0] = static("assigned", inGroup("g", true)) },
			want:   []string{`listing static entitlements of type "role"`, `the static entitlement "assigned" of type "role"`, "there are 2", `the default of the exclusion group "g"`},
		},
		{
			name: "H8: two static defaults scoped to the resource", sdk: "multiple default entitlements",
			change: func(s shop) {
				s.roles.static = append(s.roles.static, static("granted", v2.EntitlementExclusionGroup_builder{ExclusionGroupId: "roles", ScopeToResource: true, IsDefault: true}.Build()))
			},
			want: []string{`the static entitlement "granted" of type "role"`, `the default of the exclusion group "roles-r1"`},
		},
		{
			name: "H8: a static exclusion group of more than 50 resources", sdk: "too many entitlements",
			change: func(s shop) {
				s.roles.static[0] = static("assigned", inGroup("g", false))
				for i := range 50 {
					s.addRoles(fmt.Sprint("more", i))
				}
			},
			want: []string{`the static entitlement "assigned" of type "role"`, `exclusion group "g" has 50 entitlements without it`},
		},
		{
			name: "H8: a static exclusion group of more than 50 accounts, which have no grants", sdk: "too many entitlements",
			change: func(s shop) {
				s.users.static = []*v2.Entitlement{static("seat", inGroup("g", false))}
				for i := range 60 {
					s.users.resources = append(s.users.resources, user(fmt.Sprint("more", i)))
				}
			},
			want: []string{`the static entitlement "seat" of type "user"`, "more than 51", `exclusion group "g" has 50 entitlements without it`},
		},
		{
			name: "H8: an exclusion group that cannot be decoded", sdk: "parsing exclusion group",
			change: func(s shop) { s.member("t3").SetAnnotations([]*anypb.Any{garbled(&v2.EntitlementExclusionGroup{})}) },
			want:   []string{`the entitlement "team:t3:member" of the resource "t3" of type "team"`, "EntitlementExclusionGroup", "cannot be decoded"},
		},
		{
			name: "H8: a static exclusion group that cannot be decoded", sdk: "proto",
			change: func(s shop) { s.roles.static[0].SetAnnotations([]*anypb.Any{garbled(&v2.EntitlementExclusionGroup{})}) },
			want:   []string{`listing static entitlements of type "role"`, `the static entitlement "assigned"`, "cannot be decoded"},
		},
		{
			name: "H8: a scoped exclusion group without an id",
			change: func(s shop) {
				s.roles.static[0] = static("assigned", v2.EntitlementExclusionGroup_builder{ScopeToResource: true}.Build())
			},
			want: []string{`listing static entitlements of type "role"`, `the static entitlement "assigned"`, "has no id"},
		},
		{
			name:   "H8: two static entitlements of one slug",
			change: func(s shop) { s.roles.static = append(s.roles.static, static("assigned")) },
			want:   []string{`the static entitlement "assigned" of type "role"`, "another of the same slug"},
		},

		// Of entitlements and grants.
		{
			name: "H8: an entitlement of a resource with the SDK's own BatonID", sdk: "SDK-reserved BatonID",
			change: func(s shop) {
				s.member("t3").SetResource(v2.Resource_builder{Id: s.team().GetId(), Annotations: annotations.New(&v2.BatonID{})}.Build())
			},
			want: []string{`the entitlement "team:t3:member" of the resource "t3" of type "team"`, "BatonID"},
		},
		{
			name: "H8: an expansion that cannot be decoded", sdk: "parsing GrantExpandable",
			change: func(s shop) { s.grant().SetAnnotations([]*anypb.Any{garbled(&v2.GrantExpandable{})}) },
			want:   []string{`listing grants of team "t3"`, `the grant "team:t3:member:user:u1" of the entitlement "team:t3:member" of the resource "t3" of type "team"`, "GrantExpandable cannot be decoded"},
		},
		{
			name: "H8: an expansion from another's entitlement", sdk: "did not match grant principal",
			change: func(s shop) {
				s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", "t1", "team:t2:member"))
			},
			want: []string{`listing grants of team "t3"`, `the grant "team:t3:member:team:t1"`, `type "team"`, `"team:t2:member", which is not one of its principal`},
		},
		{
			name: "H8: an expansion from another's entitlement of a custom id", sdk: "did not match grant principal",
			change: func(s shop) {
				s.member("t2").SetId("second")
				s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", "t1", "second"))
			},
			want: []string{`listing grants of team "t3"`, `"second", which is not one of its principal`},
		},
		{
			name: "H8: an expansion from another's static entitlement", sdk: "did not match grant principal",
			change: func(s shop) {
				s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", "t1", "role:r2:assigned"))
			},
			want: []string{`listing grants of team "t3"`, `"role:r2:assigned", which is not one of its principal`},
		},
		{
			name: "H8: an expansion from an id of two entitlements", sdk: "ambiguous",
			change: func(s shop) {
				s.member("t1").SetId("same")
				s.member("t2").SetId("same")
				s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", "t1", "same"))
			},
			want: []string{`listing grants of team "t3"`, `several resources have an entitlement of the id "same"`},
		},
		{
			name: "H8: a grant that says by itself that its resource is to be inserted", sdk: "I3 violated",
			change: func(s shop) {
				other := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "team", Resource: "t9"}.Build()}.Build()
				s.teams.grants["t3"] = append(s.teams.grants["t3"], grant.NewGrant(other, "member", s.user().GetId(), grant.WithAnnotation(&v2.InsertResourceGrants{})))
			},
			want: []string{`listing grants of team "t3"`, `the resource "t9" of type "team"`, "the annotations of the page must say"},
		},
		{
			name: "H8: a resource to be inserted with an empty parent", sdk: "parent resource type or id is empty",
			change:    func(s shop) { s.grant().GetEntitlement().GetResource().SetParentResourceId(&v2.ResourceId{}) },
			interfere: pageOf(listGrantsMethod, &v2.InsertResourceGrants{}),
			want:      []string{`listing grants of team "t3"`, `the grant "team:t3:member:user:u1"`, "its parent has no id"},
		},
		{
			name: "H8: a resource to be inserted with the SDK's own BatonID", sdk: "SDK-reserved BatonID",
			change:    func(s shop) { s.grant().GetEntitlement().GetResource().SetAnnotations(annotations.New(&v2.BatonID{})) },
			interfere: pageOf(listGrantsMethod, &v2.InsertResourceGrants{}),
			want:      []string{`listing grants of team "t3"`, `the grant "team:t3:member:user:u1"`, "BatonID"},
		},

		// Of the page tokens beside the next.
		{
			name: "H8: an empty page token", sdk: "empty page token",
			interfere: pageOf(listGrantsMethod, cursors("a", "")),
			want:      []string{"listing grants of ", "page token 2 is empty"},
		},
		{
			name: "H8: a page token twice", sdk: "duplicate or cyclic",
			interfere: pageOf(listEntitlementsMethod, cursors("1", "1")),
			want:      []string{"listing entitlements of ", "page token 2 twice"},
		},
		{
			name: "H8: too many page tokens", sdk: "1025 page tokens",
			interfere: pageOf(listGrantsMethod, cursors(make([]string, 1025)...)),
			want:      []string{"listing grants of ", "has 1025 page tokens, and a page may have 1024"},
		},
		{
			name: "H8: a page token that is too long", sdk: "page token is 1048577 bytes",
			interfere: pageOf(listEntitlementsMethod, cursors(strings.Repeat("x", 1<<20+1))),
			want:      []string{"listing entitlements of ", "page token 1 has 1048577 bytes"},
		},
		{
			name: "H8: page tokens in two annotations", sdk: "multiple EnqueuePageTokens",
			interfere: pageOf(listGrantsMethod, cursors("a"), cursors("b")),
			want:      []string{"listing grants of ", "EnqueuePageTokens is there more than once"},
		},
		{
			name: "H8: page tokens that cannot be decoded", sdk: "parsing enqueue-page-tokens",
			interfere: func(ctx context.Context, method string, request any, handler grpc.UnaryHandler) (any, error) {
				reply, err := handler(ctx, request)
				if answer, ok := reply.(*v2.GrantsServiceListGrantsResponse); ok && err == nil {
					answer.SetAnnotations([]*anypb.Any{garbled(&v2.EnqueuePageTokens{})})
				}
				return reply, err
			},
			want: []string{"listing grants of ", "EnqueuePageTokens cannot be decoded"},
		},

		// Texts and ids that C1 does not take.
		{
			name:   "texts: an id with a line break",
			change: func(s shop) { s.user().GetId().SetResource("u3\n") },
			want:   []string{`listing resources of type "user"`, `the resource "u3\n" of type "user": its id has the control character U+000A`},
		},
		{
			name:   "texts: an id with NUL",
			change: func(s shop) { s.user().GetId().SetResource("u\x003") },
			want:   []string{`the resource "u\x003" of type "user": its id has the control character U+0000`},
		},
		{
			name:   "texts: an id with a C1 control",
			change: func(s shop) { s.user().GetId().SetResource("ü\u0085") },
			want:   []string{`of type "user": its id has the control character U+0085`},
		},
		{
			name:   "texts: an id of more than 1,024 bytes",
			change: func(s shop) { s.user().GetId().SetResource(long) },
			want:   []string{`the resource "` + long[:64] + `"… of type "user": its id has 1025 bytes, and C1 takes at most 1024`},
		},
		{
			name:   "texts: a display name with a bell",
			change: func(s shop) { s.user().SetDisplayName("Ring\a") },
			want:   []string{`the resource "u3" of type "user": its display name has the control character U+0007`},
		},
		{
			name:   "texts: a display name with DEL",
			change: func(s shop) { s.user().SetDisplayName("A name that is long enough\x7f") },
			want:   []string{`the resource "u3" of type "user": its display name has the control character U+007F`},
		},
		{
			name:   "texts: a display name of more than 1,024 bytes",
			change: func(s shop) { s.user().SetDisplayName(long) },
			want:   []string{`the resource "u3" of type "user": its display name has 1025 bytes`},
		},
		{
			name:   "texts: a description of more than 2,048 bytes",
			change: func(s shop) { s.team().SetDescription(strings.Repeat("x", 2049)) },
			want:   []string{`the resource "t3" of type "team": its description has 2049 bytes`},
		},
		{
			name:   "texts: the details of a status",
			change: func(s shop) { s.user().SetStatus(v2.Status_builder{Details: long}.Build()) },
			want:   []string{`the resource "u3" of type "user": the details of its status`},
		},
		{
			name: "texts: a profile that stays encoded",
			change: func(s shop) {
				s.user().SetProfile(&structpb.Struct{Fields: map[string]*structpb.Value{"note": structpb.NewStringValue("a\x00b")}})
			},
			want: []string{`the resource "u3" of type "user": its profile: `, "the control character U+0000"},
		},
		{
			name: "texts: a profile with a list",
			change: func(s shop) {
				s.user().SetProfile(&structpb.Struct{Fields: map[string]*structpb.Value{
					"notes": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("a\x1bb")}}),
				}})
			},
			want: []string{`the resource "u3" of type "user": its profile: "notes" has the control character U+001B`},
		},
		{
			name:   "texts: a login with NUL",
			change: func(s shop) { s.user().SetAnnotations(annotations.New(v2.UserTrait_builder{Login: "u3\x00"}.Build())) },
			want:   []string{`the resource "u3" of type "user": its annotation c1.connector.v2.UserTrait: login has the control character U+0000`},
		},
		{
			name: "texts: an address that is no UTF-8",
			change: func(s shop) {
				s.user().SetAnnotations([]*anypb.Any{{TypeUrl: "type.googleapis.com/c1.connector.v2.UserTrait", Value: []byte("\x0a\x05\x0a\x03m\xfcl")}})
			},
			want: []string{`the resource "u3" of type "user": its annotation c1.connector.v2.UserTrait: emails address is not valid UTF-8`},
		},
		{
			name:   "texts: a trait that cannot be decoded",
			change: func(s shop) { s.user().SetAnnotations([]*anypb.Any{garbled(&v2.UserTrait{})}) },
			want:   []string{`the resource "u3" of type "user": its annotation c1.connector.v2.UserTrait: cannot be decoded`},
		},
		{
			name:   "texts: a resource type with a control character in its name",
			change: func(s shop) { s.teams.resourceType.SetDisplayName("Te\x01am") },
			want:   []string{"listing resource types", `the resource type "team": its display name has the control character U+0001`},
		},
		{
			name:   "texts: the id of an entitlement",
			change: func(s shop) { s.member("t3").SetId("team:t3:\tmember") },
			want:   []string{`listing entitlements of team "t3"`, `the entitlement "team:t3:\tmember" of the resource "t3" of type "team": its id has the control character U+0009`},
		},
		{
			name:   "texts: the id of an entitlement with the namespace in front",
			change: func(s shop) { s.member("t3").SetId(fits) },
			want:   []string{`listing entitlements of team "t3"`, `of the resource "t3" of type "team": its id has 1025 bytes with the namespace "shop" in front`, "a shorter name"},
		},
		{
			name:   "texts: the description of an entitlement",
			change: func(s shop) { s.member("t3").SetDescription("a\bb") },
			want:   []string{`the entitlement "team:t3:member" of the resource "t3" of type "team": its description has the control character U+0008`},
		},
		{
			name:   "texts: the slug of a static entitlement",
			change: func(s shop) { s.roles.static[0].SetSlug("as\nsigned") },
			want:   []string{`listing static entitlements of type "role"`, `the static entitlement "as\nsigned"`, "U+000A"},
		},
		{
			name:   "texts: the ids that are made of a static entitlement",
			change: func(s shop) { s.roles.static[0].SetSlug(strings.Repeat("x", 1020)) },
			want:   []string{`listing static entitlements of type "role"`, `of type "role": the id of its entitlement for the resource with the longest id has 1028 bytes`},
		},
		{
			name:   "texts: the id of a grant",
			change: func(s shop) { s.grant().SetId("g\x00") },
			want:   []string{`listing grants of team "t3"`, `the grant "g\x00" of the entitlement "team:t3:member" of the resource "t3" of type "team": its id has the control character U+0000`},
		},
		{
			name:   "texts: the id of a grant with the namespace in front",
			change: func(s shop) { s.grant().SetId(fits) },
			want:   []string{`listing grants of team "t3"`, `type "team"`, `has 1025 bytes with the namespace "shop" in front`},
		},
		{
			name: "texts: the principal of a grant",
			change: func(s shop) {
				s.grant().SetPrincipal(v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "user", Resource: long}.Build()}.Build())
			},
			want: []string{`listing grants of team "t3"`, `of the entitlement "team:t3:member" of the resource "t3" of type "team": its`},
		},
		{
			name: "texts: the source of an expansion",
			change: func(s shop) {
				s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", "t1", "team:t1:\x00"))
			},
			want: []string{`listing grants of team "t3"`, `the grant "team:t3:member:team:t1"`, "GrantExpandable: an id has the control character U+0000"},
		},
	}
}

// TestRows_ThatCannotBeSyncedFailTheirOwnPlugin: what ends a sync of the SDK, without a
// word of where it comes from, and what C1 would not take, is refused at the page. Of
// each kind of listing one such row is also given to the SDK's own syncer, and falls
// back; with TestLongRows_ThatCannotBeSyncedFailTheirOwnPlugin all of them are, and do.
func TestRows_ThatCannotBeSyncedFailTheirOwnPlugin(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	aRowFailsItsOwnPlugin(t, func(tc refusal) bool {
		listing, _, _ := strings.Cut(tc.want[0], `"`)
		first := !seen[listing]
		seen[listing] = true
		return first
	})
}

// aRowFailsItsOwnPlugin tries all of it with the rows that are chosen, and that they
// are refused with each.
func aRowFailsItsOwnPlugin(t *testing.T, whole func(tc refusal) bool) {
	t.Helper()
	clinic := aggregate.Plugin{Instance: "clinic", Namespace: "clinic", Conn: serve(t, crm(t))}
	good := aggregate.Plugin{Instance: "retail", Namespace: "shop", Conn: serve(t, newShop().app)}
	before := firstGeneration(t, []aggregate.Plugin{clinic, good}, 2)
	healthy := read(t, firstGeneration(t, []aggregate.Plugin{clinic}, 2).path).lines(t, "-")
	all := read(t, before.path).resourceIDs()
	for _, tc := range refusals() {
		whole := whole(tc)
		t.Run(tc.name, func(t *testing.T) {
			raced.Sample(t, 5)
			t.Parallel()
			broken := newShop()
			if tc.change != nil {
				tc.change(broken)
			}
			var interfere []interference
			if tc.interfere != nil {
				interfere = append(interfere, tc.interfere)
			}
			conn := serve(t, broken.app, interfere...)
			if whole && tc.sdk != "" {
				require.ErrorContains(t, plainly(t, conn), tc.sdk, "what the SDK's own syncer says")
			}
			retail := aggregate.Plugin{Instance: "retail", Namespace: "shop", Conn: conn}

			// on-plugin-failure: fail
			_, err := written(t, aggregateOf(t, []aggregate.Plugin{clinic, retail}, aggregate.WithPackedProfiles()))
			require.ErrorContains(t, err, `plugin "retail": `)
			require.Equal(t, codes.Internal, status.Code(err))
			require.Equal(t, []string{"retail"}, aggregate.FailedPlugins(err))
			require.Less(t, len(err.Error()), 2000)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			if !whole {
				return
			}

			// on-plugin-failure: last-good
			retail.Baseline = before.baseline(t, "retail")
			a := aggregateOf(t, []aggregate.Plugin{clinic, retail}, aggregate.WithPackedProfiles())
			path, err := written(t, a)
			require.NoError(t, err)
			require.Len(t, a.Stale(), 1)
			require.Equal(t, "retail", a.Stale()[0].Instance)
			require.ErrorContains(t, a.Stale()[0].Err, tc.want[len(tc.want)-1])
			got := read(t, path)
			require.Subset(t, got.lines(t, "-"), healthy, "the healthy app")
			require.Subset(t, got.resourceIDs(), all, "the app that failed")
		})
	}
}

// TestRows_WithoutANamespaceAreComparedWithEachOther: they share ids, and so what the
// syncer refuses of two of them together.
func TestRows_WithoutANamespaceAreComparedWithEachOther(t *testing.T) {
	t.Parallel()
	// club is an app of one type, apart from those of a shop.
	club := func(annos ...proto.Message) *app {
		one := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "club", Resource: "c1"}.Build(), DisplayName: "c1"}.Build()
		member := entitlement.NewAssignmentEntitlement(one, "member")
		addTo(member, inGroup("g", false))
		addTo(one, annos...)
		return &app{types: []*appType{{
			resourceType: v2.ResourceType_builder{Id: "club", DisplayName: "Club"}.Build(), resources: []*v2.Resource{one},
			entitlements: map[string][]*v2.Entitlement{"c1": {member}},
		}}}
	}
	for _, tc := range []struct {
		name   string
		club   *app
		change func(s shop)
		want   string
	}{
		{"H8: an exclusion group of two plugins", club(), func(s shop) { addTo(s.member("t3"), inGroup("g", false)) }, `: its exclusion group "g" has entitlements of type "`},
		{"H8: children of a type of no plugin", club(v2.ChildResourceType_builder{ResourceTypeId: "room"}.Build()), func(shop) {}, `plugin "club": listing resources of type "club": its reply cannot be used: row 1 of 1: the resource "c1" of type "club": it says that it has children of type "room"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			tc.change(s)
			_, err := written(t, aggregateOf(t, []aggregate.Plugin{{Instance: "club", Conn: serve(t, tc.club)}, {Instance: "shop", Conn: serve(t, s.app)}}))
			require.ErrorContains(t, err, tc.want)
			require.Len(t, aggregate.FailedPlugins(err), 1)
		})
	}
}

// TestRows_OfTheBaselineThatNoLongerFitFailNoPlugin: what the plugin listed before
// it failed and what is stored of it are of different times, and the syncer would
// refuse the two together.
func TestRows_OfTheBaselineThatNoLongerFitFailNoPlugin(t *testing.T) {
	t.Parallel()
	expands := func(s shop, team string) {
		moves := entitlement.NewAssignmentEntitlement(s.member(team).GetResource(), "moves")
		moves.SetId("moves")
		s.teams.entitlements[team] = append(s.teams.entitlements[team], moves)
		s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", team, "moves"))
	}
	for _, tc := range []struct {
		name        string
		before, now func(s shop)
	}{
		{
			"H8: a trait that the type did not have",
			func(s shop) { s.teams.resourceType.SetTraits(nil); s.teams.resources[0].SetAnnotations(nil) },
			func(s shop) { s.team().SetAnnotations(nil) },
		},
		{
			"H8: a default of an exclusion group that another has now",
			func(s shop) { addTo(s.member("t1"), inGroup("g", false)); addTo(s.member("t3"), inGroup("g", true)) },
			func(s shop) {
				for _, team := range []string{"t1", "t2", "t3"} {
					addTo(s.member(team), inGroup("g", true))
				}
			},
		},
		{
			"H8: an exclusion group that is another type's now",
			func(s shop) { addTo(s.member("t1"), inGroup("g", false)); addTo(s.member("t3"), inGroup("g", true)) },
			func(s shop) {
				s.roles.static = append(s.roles.static, static("granted", inGroup("g", false)))
				addTo(s.member("t2"), inGroup("g", false))
			},
		},
		{
			"H8: an entitlement that grants expand from, and is another's now",
			func(s shop) { expands(s, "t1") },
			func(s shop) { expands(s, "t2"); s.grant().GetEntitlement().SetId("\x00") },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			clinic := aggregate.Plugin{Instance: "clinic", Namespace: "clinic", Conn: serve(t, crm(t))}
			was, is := newShop(), newShop()
			tc.before(was)
			tc.now(is)
			retail := aggregate.Plugin{Instance: "retail", Namespace: "shop", Conn: serve(t, was.app)}
			before := firstGeneration(t, []aggregate.Plugin{clinic, retail}, 2)
			healthy := read(t, firstGeneration(t, []aggregate.Plugin{clinic}, 2).path).lines(t, "-")

			retail.Conn, retail.Baseline = serve(t, is.app), before.baseline(t, "retail")
			a := aggregateOf(t, []aggregate.Plugin{clinic, retail}, aggregate.WithPackedProfiles())
			path, err := written(t, a)
			require.NoError(t, err)
			require.Len(t, a.Stale(), 1)
			require.Equal(t, "retail", a.Stale()[0].Instance)
			got := read(t, path)
			require.Subset(t, got.lines(t, "-"), healthy, "the healthy app")
			require.Subset(t, got.resourceIDs(), read(t, before.path).resourceIDs(), "the app that failed")
		})
	}
}

// TestRows_ThatTheSyncerTakesPass: what looks like one of the refusals and is none.
func TestRows_ThatTheSyncerTakesPass(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		change    func(s shop)
		interfere []interference
	}{
		{name: "nothing odd", change: func(shop) {}},
		{name: "line breaks in texts", change: func(s shop) {
			s.user().SetDisplayName("Zoë\tSmith\r\n")
			s.user().SetDescription("one\ntwo")
			s.user().SetProfile(&structpb.Struct{Fields: map[string]*structpb.Value{"note": structpb.NewStringValue("one\r\n\ttwo\vthree\u0085")}})
			s.member("t3").SetDisplayName("member\n")
		}},
		{name: "ids and texts that are just short enough", change: func(s shop) {
			s.user().GetId().SetResource(strings.Repeat("x", 1024))
			s.user().SetDisplayName(strings.Repeat("x", 1024))
			s.user().SetDescription(strings.Repeat("x", 2048))
			s.member("t3").SetId(strings.Repeat("x", 1019))
			s.teams.grants["t3"] = nil
		}},
		{name: "characters of any script", change: func(s shop) {
			s.user().GetId().SetResource("пользователь 用户 \u00a0🙂")
			s.user().SetDisplayName("名前")
		}},
		{name: "no name, no description", change: func(s shop) { s.user().SetDisplayName("") }},
		{name: "a parent with a type only", change: func(s shop) {
			s.user().SetParentResourceId(v2.ResourceId_builder{ResourceType: "org"}.Build())
			s.users.flat = true
		}},
		{name: "an empty id of what an entitlement is grantable to", change: func(s shop) { s.member("t3").SetGrantableTo([]*v2.ResourceType{{}}) }},
		{name: "an empty parent", change: func(s shop) { s.user().SetParentResourceId(&v2.ResourceId{}); s.users.flat = true }},
		{name: "a grant without an id", change: func(s shop) { s.grant().SetId("") }},
		{name: "50 entitlements in an exclusion group, one of them listed on two pages", change: func(s shop) {
			for i := range 50 {
				one := entitlement.NewAssignmentEntitlement(s.team(), fmt.Sprint("level", i))
				addTo(one, inGroup("g", i == 0))
				s.teams.entitlements["t3"] = append(s.teams.entitlements["t3"], one)
			}
			s.teams.entitlements["t3"] = append(s.teams.entitlements["t3"], s.teams.entitlements["t3"][1])
		}},
		{name: "an exclusion group of 50 roles", change: func(s shop) {
			s.roles.static[0] = static("assigned", inGroup("g", false))
			for i := range 48 {
				s.addRoles(fmt.Sprint("more", i))
			}
			s.roles.resources = append(s.roles.resources, s.roles.resources[0]) // listed twice
		}},
		{name: "an expansion from an entitlement that there is not", change: func(s shop) {
			s.teams.grants["t3"] = append(s.teams.grants["t3"], s.nested("t3", "t1", "team:gone:member"))
		}},
		{name: "resources that are inserted", change: func(s shop) {
			other := v2.Resource_builder{
				Id: v2.ResourceId_builder{ResourceType: "team", Resource: "t9"}.Build(), DisplayName: "t9", Annotations: annotations.New(&v2.GroupTrait{}),
			}.Build()
			s.teams.grants["t3"] = append(s.teams.grants["t3"], grant.NewGrant(other, "member", s.user().GetId(), grant.WithAnnotation(&v2.InsertResourceGrants{})))
		}, interfere: []interference{pageOf(listGrantsMethod, &v2.InsertResourceGrants{})}},
		{name: "an annotation of another SDK", change: func(s shop) {
			s.user().SetAnnotations(append(s.user().GetAnnotations(), &anypb.Any{TypeUrl: "type.googleapis.com/c1.connector.v9.Later", Value: []byte("\xff")}))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raced.Sample(t, 5)
			t.Parallel()
			s := newShop()
			tc.change(s)
			conn := serve(t, s.app, tc.interfere...)
			require.NoError(t, plainly(t, conn))
			_, err := written(t, aggregateOf(t, []aggregate.Plugin{{Instance: "retail", Namespace: "shop", Conn: conn}}, aggregate.WithPackedProfiles()))
			require.NoError(t, err)
		})
	}
}
