package main_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutput_IsSafeFromNamesThatPeopleGiveThemselves(t *testing.T) {
	t.Parallel()
	names := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "red\x1b[31m", "back\u202ewards", "eight\u009b31mbits", "O'Brien"}
	users := make([]map[string]any, 0, len(names))
	for i, name := range names {
		users = append(users, map[string]any{"id": string(rune('a' + i)), "userName": "u" + string(rune('a'+i)), "displayName": name, "active": true})
	}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/scim+json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
			"totalResults": len(users), "startIndex": 1, "itemsPerPage": len(users), "Resources": users,
		})
	}))
	t.Cleanup(service.Close)
	file := filepath.Join(t.TempDir(), "x.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + service.URL, "BATON_SCIM_TOKEN=x"}
	result := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", file)
	require.Equal(t, 0, result.status, result.stderr)

	exact := map[string]string{}
	for _, account := range accountsIn(t, file) {
		exact[account.ID] = account.DisplayName
	}
	require.Len(t, exact, len(names))
	records, err := csv.NewReader(strings.NewReader(execute(t, nil, "baton-host", "accounts", file, "-o", "csv").stdout)).ReadAll()
	require.NoError(t, err)
	formulas := 0
	for _, record := range records[1:] {
		name := exact[record[2]]
		if name != "" && strings.ContainsAny(name[:1], "=+-@\t\r") {
			name = "'" + name
			formulas++
		}
		require.Equal(t, name, record[4])
	}
	require.GreaterOrEqual(t, formulas, 4, "the reader leaves them as they are")

	table := execute(t, nil, "baton-host", "accounts", file).stdout
	require.NotContains(t, table, "\x1b")
	require.NotContains(t, table, "\u202e")
	require.Contains(t, table, `back\u202ewards`)
	require.Contains(t, table, "O'Brien")

	document := execute(t, nil, "baton-host", "accounts", file, "-o", "json").stdout
	for _, obeyed := range []string{"\x1b", "\u009b", "\u202e"} {
		require.NotContains(t, document, obeyed)
	}
	var listed []struct {
		ID   string `json:"id"`
		Name string `json:"display_name"`
	}
	require.NoError(t, json.Unmarshal([]byte(document), &listed))
	require.Len(t, listed, len(names))
	for _, one := range listed {
		require.Equal(t, exact[one.ID], one.Name, "the text is the same")
	}
}
