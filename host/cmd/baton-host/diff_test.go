package main_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// twoSyncs returns sync files of an app before and after somebody was hired, left, was
// disabled, got another address, and came into a group.
func twoSyncs(t *testing.T) (before, after string) {
	t.Helper()
	app := startApp(t, scim.Options{App: "design-tool", Accounts: 12, Groups: 4, Seed: 2})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	dir := t.TempDir()
	before, after = filepath.Join(dir, "old.c1z"), filepath.Join(dir, "new.c1z")
	sync := func(file string) {
		result := execute(t, env, "baton-host", "sync", "--plugin", "scim", "-f", file)
		require.Equal(t, 0, result.status, result.stderr)
	}
	people := app.server.Accounts()
	changed := people[0]
	changed.ID, changed.UserName, changed.DisplayName, changed.Emails, changed.Active, changed.Roles = "changed", "ada", "Ada", []string{"ada@example.com"}, true, []string{"Admin"}
	require.NoError(t, app.server.Add(changed))
	sync(before)
	require.NoError(t, app.server.Remove(people[1].ID))
	require.NoError(t, app.server.Add(scim.Account{ID: "hired", UserName: "new@example.com", DisplayName: "=New()", Active: true}))
	changed.Active, changed.Emails, changed.Roles = false, []string{"lovelace@example.com"}, []string{"Guest"}
	require.NoError(t, app.server.Update(changed))
	group := app.server.Groups()[1]
	group.Members = append(group.Members, scim.Member{ID: "changed", Type: scim.UserMember})
	require.NoError(t, app.server.UpdateGroup(group))
	sync(after)
	return before, after
}

func TestDiff_ShowsWhoCameWentAndChanged(t *testing.T) {
	t.Parallel()
	before, after := twoSyncs(t)

	table := execute(t, nil, "baton-host", "diff", before, after)
	require.Equal(t, 0, table.status, table.stderr)
	require.Empty(t, table.stderr)
	require.Regexp(t, `(?m)^CHANGE +APP +LOGIN +NAME +WHAT$`, table.stdout)
	require.Regexp(t, `(?m)^added +scim +new@example.com +=New\(\)$`, table.stdout)
	require.Regexp(t, `(?m)^changed +scim +ada +Ada +status: enabled → disabled; e-mail: ada@example.com → lovelace@example.com; roles: Admin → Guest; \+group Nobody: member$`, table.stdout)
	require.Regexp(t, `(?m)^removed +scim +`, table.stdout)
	require.Contains(t, table.stdout, "\nscim.user: 1 added, 1 removed, 1 changed, 11 the same\n")

	var all struct {
		Differences []struct {
			Change  string
			Account shownAccount
			Fields  []struct{ Field, Old, New string }
		}
		Counts []map[string]any
		Old    map[string]any
	}
	encoded := execute(t, nil, "baton-host", "diff", before, after, "--output", "json")
	require.NoError(t, json.Unmarshal([]byte(encoded.stdout), &all))
	require.Len(t, all.Differences, 3)
	require.Equal(t, before, all.Old["file"])
	require.Equal(t, true, all.Old["full"])
	require.InDelta(t, 11, all.Counts[0]["same"], 0)

	records, err := csv.NewReader(strings.NewReader(execute(t, nil, "baton-host", "diff", before, after, "--output", "csv").stdout)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"change", "app", "resource_type", "id", "login", "display_name", "field", "old", "new"}, records[0])
	require.Contains(t, records, []string{"added", "scim", "scim.user", "hired", "new@example.com", "'=New()", "", "", ""})
	require.Contains(t, records, []string{"changed", "scim", "scim.user", "changed", "ada", "Ada", "status", "enabled", "disabled"})
	require.Contains(t, records, []string{"changed", "scim", "scim.user", "changed", "ada", "Ada", "role", "", "group Nobody: member"})
	require.Len(t, records, 7)
}

func TestDiff_ExitStatus(t *testing.T) {
	t.Parallel()
	before, after := twoSyncs(t)
	none := filepath.Join(t.TempDir(), "none.c1z")
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"differences":            {[]string{before, after}, 0},
		"none":                   {[]string{before, before}, 0},
		"something wrong":        {[]string{before, none}, 1},
		"differences, asked":     {[]string{before, after, "--exit-code"}, 1},
		"none, asked":            {[]string{before, before, "--exit-code"}, 0},
		"something wrong, too":   {[]string{before, none, "--exit-code"}, 2},
		"a mistake, asked":       {[]string{before, "--exit-code"}, 2},
		"another form, asked":    {[]string{before, after, "--exit-code", "-o", "json"}, 1},
		"an unknown form, too":   {[]string{before, after, "--exit-code", "-o", "xml"}, 2},
		"an unknown flag, asked": {[]string{before, after, "--exit-code", "--frobnicate"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, nil, "baton-host", append([]string{"diff"}, c.args...)...)
			require.Equal(t, c.want, result.status, result.stderr)
			if c.want < 2 && !strings.Contains(name, "wrong") {
				require.Empty(t, result.stderr)
			}
		})
	}
	same := execute(t, nil, "baton-host", "diff", before, before)
	require.Equal(t, "scim.user: 0 added, 0 removed, 0 changed, 13 the same\n", same.stdout)
	var empty struct{ Differences []any }
	require.NoError(t, json.Unmarshal([]byte(execute(t, nil, "baton-host", "diff", before, before, "-o", "json").stdout), &empty))
	require.NotNil(t, empty.Differences)
	require.Equal(t, "change,app,resource_type,id,login,display_name,field,old,new\n", execute(t, nil, "baton-host", "diff", before, before, "-o", "csv").stdout)
}

func TestDiffOfWhatCannotBeCompared(t *testing.T) {
	t.Parallel()
	before, _ := twoSyncs(t)
	other := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	dir := t.TempDir()
	another := filepath.Join(dir, "another.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + other.url, "BATON_SCIM_TOKEN=" + other.token}
	require.Equal(t, 0, execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", another).status)
	garbage := filepath.Join(dir, "garbage.c1z")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("garbage", 1000)), 0o600))
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"different apps": {[]string{before, another}, []string{"(scim.user)", "(fullstory.user)", "no type of accounts in common"}},
		"no such file":   {[]string{before, filepath.Join(dir, "none.c1z")}, []string{"there is no file", "none.c1z"}},
		"no sync file":   {[]string{garbage, before}, []string{"garbage.c1z", "sync file"}},
		"a directory":    {[]string{before, dir}, []string{dir, "no sync file"}},
		"one file":       {[]string{before}, []string{"OLD.c1z NEW.c1z", "only one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, nil, "baton-host", append([]string{"diff"}, c.args...)...)
			requireSentence(t, result, c.want)
			require.Empty(t, result.stdout)
		})
	}
}
