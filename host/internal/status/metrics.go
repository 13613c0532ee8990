package status

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/conductorone/baton-sdk/pkg/types/tasks"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// fullSync is the type of the task that asks for a full sync.
var fullSync = tasks.FullSyncType.String()

// The results of tasks.
const (
	done    = "done"
	failed  = "failed"
	dropped = "dropped"
)

// durations are the buckets of how long tasks take, in seconds: from a small app to
// one that is read for half a day.
var durations = []float64{0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600, 1800, 3600, 7200, 14400, 43200}

// metrics are what Prometheus reads.
type metrics struct {
	registry *prometheus.Registry

	connected *prometheus.GaugeVec
	tasks     *prometheus.CounterVec
	running   *prometheus.GaugeVec
	took      *prometheus.HistogramVec
	uploads   *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	lastBytes *prometheus.GaugeVec
	lastTook  *prometheus.GaugeVec
	success   *prometheus.GaugeVec
	failing   *prometheus.GaugeVec
	accounts  *prometheus.GaugeVec
	stale     *prometheus.GaugeVec
	staleRows *prometheus.GaugeVec
	skipped   *prometheus.GaugeVec
	missing   *prometheus.GaugeVec
	evidence  *prometheus.GaugeVec
	asOf      *prometheus.GaugeVec
	retries   *prometheus.CounterVec
	state     *prometheus.GaugeVec
	sandbox   *prometheus.GaugeVec
	restarts  *prometheus.CounterVec
	info      *prometheus.GaugeVec
	expiry    *prometheus.GaugeVec
	warnsFrom *prometheus.GaugeVec
	problem   *prometheus.GaugeVec
	notified  *prometheus.CounterVec

	reloadOK, reloadedAt prometheus.Gauge
}

const namespace = "baton_host"

func newMetrics(host Host) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
		m.registry.MustRegister(vec)
		return vec
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
		m.registry.MustRegister(vec)
		return vec
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "log_lines_dropped_total", Help: "Lines of the host's log that were dropped because standard error was not read.",
	}, func() float64 { return float64(hostlog.Stderr.Dropped()) }))
	m.connected = gauge("connected", "1 if C1 answered when it was last talked to, else 0.", "upload")
	m.tasks = counter("tasks_total", "Tasks that ended, by how.", "upload", "type", "result")
	m.running = gauge("tasks_running", "Tasks in hand.", "upload")
	m.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "task_duration_seconds", Help: "How long tasks took, however they ended.", Buckets: durations,
	}, []string{"upload", "type"})
	m.registry.MustRegister(m.took)
	m.uploads = counter("uploads_total", "Syncs that C1 has taken.", "upload")
	m.bytes = counter("uploaded_bytes_total", "Bytes of those syncs.", "upload")
	m.lastBytes = gauge("last_upload_bytes", "Bytes of the last of those syncs.", "upload")
	m.lastTook = gauge("last_sync_duration_seconds", "How long the last of those syncs and its upload took.", "upload")
	m.success = gauge("last_success_timestamp_seconds", "When C1 last took a sync of everything, in Unix time.", "upload")
	m.failing = gauge("last_sync_failed", "1 if the last sync of everything failed, else 0.", "upload")
	m.accounts = gauge("accounts", "Accounts in the last sync of everything that C1 has.", "upload", "plugin")
	m.stale = gauge("stale", "1 if C1 has something older of the plugin than the last sync of everything, else 0.", "upload", "plugin")
	m.staleRows = gauge("stale_accounts", "Accounts in that sync that come from the baseline.", "upload", "plugin")
	m.skipped = gauge("skipped_resources", "Resources in that sync that lack entitlements or grants, as the plugin did not find them any more.", "upload", "plugin")
	m.missing = gauge("missing", "1 if the last sync of everything went without the plugin, as it is new and failed, else 0.", "upload", "plugin")
	m.evidence = gauge("evidence", "1 for what the connector has reported on whether its lists in that sync are complete, 0 for the other grades.", "upload", "plugin", "grade")
	m.asOf = gauge("as_of_timestamp_seconds", "When the app behind those accounts was last read completely, in Unix time.", "upload", "plugin")
	m.retries = counter("retries_total", "Calls of a plugin that failed and were repeated.", "upload", "plugin")
	m.state = gauge("plugin_state", "1 for the state that the plugin is in, 0 for the others.", "plugin", "state")
	m.sandbox = gauge("plugin_sandbox", "1 for the mode of the sandbox that the plugin is in, 0 for the others.", "plugin", "mode")
	m.restarts = counter("plugin_restarts_total", "How often the plugin has been started again.", "plugin")
	m.info = gauge("plugin_info", "1, for what the plugin says of itself.", "plugin", "connector", "version", "sdk_version")
	m.expiry = gauge("credential_expiry_timestamp_seconds", "When the value in use of the credential ends, where that is known, in Unix time.", "plugin", "upload", "reference")
	m.warnsFrom = gauge("credential_warning_timestamp_seconds", "From when on the credential is warned of, as a new value is needed, in Unix time; no series where a program renews it.", "plugin", "upload", "reference")
	m.problem = gauge("credential_problem", "1 if the newest value of the credential is not in use, else 0.", "plugin", "upload", "reference")
	m.notified = counter("notifications_total", "Events for the webhook, by what became of them.", "result")
	for _, result := range []string{NotificationDelivered, NotificationFailed, NotificationDropped} {
		m.notified.WithLabelValues(result)
	}
	gauge("info", "1, for the versions of the host.", "version", "sdk_version").WithLabelValues(host.Version, host.SDKVersion).Set(1)
	m.reloadOK = gauge("config_last_reload_successful", "1 if the configuration was accepted when it was last read, else 0.").WithLabelValues()
	m.reloadedAt = gauge("config_last_reload_success_timestamp_seconds", "When the configuration was last read and accepted, in Unix time.").WithLabelValues()
	m.reloaded(host.StartedAt, true)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// What becomes of an event for the webhook.
const (
	NotificationDelivered = "delivered"
	// NotificationFailed: the webhook did not accept it, however often it was tried.
	NotificationFailed = "failed"
	// NotificationDropped: too many events waited, or the host was stopping.
	NotificationDropped = "dropped"
)

// Notified counts an event for the webhook; result is one of those above.
func (b *Board) Notified(result string) { b.metrics.notified.WithLabelValues(result).Inc() }

// reloaded shows how the configuration was read last.
func (m *metrics) reloaded(at time.Time, accepted bool) {
	m.reloadOK.Set(one(accepted))
	if accepted {
		m.reloadedAt.Set(inUnixTime(at))
	}
}

// forgetUpload is about an upload that is not served any more.
func (m *metrics) forgetUpload(name string) {
	labels := prometheus.Labels{"upload": name}
	for _, gauge := range []*prometheus.GaugeVec{
		m.connected, m.running, m.lastBytes, m.lastTook, m.success, m.failing, m.accounts, m.stale, m.staleRows, m.skipped, m.missing, m.expiry, m.warnsFrom, m.problem, m.evidence, m.asOf,
	} {
		gauge.DeletePartialMatch(labels)
	}
	for _, counter := range []*prometheus.CounterVec{m.tasks, m.uploads, m.bytes, m.retries} {
		counter.DeletePartialMatch(labels)
	}
	m.took.DeletePartialMatch(labels)
}

// forgetPlugin is about a plugin that no upload has any more. What syncs had of it is not
// forgotten here: see forgetPart.
func (m *metrics) forgetPlugin(name string) {
	of := prometheus.Labels{"plugin": name}
	for _, gauge := range []*prometheus.GaugeVec{m.state, m.sandbox, m.info, m.expiry, m.warnsFrom, m.problem} {
		gauge.DeletePartialMatch(of)
	}
	m.restarts.DeletePartialMatch(of)
}

// removePart is about a plugin that an upload no longer has. What the last sync had of it
// stays: C1 has that until the next one.
func (m *metrics) removePart(upload, plugin string) {
	m.retries.DeleteLabelValues(upload, plugin)
	m.missing.DeleteLabelValues(upload, plugin)
}

// forgetPart is about a plugin that the last sync of an upload does not have.
func (m *metrics) forgetPart(upload, plugin string) {
	for _, gauge := range []*prometheus.GaugeVec{m.accounts, m.stale, m.staleRows, m.skipped, m.evidence, m.asOf} {
		gauge.DeletePartialMatch(prometheus.Labels{"upload": upload, "plugin": plugin})
	}
}

// prepare has what is counted begin at 0, so that the first time counts.
func (m *metrics) prepare(upload Served) {
	for _, gauge := range []*prometheus.GaugeVec{m.connected, m.running, m.failing} {
		gauge.WithLabelValues(upload.Name).Add(0)
	}
	for _, result := range []string{done, failed, dropped} {
		m.tasks.WithLabelValues(upload.Name, fullSync, result)
	}
	m.uploads.WithLabelValues(upload.Name)
	m.bytes.WithLabelValues(upload.Name)
	for _, plugin := range upload.Plugins {
		m.retries.WithLabelValues(upload.Name, plugin)
		m.restarts.WithLabelValues(plugin)
	}
}

// report counts events.
func (m *metrics) report(event Event) {
	switch event.Kind {
	case TaskBegun:
		m.running.WithLabelValues(event.Upload).Inc()
	case TaskDone:
		m.running.WithLabelValues(event.Upload).Dec()
		m.tasks.WithLabelValues(event.Upload, event.Task, resultOf(event)).Inc()
		m.took.WithLabelValues(event.Upload, event.Task).Observe(event.Took.Seconds())
	case Uploaded:
		m.uploads.WithLabelValues(event.Upload).Inc()
		m.bytes.WithLabelValues(event.Upload).Add(float64(event.Bytes))
		m.lastBytes.WithLabelValues(event.Upload).Set(float64(event.Bytes))
		m.lastTook.WithLabelValues(event.Upload).Set(event.Took.Seconds())
	}
}

func resultOf(event Event) string {
	switch {
	case event.Err == nil:
		return done
	case event.Dropped:
		return dropped
	default:
		return failed
	}
}

// show puts what is known of an upload into its gauges.
func (m *metrics) show(u *uploadState) {
	m.connected.WithLabelValues(u.name).Set(one(u.connection.Connected))
	m.failing.WithLabelValues(u.name).Set(one(u.failure != nil))
	if u.last == nil {
		return
	}
	m.success.WithLabelValues(u.name).Set(inUnixTime(u.last.At))
	for name, part := range u.parts {
		if u.has(name) {
			m.missing.WithLabelValues(u.name, name).Set(one(part.missing != ""))
		}
		if part.AsOf.IsZero() {
			continue
		}
		m.accounts.WithLabelValues(u.name, name).Set(float64(part.Accounts))
		m.staleRows.WithLabelValues(u.name, name).Set(float64(part.StaleAccounts))
		m.skipped.WithLabelValues(u.name, name).Set(float64(part.SkippedResources))
		for _, grade := range baseline.Grades {
			m.evidence.WithLabelValues(u.name, name, string(grade)).Set(one(part.Evidence == grade))
		}
		m.stale.WithLabelValues(u.name, name).Set(one(part.AsOf.Before(u.began)))
		m.asOf.WithLabelValues(u.name, name).Set(inUnixTime(part.AsOf))
	}
}

// pluginStates are all states of a plugin, as supervise.State names them.
var pluginStates = []string{"starting", ready, "idle", "refusing", "failed", stopped}

const (
	// ready is the state of a plugin with a process that calls go to. Each report of it is of
	// another process.
	ready = "ready"
	// stopped is the state of a plugin that the host has stopped.
	stopped = "stopped"
)

// plugin shows a plugin's state.
func (m *metrics) plugin(name, state string, manifest *pluginv1.Manifest) {
	for _, one := range pluginStates {
		is := 0.0
		if one == state {
			is = 1
		}
		m.state.WithLabelValues(name, one).Set(is)
	}
	if manifest != nil {
		m.info.DeletePartialMatch(prometheus.Labels{"plugin": name})
		m.info.WithLabelValues(name, short(manifest.GetName()), short(manifest.GetVersion()), short(manifest.GetSdkVersion())).Set(1)
	}
}

// sandboxed shows what of a sandbox a plugin is in.
func (m *metrics) sandboxed(name string, mode sandbox.Mode) {
	for _, each := range sandbox.Modes {
		m.sandbox.WithLabelValues(name, string(each)).Set(one(each == mode))
	}
}

// credentials shows how the credentials of a plugin or an upload are now.
func (m *metrics) credentials(plugin, upload string, credentials []secret.Credential) {
	of := prometheus.Labels{"plugin": plugin, "upload": upload}
	m.expiry.DeletePartialMatch(of)
	m.warnsFrom.DeletePartialMatch(of)
	m.problem.DeletePartialMatch(of)
	for _, credential := range credentials {
		if !credential.Expires.IsZero() {
			m.expiry.WithLabelValues(plugin, upload, credential.Name()).Set(inUnixTime(credential.Expires))
		}
		if from := credential.WarnsFrom(); !from.IsZero() {
			m.warnsFrom.WithLabelValues(plugin, upload, credential.Name()).Set(inUnixTime(from))
		}
		m.problem.WithLabelValues(plugin, upload, credential.Name()).Set(one(credential.Problem != ""))
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func inUnixTime(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Metric is one value of the metrics; of a histogram its count and its sum.
type Metric struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}

// ofProcess are the metrics of the process that a [Board.Metrics] has beside the host's own.
var ofProcess = regexp.MustCompile(`^(process_.*|go_goroutines|go_threads|go_memstats_(alloc|heap_inuse|sys)_bytes)$`)

// Metrics returns the host's metrics as they are now, by their names.
func (b *Board) Metrics() ([]Metric, error) {
	families, err := b.metrics.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("the metrics cannot be gathered: %w", err)
	}
	var all []Metric
	for _, family := range families {
		name := family.GetName()
		if !strings.HasPrefix(name, namespace+"_") && !ofProcess.MatchString(name) {
			continue
		}
		for _, series := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range series.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			add := func(name string, value float64) {
				if !math.IsNaN(value) && !math.IsInf(value, 0) { // JSON has neither.
					all = append(all, Metric{Name: name, Labels: labels, Value: value})
				}
			}
			if histogram := series.GetHistogram(); histogram != nil {
				add(name+"_count", float64(histogram.GetSampleCount()))
				add(name+"_sum", histogram.GetSampleSum())
				continue
			}
			add(name, series.GetGauge().GetValue()+series.GetCounter().GetValue())
		}
	}
	return all, nil
}
