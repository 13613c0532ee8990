package scim_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/scim"
)

// reading is a connector that reads so many pages ahead.
func reading(t *testing.T, baseURL string, ahead int) types.ConnectorServer {
	t.Helper()
	client, err := scim.NewClient(t.Context(), scim.Options{
		BaseURL: baseURL, Token: testToken, UserAgent: "baton-test/v1.2.3", ReadAhead: ahead,
	})
	require.NoError(t, err)
	return serveConnector(t, client)
}

// TestReadAhead: so many pages are in flight at a time, and not one more. Up to four
// a listing begins with; how it goes on from there is a matter of time, see TestPace.
func TestReadAhead(t *testing.T) {
	t.Parallel()
	const begins = 4
	for ahead, want := range map[int]int{0: 16, 1: 1, 2: 2, 4: 4, 8: 8} {
		t.Run(fmt.Sprintf("ReadAhead %d", ahead), func(t *testing.T) {
			t.Parallel()
			a := newApp(6000)
			var mu sync.Mutex
			var most int64
			var inFlight atomic.Int64
			full := make(chan struct{})
			connector := reading(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				now := inFlight.Add(1)
				mu.Lock()
				most = max(most, now)
				if now == int64(min(want, begins)) {
					select {
					case <-full:
					default:
						close(full)
					}
				}
				mu.Unlock()
				// From the second page on, answers wait until as many requests as
				// expected are there. Were they never, the test would time out.
				if r.URL.Query().Get("startIndex") != "1" {
					<-full
				}
				answer(w, r, a, &inFlight)
			})), ahead)
			accounts, err := listAll(t, connector)
			require.NoError(t, err)
			requireIDs(t, a.ids, accounts)
			require.LessOrEqual(t, most, int64(want))
			starts := map[int]int{}
			for _, r := range a.requests {
				starts[r.start]++
			}
			require.Len(t, starts, len(a.requests), "no page is fetched twice")
		})
	}
}

// TestReadAhead_ContinuesBetweenBatches: while a batch is with the host, pages of the next
// one are fetched, and none of them twice.
func TestReadAhead_ContinuesBetweenBatches(t *testing.T) {
	t.Parallel()
	// An app on a machine that is too busy is slow, and is sent one request at a time: then
	// once more.
	for range 10 {
		if continuesBetweenBatches(t) {
			return
		}
	}
	require.Fail(t, "no batch of 991 users, with pages of the next one fetched behind it")
}

func continuesBetweenBatches(t *testing.T) bool {
	t.Helper()
	a := newApp(2500)
	beyond := make(chan int, 100)
	connector := reading(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.ServeHTTP(w, r)
		if start, _ := strconv.Atoi(r.URL.Query().Get("startIndex")); start > 1000 {
			beyond <- start
		}
	})), 4)
	list, token, err := listOnce(t.Context(), connector, "")
	require.NoError(t, err)
	if len(list) != 991 {
		return false
	}
	for _, want := range []int{1090, 1189} {
		select {
		case got := <-beyond:
			require.Contains(t, []int{1090, 1189}, got, "before %d", want)
		case <-time.After(10 * time.Second):
			return false
		}
	}
	_, next, err := listOnce(t.Context(), connector, token)
	require.NoError(t, err)
	_, _, err = listOnce(t.Context(), connector, next)
	require.NoError(t, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	starts := map[int]int{}
	for _, r := range a.requests {
		starts[r.start]++
		require.Equal(t, 1, starts[r.start], "pages from %d", r.start)
	}
	return true
}

// TestReadAhead_RequestsTheEndToo: what makes sure that nothing follows the last page is
// asked for before that has come.
func TestReadAhead_RequestsTheEndToo(t *testing.T) {
	t.Parallel()
	a := newApp(250)
	asked := make(chan struct{})
	accounts, err := listAll(t, reading(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("startIndex") {
		case "199": // the last page
			<-asked // Were it never, the test would time out.
		case "250": // the last user
			close(asked) // A second time would panic.
		}
		a.ServeHTTP(w, r)
	})), 4))
	require.NoError(t, err)
	requireIDs(t, a.ids, accounts)
}

// TestReadAheadOrder: accounts are delivered in the order of the pages, however
// the answers come in.
func TestReadAheadOrder(t *testing.T) {
	t.Parallel()
	a := newApp(900)
	last := make(chan struct{})
	connector := reading(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("startIndex") {
		case "100":
			<-last
		case "397":
			defer close(last)
		}
		a.ServeHTTP(w, r)
	})), 4)
	list, next, err := listOnce(t.Context(), connector, "")
	require.NoError(t, err)
	require.Empty(t, next)
	for i, account := range list {
		require.Equal(t, a.ids[i], account.GetId().GetResource())
	}
}

// TestReadAheadEnds: a sign that index paging is not to be relied on, and a
// refusal, end it.
func TestReadAheadEnds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(a *app){
		"a shorter page": func(a *app) { a.hook = func(a *app, r listRequest) { a.cap = map[int]int{100: 50}[r.start] } },
		"a user that is gone": func(a *app) {
			a.hook = func(a *app, r listRequest) {
				if r.number == 4 {
					a.ids = a.ids[1:]
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(5000)
			change(a)
			var inFlight, late atomic.Int64
			var requests atomic.Int64
			accounts, err := listAll(t, reading(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if inFlight.Add(1) > 1 && requests.Load() > 20 {
					late.Add(1)
				}
				requests.Add(1)
				answer(w, r, a, &inFlight)
			})), 4))
			require.NoError(t, err)
			requireAll(t, a.ids, accounts)
			require.Zero(t, late.Load(), "requests at the same time after the sign")
		})
	}
	t.Run("H6 a refusal", func(t *testing.T) {
		t.Parallel()
		a := newApp(2000)
		var inFlight, atOnce atomic.Int64
		var refused atomic.Bool
		connector := reading(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if inFlight.Add(1) > 1 {
				atOnce.Add(1)
			}
			if r.URL.Query().Get("startIndex") == "298" && refused.CompareAndSwap(false, true) {
				inFlight.Add(-1)
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			answer(w, r, a, &inFlight)
		})), 4)
		first, token, err := listOnce(t.Context(), connector, "")
		require.NoError(t, err)
		require.Len(t, first, 298)

		// The server may not have noticed yet that some answers are not awaited.
		for inFlight.Load() > 0 {
			runtime.Gosched()
		}
		atOnce.Store(0)
		list, _, err := listOnce(t.Context(), connector, token)
		require.NoError(t, err)
		require.NotEmpty(t, list)
		require.Zero(t, atOnce.Load())
	})
}

// answer lets the app answer, and counts the request as done before the answer
// leaves: once the client has it, it may ask again before this handler returns.
func answer(w http.ResponseWriter, r *http.Request, a *app, inFlight *atomic.Int64) {
	recorded := httptest.NewRecorder()
	a.ServeHTTP(recorded, r)
	inFlight.Add(-1)
	maps.Copy(w.Header(), recorded.Header())
	w.WriteHeader(recorded.Code)
	_, _ = w.Write(recorded.Body.Bytes())
}

// TestReadAhead_LeavesNothing: when a call ends, so does all it began.
func TestReadAhead_LeavesNothing(t *testing.T) { //nolint:paralleltest // other tests' goroutines would be found
	before := goleak.IgnoreCurrent()
	a := newApp(3000)
	hanging := make(chan struct{}, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if start, _ := strconv.Atoi(r.URL.Query().Get("startIndex")); start > 1 {
			hanging <- struct{}{}
			<-r.Context().Done()
			return
		}
		a.ServeHTTP(w, r)
	}))
	connector := reading(t, server.URL, 4)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for range 4 {
			<-hanging
		}
		cancel()
	}()
	_, _, err := listOnce(ctx, connector, "")
	require.Equal(t, codes.Canceled, requireFailure(t, err).Code())
	server.Close()
	goleak.VerifyNone(t, before)
}
