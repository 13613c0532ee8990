package workspace_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/workspace"
)

type answer struct {
	status int
	Items  []struct{ ID, Key string }
	Next   string
	Error  string
}

func get(t *testing.T, server *workspace.Server, path string) answer {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer token")
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	got := answer{status: recorder.Code}
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &got))
	return got
}

// TestServer_ClosesTheCursorOfAnotherListing shows that who reads two listings at a time
// can end one of them only.
func TestServer_ClosesTheCursorOfAnotherListing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between string // is read between the first page and the second
		cursors bool
		status  int
	}{
		"one listing":         {"", true, http.StatusOK},
		"a user":              {"/v1/users/u001", true, http.StatusOK},
		"another listing":     {"/v1/groups/everyone/members?limit=5", true, http.StatusBadRequest},
		"a listing of a page": {"/v1/roles", true, http.StatusBadRequest},
		"the same listing":    {"/v1/users?limit=5", true, http.StatusBadRequest},
		"without cursors":     {"/v1/users?limit=5", false, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := workspace.New(workspace.Options{Token: "token", Cursors: c.cursors})
			page := get(t, server, "/v1/users?limit=50")
			require.Len(t, page.Items, 50)
			if c.between != "" {
				require.Equal(t, http.StatusOK, get(t, server, c.between).status)
			}
			page = get(t, server, "/v1/users?limit=50&page="+page.Next)
			require.Equal(t, c.status, page.status, page.Error)
			if c.status == http.StatusOK {
				require.Len(t, page.Items, 10)
				require.Equal(t, "u051", page.Items[0].ID)
			}
		})
	}
}
