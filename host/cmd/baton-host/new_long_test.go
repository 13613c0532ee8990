//go:build long

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// payroll returns an app with the small API that a new connector reads.
func payroll(t *testing.T, token string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.URL.Path != "/api/users" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer := map[string]any{"items": []map[string]any{{"id": "1", "name": "Ada", "email": "ada@example.com", "active": true}}, "next": "more"}
		if r.URL.Query().Get("cursor") == "more" {
			answer = map[string]any{"items": []map[string]any{{"id": "2", "name": "Alan", "email": "alan@example.com"}}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api"
}

// TestLongNew_WritesAConnectorThatWorksAsItIs writes both kinds of connector outside the
// repository, builds and tests them as in their README, and has the host use
// them.
func TestLongNew_WritesAConnectorThatWorksAsItIs(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs("../../..")
	require.NoError(t, err)
	service := startApp(t, scim.Options{App: "design-tool", Accounts: 30, Seed: 1})
	for name, c := range map[string]struct {
		app  string
		args []string
		env  []string
		want int
	}{
		"over HTTP": {"payroll", nil, []string{"BATON_BASE_URL=" + payroll(t, "canary-61f2"), "BATON_API_TOKEN=canary-61f2"}, 2},
		"over SCIM": {"design-tool", []string{"--scim", "--module", "github.com/acme/design"}, []string{"BATON_SCIM_BASE_URL=" + service.url, "BATON_SCIM_TOKEN=" + service.token}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t)
			output := a.does(t, "", nil, "baton-host", append([]string{"new", c.app, "--host-source", repository}, c.args...)...)
			module := "baton-" + c.app
			require.Contains(t, output, "cd "+module+"\n")
			a.does(t, module, nil, "make", "test")
			a.does(t, module, nil, "make", "build")
			require.Empty(t, a.does(t, module, nil, "gofmt", "-l", "."))
			generated := filepath.Join(a.dir, module, "config", "conf.gen.go")
			before, err := os.ReadFile(generated)
			require.NoError(t, err)
			a.does(t, module, nil, "make", "generate")
			after, err := os.ReadFile(generated)
			require.NoError(t, err)
			require.Equal(t, string(before), string(after))

			var manifest struct {
				Name         string
				Capabilities struct {
					ResourceTypes []struct{ Accounts bool } `json:"resource_types"`
				}
				Configuration struct{ Fields []struct{ Secret bool } }
			}
			described := a.does(t, module, nil, "baton-host", "inspect", c.app, "--plugin-dir", "bin", "--output", "json")
			require.NoError(t, json.Unmarshal([]byte(described), &manifest))
			require.Equal(t, module, manifest.Name)
			require.True(t, manifest.Capabilities.ResourceTypes[0].Accounts)
			require.True(t, manifest.Configuration.Fields[1].Secret)

			require.Contains(t, a.does(t, module, c.env, "make", "run"), "complete")
			var accounts []shownAccount
			listed := a.does(t, module, nil, "baton-host", "accounts", c.app+".c1z", "--output", "json")
			require.NoError(t, json.Unmarshal([]byte(listed), &accounts))
			require.Len(t, accounts, c.want)
		})
	}
}
