package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/raced"
)

// The names of tests begin with the row of the list of known server behaviours
// that they are about: P for paging, U for users, H for HTTP.

// TestPagingComplete: servers whose lists can be read to the end are, whatever
// they do.
func TestPagingComplete(t *testing.T) {
	t.Parallel()
	with := func(a *app, change func(*app)) *app { change(a); return a }
	for name, a := range map[string]*app{
		"P1 startIndex is sent as 0 on the first page": with(newApp(250), func(a *app) {
			a.answer = func(r listRequest, answer map[string]any) map[string]any {
				if r.start == 1 {
					answer["startIndex"] = 0
				}
				return answer
			}
		}),
		"P1 startIndex is sent as 1 on every page": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["startIndex"] = 1
				return answer
			}
		}),
		"P2 the server caps pages lower than asked": with(newApp(250), func(a *app) { a.cap = 30 }),
		"P2 one user a page":                        with(newApp(7), func(a *app) { a.cap = 1 }),
		"P3 itemsPerPage is the size asked for": with(newApp(250), func(a *app) {
			a.cap = 30
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["itemsPerPage"] = 100
				return answer
			}
		}),
		"P4 a short page in the middle": with(newApp(250), func(a *app) {
			a.hook = func(a *app, r listRequest) { a.cap = []int{0, 100, 7, 100}[r.number%4] }
		}),
		"P5 totalResults counts the page, pages full": with(newApp(200), pageTotals),
		"P5 totalResults counts the page, last short": with(newApp(237), pageTotals),
		"P5 totalResults counts the page, only one":   with(newApp(42), pageTotals),
		"P5 totalResults counts the page, cap lower": with(newApp(95), func(a *app) {
			a.cap = 30
			pageTotals(a)
		}),
		"P5 totalResults counts up to this page": with(newApp(250), func(a *app) {
			a.answer = func(r listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = min(r.start-1+100, 250)
				return answer
			}
		}),
		"P5 totalResults is capped at full pages": with(newApp(350), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = 298 // 100 + 2 × 99: where the third page ends
				return answer
			}
		}),
		"P5 totalResults is one page too low": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = 199
				return answer
			}
		}),
		"P5 totalResults is too low and pages cannot overlap": with(newApp(12), func(a *app) {
			a.cap = 1
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = 10
				return answer
			}
		}),
		"P5 totalResults counts the page, which is larger than asked for": with(newApp(250), func(a *app) {
			a.answer = func(r listRequest, _ map[string]any) map[string]any {
				users := a.page(r.start, 200)
				return listAnswer(users, len(users), r.start)
			}
		}),
		"P5 totalResults is missing": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				delete(answer, "totalResults")
				return answer
			}
		}),
		"P5 totalResults is missing on later pages": with(newApp(250), func(a *app) {
			a.answer = func(r listRequest, answer map[string]any) map[string]any {
				if r.start > 1 {
					delete(answer, "totalResults")
				}
				return answer
			}
		}),
		"P5 totalResults is 0 with users present": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = 0
				return answer
			}
		}),
		"P5 totalResults is -1": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = -1
				return answer
			}
		}),
		"P5 users are added while they are read": with(newApp(250), func(a *app) {
			a.hook = func(a *app, r listRequest) {
				if r.number == 3 {
					a.ids = append(a.ids, "late-1", "late-2")
				}
			}
		}),
		"P6 startIndex is ignored but everyone was sent": with(newApp(60), func(a *app) {
			a.answer = func(_ listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(1, 60), 60, 1)
			}
		}),
		"P6 startIndex is ignored but everyone was sent, as many as were asked for": with(newApp(100), func(a *app) {
			a.answer = func(_ listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(1, 100), 100, 1)
			}
		}),
		"P7 past the end the server starts again": with(newApp(100), func(a *app) {
			a.answer = func(r listRequest, answer map[string]any) map[string]any {
				if r.start > 100 {
					return listAnswer(a.page(1, 100), 100, r.start)
				}
				return answer
			}
		}),
		"P8 paging is ignored and everyone sent": with(newApp(1750), func(a *app) {
			a.answer = func(_ listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(1, 1750), 1750, 1)
			}
		}),
		"P8 paging is ignored, everyone sent, no total": with(newApp(1750), func(a *app) {
			a.answer = func(_ listRequest, _ map[string]any) map[string]any {
				answer := listAnswer(a.page(1, 1750), 0, 1)
				delete(answer, "totalResults")
				return answer
			}
		}),
		"P10 Resources is absent in an empty list": with(newApp(0), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				delete(answer, "Resources")
				return answer
			}
		}),
		"P10 Resources is null in an empty list": with(newApp(0), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["Resources"] = nil
				return answer
			}
		}),
		"P10 resources in lower case": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["resources"] = answer["Resources"]
				delete(answer, "Resources")
				return answer
			}
		}),
		"P12 totalResults is a string": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = "250"
				return answer
			}
		}),
		"P12 totalResults is written as a fraction": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = "250.0"
				return answer
			}
		}),
		"P12 totalResults is no number": with(newApp(250), func(a *app) {
			a.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["totalResults"] = map[string]any{"value": 250}
				return answer
			}
		}),
		"P14 a user goes away and all are read again": with(newApp(250), func(a *app) {
			a.hook = func(a *app, r listRequest) {
				if r.number == 2 {
					a.ids = slices.Delete(a.ids, 10, 11) // the 101st is now the 100th, which was read
				}
			}
		}),
		"P14 most users go away and all are read again": with(newApp(250), func(a *app) {
			a.hook = func(a *app, r listRequest) {
				if r.number == 2 {
					a.ids = a.ids[200:] // nothing is where the next page was
				}
			}
		}),
		"no users":             newApp(0),
		"one user":             newApp(1),
		"as many as asked for": newApp(100),
		"one more":             newApp(101),
		"ten full pages":       newApp(1000),
		"several batches":      newApp(2345),
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			accounts, err := listAll(t, newConnector(t, start(t, a)))
			require.NoError(t, err)
			requireAll(t, a.ids, accounts)
			for _, r := range a.pages() { // P13
				require.Positive(t, r.start)
				require.Contains(t, []int{30, 50, 100}, r.count) // P16
			}
			require.LessOrEqual(t, len(a.requests)-len(a.pages()), 3)
		})
	}
}

// pageTotals makes totalResults the number of users on the page.
func pageTotals(a *app) {
	a.answer = func(_ listRequest, answer map[string]any) map[string]any {
		users, _ := answer["Resources"].([]any)
		answer["totalResults"] = len(users)
		return answer
	}
}

// TestPagingRefused: servers whose lists cannot be read to the end are an error,
// never a short list.
func TestPagingRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  func(a *app, r listRequest, answer map[string]any) map[string]any
		hook    func(a *app, r listRequest)
		users   int
		code    codes.Code
		message string
	}{
		"P1 startIndex counts from 0": {
			answer: func(a *app, r listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(r.start+1, 100), 250, r.start)
			},
			code: codes.DataLoss, message: "lists 249 users, and shows others when it is asked for startIndex 0: it counts from 0",
		},
		"P6 startIndex is ignored": {
			answer: func(a *app, _ listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(1, 20), 250, 1)
			},
			code: codes.FailedPrecondition, message: "asked for users from startIndex 21 on and sent again",
		},
		"P6 startIndex is ignored, the page in another order": {
			answer: func(a *app, r listRequest, _ map[string]any) map[string]any {
				users := a.page(1, 20)
				if r.number%2 == 0 {
					slices.Reverse(users)
				}
				return listAnswer(users, 250, r.start)
			},
			code: codes.FailedPrecondition, message: "asked for users from startIndex 21 on and sent again",
		},
		"P6 startIndex is ignored, no total": {
			answer: func(a *app, _ listRequest, _ map[string]any) map[string]any {
				answer := listAnswer(a.page(1, 20), 0, 1)
				delete(answer, "totalResults")
				return answer
			},
			code: codes.FailedPrecondition, message: "It ignores startIndex",
		},
		"P6 startIndex is ignored, the total counts the page": {
			answer: func(a *app, r listRequest, _ map[string]any) map[string]any {
				users := a.page(1, r.count)
				return listAnswer(users, len(users), 1)
			},
			code: codes.FailedPrecondition, message: "sends the first 100 users again and again",
		},
		"P6 another page than the one asked for": {
			answer: func(a *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 1 {
					return listAnswer(a.page(r.start+50, 100), 250, r.start+50)
				}
				return answer
			},
			code: codes.FailedPrecondition, message: "from startIndex 101 on and answered with those from 151 on",
		},
		"P6 a page is repeated in a later batch": {
			users: 2500,
			answer: func(a *app, r listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page(min(r.start, 901), 100), 2500, r.start)
			},
			code: codes.FailedPrecondition, message: "asked for users from startIndex 1001 on and sent again",
		},
		"P7 starts again below the total, in a later batch": {
			users: 2500,
			answer: func(a *app, r listRequest, _ map[string]any) map[string]any {
				return listAnswer(a.page((r.start-1)%1200+1, 100), 2500, r.start)
			},
			code: codes.FailedPrecondition, message: "asked for users from startIndex 1289 on and sent again",
		},
		"P7 pages go round in a circle": {
			answer: func(a *app, r listRequest, _ map[string]any) map[string]any {
				at := r.start
				if at > 50 {
					at = 26 + (at-1)%25
				}
				return listAnswer(a.page(at, 10), 250, r.start)
			},
			code: codes.FailedPrecondition, message: "sent again those it had sent before",
		},
		"P9 Resources is empty below the total": {
			answer: func(a *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 190 {
					answer["Resources"] = []any{}
				}
				return answer
			},
			code: codes.DataLoss, message: "reports 250 users but lists none from startIndex 200 on",
		},
		"P9 Resources is null below the total": {
			answer: func(a *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 190 {
					answer["Resources"] = nil
				}
				return answer
			},
			code: codes.DataLoss, message: "lists none from startIndex 200 on",
		},
		"P9 Resources is missing on the first page": {
			answer: func(_ *app, _ listRequest, answer map[string]any) map[string]any {
				delete(answer, "Resources")
				return answer
			},
			code: codes.DataLoss, message: "reports 250 users but lists none from startIndex 1 on",
		},
		"P9 empty and without a total below the total": {
			answer: func(_ *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 190 {
					answer["Resources"] = []any{}
					delete(answer, "totalResults")
				}
				return answer
			},
			code: codes.DataLoss, message: "reports 250 users but lists none from startIndex 200 on",
		},
		"P9 empty below a total sent on the first page only": {
			answer: func(a *app, r listRequest, answer map[string]any) map[string]any {
				if r.start > 190 {
					answer["Resources"] = []any{}
				}
				if r.start > 1 {
					delete(answer, "totalResults")
				}
				return answer
			},
			code: codes.DataLoss, message: "reports 250 users but lists none from startIndex 200 on",
		},
		"P10 Resources comes twice": {
			answer: func(a *app, r listRequest, answer map[string]any) map[string]any {
				answer["resources"] = a.page(1, 100)
				return answer
			},
			code: codes.DataLoss, message: "two members Resources",
		},
		"P10 Resources comes twice, then null": {
			answer: func(_ *app, _ listRequest, answer map[string]any) map[string]any {
				answer["resources"] = nil
				return answer
			},
			code: codes.DataLoss, message: "two members Resources",
		},
		"P11 no users and no total": {
			answer: func(_ *app, _ listRequest, answer map[string]any) map[string]any {
				delete(answer, "totalResults")
				answer["Resources"] = []any{}
				return answer
			},
			code: codes.FailedPrecondition, message: "does not report how many there are",
		},
		"P14 users keep going away": {
			users: 500,
			hook: func(a *app, r listRequest) {
				if r.start > 1 {
					a.ids = a.ids[1:]
				}
			},
			code: codes.Aborted, message: "changed while it was read, 3 times in a row, and also when it was sorted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(250)
			if c.users > 0 {
				a = newApp(c.users)
			}
			a.hook = c.hook
			if c.answer != nil {
				a.answer = func(r listRequest, answer map[string]any) map[string]any { return c.answer(a, r, answer) }
			}
			st := listFails(t, a)
			require.Equal(t, c.code, st.Code(), st.Message())
			require.Contains(t, st.Message(), c.message)
		})
	}
}

// TestPagingPastTheEnd: the request that makes sure that there are no more users may
// be refused.
func TestPagingPastTheEnd(t *testing.T) {
	t.Parallel()
	for _, httpStatus := range []int{http.StatusNoContent, http.StatusBadRequest, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable} {
		t.Run(fmt.Sprintf("P5 nothing after a first full page is answered %d", httpStatus), func(t *testing.T) {
			t.Parallel()
			a := newApp(100)
			accounts, err := listAll(t, newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if index, _ := strconv.Atoi(r.URL.Query().Get("startIndex")); index > 100 {
					w.WriteHeader(httpStatus)
					return
				}
				a.ServeHTTP(w, r)
			}))))
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
		})
	}
	for _, users := range []int{100, 298} {
		t.Run(fmt.Sprintf("P5 the last of %d users cannot be asked for", users), func(t *testing.T) {
			t.Parallel()
			a := newApp(users)
			st := listFails(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// As a search engine does that takes no window beyond its limit.
				index, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
				if index-1+100 > users {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				a.ServeHTTP(w, r)
			}))
			require.Equal(t, codes.DataLoss, st.Code())
			require.Contains(t, st.Message(), fmt.Sprintf("reports %d users and refuses to go on from there", users))
		})
	}
	t.Run("P14 pages that begin elsewhere than a page before ended are refused", func(t *testing.T) {
		t.Parallel()
		a := newApp(350)
		accounts, err := listAll(t, newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if index, _ := strconv.Atoi(r.URL.Query().Get("startIndex")); index%100 != 1 {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			a.ServeHTTP(w, r)
		}))))
		require.NoError(t, err)
		requireIDs(t, a.ids, accounts)
	})
	t.Run("H7 a server error there is an error", func(t *testing.T) {
		t.Parallel()
		a := newApp(100)
		connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("startIndex") != "1" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			a.ServeHTTP(w, r)
		})))
		_, next, err := listOnce(t.Context(), connector, "")
		require.NoError(t, err)
		_, _, err = listOnce(t.Context(), connector, next)
		require.Equal(t, codes.Unavailable, requireFailure(t, err).Code())
	})
}
