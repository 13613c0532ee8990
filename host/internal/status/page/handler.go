package page

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/status"
)

// Source is what is shown. A *status.Board is one.
type Source interface {
	Snapshot() status.Snapshot
	// Changed is closed at the next change.
	Changed() <-chan struct{}
}

const (
	// mostStreams is how many pages are kept up to date at a time. More of them
	// show how it was and try again.
	mostStreams = 64
	// shortestPause is between two updates of a page.
	shortestPause = 500 * time.Millisecond
	// longestPause is too: times that pass are shown, and a page that hears nothing
	// for several of them says that the host is gone.
	longestPause = 5 * time.Second
	// writeTimeout is how long a reader may take nothing of an update.
	writeTimeout = 10 * time.Second
)

//go:embed page.html.tmpl
var source string

//go:embed assets
var assets embed.FS

var layout = template.Must(template.New("page").Funcs(functions).Parse(source))

type server struct {
	source  Source
	streams chan struct{} // holds one for each
}

// Handler serves the page at /, the same for programs at /status.json, and what
// the page needs.
func Handler(source Source) http.Handler {
	s := &server{source: source, streams: make(chan struct{}, mostStreams)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /status.json", s.json)
	for path, kind := range map[string]string{"/style.css": "text/css", "/live.js": "text/javascript", "/icon.svg": "image/svg+xml"} {
		content, err := assets.ReadFile("assets" + path)
		if err != nil {
			panic(err) // It is embedded.
		}
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			_, _ = w.Write(content)
		})
	}
	return mux
}

func (s *server) render() (string, error) {
	var page bytes.Buffer
	if err := layout.Execute(&page, viewOf(s.source.Snapshot())); err != nil {
		return "", fmt.Errorf("render the status page: %w", err)
	}
	return page.String(), nil
}

func (s *server) page(w http.ResponseWriter, _ *http.Request) {
	page, err := s.render()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page))
}

func (s *server) json(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(s.source.Snapshot())
}

// events sends the page again whenever it has changed, as server-sent events.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Too many pages are kept up to date already.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		changed := s.source.Changed()
		page, err := s.render()
		if err != nil {
			return
		}
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write([]byte(event(page))); err != nil {
			return
		}
		if control.Flush() != nil || !pause(r, changed) {
			return
		}
	}
}

// event is a text as a server-sent event has it.
func event(text string) string {
	return "data: " + strings.ReplaceAll(text, "\n", "\ndata: ") + "\n\n"
}

// pause waits for a change, but neither too short nor too long. It returns false
// when the reader is gone.
func pause(r *http.Request, changed <-chan struct{}) bool {
	for _, wait := range []struct {
		changed <-chan struct{}
		most    time.Duration
	}{{nil, shortestPause}, {changed, longestPause - shortestPause}} {
		timer := time.NewTimer(wait.most)
		select {
		case <-timer.C:
		case <-wait.changed:
			timer.Stop()
		case <-r.Context().Done():
			timer.Stop()
			return false
		}
	}
	return true
}
