package scim_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

// TestMediaType: an app that refuses how SCIM is asked for is asked in another way, and in
// that way from then on.
func TestMediaType(t *testing.T) {
	t.Parallel()
	const scimType, jsonType = "application/scim+json", "application/json"
	for name, c := range map[string]struct {
		refusal  int
		accepts  func(accept, content string) bool
		requests int // until one is accepted
	}{
		"any list in Accept":                   {406, func(accept, _ string) bool { return !strings.ContainsAny(accept, ",;") }, 2},
		"all but SCIM alone":                   {406, func(accept, _ string) bool { return accept == scimType }, 2},
		"all but JSON alone":                   {406, func(accept, _ string) bool { return accept == jsonType }, 3},
		"any list in Accept, with 415":         {415, func(accept, _ string) bool { return !strings.Contains(accept, ",") }, 2},
		"all but UTF-8 by name":                {406, func(accept, _ string) bool { return accept == scimType+";charset=utf-8" }, 4},
		"all but any type":                     {406, func(accept, _ string) bool { return accept == "*/*" }, 5},
		"no Content-Type":                      {415, func(_, content string) bool { return content != "" }, 4},
		"all but Content-Type JSON":            {415, func(accept, content string) bool { return content == jsonType && accept == jsonType }, 5},
		"a quality in Accept":                  {406, func(accept, _ string) bool { return !strings.Contains(accept, "q=") }, 2},
		"nothing, as long as SCIM is accepted": {406, func(accept, _ string) bool { return strings.HasPrefix(accept, scimType) }, 1},
	} {
		t.Run("R3: refuses "+name, func(t *testing.T) {
			t.Parallel()
			a := newApp(250)
			var mu sync.Mutex
			refused := 0
			connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !c.accepts(r.Header.Get("Accept"), r.Header.Get("Content-Type")) {
					mu.Lock()
					refused++
					mu.Unlock()
					serve(c.refusal, "text/html", "<html>").ServeHTTP(w, r)
					return
				}
				a.ServeHTTP(w, r)
			})))
			for range 2 { // the connector remembers
				accounts, err := listAll(t, connector)
				require.NoError(t, err)
				requireIDs(t, a.ids, accounts)
				require.Equal(t, c.requests-1, refused)
			}
		})
	}
	t.Run("R3: another way is found when the app no longer accepts the one that it did", func(t *testing.T) {
		t.Parallel()
		a := newApp(250)
		accepted := scimType
		connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			isAccepted := r.Header.Get("Accept") == accepted
			a.mu.Unlock()
			if !isAccepted {
				w.WriteHeader(http.StatusNotAcceptable)
				return
			}
			a.ServeHTTP(w, r)
		})))
		for _, accepted = range []string{scimType, jsonType, scimType} {
			accounts, err := listAll(t, connector)
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
		}
	})
	for _, httpStatus := range []int{406, 415} {
		t.Run("R3: all of them refused with "+http.StatusText(httpStatus), func(t *testing.T) {
			t.Parallel()
			st := listFails(t, serve(httpStatus, "application/json", `{"Errors":[{"description":"only text/xml","code":"406"}]}`))
			require.Equal(t, codes.FailedPrecondition, st.Code())
			require.Contains(t, st.Message(), http.StatusText(httpStatus)+" to GET /Users?startIndex=1&count=100: ")
			require.Contains(t, st.Message(), "in none of the media types that SCIM has")
			require.Contains(t, st.Message(), "It answered: only text/xml")
			require.NotContains(t, st.Message(), "SCIM Base URL")
		})
	}
}
