package scim_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// graded is what a listing comes to.
type graded struct {
	accounts         map[string]*v2.Resource
	evidence, reason string
	err              error
}

// readGraded reads all accounts, and returns the evidence that the last answer has, with the
// reason. The log has the same.
func readGraded(t *testing.T, handler http.Handler) (accounts map[string]*v2.Resource, evidence, reason string, err error) {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	got := gradeOf(t, ctxzap.ToContext(t.Context(), zap.New(core)), newConnector(t, start(t, handler)), logged)
	return got.accounts, got.evidence, got.reason, got.err
}

// gradeOf reads all accounts of a connector, which logs there.
func gradeOf(t *testing.T, ctx context.Context, connector types.ConnectorServer, logged *observer.ObservedLogs) graded { //nolint:revive // The test comes first.
	t.Helper()
	got := graded{accounts: map[string]*v2.Resource{}}
	for token, more := "", true; more; more = token != "" {
		answer, err := connector.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user", PageToken: token}.Build())
		if err != nil {
			return graded{accounts: got.accounts, err: err}
		}
		for _, account := range answer.GetList() {
			got.accounts[account.GetId().GetResource()] = account
		}
		token = answer.GetNextPageToken()
		sent := &pluginv1.Evidence{}
		annos := annotations.Annotations(answer.GetAnnotations())
		found, err := annos.Pick(sent)
		require.NoError(t, err)
		require.Equal(t, token == "", found, "the last answer has evidence")
		if found {
			got.evidence = strings.ToLower(strings.TrimPrefix(sent.GetGrade().String(), "EVIDENCE_GRADE_"))
			got.reason = sent.GetReason()
			require.Equal(t, got.evidence == "proven", got.reason == "")
			require.NotContains(t, got.reason, "{")
			require.LessOrEqual(t, sent.GetResources(), int64(len(got.accounts)), "but for those who are gone")
		}
	}
	ends := logged.FilterField(zap.String("evidence", got.evidence)).All()
	require.Len(t, ends, 1)
	require.Equal(t, got.reason, fmt.Sprint(cmp.Or[any](ends[0].ContextMap()["reason"], "")))
	return got
}

// sorting lets an app sort its list by id.
func sorting(a *app) *app {
	next := a.answer
	a.answer = func(r listRequest, answer map[string]any) map[string]any {
		query := r.http.URL.Query()
		if query.Get("sortBy") == "id" {
			sorted := &app{ids: slices.Sorted(slices.Values(a.ids))}
			if query.Get("sortOrder") == "descending" {
				slices.Reverse(sorted.ids)
			}
			return listAnswer(sorted.page(max(1, r.start), r.count), len(a.ids), 1)
		}
		if next != nil {
			return next(r, answer)
		}
		return answer
	}
	return a
}

// with is an app of which something is changed.
func with(a *app, change func(a *app)) *app {
	change(a)
	return a
}

// answering makes an app answer in another way.
func answering(users int, answer func(a *app, r listRequest, answer map[string]any) map[string]any) *app {
	a := newApp(users)
	a.answer = func(r listRequest, usual map[string]any) map[string]any { return answer(a, r, usual) }
	return a
}

// TestEvidence: every list that can be read gets the grade that its evidence allows.
func TestEvidence(t *testing.T) {
	t.Parallel()
	first := func(size int) func(a *app, r listRequest, _ map[string]any) map[string]any {
		return func(a *app, _ listRequest, _ map[string]any) map[string]any {
			return listAnswer(a.page(1, size), size, 1)
		}
	}
	onlyPage := func(a *app, r listRequest, _ map[string]any) map[string]any {
		return listAnswer(a.page(1, r.count), len(a.ids), 1)
	}
	pageTotal := func(_ *app, _ listRequest, answer map[string]any) map[string]any {
		users, _ := answer["Resources"].([]any)
		answer["totalResults"] = len(users)
		return answer
	}
	noTotal := func(_ *app, _ listRequest, answer map[string]any) map[string]any {
		delete(answer, "totalResults")
		return answer
	}
	for name, c := range map[string]struct {
		app      *app
		received int // how many are received, 0 for all
		evidence string
		reason   string
	}{
		"an honest app of 237":                      {app: newApp(237), evidence: "proven"},
		"an honest app of 1":                        {app: newApp(1), evidence: "proven"},
		"an honest app of no users":                 {app: newApp(0), evidence: "proven"},
		"an honest app of 100 that sorts":           {app: sorting(newApp(100)), evidence: "proven"},
		"an honest app of 100 that sorts by itself": {app: sorting(with(newApp(100), func(a *app) { slices.Reverse(a.ids) })), evidence: "proven"},
		"an honest app of 1,000 that sorts":         {app: sorting(newApp(1000)), evidence: "proven"},
		"an honest app of 100 that does not sort":   {app: newApp(100), evidence: "unproven", reason: "ends at 100 users"},
		"an app without totals":                     {app: answering(237, noTotal), evidence: "proven"},
		"S1: always the first 100, with that total": {app: answering(250, first(100)), received: 100, evidence: "unproven", reason: "ends at 100 users"},
		"S1: always the first 20, with that total":  {app: answering(250, first(20)), received: 20, evidence: "unproven", reason: "ends at 20 users"},
		"S1: cut at 50, startIndex is honored": {app: answering(250, func(a *app, r listRequest, _ map[string]any) map[string]any {
			return listAnswer((&app{ids: a.ids[:50]}).page(r.start, r.count), 50, r.start)
		}), received: 50, evidence: "unproven", reason: "ends at 50 users"},
		"S10: totals count the page, one user a page": {app: with(answering(12, pageTotal), func(a *app) { a.cap = 1 }), evidence: "unproven"},
		"S10: totals count up to the page, pages of any length": {app: with(answering(57, func(a *app, r listRequest, answer map[string]any) map[string]any {
			users, _ := answer["Resources"].([]any)
			answer["totalResults"] = r.start - 1 + len(users)
			return answer
		}), func(a *app) { a.hook = func(a *app, r listRequest) { a.cap = []int{7, 1, 3}[r.number%3] } }), evidence: "unproven"},
		"R1: one user, whatever is asked": {app: answering(1, first(1)), evidence: "unproven", reason: "the app sends the same user whatever page is asked for, and its total of 1 may count that page"},
		"R1: one user, whatever is asked, without total": {app: answering(1, func(a *app, r listRequest, _ map[string]any) map[string]any {
			return noTotal(a, r, listAnswer(a.page(1, 1), 1, 1))
		}), evidence: "unproven", reason: "the app sends the same user whatever page is asked for, and no total that is worth anything"},
		"R1: everyone in one page, count is honored":     {app: answering(45, onlyPage), evidence: "proven"},
		"R1: everyone in one page, 60 of 60":             {app: answering(60, onlyPage), evidence: "proven"},
		"R1: everyone in one page, whatever is asked":    {app: answering(45, first(45)), evidence: "proven"},
		"R1: everyone in one page, as many as asked for": {app: answering(100, onlyPage), evidence: "unproven", reason: "ends at 100 users"},
		"R5: the index of the answer is one less": {app: answering(250, func(_ *app, r listRequest, answer map[string]any) map[string]any {
			answer["startIndex"] = r.start - 1
			return answer
		}), evidence: "unproven", reason: "ends at 250 users"},
		"R5: the index of the answer is one less, one user a page": {app: with(answering(17, func(_ *app, r listRequest, answer map[string]any) map[string]any {
			answer["startIndex"] = r.start - 1
			return answer
		}), func(a *app) { a.cap = 1 }), evidence: "proven"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts, evidence, reason, err := readGraded(t, c.app)
			require.NoError(t, err)
			want := c.app.ids
			if c.received > 0 {
				want = want[:c.received]
			}
			requireIDs(t, want, accounts)
			require.Equal(t, c.evidence, evidence, reason)
			require.Contains(t, reason, c.reason)
			require.LessOrEqual(t, len(c.app.requests)-len(c.app.pages()), 3, "probes")
		})
	}
}

// TestEvidence_Contradicted: what a probe or several readings contradict is an error.
func TestEvidence_Contradicted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app     *app
		code    codes.Code
		message string
	}{
		"S1: always the first 100, sorted on request": {
			app: sorting(answering(250, func(a *app, _ listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(1, 100), 100, 1)
			})),
			code: codes.DataLoss, message: "lists 100 users, and shows others when it is asked for them sorted by id",
		},
		"S1: the first 100 of 120, in an order that has nothing to do with the ids": {
			app: sorting(with(answering(120, func(a *app, r listRequest, _ map[string]any) map[string]any {
				return listAnswer((&app{ids: a.ids[:100]}).page(r.start, r.count), 100, r.start)
			}), func(a *app) { // The last ones have the lowest ids but one half.
				a.ids = slices.Concat(a.ids[:40], a.ids[60:], a.ids[40:60])
			})),
			code: codes.DataLoss, message: "lists 100 users, and shows others when it is asked for them sorted by id",
		},
		"S6: longer than asked for, then nothing": {
			app: answering(250, func(a *app, r listRequest, _ map[string]any) map[string]any {
				switch {
				case r.start <= 1:
					return listAnswer(a.page(1, 200), 200, 1)
				case r.start == 101:
					return listAnswer(a.page(101, 150), 200, r.start)
				}
				return listAnswer(nil, 200, r.start)
			}),
			code: codes.DataLoss, message: "what follows where a page should have ended that was longer than asked for",
		},
		"S7: counted from 0, without totals": {
			app: answering(237, func(a *app, r listRequest, _ map[string]any) map[string]any {
				answer := listAnswer(a.page(r.start+1, r.count), 0, r.start)
				delete(answer, "totalResults")
				return answer
			}),
			code: codes.DataLoss, message: "startIndex 0: it counts from 0",
		},
		"S7: counted from 0, totals of the page": {
			app: answering(40, func(a *app, r listRequest, _ map[string]any) map[string]any {
				users := a.page(r.start+1, r.count)
				return listAnswer(users, len(users), r.start)
			}),
			code: codes.DataLoss, message: "startIndex 0: it counts from 0",
		},
		"S7: counted from 0, one user": {
			app: answering(1, func(a *app, r listRequest, _ map[string]any) map[string]any {
				users := a.page(r.start+1, r.count)
				return listAnswer(users, len(users), r.start)
			}),
			code: codes.DataLoss, message: "startIndex 0: it counts from 0",
		},
		"S10: a total of 250, and none behind the first page, with a total of nothing": {
			app: with(answering(250, func(_ *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 1 {
					return listAnswer([]any{}, 0, r.start)
				}
				return answer
			}), func(a *app) { a.cap = 37 }),
			code: codes.DataLoss, message: "reports 250 users and lists 37 of them, the same in 3 readings",
		},
		"S10: a total of 250, and none behind the first page, with a total of what was sent": {
			app: with(answering(250, func(_ *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 1 {
					return listAnswer([]any{}, 37, r.start)
				}
				return answer
			}), func(a *app) { a.cap = 37 }),
			code: codes.DataLoss, message: "reports 250 users and lists 37 of them, the same in 3 readings",
		},
		"S7: counted from 0, the total is right": {
			app: answering(237, func(a *app, r listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(r.start+1, r.count), 237, r.start)
			}),
			code: codes.DataLoss, message: "lists 236 users, and shows others when it is asked for startIndex 0: it counts from 0",
		},
		"R7: counted, and left out of its page": {
			app: answering(250, func(a *app, r listRequest, answer map[string]any) map[string]any {
				users, _ := answer["Resources"].([]any)
				answer["Resources"] = slices.DeleteFunc(users, func(one any) bool { return one.(map[string]any)["id"] == "id-0151" })
				return answer
			}),
			code: codes.DataLoss, message: "reports 250 users and lists 249 of them, the same in 3 readings",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, _, err := readGraded(t, c.app)
			st := requireFailure(t, err)
			require.Equal(t, c.code, st.Code(), st.Message())
			require.Contains(t, st.Message(), c.message)
			require.NotContains(t, st.Message(), "changed while")
			require.LessOrEqual(t, len(c.app.requests)-len(c.app.pages()), 3, "probes")
		})
	}
}

// TestEvidence_CursorThatIsAnOffset: one goes away while the pages are read.
func TestEvidence_CursorThatIsAnOffset(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users    int
		change   func(a *app, request int)
		evidence string
	}{
		"one of 230 goes": {230, func(a *app, request int) {
			if request == 2 {
				a.ids = slices.Delete(a.ids, 10, 11)
			}
		}, "proven"},
		"one of 237 goes": {237, func(a *app, request int) {
			if request == 2 {
				a.ids = slices.Delete(a.ids, 10, 11)
			}
		}, "proven"},
		"one of 237 goes, one comes": {237, func(a *app, request int) {
			if request == 2 {
				a.ids = append(slices.Delete(a.ids, 10, 11), "id-new")
			}
		}, "proven"},
		"in each reading one goes, one comes": {237, func(a *app, request int) {
			if request%3 == 0 {
				a.ids = append(slices.Delete(a.ids, 10, 11), fmt.Sprintf("id-new-%d", request))
			}
		}, "unproven"},
	} {
		t.Run("S4: the cursor is an offset, "+name, func(t *testing.T) {
			t.Parallel()
			a := newApp(c.users)
			requests := 0
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
				requests++
				c.change(a, requests)
				page := a.page(from+1, 100)
				answer := listAnswer(page, len(a.ids), from+1)
				if from+len(page) < len(a.ids) {
					answer["nextCursor"] = strconv.Itoa(from + len(page))
				}
				_ = json.NewEncoder(w).Encode(answer)
			}))
			require.NoError(t, err)
			if c.evidence == "proven" {
				requireAll(t, a.ids, accounts)
			}
			require.Equal(t, c.evidence, evidence, reason)
		})
	}
}

// TestEvidence_CursorOnly: some apps page by cursor only.
func TestEvidence_CursorOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users    int
		empty    string // what an app does without the parameter cursor
		evidence string
	}{
		"one user":                            {1, "pages", "unproven"},
		"one page":                            {45, "pages", "proven"},
		"one page, and it refuses startIndex": {45, "refuses", "proven"},
		"one page, and it refuses it, without total": {45, "refuses", "proven"},
		"an empty cursor begins":                     {245, "first page", "unproven"},
		"an empty cursor begins, without it refused": {245, "refuses", "unproven"},
	} {
		t.Run("R2: by cursor only: "+name, func(t *testing.T) {
			t.Parallel()
			a := newApp(c.users)
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				query := r.URL.Query()
				from, _ := strconv.Atoi(query.Get("cursor"))
				count, _ := strconv.Atoi(query.Get("count"))
				if !query.Has("cursor") && c.empty == "refuses" {
					serve(http.StatusBadRequest, "application/scim+json", `{"detail":"cursor is required"}`).ServeHTTP(w, r)
					return
				}
				page := a.page(from+1, count)
				answer := listAnswer(page, 0, 1)
				delete(answer, "totalResults")
				if from+len(page) < len(a.ids) && (query.Has("cursor") || c.empty == "pages") {
					answer["nextCursor"] = strconv.Itoa(from + len(page))
				}
				_ = json.NewEncoder(w).Encode(answer)
			}))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Equal(t, c.evidence, evidence, reason)
		})
	}
}

// TestEvidence_Unordered: a list whose order differs from request to request is sorted.
func TestEvidence_Unordered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attribute string
		refusal   int // of other attributes
	}{{"id", 400}, {"userName", 400}, {"userName", 500}, {"userName", 501}} {
		t.Run(fmt.Sprintf("R6: another order each time, sorted by %s, others refused with %d", c.attribute, c.refusal), func(t *testing.T) {
			t.Parallel()
			a := newApp(350)
			a.hook = func(a *app, request listRequest) {
				slices.Sort(a.ids)
				if request.http.URL.Query().Get("sortBy") == "" {
					shift := request.number * 37 % len(a.ids)
					a.ids = append(slices.Clone(a.ids[shift:]), a.ids[:shift]...)
				}
			}
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if sortBy := r.URL.Query().Get("sortBy"); sortBy != "" && sortBy != c.attribute {
					serve(c.refusal, "", `{"detail":"sortBy"}`).ServeHTTP(w, r)
					return
				}
				a.ServeHTTP(w, r)
			}))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Equal(t, "proven", evidence, reason)
		})
	}
}

// TestEvidence_LiesThatComeTrue: a total that falls to what was received, or that counts
// the page, confirms no user.
func TestEvidence_LiesThatComeTrue(t *testing.T) {
	t.Parallel()
	t.Run("S7: counted from 0, and one goes before the last request", func(t *testing.T) {
		t.Parallel()
		a := answering(37, func(a *app, r listRequest, _ map[string]any) map[string]any {
			return listAnswer(a.page(r.start+1, r.count), len(a.ids), r.start)
		})
		a.hook = func(a *app, r listRequest) {
			if r.number == 6 {
				a.ids = a.ids[:36]
			}
		}
		_, _, _, err := readGraded(t, a)
		requireFailure(t, err)
	})
	t.Run("S10: totals count the page, and one goes before the last page", func(t *testing.T) {
		t.Parallel()
		a := with(answering(4, func(_ *app, _ listRequest, answer map[string]any) map[string]any {
			users, _ := answer["Resources"].([]any)
			answer["totalResults"] = len(users)
			return answer
		}), func(a *app) { a.cap = 3 })
		a.hook = func(a *app, r listRequest) {
			if r.number == 2 {
				a.ids = a.ids[1:]
			}
		}
		accounts, _, _, err := readGraded(t, a)
		require.NoError(t, err)
		requireAll(t, a.ids, accounts)
	})
}

// TestEvidence_RefusedPages: what a server refuses may be the end, or the count.
func TestEvidence_RefusedPages(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusNoContent, http.StatusRequestedRangeNotSatisfiable, http.StatusGone, http.StatusUnprocessableEntity} {
		for _, users := range []int{45, 237} {
			t.Run(fmt.Sprintf("R8: %d for a page past the end of %d", status, users), func(t *testing.T) {
				t.Parallel()
				a := newApp(users)
				accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if index, _ := strconv.Atoi(r.URL.Query().Get("startIndex")); index > users {
						w.WriteHeader(status)
						return
					}
					a.ServeHTTP(w, r)
				}))
				require.NoError(t, err)
				requireIDs(t, a.ids, accounts)
				require.Equal(t, "proven", evidence, reason)
			})
		}
	}
	for _, c := range []struct{ status, most int }{{400, 50}, {422, 50}, {400, 10}} {
		t.Run(fmt.Sprintf("R8: %d for a count above %d", c.status, c.most), func(t *testing.T) {
			t.Parallel()
			a := newApp(237)
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if count, _ := strconv.Atoi(r.URL.Query().Get("count")); count > c.most {
					w.WriteHeader(c.status)
					return
				}
				a.ServeHTTP(w, r)
			}))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Equal(t, "proven", evidence, reason)
		})
	}
	for name, users := range map[string]int{"0": 0, "1": 1} {
		t.Run("S7: a total of "+name+", and 500 for startIndex 0", func(t *testing.T) {
			t.Parallel()
			a := newApp(users)
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("startIndex") == "0" {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				a.ServeHTTP(w, r)
			}))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Equal(t, "unproven", evidence)
			require.Equal(t, "the app reports a total of "+name+", which may count the page that it sends, and does not show that its list begins at startIndex 1", reason)
		})
	}
	t.Run("a probe that is answered with no list leaves the grade", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{`{"error":"x"}`, `{}`, "<html>", `{"totalResults":0,"Resources":[],"error":"cannot sort"}`} {
			a := newApp(100)
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("sortBy") {
					serve(http.StatusOK, "", body).ServeHTTP(w, r)
					return
				}
				a.ServeHTTP(w, r)
			}))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Equal(t, "unproven", evidence, reason)
		}
	})
	t.Run("a refused probe leaves the grade", func(t *testing.T) {
		t.Parallel()
		for _, status := range []int{http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusOK} {
			a := newApp(100)
			accounts, evidence, reason, err := readGraded(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("sortBy") {
					w.WriteHeader(status)
					return
				}
				a.ServeHTTP(w, r)
			}))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.Equal(t, "unproven", evidence, reason)
		}
	})
}
