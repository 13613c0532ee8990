package status_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const (
	workforce   = "workforce"
	fullstory   = "fullstory"
	designTool  = "design-tool"
	fullSync    = "sync_full"
	firstTask   = "task-1"
	secondTask  = "task-2"
	ada         = "Ada Lovelace <ada@example.com>"
	lovelaceish = "lovelace"
)

func newBoard() *status.Board {
	return status.New(status.Options{Version: "v1.2.3", SDKVersion: "v0.25.0", HostID: "host-1", Uploads: []status.Served{
		{Name: workforce, Plugins: []string{fullstory, designTool}, MaxStale: 72 * time.Hour},
	}})
}

// begun has C1 hand out a sync of everything.
func begun(b *status.Board, task string) {
	b.Report(status.Event{Upload: workforce, Kind: status.TaskBegun, Task: fullSync, ID: task, Whole: true})
}

// ended has the sync end.
func ended(b *status.Board, task string, err error) {
	b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: fullSync, ID: task, Whole: true, Err: err, Took: 3 * time.Second})
}

// synced has a sync of everything go well, with these accounts; those of the
// second plugin come from an hour ago if why says why.
func synced(b *status.Board, task string, first, second int, why error) {
	now := time.Now()
	result := &syncrun.Result{Whole: true, Sync: baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{
		fullstory:  {AsOf: now, Accounts: first},
		designTool: {AsOf: now, Accounts: second},
	}}}
	if why != nil {
		before := now.Add(-time.Hour)
		result.Sync.Plugins[designTool] = baseline.Part{AsOf: before, Accounts: second}
		result.Stale = []aggregate.Stale{{Instance: designTool, AsOf: before, Err: why, Accounts: second}}
	}
	begun(b, task)
	b.Report(status.Event{Upload: workforce, Kind: status.Sending, ID: task, Whole: true})
	b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: task, Whole: true, Result: result, Bytes: 4096, Took: 2 * time.Second})
	ended(b, task, nil)
}

// lacking has a sync of everything go well, in which so many resources of the second
// plugin were skipped; it comes from an hour ago if why says why.
func lacking(b *status.Board, task string, skipped int, why error) {
	now := time.Now()
	part := baseline.Part{AsOf: now, Accounts: 25, Skipped: skipped}
	result := &syncrun.Result{Whole: true}
	if why != nil {
		part.AsOf = now.Add(-time.Hour)
		result.Stale = []aggregate.Stale{{Instance: designTool, AsOf: part.AsOf, Err: why, Accounts: 25}}
	}
	result.Sync = baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{fullstory: {AsOf: now, Accounts: 40}, designTool: part}}
	begun(b, task)
	b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: task, Whole: true, Result: result, Bytes: 4096, Took: 2 * time.Second})
	ended(b, task, nil)
}

// TestBoard_KnowsWhatTheGuardRefused until a sync of everything of which it refuses nothing.
func TestBoard_KnowsWhatTheGuardRefused(t *testing.T) {
	t.Parallel()
	guard := func(plugin string) error {
		return fmt.Errorf("upload: %w", &syncrun.GuardError{Instance: plugin, ResourceType: "user", Before: 40, Since: time.Now()})
	}
	b := newBoard()
	refused := func() []string {
		if is := b.Snapshot().Uploads[0].Refused; is != nil {
			return is.Plugins
		}
		return nil
	}
	begun(b, firstTask)
	ended(b, firstTask, errors.Join(guard(fullstory), guard(designTool), guard(fullstory)))
	require.Equal(t, []string{designTool, fullstory}, refused())
	begun(b, secondTask)
	ended(b, secondTask, grpcstatus.Error(codes.Unavailable, "answered 503"))
	require.Equal(t, []string{designTool, fullstory}, refused(), "it was not looked at again")
	synced(b, "task-3", 40, 25, guard(designTool))
	require.Equal(t, []string{designTool}, refused(), "the plugin fell back")
	synced(b, "task-4", 40, 25, nil)
	require.Nil(t, refused())
	begun(b, "task-5")
	ended(b, "task-5", &syncrun.GoneError{Upload: workforce, Instance: "old", Accounts: 3})
	require.Equal(t, []string{"old"}, refused())
}

// TestBoard_MarksASyncWithSkippedResources in its state, its metrics and its history, also
// after a restart, until the next one.
func TestBoard_MarksASyncWithSkippedResources(t *testing.T) {
	t.Parallel()
	outage := grpcstatus.Error(codes.Unavailable, "answered 503 Service Unavailable")
	const two = "it lacks entitlements or grants of 2 resources that were not found any more; the host's log names them"
	for name, c := range map[string]struct {
		happens  func(b *status.Board)
		state    status.State // of the upload and of the plugin
		why      string       // of the plugin
		skipped  int
		recorded []status.State
	}{
		"H3: two resources": {
			func(b *status.Board) { lacking(b, firstTask, 2, nil) },
			status.Incomplete, two, 2,
			[]status.State{status.Incomplete},
		},
		"H3: one resource": {
			func(b *status.Board) { lacking(b, firstTask, 1, nil) },
			status.Incomplete, "it lacks entitlements or grants of 1 resource that was not found any more; the host's log names it", 1,
			[]status.State{status.Incomplete},
		},
		"H3: the next sync has everything": {
			func(b *status.Board) {
				lacking(b, firstTask, 2, nil)
				synced(b, secondTask, 40, 25, nil)
			},
			status.Fresh, "", 0,
			[]status.State{status.Incomplete, status.Fresh},
		},
		"H3: in a part that is stale": {
			func(b *status.Board) { lacking(b, firstTask, 2, outage) },
			status.Stale, "the answer was 503 Service Unavailable: what answers, or a proxy before it, is out of order; " + two, 2,
			[]status.State{status.Stale},
		},
		"H3: after a sync that failed": {
			func(b *status.Board) {
				begun(b, firstTask)
				ended(b, firstTask, &syncrun.GuardError{Instance: designTool, Before: 40, Now: 3})
				lacking(b, secondTask, 2, nil)
			},
			status.Incomplete, two, 2,
			[]status.State{status.Failed, status.Incomplete},
		},
		"H3: before the host was started": {
			func(b *status.Board) {
				now := time.Now()
				b.Remember(workforce, baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{
					fullstory: {AsOf: now, Accounts: 40}, designTool: {AsOf: now, Accounts: 25, Skipped: 2},
				}})
			},
			status.Incomplete, two, 2,
			[]status.State{status.Incomplete},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			c.happens(b)
			u := uploadOf(t, b)
			require.Equal(t, map[string]status.State{"": c.state, fullstory: status.Fresh, designTool: c.state}, statesOf(u))
			require.Equal(t, c.why, u.Parts[1].Why)
			require.Equal(t, c.skipped, u.Parts[1].SkippedResources)
			require.Equal(t, c.skipped, u.Last.SkippedResources)
			var recorded []status.State
			for _, made := range u.History {
				recorded = append(recorded, made.State)
			}
			require.Equal(t, c.recorded, recorded)

			families := metricsOf(t, b)
			for plugin, want := range map[string]int{fullstory: 0, designTool: c.skipped} {
				require.Equal(t, float64(want), value(t, families, "baton_host_skipped_resources", "plugin="+plugin, "upload="+workforce)) //nolint:testifylint // They are counts.
			}

			again := newBoard()
			again.Recall(b.History())
			require.Equal(t, b.History(), again.History())
		})
	}
}

// TestBoard_ShowsEvidence in its parts and its metrics, also after a restart; it changes no
// state.
func TestBoard_ShowsEvidence(t *testing.T) {
	t.Parallel()
	users := func(grade baseline.Grade, reason string) []baseline.Evidence {
		return []baseline.Evidence{{ResourceType: "design-tool.user", Grade: grade, Reason: reason}}
	}
	for name, c := range map[string]struct {
		evidence []baseline.Evidence
		grade    baseline.Grade
		reason   string
	}{
		"proven":                         {users(baseline.Proven, ""), baseline.Proven, ""},
		"unproven":                       {users(baseline.Unproven, "the list ends at 100"), baseline.Unproven, "the list ends at 100"},
		"unproven, with an address":      {users(baseline.Unproven, "jane@example.com is last"), baseline.Unproven, "the host's log says why"},
		"not reported":                   {nil, baseline.NotReported, ""},
		"a grade that is not known here": {users("sworn", "on a book"), baseline.NotReported, ""},
	} {
		now := time.Now()
		known := baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{
			fullstory:  {AsOf: now, Accounts: 40, Evidence: []baseline.Evidence{{ResourceType: "fullstory.user", Grade: baseline.Proven}}},
			designTool: {AsOf: now, Accounts: 25, Evidence: c.evidence},
		}}
		for way, happens := range map[string]func(b *status.Board){
			"uploaded": func(b *status.Board) {
				begun(b, firstTask)
				b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: firstTask, Whole: true, Result: &syncrun.Result{Whole: true, Sync: known}})
				ended(b, firstTask, nil)
			},
			"after a restart": func(b *status.Board) { b.Remember(workforce, known) },
			"then one is proven, and then it comes again": func(b *status.Board) {
				synced(b, secondTask, 40, 25, nil)
				b.Remember(workforce, known)
			},
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				b := newBoard()
				require.Empty(t, uploadOf(t, b).Parts[1].Evidence, "there is no sync yet")
				happens(b)
				u := uploadOf(t, b)
				require.Equal(t, map[string]status.State{"": status.Fresh, fullstory: status.Fresh, designTool: status.Fresh}, statesOf(u))
				require.Equal(t, baseline.Proven, u.Parts[0].Evidence)
				require.Equal(t, c.grade, u.Parts[1].Evidence)
				require.Equal(t, c.reason, u.Parts[1].EvidenceReason)
				require.Equal(t, c.grade, u.Last.Evidence, "the worst of the two")
				if way == "uploaded" {
					require.Equal(t, c.grade, u.History[0].Evidence)
				}
				families := metricsOf(t, b)
				for _, grade := range baseline.Grades {
					want := map[bool]float64{true: 1}[grade == c.grade]
					require.Equal(t, want, value(t, families, "baton_host_evidence", "grade="+string(grade), "plugin="+designTool, "upload="+workforce)) //nolint:testifylint // It is 0 or 1.
				}
			})
		}
	}
}

// get asks the board's handler.
func get(t *testing.T, b *status.Board, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	b.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

// metricsOf are the board's metrics, as Prometheus' own parser reads them.
func metricsOf(t *testing.T, b *status.Board) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(get(t, b, "/metrics").Body)
	require.NoError(t, err)
	return families
}

// value is a metric's value, by its labels as "name=value".
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	family := families[name]
	require.NotNil(t, family, name)
	for _, metric := range family.GetMetric() {
		var got []string
		for _, pair := range metric.GetLabel() {
			got = append(got, pair.GetName()+"="+pair.GetValue())
		}
		if strings.Join(got, ",") != strings.Join(labels, ",") {
			continue
		}
		switch family.GetType() {
		case dto.MetricType_COUNTER:
			return metric.GetCounter().GetValue()
		case dto.MetricType_HISTOGRAM:
			return float64(metric.GetHistogram().GetSampleCount())
		default:
			return metric.GetGauge().GetValue()
		}
	}
	require.Failf(t, "no such metric", "%s{%s}: %v", name, strings.Join(labels, ","), family)
	return 0
}

// busy is a board on which everything has happened.
func busy() *status.Board {
	b := newBoard()
	manifest := &pluginv1.Manifest{Name: "baton-fullstory", DisplayName: "Fullstory", Version: "v1.0.0", SdkVersion: "v0.25.0"}
	b.PluginChanged(fullstory, "ready", 0, manifest, nil)
	b.PluginChanged(fullstory, "starting", 0, manifest, &supervise.ExitError{Instance: fullstory, State: "exit status 2", LastLines: []string{ada}})
	b.PluginChanged(fullstory, "ready", 2, manifest, nil)
	b.Report(status.Event{Upload: workforce, Kind: status.Connected})
	synced(b, firstTask, 40, 25, grpcstatus.Error(codes.Unavailable, "answered 503: "+ada))
	begun(b, secondTask)
	b.Sync(workforce, secondTask).Retrying(aggregate.Retry{Instance: fullstory, Wait: time.Second, Err: errors.New(ada)})
	ended(b, secondTask, &syncrun.GuardError{Instance: fullstory, ResourceType: "fullstory.user", Measure: syncrun.Accounts, Before: 40, Now: 3, Since: time.Now()})
	b.Report(status.Event{Upload: workforce, Kind: status.TaskBegun, Task: "grant", ID: "task-3"})
	b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: "grant", ID: "task-3", Err: errors.New("no such user: " + ada)})
	return b
}

func TestMetrics_PassPrometheusLint(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*status.Board{"of a new host": newBoard(), "of a busy one": busy()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, err := promlint.New(get(t, b, "/metrics").Body).Lint()
			require.NoError(t, err)
			require.Empty(t, problems)
		})
	}
}

func TestMetrics_CountWhatHappened(t *testing.T) {
	t.Parallel()
	families := metricsOf(t, busy())
	up, fs, dt := "upload="+workforce, "plugin="+fullstory, "plugin="+designTool
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "info", []string{"sdk_version=v0.25.0", "version=v1.2.3"}},
		{1, "connected", []string{up}},
		{1, "tasks_total", []string{"result=done", "type=sync_full", up}},
		{1, "tasks_total", []string{"result=failed", "type=sync_full", up}},
		{0, "tasks_total", []string{"result=dropped", "type=sync_full", up}},
		{1, "tasks_total", []string{"result=failed", "type=grant", up}},
		{0, "tasks_running", []string{up}},
		{2, "task_duration_seconds", []string{"type=sync_full", up}},
		{1, "uploads_total", []string{up}},
		{4096, "uploaded_bytes_total", []string{up}},
		{4096, "last_upload_bytes", []string{up}},
		{2, "last_sync_duration_seconds", []string{up}},
		{1, "last_sync_failed", []string{up}},
		{40, "accounts", []string{fs, up}},
		{25, "accounts", []string{dt, up}},
		{0, "stale", []string{fs, up}},
		{1, "stale", []string{dt, up}},
		{0, "stale_accounts", []string{fs, up}},
		{25, "stale_accounts", []string{dt, up}},
		{1, "retries_total", []string{fs, up}},
		{0, "retries_total", []string{dt, up}},
		{1, "plugin_state", []string{fs, "state=ready"}},
		{0, "plugin_state", []string{fs, "state=starting"}},
		{2, "plugin_restarts_total", []string{fs}},
		{0, "plugin_restarts_total", []string{dt}},
		{1, "plugin_info", []string{"connector=baton-fullstory", fs, "sdk_version=v0.25.0", "version=v1.0.0"}},
	} {
		require.Equal(t, c.want, value(t, families, "baton_host_"+c.name, c.labels...), "%s%v", c.name, c.labels) //nolint:testifylint // They are counts.
	}
	success := value(t, families, "baton_host_last_success_timestamp_seconds", up)
	require.Greater(t, success, value(t, families, "baton_host_as_of_timestamp_seconds", dt, up)+3500)
	require.Greater(t, value(t, families, "process_start_time_seconds"), 1e9)
	require.Positive(t, value(t, families, "go_goroutines"))
}

func TestMetrics_BeginAtZero(t *testing.T) {
	t.Parallel()
	families := metricsOf(t, newBoard())
	require.Zero(t, value(t, families, "baton_host_connected", "upload="+workforce))
	require.Zero(t, value(t, families, "baton_host_tasks_total", "result=failed", "type=sync_full", "upload="+workforce))
	require.Zero(t, value(t, families, "baton_host_uploads_total", "upload="+workforce))
	require.NotContains(t, families, "baton_host_last_success_timestamp_seconds", "there was none")
	require.NotContains(t, families, "baton_host_accounts", "and it is not known how many there are")
}

func TestBoard_IsReadyOnceC1HasAnswered(t *testing.T) {
	t.Parallel()
	ready := func(b *status.Board) (int, string) {
		answer := get(t, b, "/readyz")
		return answer.Code, answer.Body.String()
	}
	away := status.Event{Upload: workforce, Kind: status.Disconnected, Err: grpcstatus.Error(codes.Unavailable, "dial: connection refused")}
	b := newBoard()
	code, text := ready(b)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "upload \"workforce\": C1 has not answered yet\n", text)
	b.Report(away)
	code, text = ready(b)
	require.Equal(t, http.StatusServiceUnavailable, code, "a new version that does not reach C1 must not replace one that does")
	require.Equal(t, "upload \"workforce\": C1 has not answered yet: the connection is refused\n", text)
	b.Report(status.Event{Upload: workforce, Kind: status.Connected})
	code, text = ready(b)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", text)
	b.Report(away)
	code, _ = ready(b)
	require.Equal(t, http.StatusOK, code, "a host that waits for C1 does all it can")
	b.Stopping()
	code, text = ready(b)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "the host is stopping\n", text)
	require.Equal(t, http.StatusOK, get(t, b, "/healthz").Code, "a host that stops is not to be killed")
}

func TestBoard_IsReadyWithRefusedCredentials(t *testing.T) {
	t.Parallel()
	b := newBoard()
	b.Ended(workforce, errors.New("no"))
	require.Equal(t, http.StatusOK, get(t, b, "/readyz").Code, "to wait for them would keep the other uploads from being served")
}

func uploadOf(t *testing.T, b *status.Board) status.Upload {
	t.Helper()
	uploads := b.Snapshot().Uploads
	require.Len(t, uploads, 1)
	return uploads[0]
}

func statesOf(u status.Upload) map[string]status.State {
	states := map[string]status.State{"": u.State}
	for _, part := range u.Parts {
		states[part.Plugin] = part.State
	}
	return states
}

func TestBoard_DerivesTheStateOfAnUpload(t *testing.T) {
	t.Parallel()
	outage := fmt.Errorf("sync: %w", grpcstatus.Error(codes.Unavailable, "answered 503 Service Unavailable"))
	guard := &syncrun.GuardError{Instance: fullstory, ResourceType: "fullstory.user", Measure: syncrun.Accounts, Before: 40, Now: 3, Since: time.Now()}
	otherGuard := &syncrun.GuardError{Instance: designTool, ResourceType: "design-tool.user", Measure: syncrun.Accounts, Before: 25, Now: 2, Since: guard.Since}
	for name, c := range map[string]struct {
		happens func(b *status.Board)
		want    map[string]status.State
		why     string
	}{
		"nothing has happened": {
			func(*status.Board) {},
			map[string]status.State{"": status.Waiting, fullstory: status.Waiting, designTool: status.Waiting},
			"C1 has asked for no sync yet",
		},
		"a sync went well": {
			func(b *status.Board) { synced(b, firstTask, 40, 25, nil) },
			map[string]status.State{"": status.Fresh, fullstory: status.Fresh, designTool: status.Fresh},
			"",
		},
		"one plugin was answered for": {
			func(b *status.Board) { synced(b, firstTask, 40, 25, outage) },
			map[string]status.State{"": status.Stale, fullstory: status.Fresh, designTool: status.Stale},
			"the answer was 503 Service Unavailable: what answers, or a proxy before it, is out of order",
		},
		"a sync failed": {
			func(b *status.Board) {
				synced(b, firstTask, 40, 25, nil)
				begun(b, secondTask)
				ended(b, secondTask, guard)
			},
			map[string]status.State{"": status.Failed, fullstory: status.Failed, designTool: status.Fresh},
			guard.Error(),
		},
		"a sync failed after one plugin was answered for": {
			func(b *status.Board) {
				synced(b, firstTask, 40, 25, outage)
				begun(b, secondTask)
				ended(b, secondTask, guard)
			},
			map[string]status.State{"": status.Failed, fullstory: status.Failed, designTool: status.Stale},
			guard.Error(),
		},
		"a sync went well after one failed": {
			func(b *status.Board) {
				begun(b, firstTask)
				ended(b, firstTask, guard)
				synced(b, secondTask, 40, 25, nil)
			},
			map[string]status.State{"": status.Fresh, fullstory: status.Fresh, designTool: status.Fresh},
			"",
		},
		"another plugin fails than before": {
			func(b *status.Board) {
				synced(b, "task-0", 40, 25, nil)
				begun(b, firstTask)
				ended(b, firstTask, guard)
				begun(b, secondTask)
				ended(b, secondTask, otherGuard)
			},
			map[string]status.State{"": status.Failed, fullstory: status.Fresh, designTool: status.Failed},
			otherGuard.Error(),
		},
		"a sync of one resource failed": {
			func(b *status.Board) {
				synced(b, firstTask, 40, 25, nil)
				b.Report(status.Event{Upload: workforce, Kind: status.TaskBegun, Task: fullSync, ID: secondTask})
				b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: fullSync, ID: secondTask, Err: guard})
			},
			map[string]status.State{"": status.Fresh, fullstory: status.Fresh, designTool: status.Fresh},
			"",
		},
		"a sync was sent, and C1 does not hear that it is done": {
			func(b *status.Board) {
				begun(b, firstTask)
				result := &syncrun.Result{Whole: true, Sync: baseline.Sync{StartedAt: time.Now(), Plugins: map[string]baseline.Part{
					fullstory: {AsOf: time.Now().Add(time.Second)}, designTool: {AsOf: time.Now().Add(time.Second)},
				}}}
				b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: firstTask, Whole: true, Result: result})
				ended(b, firstTask, outage)
			},
			map[string]status.State{"": status.Fresh, fullstory: status.Fresh, designTool: status.Fresh},
			"",
		},
		"the credentials are refused": {
			func(b *status.Board) {
				synced(b, firstTask, 40, 25, nil)
				b.Ended(workforce, grpcstatus.Error(codes.Unauthenticated, ada))
			},
			map[string]status.State{"": status.Stopped, fullstory: status.Fresh, designTool: status.Fresh},
			"the credentials are refused",
		},
		"it was synced before the host was started": {
			func(b *status.Board) {
				b.Remember(workforce, baseline.Sync{StartedAt: time.Now(), Plugins: map[string]baseline.Part{
					fullstory: {AsOf: time.Now().Add(time.Second), Accounts: 3}, designTool: {AsOf: time.Now().Add(-time.Hour), Accounts: 4},
				}})
			},
			map[string]status.State{"": status.Stale, fullstory: status.Fresh, designTool: status.Stale},
			"it failed before the host was started; its accounts are those of the baseline",
		},
		"it was synced too long ago": {
			func(b *status.Board) {
				then := time.Now().Add(-73 * time.Hour)
				b.Remember(workforce, baseline.Sync{StartedAt: then, Plugins: map[string]baseline.Part{fullstory: {AsOf: then}, designTool: {AsOf: then}}})
			},
			map[string]status.State{"": status.Stale, fullstory: status.Fresh, designTool: status.Fresh},
			"C1 has asked for no sync for longer than max-stale (72h0m0s)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			c.happens(b)
			u := uploadOf(t, b)
			require.Equal(t, c.want, statesOf(u))
			require.Equal(t, c.why, u.Why)
			require.Empty(t, u.Syncing)
		})
	}
}

func TestBoard_ShowsASyncUnderWay(t *testing.T) {
	t.Parallel()
	b := newBoard()
	synced(b, firstTask, 40, 25, nil)
	changed := b.Changed()
	begun(b, secondTask)
	<-changed
	watch := b.Sync(workforce, secondTask)
	watch.Listed(aggregate.Page{Instance: fullstory, Accounts: true, Rows: 10})
	watch.Listed(aggregate.Page{Instance: fullstory, Accounts: true, Rows: 5})
	watch.Listed(aggregate.Page{Instance: fullstory, Rows: 3})
	watch.Listed(aggregate.Page{Instance: fullstory, Grants: true, Rows: 9})
	watch.Retrying(aggregate.Retry{Instance: designTool, Wait: 2300 * time.Millisecond, Err: errors.New("answered 429: " + ada)})
	u := uploadOf(t, b)
	require.Equal(t, status.Fresh, u.State, "what C1 has is as it was")
	require.Len(t, u.Syncing, 1)
	require.False(t, u.Syncing[0].Sending)
	require.Equal(t, []status.PluginPart{
		{Plugin: fullstory, Accounts: 15, Resources: 18, Grants: 9, Pages: 4, Before: 40},
		{Plugin: designTool, Before: 25, Waits: "trying again after 2s: the answer was 429 Too Many Requests: its rate limit is reached"},
	}, u.Syncing[0].Plugins)
	watch.Listed(aggregate.Page{Instance: designTool, Accounts: true, Rows: 7})
	require.Empty(t, uploadOf(t, b).Syncing[0].Plugins[1].Waits)
	watch.FellBack(aggregate.Fallback{Instance: designTool, Err: errors.New(ada)})
	require.Equal(t, `plugin "design-tool" failed; the host's log says why`, uploadOf(t, b).Syncing[0].Plugins[1].AnsweredFor)
	b.Report(status.Event{Upload: workforce, Kind: status.Sending, ID: secondTask})
	require.True(t, uploadOf(t, b).Syncing[0].Sending)
	ended(b, secondTask, nil)
	require.Empty(t, uploadOf(t, b).Syncing)
}

func TestBoard_KeepsTheLastSyncs(t *testing.T) {
	t.Parallel()
	b := newBoard()
	for i := range 40 {
		synced(b, fmt.Sprint(i), i, 1, nil)
	}
	u := uploadOf(t, b)
	require.Len(t, u.History, 30)
	require.Equal(t, 11, u.History[0].Accounts)
	require.Equal(t, map[string]int{fullstory: 39, designTool: 1}, u.History[29].ByPlugin)
	require.Equal(t, 40, u.Last.Accounts)
}

func TestBoard_MergesErrorsThatRepeat(t *testing.T) {
	t.Parallel()
	b := newBoard()
	for range 3 {
		b.Report(status.Event{Upload: workforce, Kind: status.Disconnected, Err: grpcstatus.Error(codes.Internal, ada)})
		b.PluginChanged(fullstory, "refusing", 0, nil, &supervise.RefusedError{Instance: fullstory, Err: errors.New(ada)})
	}
	b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: "grant", ID: "task-9", Err: errors.New(ada)})
	got := b.Snapshot().Errors
	require.Len(t, got, 3)
	require.Equal(t, "task grant", got[0].What)
	require.Equal(t, "task-9", got[0].Task)
	require.Equal(t, "the task failed; the host's log says why", got[0].Why)
	require.Equal(t, 3, got[1].Times)
	require.Equal(t, `plugin "fullstory" refuses its configuration`, got[1].Why)
	require.Equal(t, 3, got[2].Times)
	for i := range 50 {
		b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: fmt.Sprint("task", i), Err: errors.New(ada)})
	}
	require.Len(t, b.Snapshot().Errors, 20)
}

// TestBoard_HasNoNameOfAPerson has everything that can carry a name carry one.
func TestBoard_HasNoNameOfAPerson(t *testing.T) {
	t.Parallel()
	b := busy()
	b.Report(status.Event{Upload: workforce, Kind: status.Disconnected, Err: grpcstatus.Error(codes.Internal, ada)})
	b.PluginChanged(fullstory, "refusing", 0, nil, &supervise.RefusedError{Instance: fullstory, Err: errors.New(ada)})
	b.PluginChanged(designTool, "failed", 0, nil, &supervise.FailedError{
		Instance: designTool, Ends: 6, Last: &supervise.ExitError{Instance: designTool, State: "exit status 2", LastLines: []string{ada}},
	})
	b.Ended(workforce, errors.New(ada))
	b.Name(fullstory, ada)
	text := strings.ToLower(fmt.Sprintf("%+v", b.Snapshot()))
	require.Contains(t, text, `plugin "design-tool" has failed: it ended 6 times`)
	require.NotContains(t, text, "ada")
	require.NotContains(t, text, lovelaceish)
}

func TestBoard_ShowsAPluginWithoutAccounts(t *testing.T) {
	t.Parallel()
	b := newBoard()
	begun(b, firstTask)
	synced(b, firstTask, 0, 25, nil)
	ended(b, firstTask, nil)
	parts := b.Snapshot().Uploads[0].Parts
	require.Equal(t, status.Fresh, parts[0].State)
	require.Equal(t, "it has not a single account", parts[0].Why)
	require.Empty(t, parts[1].Why)

	begun(b, secondTask)
	synced(b, secondTask, 3, 25, nil)
	require.Empty(t, b.Snapshot().Uploads[0].Parts[0].Why)
}

// TestBoard_DropsAPluginOfAnEarlierConfiguration: a process that no upload has would be
// "starting" for ever. What a sync had of it counts: see
// TestBoard_CountsThePluginsThatWereInTheSync.
func TestBoard_DropsAPluginOfAnEarlierConfiguration(t *testing.T) {
	t.Parallel()
	for name, report := range map[string]func(*status.Board){
		"its app's name": func(b *status.Board) { b.Name("removed", "Removed") },
		"its state": func(b *status.Board) {
			b.PluginChanged("removed", "ready", 1, &pluginv1.Manifest{Name: "removed"}, nil)
		},
		"its failure": func(b *status.Board) { b.PluginChanged("removed", "failed", 1, nil, errors.New("no")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			report(b)
			require.NotContains(t, fmt.Sprintf("%+v", b.Snapshot().Plugins), "removed")
			require.NotContains(t, get(t, b, "/metrics").Body.String(), `"removed"`)
		})
	}
}

// TestMetrics_HaveEveryStateOfAPlugin: a state that the supervisor has and the metrics do
// not would leave the plugin in its old one.
func TestMetrics_HaveEveryStateOfAPlugin(t *testing.T) {
	t.Parallel()
	for _, state := range []supervise.State{supervise.Starting, supervise.Ready, supervise.Refusing, supervise.Failed, supervise.Stopped} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			b.PluginChanged(fullstory, string(state), 0, nil, nil)
			metrics := get(t, b, "/metrics").Body.String()
			require.Contains(t, metrics, fmt.Sprintf(`baton_host_plugin_state{plugin=%q,state=%q} 1`, fullstory, state))
			require.Equal(t, 1, strings.Count(metrics, "\nbaton_host_plugin_state{")-len(regexp.MustCompile(`(?m)^baton_host_plugin_state\{.*\} 0$`).FindAllString(metrics, -1)), "one state alone")
		})
	}
}

// TestBoard_ShowsNothingThatATerminalObeys: what a plugin calls itself is text of others.
func TestBoard_ShowsNothingThatATerminalObeys(t *testing.T) {
	t.Parallel()
	hostile := "\x1b[2J\u009b31m\u202e\x7f\xff\n" + strings.Repeat("x", 3<<20)
	b := newBoard()
	b.PluginChanged(fullstory, "ready", 0, &pluginv1.Manifest{Name: hostile, Version: hostile, SdkVersion: hostile, DisplayName: hostile}, nil)
	b.Name(designTool, hostile)
	for name, text := range map[string]string{
		"the page": fmt.Sprintf("%+v", b.Snapshot()), "the metrics": get(t, b, "/metrics").Body.String(),
	} {
		require.NotRegexp(t, `[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{202e}]`, text, name)
		require.Less(t, len(text), 1<<20, name)
		require.Contains(t, text, "[2J", name)
	}
}

// TestBoard_ShowsSinceWhenTheProcessRuns: after a rotation it is another one, in no other
// state. A failure that repeats is as old as its first report.
func TestBoard_ShowsSinceWhenTheProcessRuns(t *testing.T) {
	t.Parallel()
	for state, isNew := range map[string]bool{"ready": true, "refusing": false} {
		b := newBoard()
		b.PluginChanged(fullstory, state, 0, nil, nil)
		first := b.Snapshot().Plugins[0].Since
		b.PluginChanged(fullstory, state, 0, nil, nil)
		require.Equal(t, isNew, b.Snapshot().Plugins[0].Since.After(first), state)
	}
}
