package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What happens to a chaotic server. All of them must happen in a test run.
const (
	chaosInsert = iota
	chaosDelete
	chaosReplace // one goes, one comes: the total stays
	chaosMove
	chaosSwap
	chaosThrottle
	chaosUnavailable
	chaosDrop
	chaosGarbage
	chaosTruncate
	chaosShortPage
	chaosRestart // of the plugin
	chaosKinds
)

var chaosNames = [chaosKinds]string{
	"insert", "delete", "replace", "move", "swap", "throttle", "unavailable", "drop connection",
	"garbage", "truncated answer", "short page", "plugin restart",
}

// chaos is a SCIM service that changes and fails while it is read.
type chaos struct {
	mu    sync.Mutex
	rng   *rand.Rand
	ids   []string
	cap   int
	calm  int // one request in so many is disturbed
	added int
	left  int // disturbances still to come
	// stayed are the ids that were there all the time.
	stayed map[string]bool
	fired  *[chaosKinds]int
}

func newChaos(seed uint64, fired *[chaosKinds]int) *chaos {
	rng := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a test is repeatable
	c := &chaos{
		rng: rng, cap: 2 + rng.IntN(20), calm: 2 + rng.IntN(12), left: 1 + rng.IntN(6),
		stayed: map[string]bool{}, fired: fired,
	}
	for i := range 1 + rng.IntN(150) {
		id := fmt.Sprintf("u%d", i)
		c.ids = append(c.ids, id)
		c.stayed[id] = true
	}
	return c
}

func (c *chaos) insert() {
	c.added++
	c.ids = slices.Insert(c.ids, c.rng.IntN(len(c.ids)+1), fmt.Sprintf("new%d", c.added))
}

func (c *chaos) remove() {
	if len(c.ids) > 0 {
		at := c.rng.IntN(len(c.ids))
		delete(c.stayed, c.ids[at])
		c.ids = slices.Delete(c.ids, at, at+1)
	}
}

// disturb changes the list, or answers in the server's place.
func (c *chaos) disturb(kind int, w http.ResponseWriter) (answered bool) {
	c.fired[kind]++
	switch kind {
	case chaosInsert:
		c.insert()
	case chaosDelete:
		c.remove()
	case chaosReplace:
		c.remove()
		c.insert()
	case chaosMove, chaosSwap:
		if len(c.ids) < 2 {
			return false
		}
		i, j := c.rng.IntN(len(c.ids)), c.rng.IntN(len(c.ids))
		if kind == chaosSwap {
			c.ids[i], c.ids[j] = c.ids[j], c.ids[i]
			return false
		}
		id := c.ids[i]
		c.ids = slices.Insert(slices.Delete(c.ids, i, i+1), min(j, len(c.ids)-1), id)
	case chaosThrottle:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	case chaosUnavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	case chaosDrop:
		panic(http.ErrAbortHandler)
	case chaosGarbage:
		_, _ = io.WriteString(w, []string{"<html>login</html>", "{}", "nonsense", `{"schemas":[]}`, ""}[c.rng.IntN(5)])
		return true
	case chaosTruncate:
		w.Header().Set("Content-Length", "5000")
		_, _ = io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalRes`)
		return true
	}
	return false
}

func (c *chaos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pageCap := c.cap
	if c.left > 0 && c.rng.IntN(c.calm) == 0 {
		c.left--
		kind := c.rng.IntN(chaosRestart)
		if kind == chaosShortPage {
			pageCap = 1 + c.rng.IntN(pageCap)
		}
		if c.disturb(kind, w) {
			return
		}
	}
	start, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
	from := min(max(start-1, 0), len(c.ids))
	users := []map[string]any{}
	for _, id := range c.ids[from:min(from+pageCap, len(c.ids))] {
		users = append(users, map[string]any{"id": id, "userName": id})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
		"totalResults": len(c.ids), "startIndex": start, "Resources": users,
	})
}

// chaosResult is how one reading of a chaotic server ended.
type chaosResult struct {
	lost []string
	err  error
}

// readChaos reads a chaotic server as a host does: it repeats a call that may
// pass, and goes on in a new process if the plugin dies.
func readChaos(t *testing.T, seed uint64, fired *[chaosKinds]int, blind bool) chaosResult {
	t.Helper()
	server := newChaos(seed, fired)
	web := httptest.NewServer(server)
	defer web.Close()
	client, err := NewClient(t.Context(), Options{BaseURL: web.URL, Token: "chaos-token", UserAgent: "test/v1", ReadAhead: 1 + int(seed%4)})
	require.NoError(t, err)
	client.http.Transport = http.DefaultTransport
	client.blind = blind
	// Half of them keep a journal over the restarts.
	kept := journal{kind: "users"}
	if seed%2 == 0 {
		kept.dir = t.TempDir()
	}
	listed := &reader{endpoint: client.usersEndpoint(), journal: kept}
	host := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // a test is repeatable

	got := map[string]bool{}
	token := ""
	for range 500 {
		b, err := listed.read(context.Background(), token)
		if err != nil {
			if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
				continue
			}
			var f *failure
			require.ErrorAs(t, err, &f)
			return chaosResult{err: err}
		}
		for _, account := range b.resources {
			got[account.GetId().GetResource()] = true
		}
		if b.next == "" {
			var lost []string
			server.mu.Lock()
			defer server.mu.Unlock()
			for id := range server.stayed {
				if !got[id] {
					lost = append(lost, id)
				}
			}
			return chaosResult{lost: lost}
		}
		token = b.next
		if host.IntN(3) == 0 {
			fired[chaosRestart]++
			listed = &reader{endpoint: client.usersEndpoint(), journal: kept}
		}
	}
	require.Fail(t, "the listing does not end", "seed %d", seed)
	return chaosResult{}
}

// TestChaos: no account that was there throughout is lost, unless the reader
// fails with an error. With the detector off, the same test finds lost accounts.
// TestLongChaos takes more seeds.
func TestChaos(t *testing.T) {
	t.Parallel()
	chaosOf(t, 80)
}

func chaosOf(t *testing.T, seeds int) {
	t.Helper()
	for _, blind := range []bool{false, true} {
		t.Run(fmt.Sprintf("detector off %t", blind), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var total [chaosKinds]int
			complete, failed, lossy := 0, 0, 0
			codesSeen := map[codes.Code]int{}
			var workers sync.WaitGroup
			next := make(chan uint64)
			for range 4 {
				workers.Go(func() {
					for seed := range next {
						var fired [chaosKinds]int
						result := readChaos(t, seed, &fired, blind)
						mu.Lock()
						for kind, times := range fired {
							total[kind] += times
						}
						switch {
						case result.err != nil:
							failed++
							codesSeen[status.Code(result.err)]++
						case len(result.lost) > 0:
							lossy++
							if !blind {
								t.Errorf("seed %d: complete, but %v are missing", seed, result.lost)
							}
						default:
							complete++
						}
						mu.Unlock()
					}
				})
			}
			for seed := range uint64(seeds) { //nolint:gosec // There are some.
				next <- seed
			}
			close(next)
			workers.Wait()

			for kind, times := range total {
				t.Logf("%-18s %d", chaosNames[kind], times)
				require.Positive(t, times, "%s never happened", chaosNames[kind])
			}
			t.Logf("complete %d, failed %d %v, with losses %d", complete, failed, codesSeen, lossy)
			require.Greater(t, complete, seeds/3, "most lists can be read")
			require.Positive(t, failed)
			if blind {
				require.Positive(t, lossy, "without the detector, accounts are lost: the test would notice")
			}
		})
	}
}
