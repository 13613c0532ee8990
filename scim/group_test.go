package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/scim"
)

// groupApp is an app with groups: their JSON by id, listed in the order of the
// ids.
type groupApp struct {
	groups map[string]string
	// list and single change what is answered, if not nil.
	list   func(w http.ResponseWriter, r *http.Request) (answered bool)
	single func(w http.ResponseWriter, r *http.Request) (answered bool)

	mu    sync.Mutex
	asked []string
}

// change changes the app between two requests.
func (a *groupApp) change(how func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	how()
}

func (a *groupApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.RequestURI())
	id, one := strings.CutPrefix(r.URL.Path, "/Groups/")
	switch {
	case one:
		if a.single != nil && a.single(w, r) {
			return
		}
		if group, found := a.groups[id]; found {
			fmt.Fprint(w, group)
			return
		}
		http.NotFound(w, r)
	case r.URL.Path == "/Groups":
		if a.list != nil && a.list(w, r) {
			return
		}
		ids := make([]string, 0, len(a.groups))
		for id := range a.groups {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		served := &app{ids: ids, answer: func(_ listRequest, answer map[string]any) map[string]any {
			page, _ := answer["Resources"].([]any)
			for i := range page {
				user, _ := page[i].(map[string]any)
				id, _ := user["id"].(string)
				page[i] = json.RawMessage(a.groups[id])
			}
			return answer
		}}
		served.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// groupConnector is a connector that reads groups.
func groupConnector(t *testing.T, baseURL string) types.ConnectorServer {
	t.Helper()
	client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: baseURL, Token: testToken, UserAgent: "baton-test/v1.2.3"})
	require.NoError(t, err)
	connector, err := connectorbuilder.NewConnector(t.Context(),
		scim.NewConnector(scim.App{DisplayName: "Test", Description: "A test.", Groups: true}, client))
	require.NoError(t, err)
	return connector
}

func listGroups(t *testing.T, connector types.ConnectorServer) ([]*v2.Resource, error) {
	t.Helper()
	var all []*v2.Resource
	for token := ""; ; {
		answer, err := connector.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "group", PageToken: token}.Build())
		if err != nil {
			return all, err
		}
		all = append(all, answer.GetList()...)
		if token = answer.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func groupID(id string) *v2.Resource {
	return v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "group", Resource: id}.Build(), DisplayName: "Shown"}.Build()
}

func membersOnce(t *testing.T, connector types.ConnectorServer, id, token string) ([]*v2.Grant, string, error) {
	t.Helper()
	answer, err := connector.ListGrants(t.Context(), v2.GrantsServiceListGrantsRequest_builder{Resource: groupID(id), PageToken: token}.Build())
	return answer.GetList(), answer.GetNextPageToken(), err
}

// listMembers are the members of a group as "type/id", in order; groups have a
// plus sign if their members are members too.
func listMembers(t *testing.T, connector types.ConnectorServer, id string) ([]string, error) {
	t.Helper()
	members := []string{}
	for token := ""; ; {
		grants, next, err := membersOnce(t, connector, id, token)
		if err != nil {
			return members, err
		}
		for _, grant := range grants {
			require.Equal(t, "group:"+id+":member", grant.GetEntitlement().GetId())
			member := grant.GetPrincipal().GetId().GetResourceType() + "/" + grant.GetPrincipal().GetId().GetResource()
			expandable := &v2.GrantExpandable{}
			annos := annotations.Annotations(grant.GetAnnotations())
			found, err := annos.Pick(expandable)
			require.NoError(t, err)
			if found {
				require.Equal(t, []string{"group:" + grant.GetPrincipal().GetId().GetResource() + ":member"}, expandable.GetEntitlementIds())
				require.Equal(t, []string{"user"}, expandable.GetResourceTypeIds())
				member += "+"
			}
			members = append(members, member)
		}
		if token = next; token == "" {
			return members, nil
		}
	}
}

// TestGroups: groups are listed as users are, without their members.
func TestGroups(t *testing.T) {
	t.Parallel()

	t.Run("a page at a time", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{}}
		want := []string{}
		for i := range 1234 {
			id := fmt.Sprintf("g-%04d", i)
			a.groups[id] = fmt.Sprintf(`{"id":%q,"displayName":"Group %d"}`, id, i)
			want = append(want, id)
		}
		groups, err := listGroups(t, groupConnector(t, start(t, a)))
		require.NoError(t, err)
		got := []string{}
		for _, group := range groups {
			got = append(got, group.GetId().GetResource())
		}
		require.Equal(t, want, got)
		for _, asked := range a.asked {
			require.Contains(t, asked, "excludedAttributes=members")
		}
	})

	t.Run("attributes", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{
			"1": `{"id":"1","displayName":" Everyone ","externalId":"e1","meta":{"resourceType":"Group","created":"2025-03-25T16:17:00Z"}}`,
			"2": `{"id":2,"externalId":"e2","displayName":null}`,
			"3": `{"id":"3"}`,
		}}
		groups, err := listGroups(t, groupConnector(t, start(t, a)))
		require.NoError(t, err)
		require.Len(t, groups, 3)
		require.Equal(t, "Everyone", groups[0].GetDisplayName())
		require.Equal(t, map[string]any{"scim_id": "1", "display_name": " Everyone ", "external_id": "e1"}, groups[0].GetProfile().AsMap())
		require.Equal(t, int64(1742919420), groups[0].GetCreatedAt().GetSeconds())
		require.Equal(t, "e2", groups[1].GetDisplayName())
		require.Equal(t, "2", groups[1].GetId().GetResource())
		require.Equal(t, "3", groups[2].GetDisplayName())
	})

	for _, httpStatus := range []int{http.StatusBadRequest, http.StatusNotImplemented} {
		t.Run(fmt.Sprintf("U18 leaving members out is refused with %d", httpStatus), func(t *testing.T) {
			t.Parallel()
			a := &groupApp{groups: map[string]string{"1": `{"id":"1"}`, "2": `{"id":"2"}`}}
			a.list = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("excludedAttributes") {
					w.WriteHeader(httpStatus)
					return true
				}
				return false
			}
			groups, err := listGroups(t, groupConnector(t, start(t, a)))
			require.NoError(t, err)
			require.Len(t, groups, 2)
		})
	}

	t.Run("U16 users among the groups are left out", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{"1": `{"id":"1"}`, "2": `{"id":"2","userName":"ann","meta":{"resourceType":"User"}}`}}
		groups, err := listGroups(t, groupConnector(t, start(t, a)))
		require.NoError(t, err)
		require.Len(t, groups, 1)
	})

	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter)
		code    codes.Code
		message string
	}{
		"H5 there are none": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, codes.FailedPrecondition, `there are no SCIM groups below http://127.0.0.1`},
		"H5 what to do":     {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotImplemented) }, codes.Unimplemented, `If the app has none, switch "Sync Groups" (scim-groups) off`},
		"H5 not allowed":    {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, codes.PermissionDenied, "the token may not list groups"},
		"U1 without an id": {
			func(w http.ResponseWriter) {
				fmt.Fprint(w, `{"totalResults":1,"Resources":[{"displayName":"Everyone"}]}`)
			},
			codes.DataLoss, `lists a group that has no id (number 1 on its page, displayName "Everyone")`,
		},
		"P9 empty below the total": {
			func(w http.ResponseWriter) { fmt.Fprint(w, `{"totalResults":5,"Resources":[]}`) },
			codes.DataLoss, "reports 5 groups but lists none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &groupApp{list: func(w http.ResponseWriter, _ *http.Request) bool { c.answer(w); return true }}
			_, err := listGroups(t, groupConnector(t, start(t, a)))
			st := requireFailure(t, err)
			require.Equal(t, c.code, st.Code())
			require.Contains(t, st.Message(), c.message)
		})
	}
}

// TestGroupEntitlement: every group has the one entitlement to be a member.
func TestGroupEntitlement(t *testing.T) {
	t.Parallel()
	connector := groupConnector(t, start(t, &groupApp{}))
	answer, err := connector.ListStaticEntitlements(t.Context(), v2.EntitlementsServiceListStaticEntitlementsRequest_builder{ResourceTypeId: "group"}.Build())
	require.NoError(t, err)
	require.Len(t, answer.GetList(), 1)
	require.Equal(t, "member", answer.GetList()[0].GetSlug())
	require.Len(t, answer.GetList()[0].GetGrantableTo(), 2)

	listed, err := connector.ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
	require.NoError(t, err)
	traits := map[string][]v2.ResourceType_Trait{}
	for _, listedType := range listed.GetList() {
		traits[listedType.GetId()] = listedType.GetTraits()
	}
	require.Equal(t, map[string][]v2.ResourceType_Trait{"user": {v2.ResourceType_TRAIT_USER}, "group": {v2.ResourceType_TRAIT_GROUP}}, traits)
}

// TestMembers: members come in every form that servers send them.
func TestMembers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members string
		want    []string
	}{
		"with types":                    {`[{"value":"a","type":"User"},{"value":"h","type":"group"}]`, []string{"user/a", "group/h+"}},
		"with references":               {`[{"value":"a","$ref":"https://x/scim/v2/Users/a"},{"value":"h","$ref":"../Groups/h"}]`, []string{"user/a", "group/h+"}},
		"a reference alone":             {`[{"$ref":"https://x/scim/v2/Users/a%2Fb/"}]`, []string{"user/a/b"}},
		"ids alone":                     {`["a", 7, "h"]`, []string{"user/a", "user/7", "group/h+"}},
		"values alone":                  {`[{"value":"a"},{"value":"h","display":"H"}]`, []string{"user/a", "group/h+"}},
		"a type that is none":           {`[{"value":"a","type":"direct","$ref":"https://x/Users/a"},{"value":"h","type":"direct","$ref":"https://x/Groups/h"}]`, []string{"user/a", "group/h+"}},
		"a type of the app's own":       {`[{"value":"a","type":"Person"},{"value":"h","type":"Team"}]`, []string{"user/a", "group/h+"}},
		"one object":                    {`{"value":"a","type":"User"}`, []string{"user/a"}},
		"one id":                        {`"a"`, []string{"user/a"}},
		"null":                          {`null`, []string{}},
		"none":                          {`[]`, []string{}},
		"the group itself":              {`[{"value":"g","type":"Group"},{"value":"a","type":"User"}]`, []string{"user/a"}},
		"odd members beside the id":     {`[{"value":"a","type":"User","display":{"x":1},"$ref":null}]`, []string{"user/a"}},
		"in capitals":                   {`[{"Value":"a","TYPE":"USER"}]`, []string{"user/a"}},
		"a member that is not a user's": {`[{"value":"nobody","type":"User"}]`, []string{"user/nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &groupApp{groups: map[string]string{"g": `{"id":"g","members":` + c.members + `}`, "h": `{"id":"h"}`}}
			got, err := listMembers(t, groupConnector(t, start(t, a)), "g")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}

	for name, body := range map[string]string{
		"a member has no id":         `{"id":"g","members":[{"value":"a"},{"display":"Ann"}]}`,
		"a member is null":           `{"id":"g","members":[{"value":"a"},null]}`,
		"a member's id is unclear":   `{"id":"g","members":[{"value":"a"},{"value":"\ud800"}]}`,
		"another group":              `{"id":"h","members":[{"value":"a"}]}`,
		"no group":                   `{"members":[{"value":"a"}]}`,
		"members twice":              `{"id":"g","members":[{"value":"a"}],"Members":[{"value":"b"}]}`,
		"members in parts, a total":  `{"id":"g","totalResults":3,"members":[{"value":"a"}]}`,
		"members in parts, a cursor": `{"id":"g","nextCursor":"x","members":[{"value":"a"}]}`,
		"malformed":                  `{"id":"g","members":[{"value":"a"}`,
		"an error":                   `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500"}`,
		"a web page":                 `<html></html>`,
		"a list where one was asked": `{"Resources":[{"id":"g"}],"totalResults":1}`,
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			t.Parallel()
			_, err := listMembers(t, groupConnector(t, start(t, &groupApp{groups: map[string]string{"g": body}})), "g")
			requireFailure(t, err)
		})
	}

	t.Run("an id of a group and of a user", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{"g": `{"id":"g","members":["1","2"]}`, "1": `{"id":"1"}`, "2": `{"id":"2"}`}}
		got, err := listMembers(t, groupConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/Users/1" {
				fmt.Fprint(w, `{"id":"1","userName":"ann"}`)
				return
			}
			a.ServeHTTP(w, r)
		}))), "g")
		require.NoError(t, err)
		require.Equal(t, []string{"user/1", "group/2+"}, got)

		_, err = listMembers(t, groupConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/Users/1" {
				fmt.Fprint(w, `{"totalResults":1,"Resources":[{"id":"1"}]}`)
				return
			}
			a.ServeHTTP(w, r)
		}))), "g")
		require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())
	})

	t.Run("sent only if they are asked for", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{"g": `{"id":"g"}`}}
		a.single = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("attributes") == "members" {
				fmt.Fprint(w, `{"id":"g","members":[{"value":"a","type":"User"}]}`)
				return true
			}
			return false
		}
		got, err := listMembers(t, groupConnector(t, start(t, a)), "g")
		require.NoError(t, err)
		require.Equal(t, []string{"user/a"}, got)
	})

	t.Run("an id with a slash and a space", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{"a/b c": `{"id":"a/b c","members":["u"]}`}}
		got, err := listMembers(t, groupConnector(t, start(t, a)), "a/b c")
		require.NoError(t, err)
		require.Equal(t, []string{"user/u"}, got)
		require.Equal(t, "/Groups/a%2Fb%20c", a.asked[0])
	})

	t.Run("an id that would lead elsewhere", func(t *testing.T) {
		t.Parallel()
		_, err := listMembers(t, groupConnector(t, start(t, &groupApp{})), "..")
		require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())
	})
}

// TestGroupGone: a group that went away since it was listed has no members; but
// one that is listed and cannot be read does not look empty.
func TestGroupGone(t *testing.T) {
	t.Parallel()
	a := &groupApp{groups: map[string]string{"g": `{"id":"g"}`, "h": `{"id":"h"}`}}
	connector := groupConnector(t, start(t, a))
	_, err := listGroups(t, connector)
	require.NoError(t, err)
	a.change(func() { delete(a.groups, "g") })
	got, err := listMembers(t, connector, "g")
	require.NoError(t, err)
	require.Empty(t, got)

	a.change(func() {
		a.single = func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }
	})
	_, err = listMembers(t, connector, "h")
	st := requireFailure(t, err)
	require.Equal(t, codes.FailedPrecondition, st.Code())
	require.Contains(t, st.Message(), `lists the group "h" but answers 404 when it is asked for by its id`)
}

// TestMembersInParts: the members of a large group come in parts, and a restart
// or a change in between loses none.
func TestMembersInParts(t *testing.T) {
	t.Parallel()
	large := func(from, to int) string {
		members := []string{}
		for i := from; i < to; i++ {
			members = append(members, fmt.Sprintf(`{"value":"u%d","type":"User"}`, i))
		}
		return `{"id":"g","members":[` + strings.Join(members, ",") + `]}`
	}
	for name, between := range map[string]func(t *testing.T, a *groupApp, baseURL string, connector types.ConnectorServer) types.ConnectorServer{
		"in one process": func(_ *testing.T, _ *groupApp, _ string, connector types.ConnectorServer) types.ConnectorServer {
			return connector
		},
		"in another process": func(t *testing.T, _ *groupApp, baseURL string, _ types.ConnectorServer) types.ConnectorServer {
			return groupConnector(t, baseURL)
		},
		"in another process, after a change": func(t *testing.T, a *groupApp, baseURL string, _ types.ConnectorServer) types.ConnectorServer {
			a.change(func() { a.groups["g"] = large(5, 2500) })
			return groupConnector(t, baseURL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &groupApp{groups: map[string]string{"g": large(0, 2500)}}
			baseURL := start(t, a)
			connector := groupConnector(t, baseURL)
			got := map[string]bool{}
			parts := 0
			for token, more := "", true; more; more = token != "" {
				grants, next, err := membersOnce(t, connector, "g", token)
				require.NoError(t, err)
				require.LessOrEqual(t, len(grants), 1000)
				for _, grant := range grants {
					got[grant.GetPrincipal().GetId().GetResource()] = true
				}
				if parts++; parts == 1 {
					connector = between(t, a, baseURL, connector)
				}
				token = next
			}
			require.GreaterOrEqual(t, parts, 3)
			for i := 5; i < 2500; i++ {
				require.True(t, got[fmt.Sprintf("u%d", i)], "u%d", i)
			}
		})
	}
	t.Run("a sync that was given up leaves nothing to the next", func(t *testing.T) {
		t.Parallel()
		a := &groupApp{groups: map[string]string{"g": large(0, 1500)}}
		connector := groupConnector(t, start(t, a))
		_, next, err := membersOnce(t, connector, "g", "")
		require.NoError(t, err)
		require.NotEmpty(t, next)
		a.change(func() { a.groups["g"] = large(0, 1501) })
		got, err := listMembers(t, connector, "g")
		require.NoError(t, err)
		require.Len(t, got, 1501)
	})
	t.Run("a page token of something else", func(t *testing.T) {
		t.Parallel()
		_, _, err := membersOnce(t, groupConnector(t, start(t, &groupApp{})), "g", `{"v":1}`)
		require.Equal(t, codes.InvalidArgument, requireFailure(t, err).Code())
	})
}
