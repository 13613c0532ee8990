package scim

import (
	"net/http"
	"slices"
	"sync"
)

// Request is one request that arrived, so that a test can show what was asked
// for and how often. It can be compared and used as a map key.
type Request struct {
	Method string
	// Path is the whole path, the base path included.
	Path string
	// Query is the raw query, as the client sent it.
	Query string
	// Status is the HTTP status of the answer, 0 as long as there is none.
	Status int
}

// requestLog notes requests in the order in which they arrive. It never holds a
// header, and so never a token.
type requestLog struct {
	mu      sync.Mutex
	entries []Request
}

// arrived notes a request and returns what notes its answer's status.
func (l *requestLog) arrived(r *http.Request) (answered func(status int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.entries)
	l.entries = append(l.entries, Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery})
	return func(status int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries[at].Status = status
	}
}

func (l *requestLog) all() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status and sends it.
func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
