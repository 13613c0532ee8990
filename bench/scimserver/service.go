package main

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// service answers for all apps. App number 1 is at /SIDE/1/scim/v2, where SIDE is
// who asks.
type service struct {
	token   string
	apps    []*app
	latency time.Duration
	pageCap int
	drop    string
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{side}/{app}/scim/v2/Users", s.list)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing but Users")
	})
	return mux
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
		fail(w, http.StatusUnauthorized, "the token is not the one")
		return
	}
	number, err := strconv.Atoi(r.PathValue("app"))
	if err != nil || number < 1 || number > len(s.apps) {
		fail(w, http.StatusNotFound, "there is no such app")
		return
	}
	query := r.URL.Query()
	start, errStart := numberIn(query.Get("startIndex"), 1)
	count, errCount := numberIn(query.Get("count"), s.pageCap)
	if errStart != nil || errCount != nil {
		fail(w, http.StatusBadRequest, "startIndex and count are numbers")
		return
	}

	app := s.apps[number-1]
	total := len(app.at) - 1
	if s.drop == r.PathValue("side") && number == len(s.apps) {
		total = max(0, total-1)
	}
	start = max(1, start)
	first := min(start-1, total)
	last := min(first+min(max(0, count), s.pageCap), total)
	head := fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"startIndex":%d,"itemsPerPage":%d,"Resources":[`,
		total, start, last-first)
	users := app.page(first, last)
	const end = "]}"

	// What making the answer took is part of the latency.
	if rest := s.latency - time.Since(began); rest > 0 {
		select {
		case <-time.After(rest):
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(users)+len(end)))
	for _, part := range [][]byte{head, users, []byte(end)} {
		if _, err := w.Write(part); err != nil { //nolint:gosec // JSON that was made here, and numbers.
			return // The client has gone.
		}
	}
}

func numberIn(value string, otherwise int) (int, error) {
	if value == "" {
		return otherwise, nil
	}
	return strconv.Atoi(value)
}

// fail answers with an error as SCIM writes it (RFC 7644 section 3.12).
func fail(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"%d","detail":%q}`, status, detail)
}
