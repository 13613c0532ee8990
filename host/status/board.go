package status

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/batonhost/baton-host/host/c1"
	"github.com/batonhost/baton-host/host/supervise"
)

// Board is what is known of a running host. It is safe for concurrent use.
type Board struct {
	registry  *prometheus.Registry
	connected *prometheus.GaugeVec
	tasks     *prometheus.CounterVec
	running   *prometheus.GaugeVec
	uploads   *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	seconds   *prometheus.GaugeVec
	success   *prometheus.GaugeVec
	accounts  *prometheus.GaugeVec
	stale     *prometheus.GaugeVec
	asOf      *prometheus.GaugeVec
	state     *prometheus.GaugeVec
	restarts  *prometheus.GaugeVec
}

// New makes a board for a host of this version that serves these uploads.
func New(version string, uploads []string) *Board {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "baton_host", Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "baton_host", Name: name, Help: help}, labels)
	}
	b := &Board{
		registry:  prometheus.NewRegistry(),
		connected: gauge("connected", "1 if C1 answered when it was last talked to, else 0.", "upload"),
		tasks:     counter("tasks_total", "Tasks that ended, by how.", "upload", "type", "result"),
		running:   gauge("tasks_running", "Tasks in hand.", "upload"),
		uploads:   counter("uploads_total", "Syncs that C1 has taken whole.", "upload"),
		bytes:     counter("uploaded_bytes_total", "Bytes of those syncs.", "upload"),
		seconds:   gauge("last_sync_duration_seconds", "How long the last sync and its upload took.", "upload"),
		success:   gauge("last_success_timestamp_seconds", "When C1 last took a sync whole, in Unix time.", "upload"),
		accounts:  gauge("accounts", "Accounts in the last upload.", "upload", "plugin"),
		stale:     gauge("stale_accounts", "Accounts in the last upload that were answered from the last good sync.", "upload", "plugin"),
		asOf:      gauge("as_of_timestamp_seconds", "When the app behind the last upload's accounts was last read completely, in Unix time.", "upload", "plugin"),
		state:     gauge("plugin_state", "1 for the state that the plugin is in, 0 for the others.", "plugin", "state"),
		restarts:  gauge("plugin_restarts", "How often the plugin has been started again since the host was started.", "plugin"),
	}
	info := gauge("info", "1, for the version of the host.", "version")
	info.WithLabelValues(version).Set(1)
	b.registry.MustRegister(info, b.connected, b.tasks, b.running, b.uploads, b.bytes, b.seconds, b.success, b.accounts, b.stale, b.asOf, b.state, b.restarts,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, upload := range uploads {
		b.connected.WithLabelValues(upload).Set(0)
		b.running.WithLabelValues(upload).Set(0)
	}
	return b
}

// Report takes in an event.
func (b *Board) Report(event c1.Event) {
	switch event.Kind {
	case c1.Connected:
		b.connected.WithLabelValues(event.Upload).Set(1)
	case c1.Disconnected:
		b.connected.WithLabelValues(event.Upload).Set(0)
	case c1.TaskBegun:
		b.running.WithLabelValues(event.Upload).Inc()
	case c1.TaskDone:
		b.running.WithLabelValues(event.Upload).Dec()
		result := "done"
		if event.Err != nil {
			result = "failed"
		}
		b.tasks.WithLabelValues(event.Upload, event.Task, result).Inc()
	case c1.Uploaded:
		b.uploaded(event)
	}
}

func (b *Board) uploaded(event c1.Event) {
	b.uploads.WithLabelValues(event.Upload).Inc()
	b.bytes.WithLabelValues(event.Upload).Add(float64(event.Bytes))
	b.seconds.WithLabelValues(event.Upload).Set(event.Took.Seconds())
	b.success.WithLabelValues(event.Upload).Set(inUnixTime(time.Now()))
	for instance, part := range event.Result.Sync.Plugins {
		b.accounts.WithLabelValues(event.Upload, instance).Set(float64(part.Accounts))
		b.asOf.WithLabelValues(event.Upload, instance).Set(inUnixTime(part.AsOf))
		b.stale.WithLabelValues(event.Upload, instance).Set(0)
	}
	for _, stale := range event.Result.Stale {
		b.stale.WithLabelValues(event.Upload, stale.Instance).Set(float64(stale.Accounts))
	}
}

// Plugin takes in a change of a plugin's state.
func (b *Board) Plugin(status supervise.Status) {
	for _, state := range []supervise.State{supervise.Starting, supervise.Ready, supervise.Refusing, supervise.Failed, supervise.Stopped} {
		is := 0.0
		if state == status.State {
			is = 1
		}
		b.state.WithLabelValues(status.Instance, string(state)).Set(is)
	}
	b.restarts.WithLabelValues(status.Instance).Set(float64(status.Restarts))
}

func inUnixTime(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Handler serves /metrics for Prometheus, and /healthz, which answers 200 for as
// long as the process does.
func (b *Board) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(b.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return mux
}
