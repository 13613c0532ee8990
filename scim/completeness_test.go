package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/raced"
)

// TestStableCost: a list that does not change is read once, with one user of
// overlap a page.
func TestStableCost(t *testing.T) {
	t.Parallel()
	for _, users := range []int{0, 1, 2, 99, 100, 101, 199, 200, 1000, 2345} {
		for _, pageCap := range []int{2, 7, 100} {
			t.Run(fmt.Sprintf("P14 %d users in pages of %d", users, pageCap), func(t *testing.T) {
				raced.Sample(t, 5)
				t.Parallel()
				a := newApp(users)
				a.cap = pageCap
				accounts, err := listAll(t, newConnector(t, start(t, a)))
				require.NoError(t, err)
				requireIDs(t, a.ids, accounts)
				// One page more where the first one may hold as many users as the
				// total by chance, and two where it is no full one.
				require.LessOrEqual(t, len(a.pages()), max(3, 2+max(0, users-2)/(pageCap-1)))
				require.LessOrEqual(t, len(a.requests)-len(a.pages()), 2, "probes")
				starts := map[int]int{}
				for _, r := range a.pages() {
					starts[r.start]++
				}
				require.LessOrEqual(t, starts[1], 2, "no second pass")
			})
		}
	}
}

// TestReader_RequestsOfAnHonestApp: what it costs to prove a list, and what it cost
// before there was a proof. docs/measurements.md has the table.
func TestReader_RequestsOfAnHonestApp(t *testing.T) {
	t.Parallel()
	type cost struct{ sorting, other, before int }
	for users, want := range map[int]cost{
		0: {2, 2, 1}, 1: {4, 4, 2}, 9: {3, 3, 2}, 10: {3, 4, 2}, 99: {3, 3, 2}, 100: {3, 4, 2}, 101: {3, 3, 3},
		230: {4, 4, 4}, 250: {5, 6, 4}, 1000: {13, 14, 12}, 2000: {23, 24, 22},
	} {
		for _, sorts := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d users, sorts %t", users, sorts), func(t *testing.T) {
				t.Parallel()
				a, requests := newApp(users), want.other
				if sorts {
					a, requests = sorting(a), want.sorting
				}
				accounts, err := listAll(t, newConnector(t, start(t, a)))
				require.NoError(t, err)
				requireIDs(t, a.ids, accounts)
				require.Len(t, a.requests, requests)
				require.LessOrEqual(t, len(a.requests)-want.before, 3)
			})
		}
	}
}

// TestChanges: every user who is there throughout is found, whatever happens to the
// others while the list is read.
func TestChanges(t *testing.T) {
	t.Parallel()
	move := func(ids []string, from, to int) []string {
		id := ids[from]
		return slices.Insert(slices.Delete(slices.Clone(ids), from, from+1), to, id)
	}
	for name, change := range map[string]func(ids []string) []string{
		"P14 one goes away before and one comes at the end, the total stays": func(ids []string) []string {
			return append(slices.Delete(slices.Clone(ids), 10, 11), "new")
		},
		"P14 one comes before and one goes at the end, the total stays": func(ids []string) []string {
			return append([]string{"new"}, ids[:len(ids)-1]...)
		},
		"P14 one goes away at the boundary": func(ids []string) []string { return slices.Delete(slices.Clone(ids), 99, 100) },
		"P14 one moves to the front":        func(ids []string) []string { return move(ids, 180, 0) },
		"P14 one moves to the end":          func(ids []string) []string { return move(ids, 20, len(ids)-1) },
		"P14 two change places": func(ids []string) []string {
			ids = slices.Clone(ids)
			ids[20], ids[180] = ids[180], ids[20]
			return ids
		},
	} {
		for _, at := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s before request %d", name, at), func(t *testing.T) {
				t.Parallel()
				a := newApp(250)
				before := slices.Clone(a.ids)
				a.hook = func(a *app, r listRequest) {
					if r.number == at {
						a.ids = change(a.ids)
					}
				}
				accounts, err := listAll(t, newConnector(t, start(t, a)))
				require.NoError(t, err)
				requireAll(t, slices.DeleteFunc(slices.Clone(before), func(id string) bool { return !slices.Contains(a.ids, id) }), accounts)
				if at == 2 {
					require.Greater(t, len(a.requests), 4, "a second pass")
				}
			})
		}
	}
}

// TestConfirmingPass: it delivers what was missed and nothing else.
func TestConfirmingPass(t *testing.T) {
	t.Parallel()
	a := newApp(2500)
	a.hook = func(a *app, r listRequest) {
		if r.number == 3 {
			a.ids = append(slices.Delete(a.ids, 10, 12), "new-1", "new-2")
		}
	}
	connector := newConnector(t, start(t, a))
	delivered := map[string]int{}
	for token, more := "", true; more; more = token != "" {
		var list []*v2.Resource
		var err error
		list, token, err = listOnce(t.Context(), connector, token)
		require.NoError(t, err)
		for _, account := range list {
			delivered[account.GetId().GetResource()]++
		}
	}
	require.Len(t, delivered, 2502)
	for id, times := range delivered {
		require.Equal(t, 1, times, id)
	}
}

// TestList_Unstable: a list that never stands still is refused, and the message gives
// what happened.
func TestList_Unstable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook    func(a *app, r listRequest)
		message string
		same    bool // readings are the same, whatever changed in the app
	}{
		"P14 one goes, one comes, for each page": {
			hook: func(a *app, r listRequest) {
				a.ids = append(slices.Delete(a.ids, 0, 1), fmt.Sprintf("new-%d", r.number))
			},
			message: "the last time: a page did not begin where the one before ended",
		},
		"P14 two change places, in each pass": {
			hook: func(a *app, r listRequest) {
				if r.start == 100 || r.start == 1 {
					a.ids[20], a.ids[180] = a.ids[180], a.ids[20]
				}
			},
			message: "has 1 of its users on two pages and lacks 1 of the 250 that it counts, the same in 7 readings: its list has no steady order, changes with each page, or gives two users the same id",
			same:    true,
		},
		"P5 the total changes for each page": {
			hook: func(a *app, r listRequest) {
				if r.start == 100 {
					a.ids = append(a.ids, fmt.Sprintf("new-%d", r.number))
				}
			},
			message: "the last time: the number of users changed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(250)
			a.hook = c.hook
			st := listFails(t, a)
			require.Equal(t, codes.Aborted, st.Code())
			require.Equal(t, !c.same, strings.Contains(st.Message(), "changed while it was read, 3 times in a row"), st.Message())
			require.Contains(t, st.Message(), c.message)
		})
	}
}

// TestPaging_NoOverlap: where pages cannot overlap, a second pass is always made.
func TestPaging_NoOverlap(t *testing.T) {
	t.Parallel()
	round := func(up int, sent bool) func(a *app) {
		return func(a *app) {
			a.answer = func(r listRequest, _ map[string]any) map[string]any {
				at := (r.start-1+up)/100*100 + 1
				answer := listAnswer(a.page(at, 100), len(a.ids), at)
				if !sent {
					delete(answer, "startIndex")
				}
				return answer
			}
		}
	}
	for name, change := range map[string]func(a *app){
		"one user a page":                       func(a *app) { a.cap, a.ids = 1, a.ids[:17] },
		"startIndex is rounded down, sent":      round(0, true),
		"startIndex is rounded down, not sent":  round(0, false),
		"startIndex is rounded up, sent":        round(99, true),
		"startIndex is rounded up and not sent": round(99, false),
	} {
		t.Run("P14 "+name, func(t *testing.T) {
			t.Parallel()
			a := newApp(350)
			change(a)
			accounts, err := listAll(t, newConnector(t, start(t, a)))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			passes := 0
			for _, r := range a.requests {
				if r.start == 1 {
					passes++
				}
			}
			require.GreaterOrEqual(t, passes, 2)
		})
	}
	t.Run("P14 one goes and one comes in the first pass", func(t *testing.T) {
		t.Parallel()
		a := newApp(350)
		round(0, true)(a)
		a.hook = func(a *app, r listRequest) {
			if r.number == 5 {
				a.ids = append(a.ids[1:], "new")
			}
		}
		accounts, err := listAll(t, newConnector(t, start(t, a)))
		require.NoError(t, err)
		requireAll(t, a.ids, accounts)
	})
}

// TestList_Resumed: a listing that goes on in another process does not read the
// earlier pages again before its end, and is confirmed then.
func TestList_Resumed(t *testing.T) {
	t.Parallel()
	a := newApp(2500)
	baseURL := start(t, a)
	_, token, err := listOnce(t.Context(), newConnector(t, baseURL), "")
	require.NoError(t, err)
	requests := len(a.requests)

	connector := newConnector(t, baseURL)
	accounts := map[string]*v2.Resource{}
	for token != "" {
		var list []*v2.Resource
		list, token, err = listOnce(t.Context(), connector, token)
		require.NoError(t, err)
		for _, account := range list {
			accounts[account.GetId().GetResource()] = account
		}
	}
	requireIDs(t, a.ids, accounts) // also those the first process had delivered
	require.Greater(t, a.requests[requests].start, 900)
	require.True(t, slices.ContainsFunc(a.requests[requests:], func(r listRequest) bool { return r.start == 1 }))
}

// TestCursor: RFC 9865.
func TestCursor(t *testing.T) {
	t.Parallel()
	// byCursor makes an app name the next page by cursor. next may change what
	// it names.
	byCursor := func(a *app, next func(at, following int) string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			at := 1
			if cursor := r.URL.Query().Get("cursor"); cursor != "" {
				at, _ = strconv.Atoi(cursor[len("c/"):])
			}
			a.answer = func(_ listRequest, _ map[string]any) map[string]any {
				answer := listAnswer(a.page(at, 100), len(a.ids), at)
				delete(answer, "startIndex")
				if at+100 <= len(a.ids) {
					answer["nextCursor"] = next(at, at+100)
				}
				return answer
			}
			a.ServeHTTP(w, r)
		})
	}
	name := func(_, following int) string { return fmt.Sprintf("c/%d", following) }

	for _, users := range []int{0, 1, 100, 101, 250, 2345} {
		t.Run(fmt.Sprintf("P15 %d users by cursor", users), func(t *testing.T) {
			t.Parallel()
			a := newApp(users)
			accounts, err := listAll(t, newConnector(t, start(t, byCursor(a, name))))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			if users == 1 || users == 100 {
				require.Len(t, a.pages(), map[int]int{1: 3, 100: 4}[users], "without a cursor it is index paging, where a total is not believed")
				return
			}
			pages, readings := max(1, (users+99)/100), 1
			if pages > 1 {
				readings = 2 // Pages by cursor do not overlap.
			}
			require.Len(t, a.pages(), readings*pages)
			for i, r := range a.pages() {
				query := r.http.URL.Query()
				require.Equal(t, i%pages == 0, query.Has("startIndex"))
				require.Equal(t, i%pages > 0, query.Has("cursor"))
				require.Equal(t, "100", query.Get("count"))
			}
		})
	}
	t.Run("P15 another process goes on by cursor", func(t *testing.T) {
		t.Parallel()
		a := newApp(2500)
		baseURL := start(t, byCursor(a, name))
		_, token, err := listOnce(t.Context(), newConnector(t, baseURL), "")
		require.NoError(t, err)
		_, _, err = listOnce(t.Context(), newConnector(t, baseURL), token)
		require.NoError(t, err)
		require.Equal(t, "c/1001", a.requests[10].http.URL.Query().Get("cursor"))
	})
	for title, c := range map[string]struct {
		next    func(at, following int) string
		message string
	}{
		"a cursor names itself":          {func(at, _ int) string { return fmt.Sprintf("c/%d", max(at, 101)) }, "as the cursor of the next page, one it had named before"},
		"cursors go round in a circle":   {func(_, following int) string { return fmt.Sprintf("c/%d", (following-1)%200+1) }, "go round in a circle"},
		"cursors lead nowhere and on":    {func(_, following int) string { return fmt.Sprintf("c/%d", following+1000000) }, ""},
		"the list ends before its total": {func(_, _ int) string { return "c/400" }, "reports 450 users and lists 151 of them, the same in 3 readings"},
	} {
		t.Run("P15 "+title, func(t *testing.T) {
			t.Parallel()
			st := listFails(t, byCursor(newApp(450), c.next))
			require.Contains(t, st.Message(), c.message)
		})
	}
	t.Run("P15 pages without users for ever", func(t *testing.T) {
		t.Parallel()
		a := newApp(0)
		a.answer = func(r listRequest, answer map[string]any) map[string]any {
			answer["nextCursor"] = strconv.Itoa(r.number)
			return answer
		}
		require.Contains(t, listFails(t, a).Message(), "sent 100 pages without users")
	})
	t.Run("P15 nobody, and no total: nothing shows that it is a list of nobody", func(t *testing.T) {
		t.Parallel()
		st := listFails(t, serve(http.StatusOK, "application/scim+json", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"Resources":[]}`))
		require.Contains(t, st.Message(), "does not report how many there are")
	})
	for scimType, message := range map[string]string{
		"expiredCursor": "its cursor expired",
		"invalidCursor": "does not accept the cursor that it gave itself",
		"invalidCount":  "refuses pages of 100 users",
	} {
		t.Run("P15 "+scimType, func(t *testing.T) {
			t.Parallel()
			a := newApp(250)
			paged := byCursor(a, name)
			_, err := listAll(t, newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("cursor") == "c/201" {
					serve(http.StatusBadRequest, "application/scim+json",
						`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"`+scimType+`"}`).ServeHTTP(w, r)
					return
				}
				paged.ServeHTTP(w, r)
			}))))
			require.Contains(t, requireFailure(t, err).Message(), message)
		})
	}
}
