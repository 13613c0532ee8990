package main

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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
	mux.HandleFunc("GET /{side}/{app}/scim/v2/Groups", s.list)
	mux.HandleFunc("GET /{side}/{app}/scim/v2/Groups/{id}", s.group)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing but Users and Groups")
	})
	return mux
}

// app is the app that a request is for; nil if it has been answered.
func (s *service) app(w http.ResponseWriter, r *http.Request) (_ *app, number int) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) != 1 {
		fail(w, http.StatusUnauthorized, "the token is not the one")
		return nil, 0
	}
	number, err := strconv.Atoi(r.PathValue("app"))
	if err != nil || number < 1 || number > len(s.apps) {
		fail(w, http.StatusNotFound, "there is no such app")
		return nil, 0
	}
	return s.apps[number-1], number
}

func (s *service) group(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	app, _ := s.app(w, r)
	if app == nil {
		return
	}
	found, ok := app.whole[r.PathValue("id")]
	if !ok {
		fail(w, http.StatusNotFound, "there is no such group")
		return
	}
	s.answer(w, r, began, found)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	app, number := s.app(w, r)
	if app == nil {
		return
	}
	query := r.URL.Query()
	start, errStart := numberIn(query.Get("startIndex"), 1)
	count, errCount := numberIn(query.Get("count"), s.pageCap)
	if errStart != nil || errCount != nil {
		fail(w, http.StatusBadRequest, "startIndex and count are numbers")
		return
	}

	rows, at := app.json, app.at
	if strings.HasSuffix(r.URL.Path, "/Groups") {
		rows, at = app.groups, app.groupAt
	}
	total := max(0, len(at)-1)
	if s.drop == r.PathValue("side") && number == len(s.apps) {
		total = max(0, total-1)
	}
	start = max(1, start)
	first := min(start-1, total)
	last := min(first+min(max(0, count), s.pageCap), total)
	head := fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"startIndex":%d,"itemsPerPage":%d,"Resources":[`,
		total, start, last-first)
	s.answer(w, r, began, head, page(rows, at, first, last), []byte("]}"))
}

// answer answers with JSON in parts, once the latency is over: what making it took is part
// of that.
func (s *service) answer(w http.ResponseWriter, r *http.Request, began time.Time, parts ...[]byte) {
	if rest := s.latency - time.Since(began); rest > 0 {
		select {
		case <-time.After(rest):
		case <-r.Context().Done():
			return
		}
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for _, part := range parts {
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
