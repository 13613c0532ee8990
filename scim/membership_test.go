package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	"github.com/batonhost/baton-host/scim"
)

// team is an app of users u1, u2, … and groups, in which each can be what a row of a table
// needs.
type team struct {
	users int
	// carried is the attribute groups of a user by number, as JSON; "" if the user has none.
	carried func(number int) string
	// groups are the members of each group as JSON; "" if the attribute is missing. Names are
	// their display names, where they are not their ids.
	groups map[string]string
	names  map[string]string
	// userName is what a user signs in with; nil for u1@x.org.
	userName func(number int) string
	filter   string
}

func (c team) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/Users") {
		users := &app{}
		for i := range c.users {
			users.ids = append(users.ids, fmt.Sprintf("u%d", i+1))
		}
		users.answer = func(_ listRequest, answer map[string]any) map[string]any {
			page, _ := answer["Resources"].([]any)
			for _, one := range page {
				user, _ := one.(map[string]any)
				number := 0
				_, _ = fmt.Sscanf(fmt.Sprint(user["id"]), "u%d", &number)
				user["userName"] = fmt.Sprintf("u%d@x.org", number)
				if c.userName != nil {
					user["userName"] = c.userName(number)
				}
				if c.carried != nil {
					if raw := c.carried(number); raw != "" {
						user["groups"] = json.RawMessage(raw)
					}
				}
			}
			return answer
		}
		sorting(users).ServeHTTP(w, r)
		return
	}
	groups := &groupApp{groups: map[string]string{}}
	for id, members := range c.groups {
		group := map[string]any{"id": id, "displayName": id}
		if name, named := c.names[id]; named {
			group["displayName"] = name
		}
		if members != "" {
			group["members"] = json.RawMessage(members)
		}
		raw, _ := json.Marshal(group)
		groups.groups[id] = string(raw)
	}
	groups.ServeHTTP(w, r)
}

// memberList is the members u1 to the last one as JSON.
func memberList(last int, others ...string) string {
	members := slices.Clone(others)
	for i := range last {
		members = append(members, fmt.Sprintf(`{"value":"u%d","type":"User"}`, i+1))
	}
	return "[" + strings.Join(members, ",") + "]"
}

// always gives every user the same groups.
func always(groups string) func(int) string { return func(int) string { return groups } }

// upTo gives the first users the same groups.
func upTo(last int, groups string) func(int) string {
	return func(number int) string {
		if number > last {
			return "[]"
		}
		return groups
	}
}

func (c team) connector(t *testing.T, url, scratch string) types.ConnectorServer {
	t.Helper()
	client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: url, Token: testToken, UserAgent: "baton-test/v1.2.3", Filter: c.filter, ScratchDir: scratch})
	require.NoError(t, err)
	connector, err := connectorbuilder.NewConnector(t.Context(),
		scim.NewConnector(scim.App{DisplayName: "Test", Description: "A test.", Groups: true}, client))
	require.NoError(t, err)
	return connector
}

// syncedTeam is what a sync has of the groups of an app.
type syncedTeam struct {
	// grants are "user/u1", "group/h", by group, sorted and each once.
	grants map[string][]string
	// grades are "proven", or the reasons why a group is not.
	grades map[string]string
	logged []string
}

// syncTeam reads an app as the SDK's syncer does. process is the connector that is called next.
func syncTeam(t *testing.T, sync string, listUsers bool, process func() types.ConnectorServer) syncedTeam {
	t.Helper()
	core, logged := observer.New(zap.WarnLevel)
	ctx := ctxzap.ToContext(t.Context(), zap.New(core))
	got := syncedTeam{grants: map[string][]string{}, grades: map[string]string{}}
	if listUsers {
		listType(ctx, t, "user", sync, process)
	}
	for _, group := range listType(ctx, t, "group", sync, process) {
		id := group.GetId().GetResource()
		got.grants[id] = []string{}
		for token, more := "", true; more; more = token != "" {
			answer, err := process().ListGrants(ctx, v2.GrantsServiceListGrantsRequest_builder{Resource: group, PageToken: token, ActiveSyncId: sync}.Build())
			require.NoError(t, err)
			for _, grant := range answer.GetList() {
				principal := grant.GetPrincipal().GetId()
				got.grants[id] = append(got.grants[id], principal.GetResourceType()+"/"+principal.GetResource())
			}
			token = answer.GetNextPageToken()
			evidence := &pluginv1.Evidence{}
			annos := annotations.Annotations(answer.GetAnnotations())
			found, err := annos.Pick(evidence)
			require.NoError(t, err)
			require.Equal(t, token == "", found)
			if found {
				got.grades[id] = "proven"
				if evidence.GetGrade() != pluginv1.EvidenceGrade_EVIDENCE_GRADE_PROVEN {
					got.grades[id] = evidence.GetReason()
					require.NotEmpty(t, evidence.GetReason())
				}
			}
		}
		slices.Sort(got.grants[id])
		got.grants[id] = slices.Compact(got.grants[id])
	}
	for _, entry := range logged.All() {
		got.logged = append(got.logged, fmt.Sprint(entry.Message, entry.ContextMap()))
	}
	return got
}

func listType(ctx context.Context, t *testing.T, resourceType, sync string, process func() types.ConnectorServer) []*v2.Resource {
	t.Helper()
	var all []*v2.Resource
	for token, more := "", true; more; more = token != "" {
		answer, err := process().ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: resourceType, PageToken: token, ActiveSyncId: sync}.Build())
		require.NoError(t, err)
		all, token = append(all, answer.GetList()...), answer.GetNextPageToken()
	}
	return all
}

func (c team) sync(t *testing.T) syncedTeam {
	t.Helper()
	return syncTeam(t, "sync-1", true, inOneProcess(c.connector(t, start(t, c), "")))
}

// grantedUsers are the grants of the users from one to another one.
func grantedUsers(from, to int, others ...string) []string {
	granted := append([]string{}, others...)
	for i := from; i <= to; i++ {
		granted = append(granted, fmt.Sprintf("user/u%d", i))
	}
	slices.Sort(granted)
	return granted
}

// TestMembership_UnitesMembersWithTheGroupsOfUsers: a group is granted to its members and to the users who
// carry it, and where they differ nothing proves that these are all.
func TestMembership_UnitesMembersWithTheGroupsOfUsers(t *testing.T) {
	t.Parallel()
	const differs = `the app lists 100 members of the group "g", and 250 users carry it in their own groups: 150 users carry it who are not among its members; all of them are granted`
	eleven := func(with string) string {
		groups := []string{}
		for i := range 9 {
			groups = append(groups, fmt.Sprintf(`{"value":"other-%d"}`, i))
		}
		return "[" + strings.Join(append(groups, with), ",") + "]"
	}
	for name, c := range map[string]struct {
		team
		want  []string
		grade string // of the group g
	}{
		"S11: members are cut at 100 of 250": {team{users: 250, carried: always(`[{"value":"g"}]`), groups: map[string]string{"g": memberList(100)}}, grantedUsers(1, 250), differs},
		"S11: members are cut, users have references": {
			team{users: 250, carried: always(`[{"$ref":"https://x.org/scim/v2/Groups/g"}]`), groups: map[string]string{"g": memberList(100)}},
			grantedUsers(1, 250), differs,
		},
		"S11: members are cut, users have both": {
			team{users: 250, carried: always(`[{"value":"g","$ref":"../Groups/g","display":"G","type":"direct"}]`), groups: map[string]string{"g": memberList(100)}},
			grantedUsers(1, 250), differs,
		},
		"S11: members are cut, users have names": {
			team{users: 250, carried: always(`[{"display":"All People"}]`), groups: map[string]string{"g": memberList(100)}, names: map[string]string{"g": "All people "}},
			grantedUsers(1, 250), strings.ReplaceAll(differs, `"g"`, `"All people" (g)`),
		},
		"S11: members are cut, users have names as values": {
			team{users: 250, carried: always(`["All"]`), groups: map[string]string{"g": memberList(100)}, names: map[string]string{"g": "All"}},
			grantedUsers(1, 250), strings.ReplaceAll(differs, `"g"`, `"All" (g)`),
		},
		"S11: members are cut, users have ids alone": {team{users: 250, carried: always(`["g"]`), groups: map[string]string{"g": memberList(100)}}, grantedUsers(1, 250), differs},
		"S11: members are cut, one group is no list": {team{users: 250, carried: always(`{"value":"g"}`), groups: map[string]string{"g": memberList(100)}}, grantedUsers(1, 250), differs},
		"S11: members are cut at no round size": {
			team{users: 25, carried: always(`["g"]`), groups: map[string]string{"g": memberList(7)}},
			grantedUsers(1, 25), "18 users carry it who are not among its members",
		},
		"S11: there are no members, users carry the group": {
			team{users: 25, carried: always(`["g"]`), groups: map[string]string{"g": ""}},
			grantedUsers(1, 25), "25 users carry it who are not among its members",
		},
		"S11: the groups of users are cut": {
			team{users: 25, carried: upTo(20, `["g"]`), groups: map[string]string{"g": memberList(25)}},
			grantedUsers(1, 25), `the app lists 25 members of the group "g", and 20 users carry it in their own groups: 5 of its members do not carry it; all of them are granted`,
		},
		"S11: both are cut at other users": {
			team{users: 30, carried: func(number int) string {
				if number <= 10 {
					return "[]"
				}
				return `["g"]`
			}, groups: map[string]string{"g": memberList(20)}},
			grantedUsers(1, 30), "10 users carry it who are not among its members, and 10 of its members do not carry it",
		},

		"S11: 100 members, and the same users carry the group": {team{users: 250, carried: upTo(100, `["g"]`), groups: map[string]string{"g": memberList(100)}}, grantedUsers(1, 100), "proven"},
		"S11: 100 members, and no user carries groups": {
			team{users: 237, groups: map[string]string{"g": memberList(100)}},
			grantedUsers(1, 100), `the group "g" ends at 100 members, a size at which apps cut lists, and users carry no groups that confirm them`,
		},
		"S11: 100 members, and all users carry no groups": {
			team{users: 237, carried: always(`[]`), groups: map[string]string{"g": memberList(100)}},
			grantedUsers(1, 100), "users carry no groups that confirm them",
		},
		"S11: 99 members, and no user carries groups": {team{users: 237, groups: map[string]string{"g": memberList(99)}}, grantedUsers(1, 99), "proven"},
		"S11: no member, others have some":            {team{users: 7, groups: map[string]string{"g": "[]", "h": memberList(7)}}, []string{}, "proven"},
		"S11: 20 members, others carry as many groups as are sent": {
			team{users: 30, carried: func(number int) string {
				if number <= 20 {
					return `["g"]`
				}
				return eleven(`{"value":"other-9"}`)
			}, groups: map[string]string{"g": memberList(20)}},
			grantedUsers(1, 20), "and 10 users may carry it whose own groups do not show it",
		},

		"S11: through another group, declared": {
			team{
				users: 9, carried: upTo(5, `[{"value":"h","type":"direct"},{"value":"g","type":"indirect"}]`),
				groups: map[string]string{"g": `[{"value":"h","type":"Group"}]`, "h": memberList(5)},
			},
			[]string{"group/h"},
			"proven",
		},
		"S11: through another group, not declared": {
			team{
				users: 9, carried: upTo(5, `[{"value":"h"},{"value":"g"}]`),
				groups: map[string]string{"g": `[{"value":"h","type":"Group"}]`, "h": memberList(5)},
			},
			[]string{"group/h"},
			"proven",
		},
		"S11: directly, and through another group": {
			team{
				users: 9, carried: upTo(5, `[{"value":"h"},{"value":"g","type":"direct"}]`),
				groups: map[string]string{"g": `[{"value":"h","type":"Group"}]`, "h": memberList(5)},
			},
			grantedUsers(1, 5, "group/h"), "5 users carry it who are not among its members",
		},
		"S11: through another group, of a round size": {
			team{
				users: 19, carried: upTo(15, `[{"value":"h"},{"value":"g"}]`),
				groups: map[string]string{"g": memberList(9, `{"value":"h","type":"Group"}`), "h": memberList(15)},
			},
			grantedUsers(1, 9, "group/h"), "6 users may carry it whose own groups do not show it",
		},
		"S11: indirectly, although no group is a member": {
			team{users: 9, carried: upTo(5, `[{"value":"g","type":"indirect"}]`), groups: map[string]string{"g": memberList(5)}},
			grantedUsers(1, 5), "proven",
		},
		"S11: a name that two groups have": {
			team{users: 9, carried: always(`[{"display":"All"}]`), groups: map[string]string{"g": memberList(5), "h": "[]"}, names: map[string]string{"g": "All", "h": "ALL"}},
			grantedUsers(1, 5), "by a name that other groups have too",
		},
		"S11: a name beside the id of a group that went away": {
			team{users: 9, carried: always(`[{"value":"gone","display":"All"},{"value":"h"}]`), groups: map[string]string{"g": memberList(0), "h": memberList(9)}, names: map[string]string{"g": "All"}},
			[]string{},
			"proven",
		},
		"S11: what users carry is a role": {
			team{users: 9, carried: always(`[{"value":"g","$ref":"../Roles/g"}]`), groups: map[string]string{"g": memberList(3)}},
			grantedUsers(1, 3), "proven",
		},
		"S11: a filter leaves users out": {
			team{users: 9, filter: `active eq true`, carried: always(`["g"]`), groups: map[string]string{"g": memberList(20)}},
			grantedUsers(1, 9), "proven",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.sync(t)
			require.Equal(t, c.want, got.grants["g"])
			if c.grade == "proven" {
				require.Equal(t, c.grade, got.grades["g"])
				return
			}
			require.Contains(t, got.grades["g"], c.grade)
			require.Contains(t, strings.Join(got.logged, "\n"), c.grade, "it is logged")
		})
	}
}

// TestMembership_OfOtherProcesses: a connector that was restarted knows the users that were listed where it
// can note them; otherwise the members alone count, and that is said.
func TestMembership_OfOtherProcesses(t *testing.T) {
	t.Parallel()
	cut := team{users: 2500, carried: always(`[{"value":"g","type":"direct"}]`), groups: map[string]string{"g": memberList(100), "h": memberList(2), "i": memberList(0)}}
	for name, c := range map[string]struct {
		scratch   bool
		listUsers bool
		want      int
		grade     string
	}{
		"S11: in another process for each call":                   {true, true, 2500, "2400 users carry it who are not among its members"},
		"S11: in another process for each call, notes are lost":   {false, true, 100, "the members alone count"},
		"S11: users are not listed before the members of a group": {true, false, 100, "the users were not listed before the members"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, scratch := start(t, cut), ""
			if c.scratch {
				scratch = t.TempDir()
			}
			got := syncTeam(t, "sync-1", c.listUsers, func() types.ConnectorServer { return cut.connector(t, url, scratch) })
			require.Len(t, got.grants["g"], c.want)
			require.Contains(t, got.grades["g"], c.grade)
			require.Len(t, slices.Sorted(maps.Keys(got.grades)), 3)
			if !c.listUsers || !c.scratch {
				require.Contains(t, got.grades["h"], "the members alone count")
			}
		})
	}
	t.Run("S11: the users of another sync do not count", func(t *testing.T) {
		t.Parallel()
		connector := cut.connector(t, start(t, cut), t.TempDir())
		require.Len(t, syncTeam(t, "sync-1", true, inOneProcess(connector)).grants["g"], 2500)
		got := syncTeam(t, "sync-2", false, inOneProcess(connector))
		require.Len(t, got.grants["g"], 100)
		require.Contains(t, got.grades["g"], "the members alone count")
	})
}

// TestMembership_WarnsOfMembersThatAreNobody: what the members of a group do not show, or show in another way, is
// a warning with numbers, and no grant without an account.
func TestMembership_WarnsOfMembersThatAreNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		team
		want   []string
		grade  string
		logged string // "" for nothing
	}{
		"S12: no group has members": {
			team{users: 9, groups: map[string]string{"g": "[]", "h": "[]", "i": ""}},
			[]string{},
			"proven", "no group of the list has membersmap[groups:3]",
		},
		"S12: a member that is no listed account": {
			team{users: 9, groups: map[string]string{"g": memberList(3, `{"value":"gone","type":"User"}`)}},
			grantedUsers(1, 3), `1 of the 4 members of the group "g" are not listed accounts, so they are granted nothing`,
			"members of a group that are not listed accounts; they are left outmap[group:g members:1 of:4]",
		},
		"S12: members without a type that are no listed accounts": {
			team{users: 9, groups: map[string]string{"g": memberList(3, `"gone"`, `{"value":"u3"}`, `{"$ref":"../Users/u77"}`)}},
			grantedUsers(1, 3), "2 of the 6 members", "they are left outmap[group:g members:2 of:6]",
		},
		"S12: a group as member that is not listed": {
			team{users: 9, groups: map[string]string{"g": memberList(3, `{"value":"gone","type":"Group"}`)}},
			grantedUsers(1, 3), "1 of the 4 members of the group \"g\" are groups that are not listed", "groups which are not listed",
		},
		"S12: members by their user names": {
			team{users: 9, groups: map[string]string{"g": `[{"value":"u1@x.org","type":"User"},{"value":"U2@X.org"},"u3@x.org"]`}},
			grantedUsers(1, 3), "proven", "",
		},
		"S12: members by their user names, the reference has the id": {
			team{users: 9, groups: map[string]string{"g": `[{"value":"u1@x.org","$ref":"../Users/u1"},{"value":"ann","type":"User","$ref":"https://x.org/v2/Users/u2"}]`}},
			grantedUsers(1, 2), "proven", "",
		},
		"S12: members by their user names, the reference is to another user": {
			team{users: 9, groups: map[string]string{"g": `[{"value":"u1@x.org","$ref":"../Users/u2"}]`}},
			[]string{},
			"1 of the 1 members", "members:1 of:1",
		},
		"S12: a group by its name, the reference has the id": {
			team{users: 9, groups: map[string]string{"g": `[{"value":"Few","$ref":"../Groups/h"}]`, "h": memberList(1)}, names: map[string]string{"h": "Few"}},
			[]string{"group/h"},
			"proven", "",
		},
		"S12: a group by its name": {
			team{users: 9, groups: map[string]string{"g": `["Few"]`, "h": memberList(1)}, names: map[string]string{"h": "Few"}},
			[]string{},
			"1 of the 1 members", "members:1 of:1",
		},
		"S12: a user name that two users have": {
			team{users: 9, groups: map[string]string{"g": `["ann","U4"]`}, userName: func(number int) string {
				return []string{"", "ann", "Ann", "u3", "u4", "u5", "u6", "u7", "u8", "u9"}[number]
			}},
			grantedUsers(4, 4), "1 of the 2 members", "members:1 of:2",
		},
		"S12: a user name that is another user's id": {
			team{users: 9, groups: map[string]string{"g": `["u2"]`}, userName: func(number int) string { return fmt.Sprintf("u%d", number%9+1) }},
			grantedUsers(2, 2), "proven", "",
		},
		"S12: a user name that is a group's id": {
			team{users: 9, groups: map[string]string{"g": `[{"value":"h","type":"User"}]`, "h": memberList(1)}, userName: func(int) string { return "h" }},
			[]string{},
			"1 of the 1 members", "members:1 of:1",
		},
		"S12: a user name that is a group's name, too": {
			team{users: 9, groups: map[string]string{"g": `["u1@x.org"]`, "h": memberList(1)}, names: map[string]string{"h": "U1@x.org"}},
			[]string{},
			"1 of the 1 members", "members:1 of:1",
		},
		"S12: a user name, and a filter that keeps others from being listed": {
			team{users: 9, filter: "active eq true", groups: map[string]string{"g": `["u1@x.org","u2"]`}},
			grantedUsers(2, 2), "proven", "",
		},
		"S12: users carry groups of which none is listed": {
			team{users: 9, carried: always(`["00g1","00g2"]`), groups: map[string]string{"g": memberList(9)}},
			grantedUsers(1, 9), "proven", "users carry groups that the list of groups does not have; they are left outmap[groups:2]",
		},
		"S12: users carry a group that is not listed": {
			team{users: 9, carried: always(`["g","hidden"]`), groups: map[string]string{"g": memberList(9)}},
			grantedUsers(1, 9), "proven", "users carry groups that the list of groups does not have; they are left outmap[groups:1]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.sync(t)
			require.Equal(t, c.want, got.grants["g"])
			require.Contains(t, got.grades["g"], c.grade)
			if c.logged == "" {
				require.Empty(t, got.logged)
			} else {
				require.Contains(t, strings.Join(got.logged, "\n"), c.logged)
			}
		})
	}
	t.Run("S12: no group has members, and the sync shows it", func(t *testing.T) {
		t.Parallel()
		got := team{users: 9, groups: map[string]string{"g": "[]", "h": "[]"}}.sync(t)
		require.Equal(t, map[string]string{"g": "proven", "h": "no group of the list has members (2 groups), so the app may not show them"}, got.grades)
	})
	t.Run("S12: one group has members", func(t *testing.T) {
		t.Parallel()
		got := team{users: 9, groups: map[string]string{"g": "[]", "h": memberList(1), "i": "[]"}}.sync(t)
		require.Equal(t, map[string]string{"g": "proven", "h": "proven", "i": "proven"}, got.grades)
		require.Empty(t, got.logged)
	})
}
