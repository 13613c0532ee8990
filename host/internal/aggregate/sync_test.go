package aggregate_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func TestSync_EqualIDsOfTwoAppsStayDistinct(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(5)), "b": serve(t, users(3))})
			path, err := synced(t.Context(), t, client, workers)
			require.NoError(t, err)

			c := read(t, path)
			require.Equal(t, []string{"a.user/u1", "a.user/u2", "a.user/u3", "a.user/u4", "a.user/u5", "b.user/u1", "b.user/u2", "b.user/u3"}, c.resourceIDs())
			var names []string
			for _, rt := range c.types {
				names = append(names, rt.GetId()+" "+rt.GetDisplayName())
			}
			require.ElementsMatch(t, []string{"a.user a: User", "b.user b: User"}, names)
		})
	}
}

// crm is an app with all that can refer to something else.
func crm(t testing.TB) *app {
	t.Helper()
	id := func(typeID, id string) *v2.ResourceId {
		return v2.ResourceId_builder{ResourceType: typeID, Resource: id}.Build()
	}
	typ := func(id string, trait v2.ResourceType_Trait, annos ...proto.Message) *v2.ResourceType {
		rt := v2.ResourceType_builder{Id: id, DisplayName: strings.ToUpper(id[:1]) + id[1:], Annotations: annotations.New(annos...)}.Build()
		if trait != v2.ResourceType_TRAIT_UNSPECIFIED {
			rt.SetTraits([]v2.ResourceType_Trait{trait})
		}
		return rt
	}
	none := v2.ResourceType_TRAIT_UNSPECIFIED
	userType := typ("user", v2.ResourceType_TRAIT_USER, &v2.SkipEntitlementsAndGrants{})

	var children annotations.Annotations
	children.Append(v2.ChildResourceType_builder{ResourceTypeId: "group"}.Build(), v2.ChildResourceType_builder{ResourceTypeId: "key.v2"}.Build())
	org := v2.Resource_builder{Id: id("org", "o1"), DisplayName: "Org", Annotations: children}.Build()
	groups := map[string]*v2.Resource{}
	for _, name := range []string{"g1", "g2", "x.y:z/w"} {
		groups[name] = v2.Resource_builder{
			Id: id("group", name), ParentResourceId: org.GetId(), DisplayName: name, Annotations: annotations.New(&v2.GroupTrait{}),
		}.Build()
	}
	role := v2.Resource_builder{Id: id("role", "r1"), DisplayName: "Role", Annotations: annotations.New(&v2.RoleTrait{})}.Build()
	project := v2.Resource_builder{Id: id("project", "p1"), DisplayName: "Project"}.Build()

	// The entitlements: of groups by listing (one of them with a Baton ID), of
	// roles static.
	member := map[string]*v2.Entitlement{}
	for name, group := range groups {
		member[name] = entitlement.NewAssignmentEntitlement(group, "member", entitlement.WithGrantableTo(userType),
			entitlement.WithExclusionGroup("membership-"+name))
	}
	member["x.y:z/w"].SetId(`bid:e:org/o1/group/x.y\:z\/w:member`)

	nested := func(in, of string) *v2.Grant {
		g := grant.NewGrant(groups[in], "member", groups[of].GetId(), grant.WithAnnotation(
			v2.GrantExpandable_builder{EntitlementIds: []string{member[of].GetId()}, ResourceTypeIds: []string{"user"}}.Build()))
		g.SetEntitlement(member[in])
		g.SetId(grant.NewGrantID(groups[of], member[in]))
		return g
	}
	direct := func(in, who string) *v2.Grant {
		g := grant.NewGrant(groups[in], "member", id("user", who))
		g.SetEntitlement(member[in])
		g.SetId(grant.NewGrantID(id("user", who), member[in]))
		return g
	}
	own := direct("g2", "u3")
	own.SetId("membership/77")
	assigned := grant.NewGrant(role, "assigned", groups["g1"].GetId(), grant.WithAnnotation(
		v2.GrantExpandable_builder{EntitlementIds: []string{member["g1"].GetId()}}.Build()))

	groupList := make([]*v2.Resource, 0, len(groups))
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		groupList = append(groupList, groups[name])
	}
	return &app{types: []*appType{
		{resourceType: userType, pageSize: 2, resources: []*v2.Resource{user("u1"), user("u2"), user("u3"), user("a.b:c/d"), user("u5")}},
		{resourceType: typ("org", none), resources: []*v2.Resource{org}},
		{
			resourceType: typ("group", v2.ResourceType_TRAIT_GROUP), pageSize: 1, resources: groupList,
			entitlements: map[string][]*v2.Entitlement{"g1": {member["g1"]}, "g2": {member["g2"]}, "x.y:z/w": {member["x.y:z/w"]}},
			grants: map[string][]*v2.Grant{
				"g1":      {direct("g1", "u1"), nested("g1", "g2")},
				"g2":      {direct("g2", "u2"), own, nested("g2", "x.y:z/w")},
				"x.y:z/w": {direct("x.y:z/w", "a.b:c/d")},
			},
		},
		{
			resourceType: typ("role", v2.ResourceType_TRAIT_ROLE), resources: []*v2.Resource{role},
			static: []*v2.Entitlement{v2.Entitlement_builder{
				Slug: "assigned", DisplayName: "Assigned", Purpose: v2.Entitlement_PURPOSE_VALUE_ASSIGNMENT,
				GrantableTo: []*v2.ResourceType{userType},
				Annotations: annotations.New(v2.EntitlementExclusionGroup_builder{ExclusionGroupId: "roles", ScopeToResource: true}.Build()),
			}.Build()},
			grants: map[string][]*v2.Grant{"r1": {assigned}},
		},
		{resourceType: typ("project", none), resources: []*v2.Resource{project}},
		{
			resourceType: typ("binding", v2.ResourceType_TRAIT_SCOPE_BINDING, &v2.SkipEntitlementsAndGrants{}),
			resources: []*v2.Resource{v2.Resource_builder{Id: id("binding", "r1@p1"), Annotations: annotations.New(
				v2.ScopeBindingTrait_builder{RoleId: role.GetId(), ScopeResourceId: project.GetId()}.Build(),
			)}.Build()},
		},
		{
			resourceType: typ("key.v2", v2.ResourceType_TRAIT_SECRET, &v2.SkipEntitlementsAndGrants{}),
			resources: []*v2.Resource{v2.Resource_builder{Id: id("key.v2", "k1"), ParentResourceId: org.GetId(), Annotations: annotations.New(
				v2.SecretTrait_builder{CreatedById: id("user", "u1"), IdentityId: id("user", "u2")}.Build(),
			)}.Build()},
		},
		{
			resourceType: typ("license", v2.ResourceType_TRAIT_LICENSE_PROFILE, &v2.SkipEntitlementsAndGrants{}),
			resources: []*v2.Resource{v2.Resource_builder{Id: id("license", "e3"), Annotations: annotations.New(
				v2.LicenseProfileTrait_builder{LicenseName: "E3", EntitlementIds: []string{member["g1"].GetId(), member["x.y:z/w"].GetId()}}.Build(),
			)}.Build()},
		},
	}}
}

// lines is a file's contents as text, one line per row, with every prefix of
// the namespace taken away.
func (c contents) lines(t testing.TB, namespace string) []string {
	t.Helper()
	var all []string
	add := func(kind string, m proto.Message) {
		text, err := protojson.Marshal(m)
		require.NoError(t, err)
		line := strings.ReplaceAll(string(text), namespace+".", "")
		line = strings.ReplaceAll(line, namespace+": ", "")
		line = strings.ReplaceAll(line, ", ", ",") // protojson's spaces are random
		line = strings.ReplaceAll(line, ": ", ":")
		all = append(all, kind+" "+line)
	}
	for _, m := range c.types {
		add("type", m)
	}
	for _, m := range c.resources {
		add("resource", m)
	}
	for _, m := range c.entitlements {
		add("entitlement", m)
	}
	for _, m := range c.grants {
		add("grant", m)
	}
	slices.Sort(all)
	return all
}

func TestSync_ReferencesSurviveTheAggregate(t *testing.T) {
	t.Parallel()
	// The oracle: the same app, synced by the SDK without an aggregate.
	path, err := synced(t.Context(), t, connectorclient.NewConnectorClient(t.Context(), serve(t, crm(t))), 1)
	require.NoError(t, err)
	plain := read(t, path)
	require.Len(t, plain.grants, 7+9, "7 direct grants, and what they expand to")

	for _, workers := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(4)), "b": serve(t, users(3)), "the-crm": serve(t, crm(t))})
			path, err := synced(t.Context(), t, client, workers)
			require.NoError(t, err)
			all := read(t, path)

			c := contents{types: slices.Clone(all.types), entitlements: all.entitlements, grants: all.grants}
			c.types = slices.DeleteFunc(c.types, func(rt *v2.ResourceType) bool { return !strings.HasPrefix(rt.GetId(), "the-crm.") })
			for _, r := range all.resources {
				if strings.HasPrefix(r.GetId().GetResourceType(), "the-crm.") {
					c.resources = append(c.resources, r)
				}
			}
			require.Equal(t, plain.lines(t, "the-crm"), c.lines(t, "the-crm"))
			require.Len(t, all.resources, 4+3+len(plain.resources))

			all.requireNothingDangles(t)
		})
	}
}

// requireNothingDangles follows every reference in a file.
func (c contents) requireNothingDangles(t testing.TB) {
	t.Helper()
	resources, types, entitlements := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, rt := range c.types {
		types[rt.GetId()] = true
	}
	key := func(id *v2.ResourceId) string { return id.GetResourceType() + "/" + id.GetResource() }
	for _, r := range c.resources {
		resources[key(r.GetId())] = true
	}
	for _, e := range c.entitlements {
		entitlements[e.GetId()] = true
	}
	checked := map[string]int{}
	exists := func(kind string, in map[string]bool, id string) {
		checked[kind]++
		require.True(t, in[id], "%s %q", kind, id)
	}
	for _, r := range c.resources {
		exists("type", types, r.GetId().GetResourceType())
		if parent := r.GetParentResourceId(); parent != nil {
			exists("parent", resources, key(parent))
		}
		for _, annotation := range r.GetAnnotations() {
			m, err := annotation.UnmarshalNew()
			require.NoError(t, err)
			switch m := m.(type) {
			case *v2.ChildResourceType:
				exists("child type", types, m.GetResourceTypeId())
			case *v2.ScopeBindingTrait:
				exists("bound role", resources, key(m.GetRoleId()))
				exists("scope", resources, key(m.GetScopeResourceId()))
			case *v2.SecretTrait:
				exists("creator", resources, key(m.GetCreatedById()))
				exists("identity", resources, key(m.GetIdentityId()))
			case *v2.LicenseProfileTrait:
				for _, id := range m.GetEntitlementIds() {
					exists("licence's entitlement", entitlements, id)
				}
			}
		}
	}
	for _, e := range c.entitlements {
		exists("entitlement's resource", resources, key(e.GetResource().GetId()))
		for _, rt := range e.GetGrantableTo() {
			exists("grantable type", types, rt.GetId())
		}
	}
	for _, g := range c.grants {
		exists("granted entitlement", entitlements, g.GetEntitlement().GetId())
		exists("granted resource", resources, key(g.GetEntitlement().GetResource().GetId()))
		exists("principal", resources, key(g.GetPrincipal().GetId()))
		for source := range g.GetSources().GetSources() {
			exists("source", entitlements, source)
		}
		annos := annotations.Annotations(g.GetAnnotations())
		expandable := &v2.GrantExpandable{}
		if ok, err := annos.Pick(expandable); err == nil && ok {
			for _, id := range expandable.GetEntitlementIds() {
				exists("expanded entitlement", entitlements, id)
			}
		}
	}
	for _, kind := range []string{"parent", "child type", "bound role", "scope", "creator", "identity", "licence's entitlement", "grantable type", "source", "expanded entitlement"} {
		require.Positive(t, checked[kind], "the file holds no %s to check", kind)
	}
}

func TestSync_GrantsExpandThroughTheAggregate(t *testing.T) {
	t.Parallel()
	client := of(t, map[string]grpc.ClientConnInterface{"a": serve(t, users(2)), "c": serve(t, crm(t))})
	path, err := synced(t.Context(), t, client, 4)
	require.NoError(t, err)

	got := map[string][]string{}
	for _, g := range read(t, path).grants {
		got[g.GetId()] = slices.Sorted(maps.Keys(g.GetSources().GetSources()))
	}
	const deep = `bid:e:c.org/o1/c.group/x.y\:z\/w:member`
	require.Equal(t, map[string][]string{
		// What the app said.
		"c.role:r1:assigned:c.group:g1":     nil,
		"c.group:g1:member:c.group:g2":      nil,
		"c.group:g2:member:c.group:x.y:z/w": nil,
		"c.group:g1:member:c.user:u1":       nil,
		"c.group:g2:member:c.user:u2":       nil,
		"c.membership/77":                   nil,
		deep + ":c.user:a.b:c/d":            nil,
		// What follows from it, two groups deep, and by way of which entitlement.
		"c.group:g2:member:c.user:a.b:c/d":  {deep},
		"c.group:g1:member:c.user:u2":       {"c.group:g2:member"},
		"c.group:g1:member:c.user:u3":       {"c.group:g2:member"},
		"c.group:g1:member:c.user:a.b:c/d":  {"c.group:g2:member"},
		"c.role:r1:assigned:c.group:g2":     {"c.group:g1:member"},
		"c.role:r1:assigned:c.user:u1":      {"c.group:g1:member"},
		"c.role:r1:assigned:c.user:u2":      {"c.group:g1:member"},
		"c.role:r1:assigned:c.user:u3":      {"c.group:g1:member"},
		"c.role:r1:assigned:c.user:a.b:c/d": {"c.group:g1:member"},
	}, got)
}
