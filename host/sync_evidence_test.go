package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
)

// roundApp serves users over SCIM, a page of at most 50.
type roundApp struct {
	url   string
	users atomic.Int64
	sorts bool // on request; else in the order of its list
}

func startRoundApp(t *testing.T, users int64, sorts bool) *roundApp {
	t.Helper()
	a := &roundApp{sorts: sorts}
	a.users.Store(users)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// entry returns the app's plugin in a configuration, with more lines of its entry.
func (a *roundApp) entry(name string, more ...string) string {
	return (&app{url: a.url, token: "tok-" + name}).entry(name, more...)
}

func (a *roundApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	total, query := int(a.users.Load()), r.URL.Query()
	users := make([]map[string]any, 0, total)
	for i := range total {
		id := fmt.Sprintf("u%04d", i)
		users = append(users, map[string]any{"id": id, "userName": id + "@example.com", "active": true})
	}
	if a.sorts && query.Get("sortOrder") == "descending" {
		slices.Reverse(users)
	}
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(query.Get(name)); err == nil {
			return n
		}
		return otherwise
	}
	start := max(number("startIndex", 1), 1)
	first := min(start-1, total)
	page := users[first:min(first+min(number("count", 50), 50), total)]
	w.Header().Set("Content-Type", "application/scim+json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
		"totalResults": total, "startIndex": start, "itemsPerPage": len(page), "Resources": page,
	})
}

// TestSyncReportsEvidence of an app whose list ends at a size at which apps cut lists: it is
// proven where the app sorts it.
func TestSyncReportsEvidence(t *testing.T) {
	t.Parallel()
	const reason = "the list ends at 100 users"
	required := []string{"require-evidence: proven"}
	for name, c := range map[string]struct {
		users    int64
		sorts    bool
		more     []string
		evidence string
		refused  string
	}{
		"S1: a round list is unproven":       {users: 100, evidence: "unproven"},
		"a round list that is sorted":        {users: 100, sorts: true, evidence: "proven"},
		"a list of another size":             {users: 101, evidence: "proven"},
		"required, and unproven":             {users: 100, more: required, refused: `plugin "round": listing resources of type "user": nothing proves that the list is complete (the list ends at 100 users`},
		"required, and sorted":               {users: 100, sorts: true, more: required, evidence: "proven"},
		"required, and a list of other size": {users: 101, more: required, evidence: "proven"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startRoundApp(t, c.users, c.sorts)
			config, dir := configuration(t, []string{a.entry("round", c.more...)}, "workforce: { plugins: [round] }"), t.TempDir()
			results, err := oneShot(t, config, dir, host.Options{})
			if c.refused != "" {
				requireSentence(t, err, c.refused, "or leave require-evidence out")
				require.Nil(t, results[0].Evidence)
				require.NoFileExists(t, filepath.Join(dir, "workforce.c1z"))
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]int{"round": int(c.users)}, results[0].Accounts)
			require.Equal(t, c.evidence, results[0].Evidence["round"].Grade)
			if c.evidence == "proven" {
				require.Empty(t, results[0].Warnings)
				require.Empty(t, results[0].Evidence["round"].Reason)
				return
			}
			require.Contains(t, results[0].Evidence["round"].Reason, reason)
			require.Equal(t, []string{`plugin "round": nothing proves that its list of type "round.user" is complete: ` + results[0].Evidence["round"].Reason}, results[0].Warnings)
		})
	}

	t.Run("G4: required, and unproven: the baseline alone is used", func(t *testing.T) {
		t.Parallel()
		round, other := startRoundApp(t, 101, false), startRoundApp(t, 7, false)
		config, dir := configuration(t, []string{round.entry("round", required...), other.entry("steady")}, "workforce: { plugins: [round, steady], on-plugin-failure: last-good }"), t.TempDir()
		_, err := oneShot(t, config, dir, host.Options{})
		require.NoError(t, err)
		want := accountsIn(t, filepath.Join(dir, "workforce.c1z"))
		require.Len(t, want, 108)
		round.users.Store(200)
		results, err := oneShot(t, config, dir, host.Options{})
		require.NoError(t, err)
		require.Len(t, results[0].Stale, 1)
		require.Equal(t, want, accountsIn(t, filepath.Join(dir, "workforce.c1z")))
		require.Equal(t, map[string]host.Evidence{"round": {Grade: "proven"}, "steady": {Grade: "proven"}}, results[0].Evidence, "of the baseline")
	})
}
