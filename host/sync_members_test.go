package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
)

// memberApp serves 26 users and two groups over SCIM: "all" with so many members, "few" with three.
type memberApp struct {
	members int
	// carry means that all users carry the group "all", and its members "few".
	carry bool
	// refuses is the status for the members of "all", 0 for none.
	refuses int
	// others are further members of "few".
	others []string
}

func (a memberApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	member := func(id string) map[string]any { return map[string]any{"value": id, "type": "User"} }
	group := func(id string) map[string]any {
		members, count := []any{}, min(a.members, 3)
		if id == "all" {
			count = a.members
		}
		for i := range count {
			members = append(members, member(fmt.Sprintf("u%02d", i)))
		}
		for _, other := range a.others {
			if id == "few" {
				members = append(members, member(other))
			}
		}
		return map[string]any{"id": id, "displayName": "The " + id, "members": members}
	}
	if id, single := strings.CutPrefix(r.URL.Path, "/Groups/"); single {
		if id == "all" && a.refuses > 0 {
			w.WriteHeader(a.refuses)
			return
		}
		_ = json.NewEncoder(w).Encode(group(id))
		return
	}
	list := []any{group("all"), group("few")}
	if r.URL.Path == "/Users" {
		list = nil
		for i := range 26 {
			user := map[string]any{"id": fmt.Sprintf("u%02d", i), "userName": fmt.Sprintf("u%02d@x.org", i), "active": true}
			if a.carry {
				carried := []any{map[string]any{"value": "all", "display": "The all"}}
				if i < 3 {
					carried = append(carried, "few")
				}
				user["groups"] = carried
			}
			list = append(list, user)
		}
	}
	start, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
	start = min(max(start, 1), len(list)+1)
	_ = json.NewEncoder(w).Encode(map[string]any{"totalResults": len(list), "startIndex": start, "Resources": list[start-1:]})
}

// TestSyncReportsGroupsThatMayLackMembers: what is wrong with the members of one group leaves accounts and
// other groups complete, and is shown.
func TestSyncReportsGroupsThatMayLackMembers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app      memberApp
		all, few int // grants
		skipped  map[string]int
		warning  string // "" for none
	}{
		"S11: members are cut": {
			app: memberApp{members: 20, carry: true}, all: 26, few: 3, skipped: map[string]int{},
			warning: `plugin "crm": nothing proves that its list of grants of type "crm.group" is complete: the app lists 20 members of the group "The all" (all), and 26 users carry it in their own groups: 6 users carry it who are not among its members; all of them are granted`,
		},
		"S11: members are all who carry the group": {app: memberApp{members: 26, carry: true}, all: 26, few: 3, skipped: map[string]int{}},
		"S12: no group has members": {
			app: memberApp{}, skipped: map[string]int{},
			warning: "no group of the list has members (2 groups), so the app may not show them",
		},
		"S12: a member who is no listed account": {
			app: memberApp{members: 26, others: []string{"gone"}}, all: 26, few: 3, skipped: map[string]int{},
			warning: `1 of the 4 members of the group "The few" (few) are not listed accounts, so they are granted nothing`,
		},
		"R9: one group is too large": {
			app: memberApp{members: 26, refuses: http.StatusRequestEntityTooLarge}, few: 3, skipped: map[string]int{"crm": 1},
			warning: `for example the grants of "all" of type "crm.group"`,
		},
		"R9: one group is too large, and users carry it": {
			app: memberApp{members: 26, refuses: http.StatusRequestEntityTooLarge, carry: true}, all: 26, few: 3, skipped: map[string]int{},
			warning: "are more than can be read, so it is granted to the 26 users who carry it in their own groups",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.app)
			t.Cleanup(server.Close)
			entry := (&app{url: server.URL, token: "tok-members", groups: true}).entry("crm")
			config, dir := configuration(t, []string{entry}, "workforce: { plugins: [crm] }"), t.TempDir()
			results, err := oneShot(t, config, dir, host.Options{})
			require.NoError(t, err)
			require.Equal(t, map[string]int{"crm": 26}, results[0].Accounts)
			require.Equal(t, c.skipped, results[0].Skipped)
			if c.warning == "" {
				require.Empty(t, results[0].Warnings)
			} else {
				require.Contains(t, strings.Join(results[0].Warnings, "\n"), c.warning)
			}
			grants := map[string]int{}
			for grant := range grantsIn(t, filepath.Join(dir, "workforce.c1z")) {
				grants[strings.Split(grant, ":")[1]]++
			}
			require.Equal(t, c.all, grants["all"])
			require.Equal(t, c.few, grants["few"])
		})
	}
}
