package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/sandbox/raced"
	"github.com/batonhost/baton-host/scim"
	"github.com/batonhost/baton-host/scim/config"
)

// roleApp is an app of so many users, whose roles are JSON by their number, from 0.
func roleApp(users int, roles func(number int) string) *app {
	a := newApp(users)
	a.answer = func(_ listRequest, answer map[string]any) map[string]any {
		listed, _ := answer["Resources"].([]any)
		for _, one := range listed {
			user, _ := one.(map[string]any)
			id, _ := user["id"].(string)
			number, _ := strconv.Atoi(strings.TrimPrefix(id, "id-"))
			if raw := roles(number - 1); raw != "" {
				user["roles"] = json.RawMessage(raw)
			}
		}
		return answer
	}
	return a
}

// threeRoles gives every user one of three roles, and every tenth another one, and every
// seventh none.
func threeRoles(number int) string {
	switch {
	case number%7 == 0:
		return ""
	case number%10 == 0:
		return fmt.Sprintf(`[{"value":"role-%d","display":"Role %d"},{"value":"extra"}]`, number%3, number%3)
	}
	return fmt.Sprintf(`[{"value":"role-%d","display":"Role %d"}]`, number%3, number%3)
}

// wantThree are the grants of threeRoles, as grantsOf has them.
func wantThree(users int) []string {
	var want []string
	for number := range users {
		id := fmt.Sprintf("id-%04d", number+1)
		if number%7 == 0 {
			continue
		}
		want = append(want, fmt.Sprintf("role-%d to %s", number%3, id))
		if number%10 == 0 {
			want = append(want, "extra to "+id)
		}
	}
	slices.Sort(want)
	return want
}

// roleConnector is a new process of a connector that reads roles.
func roleConnector(t *testing.T, options scim.Options) types.ConnectorServer {
	t.Helper()
	options.Token, options.UserAgent = testToken, "baton-test/v1.2.3"
	client, err := scim.NewClient(t.Context(), options)
	require.NoError(t, err)
	connector, err := connectorbuilder.NewConnector(t.Context(),
		scim.NewConnector(scim.App{DisplayName: "Test", Description: "A test.", Roles: true}, client))
	require.NoError(t, err)
	return connector
}

// inOneProcess has all calls go to one process.
func inOneProcess(connector types.ConnectorServer) func() types.ConnectorServer {
	return func() types.ConnectorServer { return connector }
}

// listRoles lists the roles in a sync, by their ids. Each page is asked of the process
// that there is then.
func listRoles(t *testing.T, process func() types.ConnectorServer, sync string) (map[string]*v2.Resource, error) {
	t.Helper()
	roles := map[string]*v2.Resource{}
	for token := ""; ; {
		answer, err := process().ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{
			ResourceTypeId: "role", PageToken: token, ActiveSyncId: sync,
		}.Build())
		if err != nil {
			return roles, err
		}
		require.Less(t, proto.Size(answer), 4<<20)
		for _, role := range answer.GetList() {
			require.Equal(t, "role", role.GetId().GetResourceType())
			roles[role.GetId().GetResource()] = role
		}
		if token = answer.GetNextPageToken(); token == "" {
			return roles, nil
		}
	}
}

// names are the names of roles, by their ids.
func names(roles map[string]*v2.Resource) map[string]string {
	shown := map[string]string{}
	for id, role := range roles {
		shown[id] = role.GetDisplayName()
	}
	return shown
}

// grantsOf lists the grants of all roles in a sync as "role to user", sorted, each once;
// and how many pages brought roles along.
func grantsOf(t *testing.T, process func() types.ConnectorServer, sync string) (grants []string, inserting int, err error) {
	t.Helper()
	stub := v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "role", Resource: "role"}.Build()}.Build()
	found := map[string]bool{}
	for token := ""; ; {
		answer, err := process().ListGrants(t.Context(), v2.GrantsServiceListGrantsRequest_builder{
			Resource: stub, PageToken: token, ActiveSyncId: sync, Annotations: annotations.New(&v2.TypeScopedGrants{}),
		}.Build())
		if err != nil {
			return nil, 0, err
		}
		require.Less(t, proto.Size(answer), 4<<20)
		annos := annotations.Annotations(answer.GetAnnotations())
		if annos.Contains(&v2.InsertResourceGrants{}) {
			inserting++
		}
		for _, grant := range answer.GetList() {
			role, user := grant.GetEntitlement().GetResource(), grant.GetPrincipal().GetId()
			require.Equal(t, "role:"+role.GetId().GetResource()+":assigned", grant.GetEntitlement().GetId())
			require.Equal(t, grant.GetEntitlement().GetId()+":user:"+user.GetResource(), grant.GetId())
			require.Equal(t, "user", user.GetResourceType())
			of := annotations.Annotations(role.GetAnnotations())
			require.True(t, of.Contains(&v2.RoleTrait{}), "a role that is inserted must be whole")
			found[role.GetId().GetResource()+" to "+user.GetResource()] = true
		}
		if token = answer.GetNextPageToken(); token == "" {
			return slices.Sorted(maps.Keys(found)), inserting, nil
		}
	}
}

func TestRoles_AreOffByDefault(t *testing.T) {
	t.Parallel()
	typesOf := func(builder connectorbuilder.ConnectorBuilderV2) []string {
		connector, err := connectorbuilder.NewConnector(t.Context(), builder)
		require.NoError(t, err)
		answer, err := connector.ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
		require.NoError(t, err)
		var ids []string
		for _, one := range answer.GetList() {
			ids = append(ids, one.GetId())
		}
		slices.Sort(ids)
		return ids
	}
	configured := func(roles bool) connectorbuilder.ConnectorBuilderV2 {
		builder, _, err := scim.New("v1.2.3")(t.Context(), &config.Scim{
			ScimBaseUrl: "https://app.example.com/scim/v2", ScimToken: testToken, ScimGroups: true, ScimRoles: roles,
		}, nil)
		require.NoError(t, err)
		return builder
	}
	require.Equal(t, []string{"group", "user"}, typesOf(scim.Describe()))
	require.Equal(t, []string{"group", "user"}, typesOf(configured(false)))
	require.Equal(t, []string{"group", "role", "user"}, typesOf(configured(true)))

	connector := roleConnector(t, scim.Options{BaseURL: "https://app.example.com"})
	answer, err := connector.ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
	require.NoError(t, err)
	for _, one := range answer.GetList() {
		if one.GetId() == "role" {
			require.Equal(t, []v2.ResourceType_Trait{v2.ResourceType_TRAIT_ROLE}, one.GetTraits())
		}
	}
	static, err := connector.ListStaticEntitlements(t.Context(), v2.EntitlementsServiceListStaticEntitlementsRequest_builder{ResourceTypeId: "role"}.Build())
	require.NoError(t, err)
	require.Len(t, static.GetList(), 1)
	require.Equal(t, "assigned", static.GetList()[0].GetSlug())
	require.Equal(t, "user", static.GetList()[0].GetGrantableTo()[0].GetId())
}

// TestRoles_InAnyForm: the roles of one user, as servers send them.
func TestRoles_InAnyForm(t *testing.T) {
	t.Parallel()
	const core = `"urn:ietf:params:scim:schemas:core:2.0:User"`
	for name, c := range map[string]struct {
		attributes string
		roles      map[string]string // names by id
	}{
		"a list of objects":           {`"roles":[{"value":"admin","display":"Admin","type":"x","primary":true},{"value":"editor"}]`, map[string]string{"admin": "Admin", "editor": "editor"}},
		"a list of texts":             {`"roles":["admin","editor"]`, map[string]string{"admin": "admin", "editor": "editor"}},
		"objects, texts and numbers":  {`"roles":[{"value":7},"admin",8.50]`, map[string]string{"7": "7", "admin": "admin", "8.50": "8.50"}},
		"one object":                  {`"roles":{"value":"admin","display":"Admin"}`, map[string]string{"admin": "Admin"}},
		"one text":                    {`"roles":"admin"`, map[string]string{"admin": "admin"}},
		"primary as a text":           {`"roles":[{"primary":"True","type":"WindowsAzureActiveDirectoryRole","value":"admin"}]`, map[string]string{"admin": "admin"}},
		"a value that is JSON":        {`"roles":[{"primary":"True","value":"{\"id\":\"18d1\",\"value\":\"admin\",\"displayName\":\"Admin\"}"}]`, map[string]string{"admin": "Admin"}},
		"a text that is JSON":         {`"roles":["{\"id\":\"18d1\",\"displayName\":\"Admin\"}"]`, map[string]string{"18d1": "Admin"}},
		"a value that looks like it":  {`"roles":["{admin}"]`, map[string]string{"{admin}": "{admin}"}},
		"a name only":                 {`"roles":[{"display":"Admin"}]`, map[string]string{"Admin": "Admin"}},
		"a name that cannot be read":  {`"roles":[{"value":"admin","display":["Admin"]}]`, map[string]string{"admin": "admin"}},
		"a type that is odd":          {`"roles":[{"value":"admin","type":7,"primary":"x"}]`, map[string]string{"admin": "admin"}},
		"none":                        {`"title":"x"`, map[string]string{}},
		"null":                        {`"roles":null`, map[string]string{}},
		"an empty list":               {`"roles":[]`, map[string]string{}},
		"an empty object":             {`"roles":{}`, map[string]string{}},
		"an empty text":               {`"roles":""`, map[string]string{}},
		"empty values":                {`"roles":["",{"value":" "},{},null,{"value":null,"display":""},{"type":"x","primary":true},{"value":[]},"admin"]`, map[string]string{"admin": "admin"}},
		"twice":                       {`"roles":["admin",{"value":"admin","display":"Admin"},{"value":"admin","display":"Boss"}]`, map[string]string{"admin": "Admin"}},
		"of two types":                {`"roles":[{"value":"admin","type":"a"},{"value":"admin","type":"b"}]`, map[string]string{"admin": "admin"}},
		"in another case":             {`"roles":["admin","Admin"]`, map[string]string{"admin": "admin", "Admin": "Admin"}},
		"white space around":          {`"roles":[" admin\n",{"value":"admin","display":" Admin "}]`, map[string]string{"admin": "Admin"}},
		"white space inside":          {`"roles":["billing admin"]`, map[string]string{"billing admin": "billing admin"}},
		"colons and the like":         {`"roles":["urn:x:role/a b:c"]`, map[string]string{"urn:x:role/a b:c": "urn:x:role/a b:c"}},
		"a name with a bell":          {`"roles":[{"value":"admin","display":"Ad\u0007min"}]`, map[string]string{"admin": "Ad\uFFFDmin"}},
		"a name with U+FFFD":          {`"roles":[{"value":"admin","display":"Ad\uFFFDmin"}]`, map[string]string{"admin": "Ad\uFFFDmin"}},
		"the attribute twice":         {`"roles":["admin"],"roles":["editor"]`, map[string]string{"admin": "admin", "editor": "editor"}},
		"the attribute in two cases":  {`"roles":["admin"],"Roles":[{"value":"editor"}]`, map[string]string{"admin": "admin", "editor": "editor"}},
		"the attribute twice, empty":  {`"roles":["admin"],"roles":null`, map[string]string{"admin": "admin"}},
		"under the URN":               {core + `:{"roles":["admin"]}`, map[string]string{"admin": "admin"}},
		"by its full name":            {`"urn:ietf:params:scim:schemas:core:2.0:User:roles":[{"value":"admin"}]`, map[string]string{"admin": "admin"}},
		"under the URN, and beside":   {`"roles":[],` + core + `:{"roles":["admin"]}`, map[string]string{"admin": "admin"}},
		"in an extension":             {`"urn:x:2.0:User":{"role":"admin","roles":[{"value":"editor","display":"Editor"}]}`, map[string]string{"admin": "admin", "editor": "Editor"}},
		"in an extension, and beside": {`"roles":["admin"],"urn:x:2.0:User":{"role":{"value":"admin","display":"Admin"}}`, map[string]string{"admin": "Admin"}},
		"no role in an extension":     {`"roles":["admin"],"urn:x:2.0:User":{"role":true}`, map[string]string{"admin": "admin"}},
		"as long as an id may be":     {`"roles":["` + strings.Repeat("r", 1024) + `"]`, map[string]string{strings.Repeat("r", 1024): strings.Repeat("r", 1024)}},
		"a long name":                 {`"roles":[{"value":"admin","display":"` + strings.Repeat("ä", 600) + `"}]`, map[string]string{"admin": strings.Repeat("ä", 512)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			process := inOneProcess(roleConnector(t, scim.Options{BaseURL: start(t, oneUser(`{"id":"1","userName":"ann","active":false,`+c.attributes+`}`))}))
			var want []string
			for id := range c.roles {
				want = append(want, id+" to 1")
			}
			slices.Sort(want)
			for _, sync := range []string{"", "sync-1"} { // with what is kept and without
				roles, err := listRoles(t, process, sync)
				require.NoError(t, err)
				require.Equal(t, c.roles, names(roles))
				for id, role := range roles {
					require.Equal(t, map[string]any{"value": id}, role.GetProfile().AsMap())
					annos := annotations.Annotations(role.GetAnnotations())
					require.True(t, annos.Contains(&v2.RoleTrait{}))
				}
				grants, _, err := grantsOf(t, process, sync)
				require.NoError(t, err)
				require.Equal(t, want, grants)
			}
		})
	}
}

// TestRoles_ThatCannotBeReadAreAnError: a role that were left out would be a grant that
// is lost.
func TestRoles_ThatCannotBeReadAreAnError(t *testing.T) {
	t.Parallel()
	const unread = "has a role in a form that cannot be read"
	many := make([]string, 9000)
	for i := range many {
		many[i] = fmt.Sprintf(`"%s%d"`, strings.Repeat("r", 90), i)
	}
	for name, c := range map[string]struct{ attributes, message string }{
		"too long":             {`"roles":["` + strings.Repeat("r", 1025) + `"]`, "has a role whose value has more than 1024 bytes"},
		"too long a name":      {`"roles":[{"display":"` + strings.Repeat("ä", 513) + `"}]`, "has a role whose value has more than 1024 bytes"},
		"no valid text":        {`"roles":["ok",{"value":"a\ufffdb"}]`, "has a role whose value is not valid text"},
		"a line break":         {`"roles":["a\nb"]`, "has a role with a line break or a control character in its value"},
		"a control character":  {`"roles":["a\u0007b"]`, "has a role with a line break or a control character in its value"},
		"one within JSON":      {`"roles":["{\"value\":\"a\\u0007b\"}"]`, "has a role with a line break or a control character in its value"},
		"true":                 {`"roles":true`, unread},
		"true among others":    {`"roles":["admin",true]`, unread},
		"a list of lists":      {`"roles":[["admin"]]`, unread},
		"a value that is one":  {`"roles":[{"value":{"id":"admin"}}]`, unread},
		"a value that is true": {`"roles":[{"value":true,"type":"x"}]`, unread},
		"by other names":       {`"roles":[{"id":"7","name":"Admin"}]`, unread},
		"an object of switches": {
			`"roles":{"admin":true,"editor":false}`, unread,
		},
		"under a URN that cannot be read": {`"urn:ietf:params:scim:schemas:core:2.0:User":"x"`, "in a form that cannot be read"},
		"more than a message can have":    {`"roles":[` + strings.Join(many, ",") + `]`, "has 9000 roles, which are more than one message can have"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t, userList(`{"id":"1","userName":"ann","roles":["admin"]}`, `{"id":"2","userName":"bob",`+c.attributes+`}`))
			process := inOneProcess(roleConnector(t, scim.Options{BaseURL: url}))
			_, err := listRoles(t, process, "sync-1")
			failed := requireFailure(t, err)
			require.Equal(t, codes.DataLoss, failed.Code())
			require.Contains(t, failed.Message(), c.message)
			require.Contains(t, failed.Message(), `(number 2 on its page, userName "bob"). No role can be made of it, and none may be left out: ask the app's support, or switch "Sync Roles" (scim-roles) off.`)
			_, _, err = grantsOf(t, process, "sync-1")
			require.Equal(t, codes.DataLoss, requireFailure(t, err).Code())

			accounts, err := listAll(t, newConnector(t, url))
			require.NoError(t, err, "accounts are not concerned")
			require.Len(t, accounts, 2)
		})
	}
}

// TestRoles_AndTheirGrantsAreOneReading: what the app changes after the roles were listed
// is in the next sync, whole.
func TestRoles_AndTheirGrantsAreOneReading(t *testing.T) {
	t.Parallel()
	const users = 2345
	gone := false
	a := roleApp(users, func(number int) string {
		if gone {
			return `["later"]`
		}
		return threeRoles(number)
	})
	process := inOneProcess(roleConnector(t, scim.Options{BaseURL: start(t, a)}))
	roles, err := listRoles(t, process, "sync-1")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"role-0": "Role 0", "role-1": "Role 1", "role-2": "Role 2", "extra": "extra"}, names(roles))

	change := func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		gone, a.requests = true, nil
		a.ids = a.ids[:100]
	}
	change()
	for range 2 { // a page that is asked for again
		grants, inserting, err := grantsOf(t, process, "sync-1")
		require.NoError(t, err)
		require.Equal(t, wantThree(users), grants)
		require.Zero(t, inserting)
	}
	require.Empty(t, a.requests)

	grants, _, err := grantsOf(t, process, "sync-2")
	require.NoError(t, err)
	require.Len(t, grants, 100, "what another sync has kept is out of date")
	roles, err = listRoles(t, process, "sync-2")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"later": "later"}, names(roles))
	again, _, err := grantsOf(t, process, "sync-2")
	require.NoError(t, err)
	require.Equal(t, grants, again)
}

// TestRoles_OfOne: the grants of one role, for who asks for them alone.
func TestRoles_OfOne(t *testing.T) {
	t.Parallel()
	connector := roleConnector(t, scim.Options{BaseURL: start(t, roleApp(2345, threeRoles))})
	want := slices.DeleteFunc(wantThree(2345), func(grant string) bool { return !strings.HasPrefix(grant, "role-2 ") })
	for _, listed := range []bool{false, true} {
		if listed {
			_, err := listRoles(t, inOneProcess(connector), "sync-1")
			require.NoError(t, err)
		}
		var grants []string
		for token, more := "", true; more; more = token != "" {
			answer, err := connector.ListGrants(t.Context(), v2.GrantsServiceListGrantsRequest_builder{
				Resource:  v2.Resource_builder{Id: v2.ResourceId_builder{ResourceType: "role", Resource: "role-2"}.Build()}.Build(),
				PageToken: token, ActiveSyncId: "sync-1",
			}.Build())
			require.NoError(t, err)
			for _, grant := range answer.GetList() {
				grants = append(grants, grant.GetEntitlement().GetResource().GetId().GetResource()+" to "+grant.GetPrincipal().GetId().GetResource())
			}
			token = answer.GetNextPageToken()
		}
		slices.Sort(grants)
		require.Equal(t, want, grants)
	}
}

// TestRoles_SurviveARestart: wherever a process ends, the next one lists all roles and all
// grants, also those of roles that are new since.
func TestRoles_SurviveARestart(t *testing.T) {
	t.Parallel()
	const users = 3456
	for name, scratch := range map[string]string{"under a host": t.TempDir(), "stand-alone": ""} {
		t.Run(name, func(t *testing.T) {
			if scratch == "" {
				raced.LeaveOut(t)
			}
			t.Parallel()
			url := start(t, roleApp(users, threeRoles))
			another := func() types.ConnectorServer {
				return roleConnector(t, scim.Options{BaseURL: url, ScratchDir: scratch, ReadAhead: 1})
			}
			first := inOneProcess(another())
			for listing, listers := range map[string][2]func() types.ConnectorServer{
				"at each page":                    {another, another},
				"after the roles were listed":     {first, inOneProcess(another())},
				"at each page of the grants":      {first, another},
				"at each page of the roles alone": {another, inOneProcess(another())},
			} {
				roles, err := listRoles(t, listers[0], "sync-1")
				require.NoError(t, err, listing)
				require.Len(t, roles, 4, listing)
				grants, inserting, err := grantsOf(t, listers[1], "sync-1")
				require.NoError(t, err, listing)
				require.Equal(t, wantThree(users), grants, listing)
				require.Positive(t, inserting, listing)
			}
		})
	}

	t.Run("in the middle of the grants that were kept", func(t *testing.T) {
		t.Parallel()
		url := start(t, roleApp(users, threeRoles))
		first, second := roleConnector(t, scim.Options{BaseURL: url}), roleConnector(t, scim.Options{BaseURL: url})
		_, err := listRoles(t, inOneProcess(first), "sync-1")
		require.NoError(t, err)
		asked := 0
		grants, inserting, err := grantsOf(t, func() types.ConnectorServer {
			if asked++; asked <= 2 {
				return first
			}
			return second
		}, "sync-1")
		require.NoError(t, err)
		require.Equal(t, wantThree(users), grants)
		require.Positive(t, inserting)
		require.Greater(t, asked, 4)
	})
}

// TestRoles_OfAnIncompleteListAreAnError: never fewer roles, nor fewer grants.
func TestRoles_OfAnIncompleteListAreAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		disturb func(a *app)
		code    codes.Code
	}{
		"the list ends early": {func(a *app) {
			a.answer = func(r listRequest, answer map[string]any) map[string]any {
				if r.start > 200 {
					answer["Resources"] = []any{}
				}
				return answer
			}
		}, codes.DataLoss},
		"startIndex is ignored": {func(a *app) {
			a.answer = func(_ listRequest, _ map[string]any) map[string]any { return listAnswer(a.page(1, 100), 450, 1) }
		}, codes.FailedPrecondition},
		"users are deleted all the time": {func(a *app) {
			a.hook = func(a *app, _ listRequest) { a.ids = a.ids[1:] }
		}, codes.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			a := roleApp(450, threeRoles)
			url := start(t, a)
			before := inOneProcess(roleConnector(t, scim.Options{BaseURL: url, ReadAhead: 1}))
			_, err := listRoles(t, before, "sync-1")
			require.NoError(t, err)

			c.disturb(a)
			_, err = listRoles(t, inOneProcess(roleConnector(t, scim.Options{BaseURL: url, ReadAhead: 1})), "sync-1")
			require.Equal(t, c.code, requireFailure(t, err).Code(), "%v", err)
			_, _, err = grantsOf(t, inOneProcess(roleConnector(t, scim.Options{BaseURL: url, ReadAhead: 1})), "sync-1")
			require.Equal(t, c.code, requireFailure(t, err).Code(), "%v", err)

			// What is kept of a listing that was broken off is not all.
			_, err = listRoles(t, before, "sync-2")
			require.Error(t, err)
			_, _, err = grantsOf(t, before, "sync-2")
			require.Equal(t, c.code, requireFailure(t, err).Code(), "%v", err)
		})
	}

	t.Run("a user is deleted once, in the middle", func(t *testing.T) {
		t.Parallel()
		a := roleApp(1450, threeRoles)
		a.hook = func(a *app, r listRequest) {
			if r.number == 3 {
				a.ids = slices.Delete(a.ids, 1, 2)
			}
		}
		process := inOneProcess(roleConnector(t, scim.Options{BaseURL: start(t, a), ReadAhead: 1}))
		_, err := listRoles(t, process, "sync-1")
		require.NoError(t, err)
		grants, _, err := grantsOf(t, process, "sync-1")
		require.NoError(t, err)
		require.Equal(t, wantThree(1450), grants)
	})

	t.Run("a call fails and is repeated", func(t *testing.T) {
		t.Parallel()
		a := roleApp(3450, threeRoles)
		failing := 0
		connector := roleConnector(t, scim.Options{ReadAhead: 1, BaseURL: start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if failing++; failing%5 == 0 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			a.ServeHTTP(w, r)
		}))})
		repeating := &repeating{ConnectorServer: connector}
		_, err := listRoles(t, inOneProcess(repeating), "sync-1")
		require.NoError(t, err)
		grants, inserting, err := grantsOf(t, inOneProcess(repeating), "sync-1")
		require.NoError(t, err)
		require.Equal(t, wantThree(3450), grants)
		require.Zero(t, inserting, "nothing of the reading was lost")
	})
}

// repeating repeats a listing of resources that fails in a way that may pass, as a host
// does.
type repeating struct{ types.ConnectorServer }

// ListResources repeats.
func (r *repeating) ListResources(ctx context.Context, request *v2.ResourcesServiceListResourcesRequest) (*v2.ResourcesServiceListResourcesResponse, error) {
	for attempt := 0; ; attempt++ {
		answer, err := r.ConnectorServer.ListResources(ctx, request)
		if err == nil || attempt == 3 {
			return answer, err
		}
	}
}

// TestRoles_OfManyUsers: pages stay small, whatever there is, and the filter holds.
func TestRoles_OfManyUsers(t *testing.T) {
	t.Parallel()

	t.Run("10,000 users", func(t *testing.T) {
		raced.LeaveOut(t)
		t.Parallel()
		a := roleApp(10_000, threeRoles)
		process := inOneProcess(roleConnector(t, scim.Options{BaseURL: start(t, a), Filter: `active eq true`}))
		roles, err := listRoles(t, process, "sync-1")
		require.NoError(t, err)
		require.Len(t, roles, 4)
		for _, request := range a.requests {
			require.Equal(t, "active eq true", request.http.URL.Query().Get("filter"))
		}
		grants, inserting, err := grantsOf(t, process, "sync-1")
		require.NoError(t, err)
		require.Equal(t, wantThree(10_000), grants)
		require.Zero(t, inserting)
	})

	t.Run("a role of each user", func(t *testing.T) {
		raced.LeaveOut(t)
		t.Parallel()
		a := roleApp(3000, func(number int) string { return fmt.Sprintf(`["%d-%s"]`, number, strings.Repeat("r", 1000)) })
		process := inOneProcess(roleConnector(t, scim.Options{BaseURL: start(t, a)}))
		roles, err := listRoles(t, process, "sync-1")
		require.NoError(t, err)
		require.Len(t, roles, 3000)
		grants, _, err := grantsOf(t, process, "sync-1")
		require.NoError(t, err)
		require.Len(t, grants, 3000)
	})

	t.Run("2,000 roles of each user", func(t *testing.T) {
		t.Parallel()
		var all []string
		for i := range 2000 {
			all = append(all, fmt.Sprintf(`"role-%d"`, i))
		}
		a := roleApp(7, func(int) string { return "[" + strings.Join(all, ",") + "]" })
		for _, sync := range []string{"", "sync-1"} {
			process := inOneProcess(roleConnector(t, scim.Options{BaseURL: start(t, a)}))
			roles, err := listRoles(t, process, sync)
			require.NoError(t, err)
			require.Len(t, roles, 2000)
			grants, _, err := grantsOf(t, process, sync)
			require.NoError(t, err)
			require.Len(t, grants, 7*2000)
		}
	})
}
