package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/scim"
)

// hiding is an app that counts users whom it leaves out of their page.
func hiding(users int, hidden ...int) *app {
	return answering(users, func(a *app, r listRequest, answer map[string]any) map[string]any {
		users, _ := answer["Resources"].([]any)
		answer["Resources"] = slices.DeleteFunc(users, func(one any) bool {
			return slices.ContainsFunc(hidden, func(at int) bool { return one.(map[string]any)["id"] == fmt.Sprintf("id-%04d", at) })
		})
		return answer
	})
}

// accepting lists the users of an app of which that many may be hidden.
func accepting(t *testing.T, handler http.Handler, hidden int) (graded, *observer.ObservedLogs) {
	t.Helper()
	client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: start(t, handler), Token: testToken, UserAgent: "baton-test/v1", HiddenUsers: hidden})
	require.NoError(t, err)
	core, logged := observer.New(zap.InfoLevel)
	return gradeOf(t, ctxzap.ToContext(t.Context(), zap.New(core)), serveConnector(t, client), logged), logged
}

// TestHiddenUsers_Message: both numbers, how many readings agreed, and where the user is
// missing.
func TestHiddenUsers_Message(t *testing.T) {
	t.Parallel()
	const option = `If it is right that it never lists 1 of its users, put 1 into "SCIM Hidden Users" (scim-hidden-users).`
	for name, c := range map[string]struct {
		app     *app
		message []string
	}{
		"one of 250":               {hiding(250, 151), []string{"reports 250 users and lists 249 of them, the same in 3 readings", "The missing one is at startIndex 151: asked for it alone, the app sends none.", option}},
		"the first of 250":         {hiding(250, 1), []string{"reports 250 users and lists 249 of them, the same in 3 readings", "The missing one is at startIndex 1:", option}},
		"the last of a page":       {hiding(250, 100), []string{"reports 250 users and lists 249 of them", "The missing one is at startIndex 100:", option}},
		"the last but one":         {hiding(250, 249), []string{"reports 250 users and lists 249 of them", "The missing one is at startIndex 249:", option}},
		"the last of 250":          {hiding(250, 250), []string{"reports 250 users but lists none from startIndex 250 on: it lists 249, the same in 3 readings", option}},
		"one of 45, on one page":   {hiding(45, 20), []string{"reports 45 users and lists 44 of them", "The missing one is at startIndex 20:", option}},
		"one of 250, pages of 30":  {with(hiding(250, 151), func(a *app) { a.cap = 30 }), []string{"lists 249 of them", "The missing one is at startIndex 151:", option}},
		"two of 250":               {hiding(250, 151, 220), []string{"reports 250 users and lists 248 of them, the same in 3 readings", "The first one is missing at startIndex 151:", "put 2 into"}},
		"the last, and one before": {hiding(250, 151, 250), []string{"reports 250 users and lists 248 of them, the same in 3 readings", "The first one is missing at startIndex 151:", "put 2 into"}},
		"one of 250, no small one": {with(hiding(250, 151), func(a *app) { a.hook = refuseSmall }), []string{"lists 249 of them", "One is missing between startIndex 100 and 199: that page is shorter than it should be.", option}},
	} {
		t.Run("R7: counted and not listed: "+name, func(t *testing.T) {
			t.Parallel()
			_, _, _, err := readGraded(t, c.app)
			st := requireFailure(t, err)
			require.Equal(t, codes.DataLoss, st.Code())
			for _, message := range c.message {
				require.Contains(t, st.Message(), message)
			}
			require.NotContains(t, st.Message(), "changed")
			require.NotContains(t, st.Message(), "quieter")
			narrow := slices.DeleteFunc(c.app.pages(), func(r listRequest) bool { return r.count == 100 })
			require.LessOrEqual(t, len(narrow), 8, "requests that look for the position")
		})
	}
	t.Run("R7: what changes between readings is not called hidden", func(t *testing.T) {
		t.Parallel()
		a := newApp(250)
		a.hook = func(a *app, r listRequest) {
			a.ids = append(slices.Delete(a.ids, 0, 1), fmt.Sprintf("new-%d", r.number))
		}
		require.Contains(t, listFails(t, a).Message(), "changed while it was read")
	})
	t.Run("R7: a sort that is refused is not called a change or an interruption", func(t *testing.T) {
		t.Parallel()
		a := newApp(350)
		a.hook = func(a *app, request listRequest) {
			slices.Sort(a.ids)
			shift := request.number * 37 % len(a.ids)
			a.ids = append(slices.Clone(a.ids[shift:]), a.ids[:shift]...)
		}
		st := listFails(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("sortBy") {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			a.ServeHTTP(w, r)
		}))
		// Pages that are read ahead come in any order, and decide which of both is seen first.
		require.Regexp(t, "the last time: (a page did not begin where the one before ended|a user was on two pages)", st.Message())
		require.NotContains(t, st.Message(), "when it was sorted")
		require.NotContains(t, st.Message(), "interrupted")
	})
}

// refuseSmall makes an app send pages of 100 at least.
func refuseSmall(a *app, r listRequest) {
	answer := a.answer
	a.answer = func(r listRequest, usual map[string]any) map[string]any {
		if r.count < 100 {
			return listAnswer(a.page(r.start, 100), len(a.ids), r.start)
		}
		return answer(r, usual)
	}
	a.hook = nil
}

// TestHiddenUsers_Accepted: as many as the operator allows, and no more.
func TestHiddenUsers_Accepted(t *testing.T) {
	t.Parallel()
	cursor := func(a *app) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			if cursor := query.Get("cursor"); cursor != "" {
				query.Set("startIndex", cursor)
			}
			r.URL.RawQuery = query.Encode()
			next := a.answer
			named := &app{ids: a.ids, answer: func(r listRequest, answer map[string]any) map[string]any {
				answer = next(r, answer)
				if r.start+100 <= len(a.ids) {
					answer["nextCursor"] = fmt.Sprint(r.start + 100)
				}
				return answer
			}}
			named.ServeHTTP(w, r)
		})
	}
	for name, c := range map[string]struct {
		handler http.Handler
		hidden  int // the option
		listed  int // 0: it fails
		message string
	}{
		"1 of 1":                {hiding(250, 151), 1, 249, "the app counts 250 users and lists 249 of them"},
		"1 of 5":                {hiding(250, 151), 5, 249, "the app counts 250 users and lists 249 of them"},
		"the last one":          {hiding(237, 237), 1, 236, "the app counts 237 users and lists 236 of them"},
		"3 of 3, on one page":   {hiding(45, 1, 20, 45), 3, 42, "the app counts 45 users and lists 42 of them"},
		"1 of 1, by cursor":     {cursor(hiding(250, 151)), 1, 249, "the app counts 250 users and lists 249 of them"},
		"2 of 1":                {hiding(250, 151, 220), 1, 0, `lists 248 of them, the same in 3 readings. The list is incomplete, so it is not used. The first one is missing at startIndex 151: asked for it alone, the app sends none. Ask the app's support why it counts users that it does not list. "SCIM Hidden Users" (scim-hidden-users) accepts 1, and 2 are missing.`},
		"2 of 1, by cursor":     {cursor(hiding(250, 151, 220)), 1, 0, `"SCIM Hidden Users" (scim-hidden-users) accepts 1, and 2 are missing.`},
		"all of them":           {answering(5, func(_ *app, _ listRequest, _ map[string]any) map[string]any { return listAnswer(nil, 5, 1) }), 5, 0, "reports 5 users but lists none from startIndex 1 on"},
		"one displaces another": {displacing(), 5, 0, "has 1 of its users on two pages and lacks 1 of the 250"},
	} {
		t.Run("R7: hidden users are accepted: "+name, func(t *testing.T) {
			t.Parallel()
			got, logged := accepting(t, c.handler, c.hidden)
			if c.listed == 0 {
				require.Contains(t, requireFailure(t, got.err).Message(), c.message)
				return
			}
			require.NoError(t, got.err)
			require.Len(t, got.accounts, c.listed)
			require.Equal(t, "unproven", got.evidence)
			require.Equal(t, c.message, got.reason)
			warned := logged.FilterLevelExact(zap.WarnLevel).All()
			require.Len(t, warned, 1)
			require.Equal(t, "scim: the app counts users that it does not list, no more than scim-hidden-users accepts; they are missing", warned[0].Message)
		})
	}
	t.Run("R7: an app that hides none is proven with the option", func(t *testing.T) {
		t.Parallel()
		a := newApp(237)
		got, logged := accepting(t, a, 3)
		require.NoError(t, got.err)
		requireIDs(t, a.ids, got.accounts)
		require.Equal(t, "proven", got.evidence)
		require.Zero(t, logged.FilterLevelExact(zap.WarnLevel).Len())
	})
	t.Run("R7: roles are read of the same users", func(t *testing.T) {
		t.Parallel()
		for hidden, message := range []string{"scim-hidden-users", ""} {
			client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: start(t, hiding(250, 151)), Token: testToken, UserAgent: "baton-test/v1", HiddenUsers: hidden})
			require.NoError(t, err)
			connector, err := connectorbuilder.NewConnector(t.Context(), scim.NewConnector(scim.App{DisplayName: "T", Description: "T.", Roles: true}, client))
			require.NoError(t, err)
			_, err = connector.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "role"}.Build())
			require.Equal(t, message != "", err != nil && strings.Contains(err.Error(), message), "%v", err)
		}
	})
	t.Run("R7: less than none is refused", func(t *testing.T) {
		t.Parallel()
		_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: "https://app.example.com", Token: testToken, UserAgent: "baton-test/v1", HiddenUsers: -1})
		st := requireFailure(t, err)
		require.Equal(t, codes.InvalidArgument, st.Code())
		require.Contains(t, st.Message(), `"SCIM Hidden Users" (scim-hidden-users) is -1`)
	})
}

// displacing is an app of which a user is on two pages, in the place of another.
func displacing() *app {
	return answering(250, func(a *app, r listRequest, _ map[string]any) map[string]any {
		listed := &app{ids: slices.Clone(a.ids)}
		if r.start >= 100 {
			listed.ids[150] = listed.ids[20]
		}
		return listAnswer(listed.page(r.start, r.count), 250, r.start)
	})
}
