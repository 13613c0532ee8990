package review

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/conductorone/baton-sdk/pkg/types/entitlement"
	"github.com/conductorone/baton-sdk/pkg/types/grant"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// app is what one plugin lists: accounts by id, and groups with their members.
type app struct {
	people map[string]person
	groups map[string][]string
}

type person struct {
	disabled, noEmail, noLogin, noName bool
}

// accounts are so many of them, from the first.
func accounts(n int) map[string]person {
	all := map[string]person{}
	for i := range n {
		all[fmt.Sprintf("u%03d", i)] = person{}
	}
	return all
}

// write writes a finished sync file with the apps of plugins.
func write(t *testing.T, path string, engine c1zstore.Engine, apps map[string]app) {
	t.Helper()
	ctx := t.Context()
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithEngine(engine), dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
	require.NoError(t, err)
	for name, one := range apps {
		users := v2.ResourceType_builder{Id: name + ".user", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}}.Build()
		groups := v2.ResourceType_builder{Id: name + ".group", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}}.Build()
		require.NoError(t, store.PutResourceTypes(ctx, users, groups))
		var rows []*v2.Resource
		for id, who := range one.people {
			rows = append(rows, account(t, users, id, who))
		}
		require.NoError(t, store.PutResources(ctx, rows...))
		for id, members := range one.groups {
			group, err := resource.NewGroupResource("Group "+id, groups, id, nil)
			require.NoError(t, err)
			require.NoError(t, store.PutResources(ctx, group))
			require.NoError(t, store.PutEntitlements(ctx, entitlement.NewAssignmentEntitlement(group, "member")))
			for _, member := range members {
				require.NoError(t, store.PutGrants(ctx, grant.NewGrant(group, "member", v2.ResourceId_builder{ResourceType: users.GetId(), Resource: member}.Build())))
			}
		}
	}
	require.NoError(t, store.EndSync(ctx))
	require.NoError(t, store.Close(ctx))
}

func account(t *testing.T, users *v2.ResourceType, id string, who person) *v2.Resource {
	t.Helper()
	name, status := "Person "+id, v2.Status_RESOURCE_STATUS_ENABLED
	var options []resource.UserTraitOption
	if !who.noEmail {
		options = append(options, resource.WithEmail(id+"@example.com", true))
	}
	if !who.noLogin {
		options = append(options, resource.WithUserLogin("login-"+id))
	}
	if who.noName {
		name = ""
	}
	if who.disabled {
		status = v2.Status_RESOURCE_STATUS_DISABLED
	}
	row, err := resource.NewUserResource(name, users, id, options, resource.WithResourceStatus(status, ""))
	require.NoError(t, err)
	return row
}

// place is an upload with a baseline.
type place struct {
	*Store
	dir, upload string
}

func newPlace(t *testing.T, apps map[string]app) *place {
	t.Helper()
	p := &place{dir: t.TempDir(), upload: "workforce"}
	p.Store = At(filepath.Join(p.dir, "workforce.c1z"))
	write(t, p.path, c1zstore.EnginePebble, apps)
	return p
}

// compare compares a sync with the baseline; nil apps: nothing was read.
func (p *place) compare(t *testing.T, apps map[string]app, plugins ...string) *Difference {
	t.Helper()
	before, err := baseline.At(p.path).Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = before.Close(context.Background()) })
	sync := Sync{Upload: p.upload, Before: before, Owner: owner}
	if apps != nil {
		sync.Path = filepath.Join(t.TempDir(), "new.c1z")
		write(t, sync.Path, c1zstore.EnginePebble, apps)
		sync.After, err = syncfile.Open(t.Context(), sync.Path, t.TempDir())
		require.NoError(t, err)
		t.Cleanup(func() { _ = sync.After.Close(context.Background()) })
	}
	of, err := Compare(t.Context(), sync, plugins)
	require.NoError(t, err)
	return of
}

func owner(typeID string) string {
	plugin, _, _ := strings.Cut(typeID, ".")
	return plugin
}

// refuse keeps a sync that is refused for these plugins.
func (p *place) refuse(t *testing.T, apps map[string]app, plugins ...string) *Refused {
	t.Helper()
	var reasons []Reason
	for _, plugin := range plugins {
		reasons = append(reasons, Reason{plugin, "too few"})
	}
	kept, err := p.Keep(t.Context(), p.compare(t, apps, plugins...), reasons)
	require.NoError(t, err)
	return kept
}

func (p *place) names(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(p.dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.True(t, entry.Name() == "workforce.c1z" || info.Mode().Perm() == 0o600, "%s is %s", entry.Name(), info.Mode())
		name := entry.Name()
		if i := strings.Index(name, refusedFile); i >= 0 {
			name = name[:i] + ".refused-*"
		}
		names = append(names, name)
	}
	return names
}

func one(people int) map[string]app { return map[string]app{"a": {people: accounts(people)}} }

// lines are changes, each in a line.
func lines(t *testing.T, each func(func(Change) error) error) []string {
	t.Helper()
	var all []string
	require.NoError(t, each(func(change Change) error {
		what := change.Entitlement + string(change.Attribute)
		all = append(all, strings.TrimRight(fmt.Sprintf("%s %s %s/%s %s|%s|%s %s %s", change.Plugin, change.Kind, change.ResourceType, change.ID, change.Name, change.Login, change.Email, what, change.OnName), " "))
		return nil
	}))
	return all
}

func TestBetween_ReportsWhatGoesAndComes(t *testing.T) {
	t.Parallel()
	before := map[string]app{
		"a": {people: map[string]person{"1": {}, "2": {}, "3": {}, "4": {disabled: true}, "5": {noEmail: true}}, groups: map[string][]string{"g": {"1", "2"}, "h": {"3"}}},
		"b": {people: map[string]person{"1": {}}},
	}
	after := map[string]app{
		"a": {people: map[string]person{"2": {disabled: true}, "3": {noEmail: true, noLogin: true, noName: true}, "4": {}, "5": {noEmail: true}, "6": {}}, groups: map[string][]string{"g": {"2", "6"}}},
		"b": {people: map[string]person{"1": {}, "2": {}}},
	}
	want := []string{
		"a removed a.group/h Group h||",
		"a removed a.user/1 Person 1|login-1|1@example.com",
		"a disabled a.user/2 Person 2|login-2|2@example.com",
		"a emptied a.user/3 Person 3|login-3|3@example.com email",
		"a emptied a.user/3 Person 3|login-3|3@example.com login",
		"a emptied a.user/3 Person 3|login-3|3@example.com name",
		"a added a.user/6 Person 6|login-6|6@example.com",
		"b added b.user/2 Person 2|login-2|2@example.com",
		"a withdrawn a.group/h Group h|| a.group:h:member",
		"a ungranted a.user/1 Person 1|login-1|1@example.com a.group:g:member Group g",
		"a ungranted a.user/3 Person 3|login-3|3@example.com a.group:h:member Group h",
	}
	gone := []string{
		"b removed b.user/1 Person 1|login-1|1@example.com",
	}
	for _, engine := range []c1zstore.Engine{c1zstore.EnginePebble, c1zstore.EngineSQLite} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			open := func(apps map[string]app) *syncfile.File {
				path := filepath.Join(t.TempDir(), "x.c1z")
				write(t, path, engine, apps)
				file, err := syncfile.Open(t.Context(), path, t.TempDir())
				require.NoError(t, err)
				t.Cleanup(func() { _ = file.Close(context.Background()) })
				return file
			}
			old, now := open(before), open(after)
			between := func(after *syncfile.File, owner func(string) string) []string {
				return lines(t, func(each func(Change) error) error {
					counted := counts{}
					found, err := Between(t.Context(), old, after, owner, func(change Change) error {
						counted.add(change)
						return each(change)
					})
					require.Equal(t, counted.all(), found)
					return err
				})
			}
			all := between(now, owner)
			require.ElementsMatch(t, want, all)
			require.Equal(t, all, between(now, owner), "the order is stable")
			require.Equal(t, gone, between(nil, func(typeID string) string { return map[string]string{"b": "b"}[owner(typeID)] }))
			require.Empty(t, between(old, owner))
		})
	}
}

func TestStore_KeepsWhatWasRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]app{"a": {people: accounts(25)}, "b": {people: accounts(4)}})
	_, err := p.Refused()
	require.ErrorIs(t, err, os.ErrNotExist)
	require.EqualError(t, err, "no refused sync waits for an approval")

	now := map[string]app{"a": {people: accounts(10)}, "b": {people: accounts(3)}}
	kept := p.refuse(t, now, "a")
	require.Len(t, kept.ID, 8)
	require.Equal(t, 15, kept.TakenAway(), "b was not refused")
	require.Equal(t, []Count{{Plugin: "a", ResourceType: "a.user", Removed: 15}, {Plugin: "b", ResourceType: "b.user", Removed: 1}}, kept.Counts)
	require.Equal(t, []string{"workforce.c1z", "workforce.c1z.refused", "workforce.c1z.refused-*"}, p.names(t))

	open, err := p.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.Len(t, lines(t, func(each func(Change) error) error { return open.Each(t.Context(), each) }), 16)
	require.NoError(t, open.Close(t.Context()))

	again := p.refuse(t, now, "a")
	require.Equal(t, kept.ID, again.ID, "the same difference has the same id")
	now["b"] = app{people: accounts(2)}
	require.Equal(t, kept.ID, p.refuse(t, now, "a").ID, "what b loses is not refused")
	other := p.refuse(t, one(9), "a")
	require.NotEqual(t, kept.ID, other.ID)
	require.Equal(t, []Earlier{{kept.ID, other.Earlier[0].At, 15}}, other.Earlier)
	require.Equal(t, []string{"workforce.c1z", "workforce.c1z.refused", "workforce.c1z.refused-*"}, p.names(t), "one is kept")

	gone := p.refuse(t, nil, "a")
	require.Equal(t, 25, gone.TakenAway())
	require.Equal(t, []string{"workforce.c1z", "workforce.c1z.refused"}, p.names(t), "nothing was read")

	// After a sync that was accepted it is of another difference.
	write(t, p.path+"x", c1zstore.EnginePebble, one(24))
	require.NoError(t, os.Rename(p.path+"x", p.path))
	_, err = p.Open(t.Context(), t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "a later sync has been accepted")
	_, err = p.Approve(t.Context(), gone.ID, time.Hour, "ada")
	require.ErrorContains(t, err, "a later sync has been accepted")
}

func TestStore_ForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		later time.Duration
		stays bool
	}{
		"a day":                         {24 * time.Hour, true},
		"almost seven days":             {7*24*time.Hour - time.Hour, true},
		"longer":                        {7*24*time.Hour + time.Second, false},
		"the clock was put back a bit":  {-time.Hour, true},
		"its date is far in the future": {-8 * 24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, one(25))
			p.refuse(t, one(10), "a")
			p.now = func() time.Time { return time.Now().Add(c.later) }
			_, err := p.Refused()
			if c.stays {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, os.ErrNotExist)
			require.Equal(t, []string{"workforce.c1z"}, p.names(t))
		})
	}
}

func TestApproval_CoversWhatWasReviewed(t *testing.T) {
	t.Parallel()
	but := func(n int, change func(map[string]person)) map[string]app {
		people := accounts(n)
		change(people)
		return map[string]app{"a": {people: people}}
	}
	members := func(n int) map[string]app {
		ids := slices.Sorted(func(yield func(string) bool) {
			for id := range accounts(n) {
				if !yield(id) {
					return
				}
			}
		})
		return map[string]app{"a": {people: accounts(25), groups: map[string][]string{"g": ids}}}
	}
	disabled := func(n int) map[string]app {
		return but(25, func(people map[string]person) {
			for id := range accounts(n) {
				people[id] = person{disabled: true}
			}
		})
	}
	unnamed := func(attribute person) map[string]app {
		return but(25, func(people map[string]person) { people["u001"] = attribute })
	}
	for name, c := range map[string]struct {
		before, reviewed, now map[string]app
		outside               int
	}{
		"exactly":                       {one(25), one(10), one(10), 0},
		"a part of it":                  {one(25), one(10), one(20), 0},
		"nothing any more":              {one(25), one(10), one(25), 0},
		"more is new":                   {one(25), one(10), but(10, func(people map[string]person) { people["new"] = person{} }), 0},
		"one more":                      {one(25), one(10), one(9), 1},
		"G6: all, instead of some":      {one(250), one(100), one(0), 100},
		"as many, but another one":      {one(25), one(10), but(11, func(people map[string]person) { delete(people, "u000") }), 1},
		"disabled exactly":              {one(25), disabled(15), disabled(15), 0},
		"one more is disabled":          {one(25), disabled(15), disabled(16), 1},
		"gone instead of disabled":      {one(25), disabled(15), but(25, func(people map[string]person) { delete(people, "u003") }), 1},
		"grants exactly":                {members(25), members(5), members(5), 0},
		"one more grant":                {members(25), members(5), members(4), 1},
		"a group instead of its grants": {members(25), members(0), one(25), 2},
		"an attribute":                  {one(25), unnamed(person{noEmail: true}), unnamed(person{noEmail: true}), 0},
		"another attribute":             {one(25), unnamed(person{noEmail: true}), unnamed(person{noLogin: true}), 1},
		"everything, read or not":       {one(25), nil, one(0), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, c.before)
			kept := p.refuse(t, c.reviewed, "a")
			_, _, err := p.Covers(t.Context(), p.compare(t, c.now, "a"), "a")
			require.ErrorIs(t, err, os.ErrNotExist)
			approval, err := p.Approve(t.Context(), " "+strings.ToUpper(kept.ID), time.Hour, "ada")
			require.NoError(t, err)
			require.Equal(t, kept.TakenAway(), approval.Of("a").Keys)

			approved, outside, err := p.Covers(t.Context(), p.compare(t, c.now, "a"), "a")
			require.NoError(t, err)
			require.Equal(t, c.outside, outside)
			require.Equal(t, approval.Of("a"), approved)
			require.Equal(t, "ada", approved.By)
			p.names(t)
		})
	}
}

func TestApproval_NeedsTheNewestID(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	_, err := p.Approve(t.Context(), "12345678", time.Hour, "ada")
	require.EqualError(t, err, "no refused sync waits for an approval")
	first, second := p.refuse(t, one(10), "a"), p.refuse(t, one(9), "a")
	_, err = p.Approve(t.Context(), first.ID, time.Hour, "ada")
	require.EqualError(t, err, fmt.Sprintf(`%s is not the newest refused sync of upload "workforce": it would have taken away 15; the newest is %s (refused at %s), which would take away 16: look at that with baton-host review workforce`,
		first.ID, second.ID, second.At.Format(time.RFC3339)))
	_, err = p.Approve(t.Context(), "12345678", time.Hour, "ada")
	require.ErrorContains(t, err, `upload "workforce" has no refused sync 12345678; the newest is `+second.ID)
	_, err = p.Approve(t.Context(), second.ID, -time.Hour, "ada")
	require.ErrorContains(t, err, "it must be valid for longer")
	_, err = p.Approval()
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestApproval_IsNotOfWhatAnotherProcessKeeps has a sync refused between the look at the
// record and the copy of its keys.
func TestApproval_IsNotOfWhatAnotherProcessKeeps(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	reviewed := p.refuse(t, one(10), "a")
	other := &place{Store: At(p.path), dir: p.dir, upload: p.upload}
	other.mu = &sync.Mutex{} // Another process has another.
	p.create = func(path string) (recordFile, error) {
		other.refuse(t, one(1), "a")
		return createRecord(path)
	}
	_, err := p.Approve(t.Context(), reviewed.ID, time.Hour, "ada")
	require.ErrorContains(t, err, "another sync was refused while "+reviewed.ID+" was approved")
	_, err = p.Approval()
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestApproval_Expires(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	kept := p.refuse(t, one(10), "a")
	_, err := p.Approve(t.Context(), kept.ID, time.Hour, "ada")
	require.NoError(t, err)
	of := p.compare(t, one(10), "a")
	for name, c := range map[string]struct {
		later time.Duration
		valid bool
	}{
		"at once":                  {0, true},
		"just in time":             {59 * time.Minute, true},
		"too late":                 {61 * time.Minute, false},
		"the clock was put back":   {-30 * time.Minute, true},
		"it is of another century": {-2 * time.Hour, false},
	} {
		p.now = func() time.Time { return time.Now().Add(c.later) }
		_, _, err := p.Covers(t.Context(), of, "a")
		_, known := p.Approval()
		if c.valid {
			require.NoError(t, err, name)
			require.NoError(t, known, name)
			continue
		}
		require.ErrorContains(t, err, "the approval of "+kept.ID+" expired at ", name)
		require.ErrorIs(t, known, os.ErrNotExist, name)
	}
}

func TestApproval_IsUsedOnceByPlugin(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]app{"a": {people: accounts(25)}, "b": {people: accounts(25)}})
	both := map[string]app{"a": {people: accounts(5)}, "b": {people: accounts(5)}}
	kept := p.refuse(t, both, "a")
	_, err := p.Approve(t.Context(), kept.ID, time.Hour, "ada")
	require.NoError(t, err)
	// a passes now, and b does not: to approve that leaves what was approved of a.
	second := p.refuse(t, both, "b")
	approval, err := p.Approve(t.Context(), second.ID, 2*time.Hour, "alan")
	require.NoError(t, err)
	require.Len(t, approval.Plugins, 2)
	require.Equal(t, []string{"ada", "alan"}, []string{approval.Of("a").By, approval.Of("b").By})
	for _, plugin := range []string{"a", "b"} {
		_, outside, err := p.Covers(t.Context(), p.compare(t, both, "a", "b"), plugin)
		require.NoError(t, err)
		require.Zero(t, outside)
	}
	used, err := p.Used(t.Context(), []string{"a", "c"})
	require.NoError(t, err)
	require.Equal(t, []Approved{*approval.Of("a")}, used)
	_, _, err = p.Covers(t.Context(), p.compare(t, both, "a"), "a")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, outside, err := p.Covers(t.Context(), p.compare(t, both, "b"), "b")
	require.NoError(t, err)
	require.Zero(t, outside)
	_, err = p.Refused()
	require.NoError(t, err, "b waits")
	used, err = p.Used(t.Context(), []string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, []Approved{*approval.Of("b")}, used)
	require.Equal(t, []string{"workforce.c1z"}, p.names(t))
	used, err = p.Used(t.Context(), []string{"a", "b"})
	require.NoError(t, err)
	require.Empty(t, used)
}

func TestAccept_ApprovesOnlyWhatWasRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]app{"a": {people: accounts(25)}, "b": {people: accounts(25)}})
	approved, err := p.Accept(t.Context(), []string{"a"}, ByFlag())
	require.NoError(t, err)
	require.Empty(t, approved)
	now := map[string]app{"a": {people: accounts(5)}, "b": {people: accounts(5)}}
	kept := p.refuse(t, now, "a", "b")
	approved, err = p.Accept(t.Context(), []string{"a", "c"}, ByFlag())
	require.NoError(t, err)
	require.Len(t, approved, 1)
	require.Equal(t, []any{"a", kept.ID, 20}, []any{approved[0].Plugin, approved[0].ID, approved[0].Keys})
	require.Contains(t, approved[0].By, "--accept-deletions")
	_, _, err = p.Covers(t.Context(), p.compare(t, now, "b"), "b")
	require.ErrorIs(t, err, os.ErrNotExist)
	approved, err = p.Accept(t.Context(), []string{"c"}, ByFlag())
	require.NoError(t, err)
	require.Empty(t, approved)
}

func TestApproval_IsOfOneUpload(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	other := &place{dir: p.dir, upload: "contractors", Store: At(filepath.Join(p.dir, "contractors.c1z"))}
	write(t, other.path, c1zstore.EnginePebble, one(25))
	kept := p.refuse(t, one(10), "a")
	_, err := p.Approve(t.Context(), kept.ID, time.Hour, "ada")
	require.NoError(t, err)
	_, _, err = other.Covers(t.Context(), other.compare(t, one(10), "a"), "a")
	require.ErrorIs(t, err, os.ErrNotExist)
	other.refuse(t, one(10), "a")
	other.Sweep()
	_, err = p.Refused()
	require.NoError(t, err)
	_, err = other.Used(t.Context(), []string{"a"})
	require.NoError(t, err)
	_, err = p.Approval()
	require.NoError(t, err)
	require.Equal(t, p.mu, At(p.path).mu, "one place has one lock")
}

// TestStore_ReportsWhatIsDamaged: each is a sentence, and approves nothing.
func TestStore_ReportsWhatIsDamaged(t *testing.T) {
	t.Parallel()
	change := func(path string, change func([]byte) []byte) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, change(content), 0o600)
	}
	newer := func(content []byte) []byte {
		return []byte(strings.Replace(string(content), `"version":1`, `"version":2`, 1))
	}
	flip := func(content []byte) []byte {
		content[len(content)-40] ^= 1
		return content
	}
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		says   string
		late   bool // It is found only where the keys are read.
	}{
		"cut short":       {func(content []byte) []byte { return content[:len(content)-1] }, "bytes, and says that it has", false},
		"empty":           {func([]byte) []byte { return nil }, "it has no header", false},
		"something else":  {func([]byte) []byte { return []byte("hello\n") }, "its header cannot be read", false},
		"another version": {func([]byte) []byte { return []byte("{\"version\":0}\n") }, "its header cannot be read", false},
		"no numbers":      {func([]byte) []byte { return []byte(`{"version":1,"keys":[{"keys":-9}]}` + "\n") }, "its header cannot be read", false},
		"another key":     {flip, "is damaged", true},
		"a newer version": {newer, "was written by a newer baton-host (its form is 2, and this one reads up to 1)", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, one(25))
			kept := p.refuse(t, one(10), "a")
			_, err := p.Approve(t.Context(), kept.ID, time.Hour, "ada")
			require.NoError(t, err)
			of := p.compare(t, one(10), "a")

			require.NoError(t, change(p.path+approvedRecord, c.damage))
			_, _, err = p.Covers(t.Context(), of, "a")
			require.ErrorContains(t, err, p.path+approvedRecord)
			require.ErrorContains(t, err, c.says)
			_, err = p.Approve(t.Context(), kept.ID, time.Hour, "ada")
			if name == "a newer version" {
				require.ErrorContains(t, err, c.says)
				require.NoError(t, os.Remove(p.path+approvedRecord))
			} else {
				require.NoError(t, err, "it is approved again")
			}

			require.NoError(t, change(p.path+refusedRecord, c.damage))
			_, err = p.Approve(t.Context(), kept.ID, time.Hour, "ada")
			require.ErrorContains(t, err, p.path+refusedRecord)
			require.ErrorContains(t, err, c.says)
			_, err = p.Refused()
			require.Equal(t, c.late, err == nil)
			p.Sweep()
			require.Contains(t, p.names(t), "workforce.c1z.refused-*", "what names it is not known")
			_, err = p.Keep(t.Context(), p.compare(t, one(9), "a"), []Reason{{"a", "too few"}})
			if name == "a newer version" {
				require.ErrorContains(t, err, c.says, "it is not lost")
				return
			}
			require.NoError(t, err, "another one takes its place")
		})
	}
}

func TestStore_OpensOnlyWhatItKept(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	p.refuse(t, one(10), "a")
	found, err := filepath.Glob(p.path + refusedFile + "*")
	require.NoError(t, err)
	require.Len(t, found, 1)
	write(t, p.path+"x", c1zstore.EnginePebble, one(24))
	require.NoError(t, os.Rename(p.path+"x", found[0]))
	_, err = p.Open(t.Context(), t.TempDir())
	require.ErrorContains(t, err, found[0]+" is damaged (its content is not what was kept): remove it")
	require.NoError(t, os.Remove(found[0]))
	_, err = p.Open(t.Context(), t.TempDir())
	require.ErrorContains(t, err, found[0]+" is damaged (")
}

// fullFile takes so many bytes, as a disk that is full soon.
type fullFile struct {
	recordFile
	left *int
}

func (f fullFile) Write(content []byte) (int, error) {
	if *f.left -= len(content); *f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return f.recordFile.Write(content)
}

func TestStore_LeavesNothingWhereTheDiskIsFull(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(2500))
	first := p.refuse(t, one(1000), "a")
	_, err := p.Approve(t.Context(), first.ID, time.Hour, "ada")
	require.NoError(t, err)
	before, of := p.names(t), p.compare(t, one(10), "a")
	full := func(left int) {
		p.create = func(path string) (recordFile, error) {
			file, err := createRecord(path)
			return fullFile{file, &left}, err
		}
	}
	for _, left := range []int{0, 100, 20_000} {
		full(left)
		_, err := p.Keep(t.Context(), of, []Reason{{"a", "too few"}})
		require.ErrorIs(t, err, syscall.ENOSPC)
		_, err = p.Approve(t.Context(), first.ID, time.Hour, "alan")
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Equal(t, before, p.names(t))
		kept, err := p.Refused()
		require.NoError(t, err)
		require.Equal(t, first.ID, kept.ID, "the earlier one stays")
		approval, err := p.Approval()
		require.NoError(t, err)
		require.Equal(t, "ada", approval.Of("a").By)
		// Nor does a copy, where the file system has no links.
		require.ErrorIs(t, p.copyFile(of.sync.Path, filepath.Join(p.dir, "workforce.c1z.refused-0123456789abcdef")), syscall.ENOSPC)
		p.Sweep()
		require.Equal(t, before, p.names(t))
	}
	p.create = func(string) (recordFile, error) { return nil, os.ErrPermission }
	_, err = p.Keep(t.Context(), of, []Reason{{"a", "too few"}})
	require.ErrorIs(t, err, os.ErrPermission)
	require.Equal(t, before, p.names(t))
}

// TestStore_LeavesNothingAfterACrash has what a run leaves that is killed between two writes.
func TestStore_LeavesNothingAfterACrash(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	kept := p.refuse(t, one(10), "a")
	before := p.names(t)
	p.create = func(path string) (recordFile, error) {
		file, err := createRecord(path)
		require.NoError(t, err)
		_, err = file.Write([]byte(`{"version":1,`))
		require.NoError(t, err)
		panic("killed") // After the file has its name, before its record has.
	}
	require.Panics(t, func() { _, _ = p.Keep(t.Context(), p.compare(t, one(9), "a"), []Reason{{"a", "too few"}}) })
	require.Greater(t, len(p.names(t)), len(before)+1)
	require.NoError(t, os.WriteFile(p.path+approvedRecord+unfinished, []byte(`{"version":1,`), 0o600))
	again := At(p.path)
	found, err := again.Refused()
	require.NoError(t, err)
	require.Equal(t, kept.ID, found.ID)
	again.Sweep()
	require.Equal(t, before, p.names(t))

	// And where the record itself is gone, so is what it named.
	require.NoError(t, os.Remove(p.path+refusedRecord))
	again.Sweep()
	require.Equal(t, []string{"workforce.c1z"}, p.names(t))
}

func TestStore_RemovesADamagedRecordInTheEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t, one(25))
	p.refuse(t, one(10), "a")
	require.NoError(t, os.WriteFile(p.path+refusedRecord, []byte("x"), 0o600))
	p.Sweep()
	require.Len(t, p.names(t), 3)
	p.now = func() time.Time { return time.Now().Add(keptFor + time.Hour) }
	p.Sweep()
	require.Equal(t, []string{"workforce.c1z"}, p.names(t))
}

func TestCreateRecord_DoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "x")
	require.NoError(t, os.WriteFile(precious, []byte("as it was"), 0o600))
	require.NoError(t, os.Symlink(precious, path+unfinished))
	require.NoError(t, writeRecord(path, &Approval{Version: recordVersion}, createRecord, func(io.Writer) error { return nil }))
	content, err := os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, "as it was", string(content))
	failed := writeRecord(path, &Approval{Version: recordVersion}, createRecord, func(io.Writer) error { return errors.New("no keys") })
	require.EqualError(t, failed, "no keys")
	require.NoFileExists(t, path+unfinished)
}
