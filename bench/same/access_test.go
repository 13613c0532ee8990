package same_test

import (
	"path/filepath"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/bench/same"
)

// team is an app of one group, to write below each namespace.
type team struct {
	name, slug, source string
	members            []string
	expands            string
}

// writeTeams writes a sync file with the SDK's own store.
func writeTeams(t *testing.T, namespaces []string, of team) string {
	t.Helper()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "x.c1z")
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
	require.NoError(t, err)
	for _, namespace := range namespaces {
		prefix, display := "", ""
		if namespace != "" {
			prefix, display = namespace+".", namespace+": "
		}
		groups := v2.ResourceType_builder{Id: prefix + "group", DisplayName: display + "Group"}.Build()
		users := v2.ResourceType_builder{Id: prefix + "user", DisplayName: display + "User"}.Build()
		group := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: groups.GetId(), Resource: "g"}.Build(), DisplayName: of.name}.Build()
		member := entitlement.NewAssignmentEntitlement(group, of.slug, entitlement.WithGrantableTo(users))
		require.NoError(t, store.PutResourceTypes(ctx, groups, users))
		require.NoError(t, store.PutResources(ctx, group))
		require.NoError(t, store.PutEntitlements(ctx, member))
		for i, name := range of.members {
			row := grant.NewGrant(group, of.slug, v2.ResourceId_builder{ResourceType: users.GetId(), Resource: name}.Build())
			if i == 0 && of.expands != "" {
				require.NoError(t, grant.WithAnnotation(v2.GrantExpandable_builder{EntitlementIds: []string{prefix + of.expands}}.Build())(row))
			}
			if of.source != "" {
				row.SetSources(v2.GrantSources_builder{Sources: map[string]*v2.GrantSources_GrantSource{prefix + of.source: {}}}.Build())
			}
			require.NoError(t, store.PutGrants(ctx, row))
		}
	}
	require.NoError(t, store.EndSync(ctx))
	require.NoError(t, store.Close(ctx))
	return path
}

func TestDifferRows_NamesWhatIsNotTheSame(t *testing.T) {
	t.Parallel()
	usual := team{"Team", "member", "group:h:member", []string{"u1", "u2"}, "group:h:member"}
	change := func(change func(*team)) team {
		other := usual
		change(&other)
		return other
	}
	ours, err := same.RowsOf(t.Context(), writeTeams(t, []string{"app01", "app02"}, usual), t.TempDir(), []string{"app01", "app02"})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		theirs team
		want   string
	}{
		"the same":                  {usual, ""},
		"a grant more":              {change(func(o *team) { o.members = []string{"u1", "u2", "u3"} }), "the product has 2 grants, the baseline 3"},
		"another principal":         {change(func(o *team) { o.members = []string{"u1", "u3"} }), "of 2 grants, 1 are not the same"},
		"another source":            {change(func(o *team) { o.source = "group:i:member" }), "of 2 grants, 2 are not the same"},
		"what a grant expands from": {change(func(o *team) { o.expands = "group:i:member" }), "of 2 grants, 1 are not the same"},
		"another entitlement":       {change(func(o *team) { o.slug = "owner" }), "of 1 entitlements, 1 are not the same"},
		"another name":              {change(func(o *team) { o.name = "Crew" }), "of 1 resources, 1 are not the same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs, err := same.RowsOf(t.Context(), writeTeams(t, []string{""}, tc.theirs), t.TempDir(), []string{""})
			require.NoError(t, err)
			for _, app := range ours {
				err := same.DifferRows(app, theirs[0])
				if tc.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, tc.want)
			}
		})
	}
}

func TestRowsOf_RefusesRowsOfNoApp(t *testing.T) {
	t.Parallel()
	_, err := same.RowsOf(t.Context(), writeTeams(t, []string{"app01"}, team{name: "x", slug: "y"}), t.TempDir(), []string{"app02"})
	require.ErrorContains(t, err, "which is of no app")
}
