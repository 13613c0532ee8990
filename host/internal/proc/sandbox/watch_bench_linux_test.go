package sandbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// readingRole opens a file, or reads a page of an app, so many times.
func readingRole() outcome {
	o := outcome{}
	for range number("TIMES") {
		url := os.Getenv("URL")
		if url == "" {
			o.try("open", opens("/etc/passwd", unix.O_RDONLY))
			continue
		}
		response, err := http.Get(url) //nolint:gosec,noctx // It is on this machine.
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		o.try("read", err)
	}
	return o
}

// BenchmarkWatch measures what observation costs a program, its start included.
func BenchmarkWatch(b *testing.B) {
	page := strings.Repeat("x", 50<<10)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }))
	defer app.Close()
	for what, url := range map[string]string{"open": "", "page": app.URL} {
		for mode, policy := range map[string]*Policy{"off": {Permissive: true}, "on": {}, "warn": {Permissive: true, Observer: &Needs{}}} {
			b.Run(what+"/"+mode, func(b *testing.B) {
				for name, failure := range runs(Kernel(), policy, roleCommand(roleRead, "URL="+url, "TIMES="+strconv.Itoa(b.N))) {
					if failure != "" {
						b.Fatal(name, failure)
					}
				}
			})
		}
	}
}
