package scim_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// TestErrorBody: the server's own words are in the message, whatever form they come in.
func TestErrorBody(t *testing.T) {
	t.Parallel()
	const plain = "text/plain; charset=utf-8"
	for name, c := range map[string]struct {
		contentType, body string
		answered          string // "" for nothing
	}{
		"SCIM 2.0":                       {"", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidValue","detail":"Start index too big"}`, "Start index too big (invalidValue)"},
		"SCIM 1.1":                       {"", `{"Errors":[{"description":"Start index too big","code":"400"}]}`, "Start index too big"},
		"SCIM 1.1, several":              {"", `{"Errors":[{"description":"one","code":"400"},{"description":"two","code":"400"},{"description":"one","code":"400"}]}`, "one; two"},
		"SCIM 1.1, one object":           {"", `{"Errors":{"description":"Start index too big","code":400}}`, "Start index too big"},
		"SCIM 1.1, with a name":          {"", `{"Errors":[{"description":"Start index too big","code":"400","type":"invalidValue"}]}`, "Start index too big (invalidValue)"},
		"OAuth":                          {"", `{"error":"invalid_request","error_description":"Start index too big"}`, "Start index too big (invalid_request)"},
		"a word":                         {"", `{"error":"Start index too big"}`, "Start index too big"},
		"a message":                      {"", `{"message":"Start index too big"}`, "Start index too big"},
		"a message, upper case":          {"", `{"Message":"Start index too big"}`, "Start index too big"},
		"a message and a code":           {"", `{"code":"BAD_INDEX","message":"Start index too big"}`, "Start index too big (BAD_INDEX)"},
		"problem details":                {"application/problem+json", `{"type":"https://example.com/p","title":"Bad index","status":400,"detail":"Start index too big"}`, "Start index too big (Bad index)"},
		"problem details, a title":       {"application/problem+json", `{"type":"about:blank","title":"Bad index","status":400}`, "Bad index"},
		"problem details, by parameter":  {"application/problem+json", `{"title":"Validation failed","errors":{"startIndex":["Start index too big"],"count":["no"]}}`, "Validation failed; count: no; startIndex: Start index too big"},
		"an error in an error":           {"", `{"error":{"code":400,"message":"Start index too big","status":"INVALID_ARGUMENT"}}`, "Start index too big"},
		"errors as texts":                {"", `{"errors":["Start index too big"]}`, "Start index too big"},
		"errors with titles":             {"", `{"errors":[{"status":"400","title":"Bad index","detail":"Start index too big"}]}`, "Start index too big (Bad index)"},
		"a summary":                      {"", `{"errorCode":"E0000001","errorSummary":"Start index too big","errorCauses":[{"errorSummary":"above 2200"}]}`, "Start index too big (E0000001); above 2200"},
		"a list":                         {"", `[{"message":"Start index too big","errorCode":"BAD_INDEX"}]`, "Start index too big (BAD_INDEX)"},
		"a fault":                        {"", `{"fault":{"faultstring":"Start index too big","detail":{"errorcode":"messaging.index"}}}`, "Start index too big; messaging.index"},
		"plain text":                     {plain, "Start index\r\n too big\a", "Start index too big"},
		"the token":                      {"", `{"Errors":[{"description":"Bearer ` + testToken + ` is bad"}]}`, "(not shown: it repeats the token)"},
		"long":                           {"", `{"message":"` + strings.Repeat("x ", 5000) + `"}`, strings.Repeat("x ", 250) + "…"},
		"many":                           {"", `{"errors":["a","b","c","d","e"]}`, "a; b; c"},
		"nested without end":             {"", strings.Repeat(`{"error":`, 500) + `{"message":"hidden"}` + strings.Repeat("}", 500), ""},
		"plain text that is a web page":  {plain, "<html>hidden</html>", ""},
		"a web page":                     {"text/html", "<html>hidden</html>", ""},
		"text that is not declared":      {"", "hidden", ""},
		"something else":                 {"", `{"user":"hidden","nickName":"hidden"}`, ""},
		"nothing":                        {"", "", ""},
		"an empty list":                  {"", `{"Errors":[]}`, ""},
		"a message of another kind":      {"", `{"message":{"text":"hidden"},"detail":["hidden"]}`, ""},
		"an error without a description": {"", `{"Errors":[{"code":"400"}]}`, ""},
	} {
		t.Run("R10: words of the server: "+name, func(t *testing.T) {
			t.Parallel()
			contentType := c.contentType
			if contentType == "" {
				contentType = "application/json"
			}
			st := listFails(t, serve(http.StatusBadRequest, contentType, c.body))
			require.Equal(t, codes.InvalidArgument, st.Code())
			_, answered, _ := strings.Cut(st.Message(), " It answered: ")
			require.Equal(t, c.answered, answered)
			require.NotContains(t, st.Message(), "hidden")
			require.NotContains(t, st.Message(), testToken)
		})
	}
}

// TestErrorBody_Advice: what to look at depends on the request that failed.
func TestErrorBody_Advice(t *testing.T) {
	t.Parallel()
	const tooBig = `{"Errors":[{"description":"Start index too big","code":"400"}]}`
	// limited is an app that answers its list up to an index.
	limited := func(httpStatus, last int, body string) http.Handler {
		a := newApp(450)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if start, _ := strconv.Atoi(r.URL.Query().Get("startIndex")); start > last {
				serve(httpStatus, "application/json", body).ServeHTTP(w, r)
				return
			}
			a.ServeHTTP(w, r)
		})
	}
	for name, c := range map[string]struct {
		handler http.Handler
		code    codes.Code
		message []string
		isFirst bool
	}{
		"the first request": {
			serve(400, "application/json", tooBig), codes.InvalidArgument,
			[]string{"answered 400 Bad Request to GET /scim/v2/Users?startIndex=1&count=100: the app refuses a plain list of users. Check", "It answered: Start index too big"},
			true,
		},
		"the first request, with 200": {
			serve(200, "application/json", tooBig), codes.InvalidArgument,
			[]string{"answered with the error 400 Bad Request to GET /scim/v2/Users?startIndex=1&count=100: the app refuses a plain list of users. Check", "It answered: Start index too big"},
			true,
		},
		"the first request, with 200 and no status": {
			serve(200, "application/json", `{"error":"no such tenant"}`), codes.FailedPrecondition,
			[]string{"answered with JSON that is not a SCIM list of users. Is", "It answered: no such tenant"},
			true,
		},
		"a later one, 400": {
			limited(400, 220, tooBig), codes.FailedPrecondition,
			[]string{
				"answered 400 Bad Request to GET /scim/v2/Users?startIndex=298&count=100: the app refuses startIndex 298, and has answered requests for the same list before",
				"It answered: Start index too big. It reports 450 users and has listed 298 of them, so the list is incomplete and is not used.",
			},
			false,
		},
		"a later one, 404": {
			limited(404, 220, ""), codes.FailedPrecondition,
			[]string{"answered 404 Not Found to GET /scim/v2/Users?startIndex=298&count=100: the app refuses startIndex 298"},
			false,
		},
		"a later one, 403": {
			limited(403, 220, `{"message":"not that far"}`), codes.PermissionDenied,
			[]string{"answered 403 Forbidden to GET /scim/v2/Users?startIndex=298&count=100: the app refuses startIndex 298", "It answered: not that far"},
			false,
		},
		"a later one, 400 with 200": {
			limited(200, 220, tooBig), codes.FailedPrecondition,
			[]string{"answered with the error 400 Bad Request to GET /scim/v2/Users?startIndex=298&count=100: the app refuses startIndex 298", "It answered: Start index too big"},
			false,
		},
		"a later one is a web page": {
			limited(200, 220, "<html>"), codes.Unavailable,
			[]string{"web page (HTML)", "It has answered requests for the same list before", "The request was GET /scim/v2/Users?startIndex=298&count=100."},
			false,
		},
		"a later one is no list": {
			limited(200, 220, `{}`), codes.Unavailable,
			[]string{"not a SCIM list", "It has answered requests for the same list before", "The request was GET /scim/v2/Users?startIndex=298&count=100."},
			false,
		},
		"a later one is an error without a status, with 200": {
			limited(200, 220, `{"success":false,"error":"Session expired"}`), codes.Unavailable,
			[]string{"not a SCIM list", "It answered: Session expired. The request was GET /scim/v2/Users?startIndex=298&count=100."},
			false,
		},
		"a later one is a list of nobody with an error": {
			limited(200, 220, `{"totalResults":0,"Resources":[],"error":"timeout"}`), codes.Unavailable,
			[]string{"a list that has no users, and reports an error in it", "It answered: timeout."},
			false,
		},
		"the first one is a list of nobody with an error of SCIM 1.1": {
			serve(200, "", `{"totalResults":0,"Resources":[],"Errors":[{"description":"LDAP unreachable","code":"500"}]}`), codes.Unavailable,
			[]string{"answered with the error 500", "It answered: LDAP unreachable"},
			false,
		},
		"a later one, 500": {
			limited(500, 220, `{"message":"index"}`), codes.Unavailable,
			[]string{"answered 500 Internal Server Error to GET /scim/v2/Users?startIndex=298&count=100: the app, or a proxy before it, is out of order", "It answered: index"},
			false,
		},
	} {
		t.Run("R10: advice for "+name, func(t *testing.T) {
			t.Parallel()
			_, err := listAll(t, newConnector(t, start(t, c.handler)+"/scim/v2"))
			st := requireFailure(t, err)
			require.Equal(t, c.code, st.Code(), st.Message())
			for _, message := range c.message {
				require.Contains(t, st.Message(), message)
			}
			require.Equal(t, c.isFirst, strings.Contains(st.Message(), "SCIM Base URL"), st.Message())
			require.NotContains(t, st.Message(), "changed while")
		})
	}
	t.Run("R10: the cursor that is refused is named", func(t *testing.T) {
		t.Parallel()
		a := newApp(250)
		st := listFails(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("cursor") {
				serve(422, "application/json", `{"title":"Unknown cursor"}`).ServeHTTP(w, r)
				return
			}
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["nextCursor"] = strings.Repeat("c/", 100)
				return answer
			}
			a.ServeHTTP(w, r)
		}))
		require.Contains(t, st.Message(), fmt.Sprintf("to GET /Users?cursor=%s…&count=100: the app refuses the page of a cursor that it has named", strings.Repeat("c%2F", 20)))
		require.Contains(t, st.Message(), "It answered: Unknown cursor")
	})
}
