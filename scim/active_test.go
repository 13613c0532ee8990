package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/raced"
	"github.com/batonhost/baton-host/scim"
)

const (
	enabled     = v2.Status_RESOURCE_STATUS_ENABLED
	disabled    = v2.Status_RESOURCE_STATUS_DISABLED
	unspecified = v2.Status_RESOURCE_STATUS_UNSPECIFIED
)

// sometimesUsers are the users of sometimesActive: two batches.
const sometimesUsers = 1250

// sometimesActive is an app of which the users at some places, from 0 in the
// beginning, have the
// attribute active as it is written there, and the others lack it.
func sometimesActive(active map[int]string) *app {
	a := newApp(sometimesUsers)
	a.answer = func(_ listRequest, answer map[string]any) map[string]any {
		page, _ := answer["Resources"].([]any)
		for i := range page {
			user, _ := page[i].(map[string]any)
			id, _ := user["id"].(string)
			number, _ := strconv.Atoi(strings.TrimPrefix(id, "id-"))
			if written, found := active[number-1]; found {
				user["active"] = json.RawMessage(written)
			}
		}
		return answer
	}
	return a
}

// byCursor serves a list of users by cursor, 100 at a time.
func byCursor(a *app) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		a.mu.Lock()
		defer a.mu.Unlock()
		page := a.page(from+1, 100)
		answer := a.answer(listRequest{}, listAnswer(page, len(a.ids), from+1))
		if from+len(page) < len(a.ids) {
			answer["nextCursor"] = strconv.Itoa(from + len(page))
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
}

// statuses reads a list to its end, a process for each batch, and returns the last
// status of each account and the number that each warning has.
func statuses(t *testing.T, process func() types.ConnectorServer) (map[string]v2.Status_ResourceStatus, map[string][]int64) {
	t.Helper()
	core, logged := observer.New(zap.WarnLevel)
	ctx := ctxzap.ToContext(t.Context(), zap.New(core))
	got := map[string]v2.Status_ResourceStatus{}
	for token, more := "", true; more; more = token != "" {
		list, next, err := listOnce(ctx, process(), token)
		require.NoError(t, err)
		for _, account := range list {
			requireConsistent(t, account)
			got[account.GetId().GetResource()] = account.GetStatus().GetStatus()
		}
		token = next
	}
	warned := map[string][]int64{}
	for _, entry := range logged.All() {
		if _, isEvidence := entry.ContextMap()["evidence"]; isEvidence {
			continue
		}
		number, _ := entry.ContextMap()["resources"].(int64)
		warned[entry.Message] = append(warned[entry.Message], number)
	}
	return got, warned
}

const silentWarning = "scim: users without the attribute active, in a list in which others have it; their status is shown as unspecified"

// readings are the ways in which activeOfSome reads a list: from each of two servers, by
// one process, by a process for each batch, and by processes that leave a trace.
var readings = []struct {
	server  func(a *app) http.Handler
	batches bool
	scratch bool
}{
	{server: byIndex},
	{server: byIndex, batches: true},
	{server: byIndex, batches: true, scratch: true},
	{server: byCursor},
	{server: byCursor, batches: true},
	{server: byCursor, batches: true, scratch: true},
}

func byIndex(a *app) http.Handler { return a }

// TestActiveOfSome: some apps send active only of some users. Each list is read in one
// way, in turn; TestLongActiveOfSome reads each in all.
func TestActiveOfSome(t *testing.T) {
	t.Parallel()
	activeOfSome(t, func(list, way int) bool { return way == list%len(readings) })
}

func activeOfSome(t *testing.T, reads func(list, way int) bool) {
	t.Helper()
	const users = sometimesUsers
	odd := map[int]string{}
	for i := 1; i < users; i += 2 {
		odd[i] = "true"
	}
	lists := map[string]map[int]string{
		"the first user":                        {0: "true"},
		"the last of the first page":            {99: "true"},
		"the first of the second page":          {100: "true"},
		"one on the third page":                 {250: "true"},
		"the last of the first batch":           {999: "true"},
		"the first of the second batch":         {1000: "true"},
		"one in the second batch":               {1111: "true"},
		"the last user":                         {users - 1: "true"},
		"every other user":                      odd,
		"one who is disabled":                   {1170: "false"},
		"one of whom it is unclear":             {1170: `"pending"`},
		"one of whom it is empty":               {1170: `""`},
		"one, and null is none":                 {3: "null", 1100: "null", 1170: "true"},
		"two, the texts true and false":         {1100: `"True"`, 1170: `"False"`},
		"two in the same batch, the first late": {1001: "true", 1002: "false"},
	}
	for list, name := range slices.Sorted(maps.Keys(lists)) {
		active := lists[name]
		t.Run("S3: only some have active: "+name, func(t *testing.T) {
			raced.Sample(t, 3)
			t.Parallel()
			silent := int64(users)
			want := map[string]v2.Status_ResourceStatus{}
			for i, id := range newApp(users).ids {
				want[id] = map[string]v2.Status_ResourceStatus{
					"true": enabled, `"True"`: enabled, "false": disabled, `"False"`: disabled,
				}[active[i]]
				if written := active[i]; written != "" && written != "null" {
					silent--
				}
			}
			for way, reading := range readings {
				if !reads(list, way) {
					continue
				}
				url, scratch := start(t, reading.server(sometimesActive(active))), t.TempDir()
				one := newConnector(t, url)
				got, warned := statuses(t, func() types.ConnectorServer {
					switch {
					case reading.scratch:
						return process(t, url, scratch)
					case reading.batches:
						return newConnector(t, url)
					}
					return one
				})
				require.Equal(t, want, got, "way %d", way)
				require.Equal(t, []int64{silent}, warned[silentWarning], "way %d", way)
			}
		})
	}
}

// TestActiveOfNone: where an app sends active for no user, all are enabled, until it does.
func TestActiveOfNone(t *testing.T) {
	t.Parallel()
	for name, active := range map[string]map[int]string{
		"no user has it":               nil,
		"no user has it, some as null": {7: "null", 1200: "null"},
		"only a group in the list has": {},
	} {
		t.Run("S3: without active, enabled: "+name, func(t *testing.T) {
			t.Parallel()
			a := sometimesActive(active)
			if active != nil && len(active) == 0 {
				served := a.answer
				a.answer = func(request listRequest, answer map[string]any) map[string]any {
					answer = served(request, answer)
					for _, one := range answer["Resources"].([]any) {
						if user, _ := one.(map[string]any); user["id"] == "id-1100" {
							delete(user, "userName")
							user["active"], user["meta"] = true, map[string]any{"resourceType": "Group"}
						}
					}
					return answer
				}
			}
			connector := newConnector(t, start(t, a))
			got, warned := statuses(t, func() types.ConnectorServer { return connector })
			require.GreaterOrEqual(t, len(got), 1249)
			for id, status := range got {
				require.Equal(t, enabled, status, id)
			}
			require.Empty(t, warned)
			require.Less(t, len(a.requests), 20, "the list is read once")
		})
	}

	t.Run("S3: the first active comes while the list is read again", func(t *testing.T) {
		t.Parallel()
		a := sometimesActive(map[int]string{})
		// The list moves between the first two pages, and then a user is active.
		active := map[int]string{}
		served := sometimesActive(active)
		a.answer = served.answer
		a.hook = func(a *app, request listRequest) {
			switch request.number {
			case 1:
				served.ids = a.ids
			case 2:
				a.ids = append([]string{"new"}, a.ids...)
				served.ids = a.ids
			case 20:
				active[1248] = "true"
			}
		}
		got, warned := statuses(t, func() func() types.ConnectorServer {
			connector := newConnector(t, start(t, a))
			return func() types.ConnectorServer { return connector }
		}())
		require.Len(t, got, 1251)
		for id, status := range got {
			if id == a.ids[1249] {
				require.Equal(t, enabled, status, id)
				continue
			}
			require.Equal(t, unspecified, status, id)
		}
		require.Equal(t, []int64{1250}, warned[silentWarning])
	})
}

// TestNestedAttributes: some apps send the attributes of the core schema under its URN.
func TestNestedAttributes(t *testing.T) {
	t.Parallel()
	const urn = `"urn:ietf:params:scim:schemas:core:2.0:User"`
	nested := `{"userName":"u7@x.org","active":false,"emails":[{"value":"u7@x.org"},{"value":"b@x.org","primary":true}],"displayName":"Ann Lee",` +
		`"name":{"givenName":"Ann"},"externalId":"e7","title":"VP","userType":"T","locale":"de","timezone":"UTC","roles":["Admin"],"meta":{"created":"2025-03-25T16:17:00Z"}}`
	everything := all(hasLogin("u7@x.org"), hasStatus(disabled), hasEmails("b@x.org", "u7@x.org"), hasName("Ann Lee"), hasProfile("first_name", "Ann"),
		hasProfile("external_id", "e7"), hasProfile("title", "VP"), hasProfile("user_type", "T"), hasProfile("locale", "de"), hasProfile("time_zone", "UTC"),
		hasProfile("roles", "Admin"), hasCreated("2025-03-25T16:17:00Z"))
	for name, c := range map[string]struct {
		user  string
		check check
	}{
		"under their URN":                {`{"id":7,` + urn + `:` + nested + `}`, all(hasID("7"), everything)},
		"with schemas":                   {`{"schemas":[` + urn + `],"id":7,` + urn + ` : ` + nested + `}`, everything},
		"in another case":                {`{"id":7,"URN:ietf:params:scim:schemas:CORE:2.0:user":` + nested + `}`, everything},
		"written with an escape":         {`{"id":7,"\u0075rn:ietf:params:scim:schemas:core:2.0:User":` + nested + `}`, everything},
		"of SCIM 1.1":                    {`{"id":7,"urn:scim:schemas:core:1.0":` + nested + `}`, everything},
		"of SCIM 1.1, User":              {`{"id":7,"urn:scim:schemas:core:1.0:User":` + nested + `}`, everything},
		"of a draft":                     {`{"id":7,"urn:scim:schemas:core:2.0:User":` + nested + `}`, everything},
		"the id too":                     {`{` + urn + `:{"id":7,"userName":"ann"}}`, all(hasID("7"), hasLogin("ann"))},
		"beside an extension":            {`{"id":7,` + urn + `:{"userName":"ann"},` + enterprise + `:{"department":"Dep"},"urn:x:User":{"role":"Admin"}}`, all(hasLogin("ann"), hasProfile("department", "Dep"), hasProfile("roles", "Admin"))},
		"by their full names":            {`{"id":7,"urn:ietf:params:scim:schemas:core:2.0:User:userName":"ann","urn:ietf:params:scim:schemas:core:2.0:User:active":false,"urn:ietf:params:scim:schemas:core:2.0:User:name.givenName":"Ann"}`, all(hasLogin("ann"), hasStatus(disabled), hasProfile("first_name", "Ann"))},
		"names in another case":          {`{"id":7,` + urn + `:{"USERNAME":"ann","Active":"False"}}`, all(hasLogin("ann"), hasStatus(disabled))},
		"userName is a number":           {`{"id":7,` + urn + `:{"userName":4711}}`, hasLogin("4711")},
		"one is odd":                     {`{"id":7,` + urn + `:{"userName":"ann","displayName":7,"title":"VP"}}`, all(hasLogin("ann"), hasProfile("title", "VP"))},
		"there is one, and it is null":   {`{"id":7,"userName":"ann",` + urn + `:null}`, hasLogin("ann")},
		"there is one, and it is a text": {`{"id":7,"userName":"ann",` + urn + `:"x"}`, hasLogin("ann")},

		"in a list of one":                {`{"id":7,` + urn + `:[` + nested + `]}`, all(hasID("7"), everything)},
		"in a list of lists":              {`{"id":7,` + urn + `:[[` + nested + `],null]}`, everything},
		"in two objects":                  {`{"id":7,` + urn + `:[{"userName":"ann"},{"active":false}]}`, all(hasLogin("ann"), hasStatus(disabled))},
		"in a text":                       {`{"id":7,` + urn + `:` + strconv.Quote(nested) + `}`, everything},
		"in a text in a list":             {`{"id":7,` + urn + `:[` + strconv.Quote(nested) + `]}`, everything},
		"nested in itself":                {`{"id":7,` + urn + `:{` + urn + `:` + nested + `}}`, everything},
		"nested in itself, in SCIM 1.1":   {`{"id":7,` + urn + `:{"urn:scim:schemas:core:1.0":[` + nested + `]}}`, everything},
		"nested in itself, contradictory": {`{"id":7,` + urn + `:{"userName":"ann","active":true,` + urn + `:{"active":false}}}`, hasStatus(unspecified)},
		"full names with a dot":           {`{"id":7,"urn:ietf:params:scim:schemas:core:2.0:User.userName":"ann","urn:ietf:params:scim:schemas:core:2.0:User.active":false}`, all(hasLogin("ann"), hasStatus(disabled))},
		"full names with a slash":         {`{"id":7,"urn:ietf:params:scim:schemas:core:2.0:User/userName":"ann","urn:ietf:params:scim:schemas:core:2.0:User/active":false}`, all(hasLogin("ann"), hasStatus(disabled))},
		"full names with a number sign":   {`{"id":7,"urn:ietf:params:scim:schemas:core:2.0:User#userName":"ann","urn:ietf:params:scim:schemas:core:2.0:User#active":false,"urn:ietf:params:scim:schemas:core:2.0:User#name/givenName":"Ann"}`, all(hasLogin("ann"), hasStatus(disabled), hasProfile("first_name", "Ann"))},
		"full names of SCIM 1.1":          {`{"id":7,"urn:scim:schemas:core:1.0.userName":"ann","urn:scim:schemas:core:1.0:active":false}`, all(hasLogin("ann"), hasStatus(disabled))},
		"unreadable, with a user name":    {`{"id":7,"userName":"ann",` + urn + `:"x"}`, all(hasLogin("ann"), hasStatus(unspecified))},
		"unreadable, and active":          {`{"id":7,"userName":"ann","active":true,` + urn + `:[7]}`, hasStatus(unspecified)},
		"an empty list":                   {`{"id":7,"userName":"ann",` + urn + `:[]}`, all(hasLogin("ann"), hasStatus(enabled))},
		"an empty text":                   {`{"id":7,"userName":"ann",` + urn + `:" "}`, all(hasLogin("ann"), hasStatus(enabled))},
		"of a group":                      {`{"id":7,"userName":"ann","urn:ietf:params:scim:schemas:core:2.0:Group":{"userName":"bob","active":false,"displayName":"G"},"urn:ietf:params:scim:schemas:core:2.0:Group:title":"T"}`, all(hasLogin("ann"), hasStatus(enabled), hasName("ann"))},
		"of a device":                     {`{"id":7,"userName":"ann","urn:ietf:params:scim:schemas:core:2.0:Device":{"userName":"bob","active":false}}`, all(hasLogin("ann"), hasStatus(enabled))},
		"false with an escape":            {`{"id":7,"userName":"ann","active":"\u0066alse"}`, hasStatus(disabled)},
		"true with escapes":               {`{"id":7,"userName":"ann","active":"\u0054ru\u0065"}`, hasStatus(enabled)},
		"a user name twice, in two cases": {`{"id":7,"userName":"ann","USERNAME":"Ann"}`, hasLogin("ann")},
		"an id twice, once as a number":   {`{"id":7,"ID":"7","userName":"ann"}`, hasID("7")},
		"a user name twice, once null":    {`{"id":7,"userName":"ann","userName":null}`, hasLogin("ann")},

		"in both places, equal":               {`{"id":7,"userName":"ann","active":false,` + urn + `:{"id":"7","userName":"Ann","active":false}}`, all(hasLogin("ann"), hasStatus(disabled))},
		"in both places, the standard's":      {`{"id":7,"userName":"ann","title":"A",` + urn + `:{"title":"B","userType":"T"}}`, all(hasProfile("title", "A"), hasProfile("user_type", "T"))},
		"in both places, one is null":         {`{"id":7,"userName":null,"displayName":"","active":null,"emails":[],` + urn + `:` + nested + `}`, everything},
		"active there, disabled here":         {`{"id":7,"userName":"ann","active":false,` + urn + `:{"active":true}}`, hasStatus(unspecified)},
		"active here, disabled there":         {`{"id":7,"userName":"ann","active":true,` + urn + `:{"active":false}}`, hasStatus(unspecified)},
		"active here, disabled in two places": {`{"id":7,"userName":"ann",` + urn + `:{"active":false},"urn:scim:schemas:core:1.0":{"active":true}}`, hasStatus(unspecified)},
		"disabled, and in another case not":   {`{"id":7,"userName":"ann","active":false,"Active":true}`, hasStatus(unspecified)},
	} {
		t.Run("S2: core attributes nested under their URN: "+name, func(t *testing.T) {
			t.Parallel()
			account := listOne(t, oneUser(c.user))
			requireConsistent(t, account)
			c.check(t, account)
		})
	}

	for name, user := range map[string]string{
		"two user names":                 `{"id":7,"userName":"ann",` + urn + `:{"userName":"bob"}}`,
		"two ids":                        `{"id":7,"userName":"ann",` + urn + `:{"id":8}}`,
		"two user names in a list":       `{"id":7,` + urn + `:[{"userName":"ann"},{"userName":"bob"}]}`,
		"two user names in one object":   `{"id":7,` + urn + `:{"userName":"ann","username":"bob"}}`,
		"two user names, nothing nested": `{"id":7,"userName":"ann","userName":"bob"}`,
		"two ids, nothing nested":        `{"id":"7","ID":"8","userName":"ann"}`,
		"two ids, one with an escape":    `{"id":"7","i\u0064":"8","userName":"ann"}`,
	} {
		t.Run("S2: core attributes nested under their URN, refused: "+name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, oneUser(user))
			require.Equal(t, codes.DataLoss, st.Code())
			require.Contains(t, st.Message(), "has two different values of")
		})
	}

	for name, value := range map[string]string{
		"a text": `"x"`, "a text that is no JSON": `"{\"userName\":"`, "a number": `7`, "a boolean": `true`, "a list of texts": `["x"]`,
		"half a character in a text": `"{\"userName\":\"\\ud800\"}"`,
		"nested too deep":            strings.Repeat("[", 20) + nested + strings.Repeat("]", 20),
	} {
		t.Run("S2: core attributes nested under their URN, refused: "+name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, userList(`{"id":7,`+urn+`:`+value+`}`, `{"id":8,"userName":"bob"}`))
			require.Equal(t, codes.DataLoss, st.Code())
			require.Contains(t, st.Message(), "has the attribute "+strings.Trim(urn, `"`)+" in a form that cannot be read")
		})
	}

	t.Run("S2: core attributes nested under their URN: a list of one beside a plain user", func(t *testing.T) {
		t.Parallel()
		accounts, err := listAll(t, newConnector(t, start(t, userList(`{"id":"1","userName":"a","active":true}`,
			`{"id":"2",`+urn+`:[{"userName":"b","active":false,"emails":[{"value":"b@x.org"}]}]}`))))
		require.NoError(t, err)
		all(hasLogin("b"), hasStatus(disabled), hasEmails("b@x.org"))(t, accounts["2"])
	})

	t.Run("S2: core attributes nested under their URN: chosen ones in a list of one", func(t *testing.T) {
		t.Parallel()
		for _, user := range []string{`{"id":7,` + urn + `:[` + nested + `]}`, `{"id":7,` + urn + `:{` + urn + `:` + strconv.Quote(nested) + `}}`} {
			client, err := scim.NewClient(t.Context(), scim.Options{
				BaseURL: start(t, oneUser(user)), Token: testToken, UserAgent: "baton-test/v1",
				Attributes: scim.Attributes{Login: "externalId", Profile: []string{"t=urn:ietf:params:scim:schemas:core:2.0:User:title"}},
			})
			require.NoError(t, err)
			accounts, err := listAll(t, serveConnector(t, client))
			require.NoError(t, err)
			all(hasLogin("e7"), hasProfile("t", "VP"))(t, accounts["7"])
		}
	})

	t.Run("S2: core attributes nested under their URN: chosen ones", func(t *testing.T) {
		t.Parallel()
		client, err := scim.NewClient(t.Context(), scim.Options{
			BaseURL: start(t, oneUser(`{"id":7,`+urn+`:`+nested+`}`)), Token: testToken, UserAgent: "baton-test/v1",
			Attributes: scim.Attributes{Login: "externalId", Profile: []string{"name.givenName", "t=urn:ietf:params:scim:schemas:core:2.0:User:title"}},
		})
		require.NoError(t, err)
		accounts, err := listAll(t, serveConnector(t, client))
		require.NoError(t, err)
		all(hasLogin("e7"), hasProfile("name.givenName", "Ann"), hasProfile("t", "VP"))(t, accounts["7"])
	})

	t.Run("S2: core attributes nested under their URN: groups and their members", func(t *testing.T) {
		t.Parallel()
		const groupURN = `"urn:ietf:params:scim:schemas:core:2.0:Group"`
		a := &groupApp{groups: map[string]string{
			"g": `{"id":"g",` + groupURN + `:{"displayName":"Everyone","externalId":"e1","members":[{"value":"a","type":"User"},{"value":"h","type":"Group"}]}}`,
			"h": `{"id":"h","displayName":"Half","members":[],"URN:ietf:params:scim:schemas:core:2.0:GROUP":{"displayName":"Other","members":[{"value":"b"}]}}`,
			"i": `{"id":"i","members":[{"value":"a"}],` + groupURN + `:{"members":[{"value":"b"}]}}`,
			"j": `{"id":"j",` + groupURN + `:[{"displayName":"List","members":[{"value":"b","type":"User"}]}]}`,
			"k": `{"id":"k","displayName":"Kin",` + urn + `:{"displayName":"Ann","externalId":"e","members":[{"value":"b"}]}}`,
			"l": `{"id":"l","displayName":"Lost",` + groupURN + `:"x"}`,
			"m": `{"id":"m","ID":"n","members":[{"value":"a"}]}`,
			"n": `{"id":"n","members":[{"value":"a","Value":"b"}]}`,
			"u": `{"id":"u","meta":{"resourceType":"User"},` + urn + `:{"userName":"ann"}}`,
		}}
		connector := groupConnector(t, start(t, a))
		_, err := listGroups(t, connector)
		require.Contains(t, requireFailure(t, err).Message(), "two different values of id")
		a.change(func() { delete(a.groups, "m") })
		groups, err := listGroups(t, connector)
		require.NoError(t, err)
		names := []string{}
		for _, group := range groups {
			names = append(names, group.GetDisplayName())
		}
		require.Equal(t, []string{"Everyone", "Half", "i", "List", "Kin", "Lost", "n"}, names)
		a.change(func() { a.groups["m"] = `{"id":"m","ID":"n","members":[{"value":"a"}]}` })
		got, err := listMembers(t, connector, "g")
		require.NoError(t, err)
		require.Equal(t, []string{"user/a", "group/h+"}, got)
		got, err = listMembers(t, connector, "h")
		require.NoError(t, err)
		require.Equal(t, []string{"user/b"}, got)
		got, err = listMembers(t, connector, "j")
		require.NoError(t, err)
		require.Equal(t, []string{"user/b"}, got)
		got, err = listMembers(t, connector, "k")
		require.NoError(t, err)
		require.Empty(t, got, "those of a user are none of a group")
		for id, why := range map[string]string{"i": "two lists of members", "l": "cannot be read", "m": "two ids", "n": "two ids of a member"} {
			_, err = listMembers(t, connector, id)
			require.Equal(t, codes.DataLoss, requireFailure(t, err).Code(), why)
		}
	})
}

// TestUserName_MissingEverywhere: a list in which no user has a name to sign in with is not read right.
func TestUserName_MissingEverywhere(t *testing.T) {
	t.Parallel()
	// without is a list of which the user at a place, from 0, alone has a userName.
	without := func(users, but int) *app {
		a := newApp(users)
		a.answer = func(_ listRequest, answer map[string]any) map[string]any {
			for _, one := range answer["Resources"].([]any) {
				if user, _ := one.(map[string]any); but < 0 || user["id"] != a.ids[but] {
					delete(user, "userName")
				}
			}
			return answer
		}
		return a
	}
	for name, handler := range map[string]http.Handler{
		"one user":           oneUser(`{"id":"1","displayName":"Ann"}`),
		"userName is null":   userList(`{"id":"1","userName":null}`, `{"id":"2","userName":" "}`, `{"id":"3","userName":{"x":1}}`),
		"in pages":           without(250, -1),
		"in batches":         without(2350, -1),
		"by cursor":          byCursor(without(250, -1)),
		"under another name": userList(`{"id":"1","username_":"ann"}`, `{"id":"2","login":"bob"}`),
		"under another URN":  userList(`{"id":"1","urn:x:User":{"userName":"ann"}}`),
		"besides, a group":   userList(`{"id":"1"}`, `{"id":"g","displayName":"G","meta":{"resourceType":"Group"}}`),
	} {
		t.Run("S2: no user has a userName: "+name, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, handler)
			require.Equal(t, codes.FailedPrecondition, st.Code())
			require.Contains(t, st.Message(), "none of them has a userName")
			require.Contains(t, st.Message(), "scim-login-attribute")
			require.Contains(t, st.Message(), "127.0.0.1")
		})
	}

	t.Run("S2: no user has a userName: in a process for each batch", func(t *testing.T) {
		t.Parallel()
		url := start(t, without(2350, -1))
		var err error
		for token, more := "", true; more && err == nil; more = token != "" {
			_, token, err = listOnce(t.Context(), newConnector(t, url), token)
		}
		require.Contains(t, requireFailure(t, err).Message(), "none of them has a userName")
	})

	for _, but := range []int{0, 120, 1100, 2349} {
		t.Run(fmt.Sprintf("S2: user %d alone has a userName", but), func(t *testing.T) {
			if but != 1100 {
				raced.LeaveOut(t)
			}
			t.Parallel()
			a := without(2350, but)
			url := start(t, a)
			accounts, err := listAll(t, newConnector(t, url))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			got, _ := statuses(t, func() types.ConnectorServer { return newConnector(t, url) })
			require.Len(t, got, 2350)
		})
	}

	t.Run("S2: a list without users", func(t *testing.T) {
		t.Parallel()
		accounts, err := listAll(t, newConnector(t, start(t, newApp(0))))
		require.NoError(t, err)
		require.Empty(t, accounts)
	})

	t.Run("S2: users sign in with another attribute", func(t *testing.T) {
		t.Parallel()
		client, err := scim.NewClient(t.Context(), scim.Options{
			BaseURL: start(t, oneUser(`{"id":"1","externalId":"e1"}`)), Token: testToken, UserAgent: "baton-test/v1",
			Attributes: scim.Attributes{Login: "externalId"},
		})
		require.NoError(t, err)
		accounts, err := listAll(t, serveConnector(t, client))
		require.NoError(t, err)
		hasLogin("e1")(t, accounts["1"])
	})
}

// TestMembersOfAThirdKind: what is neither a user nor a group is never a user.
func TestMembersOfAThirdKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		member string
		want   string // "" is left out
	}{
		"a type":                            {`{"value":"u3","type":"ServicePrincipal"}`, ""},
		"a type in lower case":              {`{"value":"u3","type":"serviceprincipal"}`, ""},
		"a device":                          {`{"value":"u3","type":"Device"}`, ""},
		"a URN as type":                     {`{"value":"u3","type":"urn:x:schemas:core:2.0:Device"}`, ""},
		"a type of a group's own":           {`{"value":"h","type":"ServicePrincipal"}`, ""},
		"a number as type":                  {`{"value":"u3","type":3}`, ""},
		"a reference":                       {`{"value":"u3","$ref":"ServicePrincipals/u3"}`, ""},
		"a reference to a role":             {`{"value":"u3","$ref":"https://x.org/scim/v2/Roles/u3"}`, ""},
		"a reference with a slash":          {`{"value":"u3","$ref":"https://x.org/scim/v2/Devices/u3/"}`, ""},
		"a reference with a query":          {`{"value":"u3","$ref":"../ServicePrincipals/u3?a=/Users/u3#/Users/u3"}`, ""},
		"a reference in lower case":         {`{"value":"u3","$ref":"/scim/v2/serviceprincipals/u3"}`, ""},
		"a reference with two slashes":      {`{"value":"u3","$ref":"/scim/v2/ServicePrincipals//u3"}`, ""},
		"an escaped reference":              {`{"value":"u3","$ref":"https%3A%2F%2Fx.org%2Fscim%2Fv2%2FServicePrincipals%2Fu3"}`, ""},
		"an escaped endpoint":               {`{"value":"u3","$ref":"/v2/Service%50rincipals/u3"}`, ""},
		"a reference without the id":        {`{"value":"u3","$ref":"https://x.org/scim/v2/ServicePrincipals"}`, ""},
		"a reference alone":                 {`{"$ref":"https://x.org/scim/v2/ServicePrincipals/u3"}`, ""},
		"an id with a slash":                {`{"value":"a/b","$ref":"https://x.org/scim/v2/Devices/a/b"}`, ""},
		"both":                              {`{"value":"u3","type":"ServicePrincipal","$ref":"ServicePrincipals/u3"}`, ""},
		"a third kind, declared as a user":  {`{"value":"u3","type":"User","$ref":"ServicePrincipals/u3"}`, ""},
		"a user, declared as a third kind":  {`{"value":"u3","type":"ServicePrincipal","$ref":"Users/u3"}`, ""},
		"a group, declared as a third kind": {`{"value":"h","type":"Role","$ref":"Groups/h"}`, ""},
		"a group, declared as a user":       {`{"value":"h","type":"User","$ref":"Groups/h"}`, ""},
		"a user, declared as a group":       {`{"value":"u3","type":"Group","$ref":"Users/u3"}`, ""},
		"without an id":                     {`{"type":"Device"}`, ""},
		"an id that is too long":            {`{"type":"Device","value":"` + strings.Repeat("x", 2000) + `"}`, ""},

		"a list of one as type":                 {`{"value":"u3","type":["ServicePrincipal"]}`, ``},
		"a third kind with a slash":             {`{"value":"u3","type":"ServicePrincipal/Member"}`, ""},
		"two types":                             {`{"value":"u3","type":["User","Group"]}`, ``},
		"an object as type":                     {`{"value":"u3","type":{"value":"ServicePrincipal"}}`, ``},
		"a boolean as type":                     {`{"value":"u3","type":true}`, ``},
		"type twice":                            {`{"value":"u3","type":"ServicePrincipal","Type":"User"}`, ``},
		"a list of one as reference":            {`{"value":"u3","$ref":["ServicePrincipals/u3"]}`, ``},
		"an object as reference":                {`{"value":"u3","$ref":{"value":"ServicePrincipals/u3"}}`, ``},
		"a reference with backslashes":          {`{"value":"u3","$ref":"http://x.org\\ServicePrincipals\\u3"}`, ``},
		"backslashes alone":                     {`{"$ref":"http://x.org\\ServicePrincipals\\u3"}`, ``},
		"ref":                                   {`{"value":"u3","ref":"ServicePrincipals/u3"}`, ``},
		"resourceType":                          {`{"value":"u3","resourceType":"ServicePrincipal"}`, ``},
		"meta":                                  {`{"value":"u3","meta":{"resourceType":"ServicePrincipal"}}`, ``},
		"meta in a list":                        {`{"value":"u3","meta":[{"resourceType":"ServicePrincipal"}]}`, ``},
		"meta, declared as a user":              {`{"value":"u3","type":"User","meta":{"resourceType":"ServicePrincipal"}}`, ``},
		"a URL as value":                        {`{"value":"https://x.org/scim/v2/ServicePrincipals/u3"}`, ``},
		"a path as value":                       {`{"value":"ServicePrincipals/u3"}`, ``},
		"a path as id":                          {`"Devices/u3"`, ``},
		"the groups of a user":                  {`{"value":"u3","$ref":"https://x.org/scim/v2/Users/u3/Groups"}`, ``},
		"another id at the end":                 {`{"value":"u3","type":"User","$ref":"ServicePrincipals/42"}`, ``},
		"an id with an ending":                  {`{"value":"u3","$ref":"https://x.org/scim/v2/ServicePrincipals/u3.json"}`, ``},
		"a key of OData":                        {`{"value":"u3","$ref":"https://x.org/v2/Widgets('u3')"}`, ``},
		"a URN as reference":                    {`{"value":"u3","$ref":"urn:x:ServicePrincipal:u3"}`, ``},
		"an unknown endpoint in capitals":       {`{"value":"u3","$ref":"https://x.org/scim/Acme/u3"}`, ``},
		"an unknown endpoint in the plural":     {`{"value":"u3","$ref":"https://x.org/scim/acme/widgets/u3"}`, ``},
		"an unknown endpoint after the version": {`{"value":"u3","$ref":"https://x.org/scim/v2/widget/u3"}`, ``},
		"a third kind in the singular":          {`{"value":"u3","$ref":"https://x.org/scim/acme/service-principal/u3"}`, ``},
		"an endpoint with digits":               {`{"value":"u3","type":"User","$ref":"https://x.org/OAuth2Clients/u3"}`, ``},
		"a fragment":                            {`{"value":"u3","$ref":"https://x.org/#/ServicePrincipals/u3"}`, ``},
		"any principal":                         {`{"value":"u3","$ref":"https://x.org/v2/Principals/u3"}`, ``},
		"an escape of an escape":                {`{"value":"u3","$ref":"ServicePrincipals%252Fu3"}`, ``},
		"no endpoint, declared as a device":     {`{"value":"u3","type":"Device","$ref":"https://x.org/scim/tenant42/u3"}`, ``},

		"a user, the id in another case":            {`{"value":"u3","$ref":"https://x.org/scim/v2/Users/U3","type":"User"}`, `user/u3`},
		"a user by login, the reference has the id": {`{"value":"ann@x.org","$ref":"https://x.org/scim/v2/Users/42","type":"User"}`, `user/ann@x.org`},
		"a user by login, no type":                  {`{"value":"ann@x.org","$ref":"https://x.org/scim/v2/Users/42"}`, `user/ann@x.org`},
		"a user called bot":                         {`{"value":"17","$ref":"../Users/bot"}`, `user/17`},
		"a user, the id with an ending":             {`{"value":"u3","$ref":"https://x.org/scim/v2/Users/u3.json","type":"User"}`, `user/u3`},
		"a user, a key of OData":                    {`{"value":"u3","$ref":"https://x.org/scim/v2/Users('u3')","type":"User"}`, `user/u3`},
		"a user, a key of OData alone":              {`{"$ref":"https://x.org/scim/v2/Users(id='u3')"}`, `user/u3`},
		"a user with a plus sign in the reference":  {`{"value":"a b","$ref":"../Users/a+b"}`, `user/a b`},
		"a user, n/a as reference":                  {`{"value":"u3","$ref":"n/a"}`, `user/u3`},
		"a user, N/A as reference":                  {`{"value":"u3","$ref":"N/A","type":"none"}`, `user/u3`},
		"a user, a URN as reference":                {`{"value":"u3","$ref":"urn:uuid:u3"}`, `user/u3`},
		"a user, the URN of users as reference":     {`{"value":"u3","$ref":"urn:ietf:params:scim:schemas:core:2.0:User:u3"}`, `user/u3`},
		"a user, a tenant and no endpoint":          {`{"value":"u3","$ref":"https://x.org/scim/tenant42/u3"}`, `user/u3`},
		"a user, a tenant by UUID":                  {`{"value":"u3","type":"User","$ref":"https://x.org/scim/A819c223-7f76-453a-919d-413861904646/u3"}`, `user/u3`},
		"a user, an unknown word and a type":        {`{"value":"u3","type":"User","$ref":"https://x.org/persona/u3"}`, `user/u3`},
		"a user, any principal and a type":          {`{"value":"u3","type":"User","$ref":"https://x.org/v1.0/directoryObjects/u3"}`, `user/u3`},
		"a user, accounts":                          {`{"value":"u3","type":"User","$ref":"https://x.org/api/accounts/u3"}`, `user/u3`},
		"a user, people and no type":                {`{"value":"u3","$ref":"https://x.org/api/people/u3"}`, `user/u3`},
		"a user among members":                      {`{"value":"u3","$ref":"https://x.org/groups/g/members/u3"}`, `user/u3`},
		"a group among members":                     {`{"value":"h","$ref":"https://x.org/groups/g/members/h"}`, `group/h+`},
		"a type with its name in OData":             {`{"value":"u3","type":"#microsoft.graph.user"}`, "user/u3"},
		"a URL as type":                             {`{"value":"u3","type":"https://x.org/v2/Schemas/User"}`, "user/u3"},
		"EnterpriseUser":                            {`{"value":"u3","type":"EnterpriseUser"}`, `user/u3`},
		"enterprise_user":                           {`{"value":"u3","type":"enterprise_user"}`, `user/u3`},
		"Account":                                   {`{"value":"u3","type":"Account"}`, `user/u3`},
		"Employee":                                  {`{"value":"u3","type":"Employee"}`, `user/u3`},
		"a user, a list of one":                     {`{"value":"u3","type":["User"],"$ref":["../Users/u3"]}`, `user/u3`},
		"a user, empty lists":                       {`{"value":"u3","type":[],"$ref":[],"meta":null}`, `user/u3`},
		"a user, declared five times":               {`{"value":"u3","type":"User","$ref":"Users/u3","ref":"/Users/u3","resourceType":"User","meta":{"resourceType":"User"}}`, `user/u3`},
		"a user by ref alone":                       {`{"ref":"https://x.org/scim/v2/Users/u3"}`, `user/u3`},
		"a user with a backslash in the id":         {`{"value":"x\\ann","$ref":"../Users/x\\ann"}`, `user/x\ann`},
		"a user with a backslash, reference alone":  {`{"$ref":"../Users/x\\ann"}`, `user/x\ann`},
		"a user whose id is a path":                 {`{"value":"Sales/ann"}`, `user/Sales/ann`},
		"a group, a key of OData":                   {`{"value":"h","$ref":"https://x.org/v2/Groups('h')"}`, `group/h+`},

		"a user":                        {`{"value":"u3","type":" USER ","$ref":"https://x.org/scim/v2/users/u3/?x=1"}`, "user/u3"},
		"a user by reference":           {`{"value":"u3","$ref":"https%3A%2F%2Fx.org%2FUsers%2Fu3"}`, "user/u3"},
		"a user with an escaped id":     {`{"value":"a b","$ref":"../Users/a%20b"}`, "user/a b"},
		"a user with a slash in the id": {`{"value":"a/b","$ref":"../Users/a/b"}`, "user/a/b"},
		"a user, reference without id":  {`{"value":"u3","$ref":"https://x.org/scim/v2/Users"}`, "user/u3"},
		"a user, the URN as type":       {`{"value":"u3","type":"urn:ietf:params:scim:schemas:core:2.0:User"}`, "user/u3"},
		"a direct member":               {`{"value":"u3","type":"direct"}`, "user/u3"},
		"neither type nor reference":    {`{"value":"u3","type":null,"$ref":""}`, "user/u3"},
		"the id as a reference":         {`{"value":"u3","$ref":"u3"}`, "user/u3"},
		"a reference to no endpoint":    {`{"value":"u3","$ref":"https://x.org/scim/v2/u3"}`, "user/u3"},
		"a group":                       {`{"value":"h","type":"GROUP","$ref":"https://x.org/v2/GROUPS/h/"}`, "group/h+"},
		"a group by its id":             {`{"value":"h"}`, "group/h+"},
	} {
		t.Run("S8: a member of a third kind: "+name, func(t *testing.T) {
			t.Parallel()
			core, logged := observer.New(zap.WarnLevel)
			a := &groupApp{groups: map[string]string{
				"g": `{"id":"g","members":[` + c.member + `,{"value":"z","type":"User"},` + c.member + `]}`, "h": `{"id":"h"}`,
			}}
			connector := groupConnector(t, start(t, a))
			answer, err := connector.ListGrants(ctxzap.ToContext(t.Context(), zap.New(core)),
				v2.GrantsServiceListGrantsRequest_builder{Resource: groupID("g")}.Build())
			require.NoError(t, err)
			require.Empty(t, answer.GetNextPageToken())
			got, err := listMembers(t, connector, "g")
			require.NoError(t, err)
			if c.want != "" {
				require.Equal(t, []string{c.want, "user/z", c.want}, got)
				require.Empty(t, logged.All())
				return
			}
			require.Equal(t, []string{"user/z"}, got)
			require.Len(t, logged.All(), 1)
			require.Contains(t, logged.All()[0].Message, "neither users nor groups")
			require.Equal(t, map[string]any{"group": "g", "members": int64(2)}, logged.All()[0].ContextMap())
		})
	}

	t.Run("S8: members of a third kind in parts", func(t *testing.T) {
		t.Parallel()
		var members []string
		for i := range 2500 {
			members = append(members, fmt.Sprintf(`{"value":"u%d","type":"%s"}`, i, []string{"User", "Device"}[i%2]))
		}
		a := &groupApp{groups: map[string]string{"g": `{"id":"g","members":[` + strings.Join(members, ",") + `]}`}}
		core, logged := observer.New(zap.WarnLevel)
		connector, parts, count := groupConnector(t, start(t, a)), 0, 0
		for token, more := "", true; more; more = token != "" {
			answer, err := connector.ListGrants(ctxzap.ToContext(t.Context(), zap.New(core)),
				v2.GrantsServiceListGrantsRequest_builder{Resource: groupID("g"), PageToken: token}.Build())
			require.NoError(t, err)
			token, parts, count = answer.GetNextPageToken(), parts+1, count+len(answer.GetList())
		}
		require.Equal(t, 1250, count)
		require.Greater(t, parts, 1)
		require.Len(t, logged.All(), 1, "one warning for the group")
		require.Equal(t, int64(1250), logged.All()[0].ContextMap()["members"])
	})
}
