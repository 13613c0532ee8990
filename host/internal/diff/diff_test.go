package diff_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/diff"
)

// content is what a sync file is to hold.
type content struct {
	kind   connectorstore.SyncType
	engine []dotc1z.C1ZOption
	app    string
	// people are accounts by id: their status and what is in their profile.
	people map[string]person
	// members are the accounts of groups, by the group's id.
	members map[string][]string
	// aborted adds a sync that was begun later and never ended.
	aborted bool
}

type person struct {
	name, login, email string
	disabled           bool
	profile            map[string]any
}

// write writes a sync file with the SDK's own store.
func write(t *testing.T, c content) string {
	t.Helper()
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "x.c1z")
	store, err := dotc1z.NewStore(ctx, path, append(c.engine, dotc1z.WithTmpDir(t.TempDir()))...)
	require.NoError(t, err)
	if c.kind == "" {
		c.kind = connectorstore.SyncTypeFull
	}
	_, err = store.StartNewSync(ctx, c.kind, "")
	require.NoError(t, err)
	users := v2.ResourceType_builder{Id: c.app + ".user", DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}}.Build()
	groups := v2.ResourceType_builder{Id: c.app + ".group", DisplayName: "Group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build()
	require.NoError(t, store.PutResourceTypes(ctx, users, groups))
	for id, one := range c.people {
		status := v2.Status_RESOURCE_STATUS_ENABLED
		if one.disabled {
			status = v2.Status_RESOURCE_STATUS_DISABLED
		}
		row, err := resource.NewUserResource(one.name, users, id, []resource.UserTraitOption{
			resource.WithEmail(one.email, true), resource.WithUserLogin(one.login),
		}, resource.WithResourceStatus(status, ""), resource.WithResourceProfile(one.profile))
		require.NoError(t, err)
		require.NoError(t, store.PutResources(ctx, row))
	}
	for id, members := range c.members {
		group, err := resource.NewGroupResource("Group "+id, groups, id, nil)
		require.NoError(t, err)
		member := entitlement.NewAssignmentEntitlement(group, "member")
		require.NoError(t, store.PutResources(ctx, group))
		require.NoError(t, store.PutEntitlements(ctx, member))
		for _, account := range members {
			require.NoError(t, store.PutGrants(ctx, grant.NewGrant(group, "member", v2.ResourceId_builder{ResourceType: users.GetId(), Resource: account}.Build())))
		}
	}
	require.NoError(t, store.EndSync(ctx))
	if c.aborted {
		_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
		require.NoError(t, err)
		require.NoError(t, store.CheckpointSync(ctx, "half"))
	}
	require.NoError(t, store.Close(ctx))
	return path
}

// sqlite is the engine of older files, which hold more than one sync.
var sqlite = []dotc1z.C1ZOption{dotc1z.WithEngine(c1zstore.EngineSQLite)}

func compare(t *testing.T, before, after content) ([]diff.Difference, *diff.Result, error) {
	t.Helper()
	var all []diff.Difference
	result, err := diff.Files(t.Context(), write(t, before), write(t, after), func(one diff.Difference) error {
		all = append(all, one)
		return nil
	})
	return all, result, err
}

// ada, alan and grace are people who stay, change, come and go.
func ada() person   { return person{name: "Ada", login: "ada", email: "ada@example.com"} }
func alan() person  { return person{name: "Alan", login: "alan", email: "alan@example.com"} }
func grace() person { return person{name: "Grace", login: "grace", email: "grace@example.com"} }

func TestFiles_ReportsEveryChangeOfAnAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after person
		want          []diff.Field
	}{
		"nothing": {before: ada(), after: ada()},
		"status":  {before: ada(), after: person{name: "Ada", login: "ada", email: "ada@example.com", disabled: true}, want: []diff.Field{{Field: "status", Old: "enabled", New: "disabled"}}},
		"name, login, mail": {
			before: ada(), after: person{name: "Ada L.", login: "lovelace", email: "al@example.com"},
			want: []diff.Field{{Field: "login", Old: "ada", New: "lovelace"}, {Field: "email", Old: "ada@example.com", New: "al@example.com"}, {Field: "display_name", Old: "Ada", New: "Ada L."}},
		},
		"roles in the profile": {
			before: person{name: "Ada", login: "ada", email: "ada@example.com", profile: map[string]any{"roles": "Admin", "n": 1, "same": true}},
			after:  person{name: "Ada", login: "ada", email: "ada@example.com", profile: map[string]any{"roles": "Guest", "n": 2, "same": true, "title": "Countess"}},
			want: []diff.Field{
				{Field: "profile.n", Old: "1", New: "2"},
				{Field: "profile.roles", Old: "Admin", New: "Guest"},
				{Field: "profile.title", Old: "", New: "Countess"},
			},
		},
		"what the profile repeats": {
			before: person{name: "Ada", login: "ada", email: "a@example.com", profile: map[string]any{"email": "a@example.com"}},
			after:  person{name: "Ada", login: "ada", email: "b@example.com", profile: map[string]any{"email": "b@example.com"}},
			want:   []diff.Field{{Field: "email", Old: "a@example.com", New: "b@example.com"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, result, err := compare(t,
				content{app: "app", people: map[string]person{"1": c.before}}, content{app: "app", people: map[string]person{"1": c.after}})
			require.NoError(t, err)
			require.Empty(t, result.Notes)
			if c.want == nil {
				require.Empty(t, all)
				require.Equal(t, []diff.Count{{App: "app", ResourceType: "app.user", Same: 1}}, result.Counts)
				return
			}
			require.Len(t, all, 1)
			require.Equal(t, diff.Changed, all[0].Change)
			require.Equal(t, c.want, all[0].Fields)
			require.Equal(t, []diff.Count{{App: "app", ResourceType: "app.user", Changed: 1}}, result.Counts)
		})
	}
}

func TestFiles_ComparesEitherEngine(t *testing.T) {
	t.Parallel()
	all, result, err := compare(t,
		content{app: "app", engine: sqlite, people: map[string]person{"1": ada(), "2": alan()}, members: map[string][]string{"a": {"1", "2"}, "b": {"1"}, "c": nil}},
		content{app: "app", people: map[string]person{"1": ada(), "3": grace()}, members: map[string][]string{"a": {"1", "3"}, "c": {"1"}}},
	)
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, diff.Changed, all[0].Change)
	require.Equal(t, "1", all[0].Account.ID)
	require.Equal(t, []diff.Field{{Field: "role", Old: "group Group b: member"}, {Field: "role", New: "group Group c: member"}}, all[0].Fields)
	require.Equal(t, diff.Added, all[1].Change)
	require.Equal(t, "grace@example.com", all[1].Account.Email)
	require.Equal(t, diff.Removed, all[2].Change)
	require.Equal(t, "alan", all[2].Account.Login)
	require.Equal(t, []diff.Count{{App: "app", ResourceType: "app.user", Added: 1, Removed: 1, Changed: 1}}, result.Counts)
}

func TestFiles_ReportsWhatASyncDidNotRead(t *testing.T) {
	t.Parallel()
	whole := content{app: "app", people: map[string]person{"1": ada()}, members: map[string][]string{"a": {"1"}}}
	for name, c := range map[string]struct {
		before, after content
		notes         []string
	}{
		"a partial sync": {
			before: whole, after: content{app: "app", kind: connectorstore.SyncTypePartial, people: whole.people},
			notes: []string{"not of everything (partial)", "roles are not compared"},
		},
		"resources only": {
			before: content{app: "app", kind: connectorstore.SyncTypeResourcesOnly, people: whole.people}, after: whole,
			notes: []string{"may lack roles (resources only), so that roles are not compared"},
		},
		"an unfinished sync": {
			before: whole, after: content{app: "app", engine: sqlite, people: whole.people, members: whole.members, aborted: true},
			notes: []string{"was not finished; the one before it is compared"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, result, err := compare(t, c.before, c.after)
			require.NoError(t, err)
			require.Empty(t, all)
			require.Len(t, result.Notes, len(c.notes))
			for i, note := range c.notes {
				require.Contains(t, result.Notes[i], note)
			}
		})
	}
}

func TestFiles_RefusesAFileOfAnUnfinishedSync(t *testing.T) {
	t.Parallel()
	_, _, err := compare(t, content{app: "app", people: map[string]person{"1": ada()}, aborted: true}, content{app: "app"})
	require.ErrorContains(t, err, "x.c1z holds no finished sync")
}

func TestFiles_NamesTheOlderFileIfItComesLast(t *testing.T) {
	t.Parallel()
	older := write(t, content{app: "app", people: map[string]person{"1": ada()}})
	newer := write(t, content{app: "app", people: map[string]person{"1": ada()}})
	result, err := diff.Files(t.Context(), newer, older, func(diff.Difference) error { return nil })
	require.NoError(t, err)
	require.Equal(t, []string{older + " is the older one of the two; the order on the command line is OLD, then NEW"}, result.Notes)
}

func TestFiles_RefusesFilesOfDifferentApps(t *testing.T) {
	t.Parallel()
	_, _, err := compare(t, content{app: "one", people: map[string]person{"1": ada()}}, content{app: "two", people: map[string]person{"1": ada()}})
	require.ErrorContains(t, err, "(one.user)")
	require.ErrorContains(t, err, "(two.user) have no type of accounts in common")
}

func TestFiles_LeavesNothingBehind(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	before, after := write(t, content{app: "app", people: map[string]person{"1": ada()}}), write(t, content{app: "app"})
	_, err := diff.Files(t.Context(), before, after, func(diff.Difference) error { return os.ErrClosed })
	require.ErrorIs(t, err, os.ErrClosed)
	left, err := filepath.Glob(filepath.Join(temporary, "baton-host-read-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestFiles_ComparesManyAccounts(t *testing.T) {
	t.Parallel()
	const many = 5000 // More than a page.
	before, after := map[string]person{}, map[string]person{}
	for i := range many {
		before[strconv.Itoa(i)], after[strconv.Itoa(i)] = ada(), ada()
	}
	delete(before, "17")
	delete(after, "4711")
	all, result, err := compare(t, content{app: "app", people: before}, content{app: "app", people: after})
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []diff.Count{{App: "app", ResourceType: "app.user", Added: 1, Removed: 1, Same: many - 2}}, result.Counts)
}

// TestFiles_NamesPluginsByTheRecord that is beside a file, as accounts does.
func TestFiles_NamesPluginsByTheRecord(t *testing.T) {
	t.Parallel()
	before := write(t, content{app: "crm", people: map[string]person{"1": ada(), "2": alan()}})
	after := write(t, content{app: "crm", people: map[string]person{"1": ada(), "3": grace()}})
	data, err := os.ReadFile(after)
	require.NoError(t, err)
	record, err := json.Marshal(map[string]any{"version": 1, "syncs": map[string]any{
		fmt.Sprintf("%x", sha256.Sum256(data)): baseline.Sync{Plugins: map[string]baseline.Part{"sales": {ResourceTypes: []string{"crm.user"}}}},
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(after+".json", record, 0o600))
	apps := map[diff.Kind]string{}
	_, err = diff.Files(t.Context(), before, after, func(one diff.Difference) error {
		apps[one.Change] = one.Account.App
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[diff.Kind]string{diff.Added: "sales", diff.Removed: "crm"}, apps)
}
