package scim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

const benchUsers = 100_000

// benchServer serves many users in pages of 100, made beforehand as far as they
// do not depend on where the page begins, and answers after so long.
func benchServer(b *testing.B, latency time.Duration) (*httptest.Server, [][]byte) {
	b.Helper()
	users := make([][]byte, benchUsers)
	for i := range users {
		user, err := json.Marshal(map[string]any{
			"schemas":     []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
			"id":          fmt.Sprintf("2819c223-7f76-453a-919d-%012d", i),
			"userName":    fmt.Sprintf("person%d@example.com", i),
			"displayName": fmt.Sprintf("Person Number %d", i),
			"name":        map[string]any{"givenName": "Person", "familyName": strconv.Itoa(i)},
			"emails":      []map[string]any{{"value": fmt.Sprintf("person%d@example.com", i), "primary": true, "type": "work"}},
			"active":      i%10 != 0,
			"roles":       []map[string]any{{"value": "STANDARD", "display": "Standard"}},
			"meta":        map[string]any{"resourceType": "User", "created": "2025-03-25T16:17:00Z"},
		})
		if err != nil {
			b.Fatal(err)
		}
		users[i] = user
	}
	page := func(start int) []byte {
		from := min(start-1, benchUsers)
		body := fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"startIndex":%d,"Resources":[`, benchUsers, start)
		for i, user := range users[from:min(from+100, benchUsers)] {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, user...)
		}
		return append(body, "]}"...)
	}
	var pages [][]byte
	for start := 1; start <= benchUsers; start += 100 {
		pages = append(pages, page(start))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
		if latency > 0 {
			select {
			case <-time.After(latency):
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "application/scim+json")
		_, _ = w.Write(page(start))
	}))
	b.Cleanup(server.Close)
	return server, pages
}

// BenchmarkReader reads 100,000 users in pages of 100 over HTTP on this machine.
func BenchmarkReader(b *testing.B) {
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		server, _ := benchServer(b, latency)
		for _, ahead := range []int{1, 4, 8} {
			b.Run(fmt.Sprintf("latency=%s/ahead=%d", latency, ahead), func(b *testing.B) {
				client, err := NewClient(b.Context(), Options{BaseURL: server.URL, Token: "bench-token", UserAgent: "bench/v1", ReadAhead: ahead})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					users := &reader{endpoint: client.usersEndpoint()}
					accounts := 0
					for token, more := "", true; more; more = token != "" {
						batch, err := users.read(b.Context(), token)
						if err != nil {
							b.Fatal(err)
						}
						accounts += len(batch.resources)
						token = batch.next
					}
					if accounts != benchUsers {
						b.Fatalf("%d accounts", accounts)
					}
				}
				b.ReportMetric(float64(benchUsers)*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
			})
		}
	}
}

// BenchmarkDirectory notes 100,000 users who carry five groups each.
func BenchmarkDirectory(b *testing.B) {
	batches := make([]*batch, 0, benchUsers/maxBatchResources)
	for i := range benchUsers {
		if i%maxBatchResources == 0 {
			batches = append(batches, &batch{})
		}
		u := &user{}
		u.ID.text, u.UserName.text = text(fmt.Sprintf("2819c223-7f76-453a-919d-%012d", i)), text(fmt.Sprintf("person%d@example.com", i))
		for g := range 5 {
			u.Groups.add(fmt.Sprintf(`[{"value":"%d","$ref":"https://app.example.com/scim/v2/Groups/%d","display":"Group %d","type":"direct"}]`, (i+g)%1000, (i+g)%1000, (i+g)%1000))
		}
		last := batches[len(batches)-1]
		last.entries = append(last.entries, u)
	}
	b.ReportAllocs()
	for b.Loop() {
		d := newDirectory("sync", "", maxDirectory)
		for _, one := range batches {
			d.add(one)
			d.pending = nil
		}
		if !d.whole || d.users() != benchUsers {
			b.Fatal("not all users are there")
		}
		b.ReportMetric(float64(maxDirectory-d.room)/benchUsers, "B/user")
	}
	b.ReportMetric(float64(benchUsers)*float64(b.N)/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkPlainDecode decodes the same bytes with encoding/json into maps, and
// nothing else: what any reader has to spend.
func BenchmarkPlainDecode(b *testing.B) {
	_, pages := benchServer(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		for _, body := range pages {
			var list struct {
				Resources []map[string]any `json:"Resources"`
			}
			if err := json.Unmarshal(body, &list); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(benchUsers)*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
}
