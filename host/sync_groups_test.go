package host_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// grantsIn returns the grants of a sync file, as entitlement and principal.
func grantsIn(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := syncfile.Open(t.Context(), path, t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close(t.Context())) }()
	grants := map[string]bool{}
	require.NoError(t, file.EachGrant(t.Context(), func(one syncfile.Grant) error {
		grants[one.Entitlement+": "+one.Principal.GetResourceType()+"/"+one.Principal.GetResource()] = true
		return nil
	}))
	return grants
}

// TestSyncWritesGroupsAndTheirMembers: the grants of an aggregated sync are those the app
// was seeded with, and the members of nested groups are members too.
func TestSyncWritesGroupsAndTheirMembers(t *testing.T) {
	t.Parallel()
	app := startApp(t, scimsandbox.Options{App: "design-tool", Accounts: 60, Groups: 12, Seed: 2, PageCap: 7})
	config, dir := configuration(t, []string{app.entry("design-tool")}, "workforce: { plugins: [design-tool] }"), t.TempDir()
	results, err := oneShot(t, config, dir, host.Options{})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"design-tool": 60}, results[0].Accounts)

	got := grantsIn(t, filepath.Join(dir, "workforce.c1z"))

	want := map[string]bool{}
	groups := map[string]scimsandbox.Group{}
	for _, group := range app.server.Groups() {
		groups[group.ID] = group
	}
	var grant func(to, of scimsandbox.Group)
	grant = func(to, of scimsandbox.Group) {
		for _, member := range of.Members {
			entitlement := "design-tool.group:" + to.ID + ":member"
			if member.Type == scimsandbox.UserMember {
				want[entitlement+": design-tool.user/"+member.ID] = true
				continue
			}
			if to.ID == of.ID {
				want[entitlement+": design-tool.group/"+member.ID] = true
			}
			grant(to, groups[member.ID])
		}
	}
	for _, group := range groups {
		grant(group, group)
	}
	require.Greater(t, len(want), 100)
	require.Equal(t, want, got)
}

// TestSyncWritesRolesAndWhoHasThem: the roles of an aggregated sync, their entitlements
// and grants are those the app was seeded with; without scim-roles there are none.
func TestSyncWritesRolesAndWhoHasThem(t *testing.T) {
	t.Parallel()
	app := startApp(t, scimsandbox.Options{App: "design-tool", Accounts: 1500, Seed: 2, PageCap: 90})
	for name, roles := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entry, want := app.entry("design-tool"), map[string]bool{}
			if roles {
				entry = strings.Replace(entry, "scim-groups:", "scim-roles: true, scim-groups:", 1)
				for _, account := range app.server.Accounts() {
					for _, role := range account.Roles {
						want["design-tool.role:"+role+":assigned: design-tool.user/"+account.ID] = true
					}
				}
				require.Greater(t, len(want), 1000)
			}
			config, dir := configuration(t, []string{entry}, "workforce: { plugins: [design-tool] }"), t.TempDir()
			results, err := oneShot(t, config, dir, host.Options{})
			require.NoError(t, err)
			require.Equal(t, map[string]int{"design-tool": 1500}, results[0].Accounts)

			got := grantsIn(t, filepath.Join(dir, "workforce.c1z"))
			require.Equal(t, want, got)
		})
	}
}

// TestSyncReportsGroupsThatCannotBeRead: groups are read by several workers, and those
// that stop because one failed have nothing to report.
func TestSyncReportsGroupsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	server, err := scimsandbox.New(scimsandbox.Options{App: "design-tool", Accounts: 20, Groups: 40, Seed: 2, Token: "tok"})
	require.NoError(t, err)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/Groups/") {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	broken := &app{url: listener.URL + server.BasePath(), token: "tok", groups: true, server: server}
	config := configuration(t, []string{broken.entry("design-tool")}, "workforce: { plugins: [design-tool] }")
	_, err = oneShot(t, config, t.TempDir(), host.Options{})
	requireSentence(t, err, `answered 405 Method Not Allowed to GET /scim/v2/Groups/g-`)
	require.NotContains(t, err.Error(), "context canceled")
}
