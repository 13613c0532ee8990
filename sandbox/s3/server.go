// Package s3 is a server of the S3 protocol for tests, as far as hosts that share a state need
// it: objects of one bucket in memory, written also on condition that there is none, listed in
// pages, and removed; with the faults of a bad day.
//
// Tests of package state and of the host start it. It must never be taken for the real thing:
// SeaweedFS stands in for that, in the tests with the tag "real". It keeps to
// https://docs.aws.amazon.com/AmazonS3/latest/API and checks no signature, only whose it is.
package s3

import (
	"crypto/md5" //nolint:gosec // S3 names objects by it.
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is one server with one bucket: an http.Handler.
type Server struct {
	options Options

	mu      sync.Mutex
	objects map[string]object
	fault   func(*http.Request) Fault
	counts  map[string]int
}

// Options are what a server is.
type Options struct {
	// Bucket is the only one there is, and AccessKey the only key that is taken.
	Bucket, AccessKey string
	// PageSize is how many objects a page of a listing has; 0: 1,000.
	PageSize int
	// Now is its clock; nil: the one of this machine.
	Now func() time.Time
	// Unconditional ignores If-None-Match, as some servers do.
	Unconditional bool
}

// Fault is what goes wrong with one request. The zero value is nothing.
type Fault struct {
	// Status and Code are the answer, in place of what was asked for.
	Status int
	Code   string
	// Wait is how long the answer takes.
	Wait time.Duration
	// Cut breaks the connection off in the middle of the answer's body; Lost does what was
	// asked for, and breaks it off before the answer.
	Cut, Lost bool
}

type object struct {
	content  []byte
	modified time.Time
}

// New returns a server without objects.
func New(options Options) *Server {
	if options.PageSize == 0 {
		options.PageSize = 1000
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Server{options: options, objects: map[string]object{}, counts: map[string]int{}}
}

// Break sets what goes wrong from now on; nil: nothing.
func (s *Server) Break(fault func(*http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Keys returns the keys of all objects, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Content returns an object; nil if there is none.
func (s *Server) Content(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[key].content
}

// Set replaces an object, dated so long ago; nil removes it.
func (s *Server) Set(key string, content []byte, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if content == nil {
		delete(s.objects, key)
		return
	}
	s.objects[key] = object{content, s.options.Now().Add(-age)}
}

// Requests returns how many requests of a method, also those that failed, there were.
func (s *Server) Requests(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[method]
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.counts[r.Method]++
	fault := Fault{}
	if s.fault != nil {
		fault = s.fault(r)
	}
	s.mu.Unlock()
	if fault.Wait > 0 {
		select {
		case <-time.After(fault.Wait):
		case <-r.Context().Done():
			return
		}
	}
	if fault.Status != 0 {
		refuse(w, fault.Status, fault.Code)
		return
	}
	if fault.Lost {
		s.answer(discarded{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	}
	if fault.Cut {
		s.answer(&cutting{ResponseWriter: w}, r)
		panic(http.ErrAbortHandler)
	}
	s.answer(w, r)
}

// discarded takes an answer that is lost.
type discarded struct{ header http.Header }

func (d discarded) Header() http.Header             { return d.header }
func (discarded) Write(content []byte) (int, error) { return len(content), nil }
func (discarded) WriteHeader(int)                   {}

// cutting passes on the first half of a body.
type cutting struct{ http.ResponseWriter }

func (c *cutting) Write(content []byte) (int, error) {
	n, err := c.ResponseWriter.Write(content[:len(content)/2])
	if flusher, is := c.ResponseWriter.(http.Flusher); is {
		flusher.Flush()
	}
	return n, err
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>refused</Message></Error>", code)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	access, _, _ := strings.Cut(rest, "/")
	switch {
	case access == "":
		refuse(w, http.StatusForbidden, "AccessDenied")
	case access != s.options.AccessKey:
		refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
	case bucket != s.options.Bucket:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case key == "" && r.Method == http.MethodGet:
		s.list(w, r.URL.Query())
	case r.Method == http.MethodGet:
		s.get(w, key)
	case r.Method == http.MethodPut:
		s.put(w, r, key)
	case r.Method == http.MethodDelete:
		s.Set(key, nil, 0)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func (s *Server) get(w http.ResponseWriter, key string) {
	s.mu.Lock()
	found, ok := s.objects[key]
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(found.content)))
	w.Header().Set("Last-Modified", found.modified.UTC().Format(http.TimeFormat))
	w.Header().Set("Etag", etag(found.content))
	_, _ = w.Write(found.content)
}

func etag(content []byte) string {
	sum := md5.Sum(content) //nolint:gosec // S3 names objects by it.
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, key string) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client is gone.
	}
	sum := sha256.Sum256(content)
	if r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		refuse(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.objects[key]; taken && r.Header.Get("If-None-Match") == "*" && !s.options.Unconditional {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	s.objects[key] = object{content, s.options.Now()}
	w.Header().Set("Etag", etag(content))
}

// listing is a page of a listing.
type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	EncodingType          string
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listed
}

type listed struct {
	Key          string
	LastModified string
	ETag         string
	Size         int
}

func (s *Server) list(w http.ResponseWriter, query url.Values) {
	if query.Get("list-type") != "2" {
		refuse(w, http.StatusNotImplemented, "NotImplemented")
		return
	}
	after := max(query.Get("start-after"), query.Get("continuation-token"))
	page := listing{EncodingType: "url"}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if !strings.HasPrefix(key, query.Get("prefix")) || key <= after {
			continue
		}
		if len(page.Contents) == s.options.PageSize {
			page.IsTruncated, page.NextContinuationToken = true, after
			break
		}
		after = key
		found := s.objects[key]
		page.Contents = append(page.Contents, listed{
			Key: url.QueryEscape(key), LastModified: found.modified.UTC().Format("2006-01-02T15:04:05.000Z"),
			ETag: etag(found.content), Size: len(found.content),
		})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(page)
}
