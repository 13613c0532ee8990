package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/pagination"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// largeApp has the users u0, u1, … and the groups g0, g1, … with the users as members. It
// does not leave members out of its list of groups.
type largeApp struct {
	users, carriers int
	// members is how many members each group has.
	members []int
	// padding makes members larger, about makes users larger, or only the one by number.
	padding, about string
	large          int
	contentType    string
	// refuses is the status for single groups that have more than so many members, and for
	// lists with a larger count.
	refuses, most int
	// suffix is what follows a group's members.
	suffix string
	// requests counts the lists that were asked for, if it is there.
	requests *atomic.Int64
}

func (a *largeApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.contentType)
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("startIndex"))
	count, _ := strconv.Atoi(query.Get("count"))
	from = max(from, 1)
	if id, single := strings.CutPrefix(r.URL.Path, "/Groups/g"); single {
		number, _ := strconv.Atoi(id)
		if a.refuses > 0 && a.members[number] > a.most {
			w.WriteHeader(a.refuses)
			return
		}
		a.group(w, number)
		return
	}
	if a.requests != nil {
		a.requests.Add(1)
	}
	if a.refuses > 0 && len(a.members) == 0 && count > a.most {
		w.WriteHeader(a.refuses)
		return
	}
	total := a.users
	if r.URL.Path == "/Groups" {
		total = len(a.members)
	}
	fmt.Fprintf(w, `{"totalResults":%d,"Resources":[`, total)
	for i := from; i < from+count && i <= total; i++ {
		if i > from {
			fmt.Fprint(w, ",")
		}
		if r.URL.Path == "/Groups" {
			a.group(w, i-1)
			continue
		}
		groups := ""
		if i <= a.carriers {
			groups = `,"groups":[{"value":"g0"}]`
		}
		about := a.about
		if a.large > 0 && i != a.large {
			about = ""
		}
		fmt.Fprintf(w, `{"id":"u%d","userName":"u%d","about":%q%s}`, i-1, i-1, about, groups)
	}
	fmt.Fprint(w, `]}`)
}

func (a *largeApp) group(w http.ResponseWriter, number int) {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"id":"g%d","displayName":"Group %d","members":[`, number, number)
	for i := range a.members[number] {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(`{"value":"u`)
		body.WriteString(strconv.Itoa(i))
		body.WriteString(`","type":"User","display":"`)
		body.WriteString(a.padding)
		body.WriteString(`"}`)
	}
	body.WriteString("]" + a.suffix + "}")
	_, _ = w.Write(body.Bytes())
}

// connector is a connector that keeps a hundredth of what others keep of an answer.
func (a *largeApp) connector(t *testing.T, mostSkimmed int64) *Connector {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := NewClient(t.Context(), Options{BaseURL: server.URL, Token: fuzzToken, UserAgent: "test/v1", ReadAhead: 1})
	require.NoError(t, err)
	if mostSkimmed > 0 {
		client.mostKept, client.mostSkimmed = maxBody/100, mostSkimmed
	}
	return NewConnector(App{Groups: true}, client)
}

func syncOf(token string) resource.SyncOpAttrs {
	return resource.SyncOpAttrs{SyncID: "sync-1", PageToken: pagination.Token{Token: token}}
}

func listEach(t *testing.T, list func(context.Context, *v2.ResourceId, resource.SyncOpAttrs) ([]*v2.Resource, *resource.SyncOpResults, error)) (all []*v2.Resource) {
	t.Helper()
	for token, more := "", true; more; more = token != "" {
		page, next, err := list(t.Context(), nil, syncOf(token))
		require.NoError(t, err)
		all, token = append(all, page...), next.NextPageToken
	}
	return all
}

// countGrants is how many grants a group has, and its grade, "" for proven.
func countGrants(t *testing.T, c *Connector, group *v2.Resource) (grants int, reason string, err error) {
	t.Helper()
	for token, more := "", true; more; more = token != "" {
		page, next, err := c.groups.Grants(t.Context(), group, syncOf(token))
		if err != nil {
			return grants, "", err
		}
		grants, token = grants+len(page), next.NextPageToken
		sent := &pluginv1.Evidence{}
		_, err = next.Annotations.Pick(sent)
		require.NoError(t, err)
		reason = sent.GetReason()
	}
	return grants, reason, nil
}

// TestSkim_GroupThatIsTooLarge: a group above the limit of an answer is read in parts, or by what
// users carry, or it fails alone and by name. Accounts and the other groups are complete.
func TestSkim_GroupThatIsTooLarge(t *testing.T) {
	t.Parallel()
	const most, small = maxSkimmed, 400 << 10
	padding := strings.Repeat("x", 170)
	for name, c := range map[string]struct {
		app  largeApp
		most int64
		// want are the grants of the first group, and reason why they are not proven; of a
		// group that fails it is the error.
		want   int
		fails  codes.Code
		reason string
	}{
		"R9: above the limit": {app: largeApp{users: 300, members: []int{2001, 7, 0}, padding: padding}, most: most, want: 300, reason: "1701 of the 2001 members"},
		"R9: above the limit, and users carry the group": {
			app: largeApp{users: 300, carriers: 300, members: []int{2001, 7, 0}, padding: padding}, most: most, want: 300, reason: "1701 of the 2001 members",
		},
		"R9: above every limit":                               {app: largeApp{users: 300, members: []int{2500, 7, 0}, padding: padding}, most: small, fails: codes.NotFound},
		"R9: above every limit, and users carry the group":    {app: largeApp{users: 300, carriers: 299, members: []int{2500, 7, 0}, padding: padding}, most: small, want: 299, reason: "299 users who carry it in their own groups"},
		"R9: the app refuses it as too large":                 {app: largeApp{users: 300, members: []int{500, 7, 0}, refuses: http.StatusRequestEntityTooLarge, most: 100}, most: most, fails: codes.NotFound},
		"R9: the app refuses it, and users carry the group":   {app: largeApp{users: 300, carriers: 150, members: []int{500, 7, 0}, refuses: http.StatusRequestEntityTooLarge, most: 100}, most: most, want: 150, reason: "150 users who carry it"},
		"R9: in a character set of single bytes":              {app: largeApp{users: 300, members: []int{2001, 7, 0}, padding: padding, contentType: "application/json; charset=ISO-8859-1"}, most: most, want: 300, reason: "1701 of the 2001 members"},
		"R9: members twice":                                   {app: largeApp{users: 300, members: []int{2001, 7, 0}, padding: padding, suffix: `,"Members":["u1"]`}, most: most, fails: codes.DataLoss},
		"R9: the app sends the secret back among the members": {app: largeApp{users: 300, members: []int{2001}, padding: padding + fuzzToken}, most: most, fails: codes.FailedPrecondition},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connector := c.app.connector(t, c.most)
			require.Len(t, listEach(t, connector.users.List), c.app.users)
			groups := listEach(t, connector.groups.List)
			require.Len(t, groups, len(c.app.members))
			for i, group := range groups[1:] {
				got, _, err := countGrants(t, connector, group)
				if c.app.suffix == "" {
					require.NoError(t, err)
					require.Equal(t, c.app.members[i+1], got)
				}
			}
			got, reason, err := countGrants(t, connector, groups[0])
			if c.fails != codes.OK {
				require.Equal(t, c.fails, status.Code(err), "%v", err)
				if c.fails == codes.NotFound {
					require.ErrorContains(t, err, `more members of the group "Group 0" (g0) than can be read`)
				}
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Contains(t, reason, c.reason)
		})
	}
}

// TestSkim_PageThatIsTooLarge is asked for with a smaller count.
func TestSkim_PageThatIsTooLarge(t *testing.T) {
	t.Parallel()
	t.Run("R9: a page of large users", func(t *testing.T) {
		t.Parallel()
		a := &largeApp{users: 130, about: strings.Repeat("x", 4000)}
		require.Len(t, listEach(t, a.connector(t, maxSkimmed).users.List), 130)
	})
	t.Run("R9: one large user among many", func(t *testing.T) {
		t.Parallel()
		a := &largeApp{users: 1234, large: 300, about: strings.Repeat("x", maxBody/100-300), requests: &atomic.Int64{}}
		require.Len(t, listEach(t, a.connector(t, maxSkimmed).users.List), 1234)
		require.Less(t, a.requests.Load(), int64(40), "the count goes up again")
	})
	t.Run("R9: a page of users is refused as too large", func(t *testing.T) {
		t.Parallel()
		a := &largeApp{users: 130, refuses: http.StatusRequestEntityTooLarge, most: 50}
		require.Len(t, listEach(t, a.connector(t, maxSkimmed).users.List), 130)
	})
	t.Run("R9: a page of groups that are large together", func(t *testing.T) {
		t.Parallel()
		a := &largeApp{users: 9, members: make([]int, 25), padding: strings.Repeat("x", 170)}
		for i := range a.members {
			a.members[i] = 1000
		}
		require.Len(t, listEach(t, a.connector(t, 400<<10).groups.List), 25)
	})
	t.Run("R9: a user who is too large", func(t *testing.T) {
		t.Parallel()
		a := &largeApp{users: 3, about: strings.Repeat("x", maxBody/100)}
		_, _, err := a.connector(t, maxSkimmed).users.List(t.Context(), nil, syncOf(""))
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.ErrorContains(t, err, "an answer of more than 1 MiB")
	})
}

// TestSkimmer_LeavesOneAttributeOut and nothing else.
func TestSkimmer_LeavesOneAttributeOut(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"id":"g","members":[{"value":"a"},"b"],"displayName":"G"}`:                                `{"id":"g","displayName":"G"}`,
		` { "Resources" : [ {"Members":{"x":[1]},"id":7}, {"id":"members","m":null} ] , "t":1.0e2}`: `{"Resources":[{"id":7},{"id":"members","m":null}],"t":1.0e2}`,
		`{"members":null}`:                     `{}`,
		`{"m\u0065mbers":["a"],"id":"\u00e4"}`: `{"id":"\u00e4"}`,
		`{"urn:ietf:params:scim:schemas:core:2.0:Group":{"members":[1],"id":2}}`: `{"urn:ietf:params:scim:schemas:core:2.0:Group":{"id":2}}`,
		`{"urn:ietf:params:scim:schemas:core:2.0:Group:members":[1],"id":2}`:     `{"id":2}`,
		`[]`: `[]`,
	} {
		kept, err := (&skimmer{attribute: "members", most: maxSkimmed, mostKept: maxBody}).skim(iotest.HalfReader(strings.NewReader(body)))
		require.NoError(t, err, body)
		require.Equal(t, want, string(kept))
		require.True(t, json.Valid(kept))
	}
	for body, want := range map[string]string{
		`{"id":"g","members":[{"value":"a"},"b"],"displayName":"G"}`: `{"value":"a"} "b"`,
		`{"members":{"value":"a"}}`:                                  `{"value":"a"}`,
		`{"members":"a"}`:                                            `"a"`,
		`{"members":null}`:                                           ``,
		`{"members":[]}`:                                             ``,
	} {
		var got []string
		s := &skimmer{attribute: "members", most: maxSkimmed, mostKept: maxBody, value: func(raw []byte) error {
			got = append(got, string(raw))
			return nil
		}}
		_, err := s.skim(strings.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, want, strings.Join(got, " "))
		require.Equal(t, 1, s.found)
	}
	for _, body := range []string{``, `{`, `{"members":[`, `{"members":[1}`, `{"a":1]`, `{"a" 1}`, `{} {}`, `{"a":"\ud800"}`, "{\"members\":[\"\xff\"]}", `[1,]`} {
		_, err := (&skimmer{attribute: "members", most: maxSkimmed, mostKept: maxBody}).skim(strings.NewReader(body))
		require.Error(t, err, body)
		require.NotErrorIs(t, err, errTooLarge)
	}
	broken := errors.New("broken off")
	_, err := (&skimmer{attribute: "members", most: maxSkimmed, mostKept: maxBody}).skim(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	_, err = (&skimmer{attribute: "members", most: 10}).skim(strings.NewReader(`{"members":["aaaaaaaaaaaaaa"]}`))
	require.ErrorIs(t, err, errTooLarge)
}
