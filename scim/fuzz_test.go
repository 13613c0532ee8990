package scim

import (
	"encoding/json"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// The corpus of each target is in testdata/fuzz; "make fuzz" looks for more.

const fuzzToken = "fuzz-token-8c1f"

func fuzzEndpoint(tb testing.TB) *endpoint {
	tb.Helper()
	client, err := NewClient(tb.Context(), Options{
		BaseURL: "https://app.example.com/scim/v2", Token: fuzzToken, UserAgent: "fuzz/v1",
		Attributes: Attributes{Login: "externalId", Email: `emails[type eq "home"].value`, Profile: []string{"name", "badge=urn:x:User:badge.value"}},
	})
	require.NoError(tb, err)
	return client.usersEndpoint()
}

// FuzzPage: whatever a server answers is a page or a failure with a code; and
// what follows from a page never goes back, nor ends a list that has just begun
// to be long.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":2,"Resources":[{"id":"1"},{"id":2}]}`), 1)
	c := fuzzEndpoint(f)
	f.Fuzz(func(t *testing.T, body []byte, at int) {
		pg, err := c.decodePage(request{isList: true}, body)
		if err != nil {
			requireSafe(t, err)
			return
		}
		p := beginning()
		if p.State.At = max(0, at%1000); p.State.At > 0 {
			p.State.Users, p.State.Last = p.State.At, pg.sequence
		}
		next, err := c.rules.Next(p.State, (&session{seen: newIDSet()}).observe(p, pg))
		if err != nil {
			requireSafe(t, c.contradiction(err, err))
			return
		}
		require.GreaterOrEqual(t, next.From, 0)
		require.LessOrEqual(t, next.From, len(pg.entries))
		if next.End != nil {
			return
		}
		require.True(t, next.Next.Valid())
		if next.Next.Pass == p.pass() {
			require.GreaterOrEqual(t, next.Next.At, p.State.At)
			require.NotEqual(t, p.State, next.Next, "a listing that stands still does not end")
		}
	})
}

// FuzzUser: a user with an id becomes an account that can be stored and sent.
func FuzzUser(f *testing.F) {
	f.Add([]byte(`{"id":"1","userName":"ann@example.com","active":"True","emails":["ann@example.com"],"roles":{"value":"Admin"}}`))
	c := fuzzEndpoint(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var u user
		if json.Unmarshal(raw, &u) != nil || c.checkID(0, &u, nil) != nil {
			return
		}
		account, err := u.resource(true)
		require.NoError(t, err)
		require.Equal(t, string(u.ID.text), account.GetId().GetResource())
		require.NotEmpty(t, account.GetDisplayName())
		_, err = proto.Marshal(account)
		require.NoError(t, err)
	})
}

// FuzzMembers: what a server answers about a group is refused, or gives members
// that all have an id, as many as the array has items.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"id":"g","members":[{"value":"a","type":"User"},{"$ref":"../Groups/h"},"c",4]}`))
	f.Add([]byte(`{"id":"g","members":{"value":"a"}}`))
	f.Add([]byte(`{"id":"g","members":[{"display":"Ann"}],"Members":null}`))
	f.Add([]byte(`{"id":"g","schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`))
	c := fuzzEndpoint(f).groupsEndpoint()
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := c.decodeMembers("g", body, memberList{})
		if err != nil {
			requireSafe(t, err)
			return
		}
		var sent struct {
			Members []json.RawMessage `json:"members"`
		}
		if json.Unmarshal(body, &sent) == nil {
			require.Len(t, list.members, len(sent.Members))
		}
		if err := c.checkMembers("g", list.members); err != nil {
			requireSafe(t, err)
			return
		}
		for _, m := range list.members {
			require.True(t, m.id() != "" || m.kind() == memberOther)
		}
	})
}

// FuzzAttributes: any path is refused, or finds in any user only what fits into an
// account, and never a password.
func FuzzAttributes(f *testing.F) {
	f.Add(`emails[type eq "home"].value`, []byte(`{"id":"1","emails":[{"value":"a@x.org","type":"home"}]}`))
	f.Add("urn:x:2.0:User:a.b", []byte(`{"id":"1","urn:x:2.0:User":{"a":{"b":[1,"2",{"value":3}]}}}`))
	f.Add("password", []byte(`{"id":"1","password":"x"}`))
	f.Fuzz(func(t *testing.T, path string, raw []byte) {
		chosen, err := parseAttributes(Attributes{Login: path, Email: path, Profile: []string{"key=" + path}})
		if err != nil {
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			requireSafe(t, err)
			return
		}
		var u user
		if json.Unmarshal(raw, &u) != nil {
			return
		}
		users := []user{u}
		readChosen(append(append([]byte(`{"Resources":[`), raw...), "]}"...), users, chosen)
		account, err := users[0].resource(false)
		if u.ID.text == "" {
			return
		}
		require.NoError(t, err)
		_, err = proto.Marshal(account)
		require.NoError(t, err)
	})
}

// FuzzErrorBody: what a server reports about an error never hides its status, and a
// message never repeats the token nor grows long.
func FuzzErrorBody(f *testing.F) {
	f.Add(400, []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"expiredCursor","detail":"x"}`))
	f.Add(500, []byte(`{"detail":"`+fuzzToken+`"}`))
	c := fuzzEndpoint(f)
	f.Add(403, []byte(`{"Errors":[{"description":"`+fuzzToken+`","code":"403"}]}`))
	f.Add(400, []byte(`{"errors":{"startIndex":["too big"]},"error":{"message":{"detail":["x"]}}}`))
	f.Fuzz(func(t *testing.T, httpStatus int, body []byte) {
		if httpStatus < 300 || httpStatus > 599 {
			return
		}
		f := c.statusFailure(t.Context(), request{path: []string{"Users"}, isList: true}, &http.Response{StatusCode: httpStatus, Header: http.Header{}}, body)
		require.Equal(t, httpStatus, f.httpStatus)
		requireSafe(t, f)
	})
}

// FuzzPageToken: a page token is refused, or is a position that stays the same
// when it becomes a token again.
func FuzzPageToken(f *testing.F) {
	fuzzRules := fuzzEndpoint(f).rules
	f.Add(beginning().token())
	f.Add(`{"v":6,"list":{"pass":2,"at":100,"users":100,"total":250,"worth":2,"last":5,"signs":4,"cursor":"x"},"silent":3}`)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := parseToken(token)
		if err != nil {
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			requireSafe(t, err)
			return
		}
		again, err := parseToken(p.token())
		require.NoError(t, err)
		require.Equal(t, p, again)
		require.GreaterOrEqual(t, fuzzRules.Request(p.State).Start, 0)
	})
}

// requireSafe: a failure is a sentence with a code that no caller takes for the
// end of a list.
func requireSafe(t *testing.T, err error) {
	t.Helper()
	require.NotContains(t, []codes.Code{codes.OK, codes.Unknown, codes.NotFound}, status.Code(err))
	require.NotContains(t, err.Error(), fuzzToken)
	require.True(t, utf8.ValidString(err.Error()))
	require.Less(t, len(err.Error()), 8<<10)
}
