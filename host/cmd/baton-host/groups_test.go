package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestSyncWritesGroupsAndWhoIsInThem: the grants of an aggregated sync are those
// the app was seeded with, and the members of nested groups are members too.
func TestSyncWritesGroupsAndWhoIsInThem(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "design-tool", Accounts: 60, Groups: 12, Seed: 2, PageCap: 7})
	config := writeConfig(t, `
plugins:
  design-tool: { app: scim, config: { scim-base-url: "`+app.url+`", scim-token: "${env:T}" } }
uploads:
  workforce: { plugins: [design-tool] }
`)
	out := t.TempDir()
	result := execute(t, []string{"T=" + app.token}, "baton-host", "sync", "--config", config, "--output-dir", out)
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `workforce +design-tool +60 +complete in`, result.stdout)

	var grants struct {
		Grants []struct {
			Entitlement struct {
				ID string `json:"id"`
			} `json:"entitlement"`
			Principal struct {
				ID struct {
					ResourceType string `json:"resourceType"`
					Resource     string `json:"resource"`
				} `json:"id"`
			} `json:"principal"`
		} `json:"grants"`
	}
	batonJSON(t, filepath.Join(out, "workforce.c1z"), &grants, "grants")
	got := map[string]bool{}
	for _, row := range grants.Grants {
		got[fmt.Sprintf("%s: %s/%s", row.Entitlement.ID, row.Principal.ID.ResourceType, row.Principal.ID.Resource)] = true
	}

	want := map[string]bool{}
	groups := map[string]scim.Group{}
	for _, group := range app.server.Groups() {
		groups[group.ID] = group
	}
	var grant func(to, of scim.Group)
	grant = func(to, of scim.Group) {
		for _, member := range of.Members {
			entitlement := "design-tool.group:" + to.ID + ":member"
			if member.Type == scim.UserMember {
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

// TestGroupsThatCannotBeReadFailTheSyncWithTheReasonAlone: groups are read by
// several workers, and those that stop because one failed have nothing to say.
func TestGroupsThatCannotBeReadFailTheSyncWithTheReasonAlone(t *testing.T) {
	t.Parallel()
	server, err := scim.New(scim.Options{App: "design-tool", Accounts: 20, Groups: 40, Seed: 2, Token: "tok"})
	require.NoError(t, err)
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/Groups/") {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(listener.Close)
	result := execute(t, []string{"BATON_SCIM_BASE_URL=" + listener.URL + server.BasePath(), "BATON_SCIM_TOKEN=tok"},
		"baton-host", "sync", "--plugin", "scim", "-f", "out.c1z")
	require.Equal(t, 1, result.status)
	require.Contains(t, result.stderr, "it does not serve SCIM groups there. If the app has none, switch \"Sync Groups\" (scim-groups) off")
	require.NotContains(t, result.stderr, "context canceled")
}
