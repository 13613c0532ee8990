package same_test

import (
	"path/filepath"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/bench/same"
)

// person is an account to write. Where inTrait is set, what the SDK has options
// for in both places is given to the user trait.
type person struct {
	id, name, login, email string
	primary, inTrait       bool
	status                 v2.UserTrait_Status_Status
	created                time.Time
	profile                map[string]any
}

func ada() person {
	return person{
		id: "1", name: "Ada", login: "ada@example.com", email: "ada@example.com", primary: true,
		status: v2.UserTrait_Status_STATUS_ENABLED, created: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), profile: map[string]any{"title": "Engineer"},
	}
}

// write writes a sync file with the SDK's own store.
func write(t *testing.T, resourceType string, kind connectorstore.SyncType, finished bool, people ...person) string {
	t.Helper()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "x.c1z")
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	_, err = store.StartNewSync(ctx, kind, "")
	require.NoError(t, err)
	users := v2.ResourceType_builder{Id: resourceType, DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}}.Build()
	require.NoError(t, store.PutResourceTypes(ctx, users))
	for _, p := range people {
		traits := []resource.UserTraitOption{
			resource.WithEmail(p.email, p.primary), resource.WithUserLogin(p.login),
			resource.WithStatus(p.status), //nolint:staticcheck // As both sides do.
		}
		options := []resource.ResourceOption{resource.WithResourceProfile(p.profile), resource.WithResourceCreatedAt(p.created)}
		if p.inTrait {
			options = nil
			traits = append(traits,
				resource.WithUserProfile(p.profile), //nolint:staticcheck // As connectors do today.
				resource.WithCreatedAt(p.created))   //nolint:staticcheck // As connectors do today.
		}
		row, err := resource.NewUserResource(p.name, users, p.id, traits, options...)
		require.NoError(t, err)
		require.NoError(t, store.PutResources(ctx, row))
	}
	if finished {
		require.NoError(t, store.EndSync(ctx))
	}
	require.NoError(t, store.Close(ctx))
	return path
}

func fileOf(t *testing.T, resourceType string, people ...person) same.File {
	t.Helper()
	files, err := same.Files(t.Context(), []string{write(t, resourceType, connectorstore.SyncTypeFull, true, people...)}, t.TempDir())
	require.NoError(t, err)
	return files[0]
}

func TestDiffer_FindsEveryDifferenceOfAnAccount(t *testing.T) {
	t.Parallel()
	theirs := []same.File{fileOf(t, "user", ada())}
	for name, c := range map[string]struct {
		change  func(*person)
		message string
	}{
		"none":           {func(*person) {}, ""},
		"kept elsewhere": {func(p *person) { p.inTrait = true }, ""},
		"id":             {func(p *person) { p.id = "2" }, "does not have the account 1"},
		"name":           {func(p *person) { p.name = "Eda" }, "account 1 is not the same"},
		"login":          {func(p *person) { p.login = "eda" }, "account 1 is not the same"},
		"address":        {func(p *person) { p.email = "eda@example.com" }, "account 1 is not the same"},
		"primary":        {func(p *person) { p.primary = false }, "account 1 is not the same"},
		"status":         {func(p *person) { p.status = v2.UserTrait_Status_STATUS_DISABLED }, "account 1 is not the same"},
		"created":        {func(p *person) { p.created = p.created.Add(time.Second) }, "account 1 is not the same"},
		"profile":        {func(p *person) { p.profile = map[string]any{"title": "engineer"} }, "account 1 is not the same"},
		"less profile":   {func(p *person) { p.profile = nil }, "account 1 is not the same"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := ada()
			c.change(&changed)
			err := same.Differ(fileOf(t, "app01.user", changed), []string{"app01.user"}, theirs)
			if c.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.message)
		})
	}
}

func TestDiffer_ComparesEachAppWithItsBaseline(t *testing.T) {
	t.Parallel()
	other := ada()
	other.id = "2"
	product := fileOf(t, "app01.user", ada())
	require.Equal(t, 1, product.Count())
	one, two := fileOf(t, "user", ada()), fileOf(t, "user", ada(), other)
	require.ErrorContains(t, same.Differ(product, []string{"app01.user"}, []same.File{two}), "app 1: the product has 1 accounts, the baseline 2")
	require.ErrorContains(t, same.Differ(product, []string{"app01.user", "app02.user"}, []same.File{one, two}), "has the resource types [app01.user]")
	require.ErrorContains(t, same.Differ(product, []string{"app02.user"}, []same.File{one}), "has the resource types [app01.user]")
}

func TestDiffer_RefusesAFileWithoutAFullSync(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, message string }{
		"none":       {filepath.Join(t.TempDir(), "none.c1z"), "none.c1z"},
		"unfinished": {write(t, "user", connectorstore.SyncTypeFull, false, ada()), "no finished sync"},
		"not full":   {write(t, "user", connectorstore.SyncTypeResourcesOnly, true, ada()), "is not full"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := same.Files(t.Context(), []string{c.path}, t.TempDir())
			require.ErrorContains(t, err, c.message)
		})
	}
}
