package status

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves what machines ask for:
//
//   - /healthz answers 200 for as long as the process can answer. Nothing that
//     happens to C1 or to an app changes that: a restart would fix neither, and
//     cost the syncs in hand. It is for liveness probes.
//
//   - /readyz answers 503, with the reasons one to a line, until every upload has
//     either been answered by C1 or had its credentials refused for good; then 200
//     until the host begins to stop. So a rollout waits for a new version, or a new
//     configuration, that cannot even reach C1, instead of replacing one that could.
//     After that, C1 or an app that goes away changes nothing: a host that waits for
//     them does all it can, and its page is needed most then. Those who want to reach
//     the page of a host that is not ready yet set
//     publishNotReadyAddresses in the Service.
//
//   - /metrics is for Prometheus.
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if missing := b.missing(); len(missing) > 0 {
			say(w, http.StatusServiceUnavailable, strings.Join(missing, "\n"))
			return
		}
		say(w, http.StatusOK, "ok")
	})
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n"))
}

// missing is why the host is not ready, in sentences.
func (b *Board) missing() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.host.Stopping {
		return []string{"the host is stopping"}
	}
	var missing []string
	for _, u := range b.uploads {
		if !u.met && u.refusal == "" {
			why := "C1 has not answered yet"
			if u.connection.Why != "" {
				why += ": " + u.connection.Why
			}
			missing = append(missing, fmt.Sprintf("upload %q: %s", u.name, why))
		}
	}
	return missing
}
