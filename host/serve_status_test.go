package host_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// becomes waits until the first upload is so.
func (s *hostService) becomes(so func(status.Upload) bool) status.Upload {
	s.t.Helper()
	var last status.Upload
	require.Eventually(s.t, func() bool {
		last = s.status().Uploads[0]
		return so(last)
	}, patience, 100*time.Millisecond)
	return last
}

func inState(state status.State) func(status.Upload) bool {
	return func(u status.Upload) bool { return u.State == state && len(u.Syncing) == 0 }
}

func TestServeRefusesAnAddressThatCannotBeListenedOn(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", listening)
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		options host.ServeOptions
		want    string
	}{
		"a port that is in use":         {host.ServeOptions{Listen: taken.Addr().String()}, "--listen " + taken.Addr().String() + ": the port is in use by another program; name a free one, or port 0 to have one chosen"},
		"an address that others reach":  {host.ServeOptions{Listen: "0.0.0.0:0"}, "--listen 0.0.0.0:0: other machines may reach this address, and the status page has no login: whoever reaches it can read it; name a loopback address such as 127.0.0.1:9400, or add --listen-any if that is meant"},
		"an address it cannot have":     {host.ServeOptions{Listen: "192.0.2.1:80", ListenAny: true}, "--listen 192.0.2.1:80: "},
		"no host":                       {host.ServeOptions{Listen: ":9400"}, "the status page has no login"},
		"no port":                       {host.ServeOptions{Listen: "localhost"}, "--listen localhost: this is no address to listen on"},
		"leave to listen, but no place": {host.ServeOptions{ListenAny: true}, "--listen-any is about the address of --listen; name that too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{})
			running := p.serve(t, c.options)
			require.ErrorContains(t, running.ends(), c.want)
			require.NotContains(t, running.log.String(), "starting", "before anything is started")
		})
	}
}

func TestServeIsReadyOnceC1HasAnswered(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	back := p.Inject(c1.Fault{Call: c1.HelloCall, Code: codes.Unavailable})
	defer back()
	running := p.serve(t, host.ServeOptions{Listen: "0.0.0.0:0", ListenAny: true})
	running.says("no connection to C1; trying again")
	code, why := running.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Regexp(t, `^upload "workforce": C1 has not answered yet: C1 at .* cannot be reached`, why)
	code, _ = running.get("/healthz")
	require.Equal(t, http.StatusOK, code, "to restart the host would not bring C1 back")
	back()
	running.says("connected to C1")
	code, why = running.get("/readyz")
	require.Equal(t, http.StatusOK, code, why)
	defer p.Inject(c1.Fault{Call: c1.GetTaskCall, Code: codes.Unavailable})()
	const lost = "no connection to C1; trying again"
	running.saysTimes(lost, strings.Count(running.log.String(), lost)+1)
	code, _ = running.get("/readyz")
	require.Equal(t, http.StatusOK, code)
	running.stop()
}

func TestServeHasCleanMetricsThatOutliveIt(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.fail(0)
	require.False(t, p.sync(t).Succeeded)
	running.says(`"msg":"sync failed"`)
	text := running.metrics()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	require.Contains(t, families, "go_goroutines")
	require.Contains(t, families, "process_resident_memory_bytes")
	for _, line := range []string{
		`baton_host_accounts{plugin="fullstory",upload="workforce"} 40`,
		`baton_host_last_sync_failed{upload="workforce"} 1`,
		`baton_host_tasks_total{result="failed",type="sync_full",upload="workforce"} 1`,
		// A test's binary does not know the version of the SDK.
		`baton_host_plugin_info{connector="baton-scim",plugin="design-tool",sdk_version="",version="v1.0.0"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	success := families["baton_host_last_success_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue()
	running.stop()

	again := p.serve(t, host.ServeOptions{Listen: listening})
	again.says("connected to C1")
	text = again.metrics()
	require.Contains(t, text, `baton_host_accounts{plugin="fullstory",upload="workforce"} 40`+"\n")
	families, err = parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	kept := families["baton_host_last_success_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue()
	require.InDelta(t, success, kept, 60, "when C1 had it is kept with the file")
	again.stop()
}

func TestServeHasAHistoryThatOutlivesIt(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.fail(0)
	require.False(t, p.sync(t).Succeeded)
	running.says(`"msg":"sync failed"`)
	running.stop()

	again := p.serve(t, host.ServeOptions{Listen: listening})
	past := again.status().Uploads[0].History
	require.Len(t, past, 2)
	require.Equal(t, status.Fresh, past[0].State)
	require.Equal(t, 65, past[0].Accounts)
	require.Equal(t, status.Failed, past[1].State)
	again.stop()

	require.NoError(t, os.WriteFile(filepath.Join(p.state, "history.json"), []byte("{"), 0o600))
	damaged := p.serve(t, host.ServeOptions{Listen: listening})
	damaged.says("connected to C1")
	require.Len(t, damaged.lines(map[string][]string{"level": {"warn"}, "msg": {"the history of the syncs cannot be read, so the page begins a new one"}}), 1)
	require.Len(t, damaged.status().Uploads[0].History, 1, "the last successful sync is known all the same")
	damaged.stop()
}

// TestServeShowsWhatHappens takes a service through the states of an upload, with an app
// that names person in its errors.
func TestServeShowsWhatHappens(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	running := p.serve(t, host.ServeOptions{Listen: listening})
	running.becomes(func(u status.Upload) bool { return u.State == status.Waiting && u.Connection.Connected })
	_, page := running.get("/")
	require.Contains(t, page, "<title>Waiting for the first sync – baton-host</title>")

	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	syncing := running.becomes(func(u status.Upload) bool {
		return len(u.Syncing) == 1 && u.Syncing[0].Plugins[1].Accounts == 25
	})
	require.Equal(t, status.Waiting, syncing.State)
	require.True(t, syncing.Syncing[0].Whole)
	require.Equal(t, id, syncing.Syncing[0].Task)
	require.Less(t, syncing.Syncing[0].Plugins[0].Accounts, 40)
	_, page = running.get("/")
	require.Contains(t, page, "<title>The first sync is under way – baton-host</title>")
	release()
	require.True(t, p.finished(t, id).Succeeded)
	fresh := running.becomes(inState(status.Fresh))
	require.Equal(t, 65, fresh.Last.Accounts)
	require.Equal(t, map[string]int{"fullstory": 40, "design-tool": 25}, fresh.Last.ByPlugin)

	p.fullstory.fail(0)
	require.True(t, p.sync(t).Succeeded)
	stale := running.becomes(inState(status.Stale))
	require.Equal(t, status.Stale, stale.Parts[0].State)
	require.Equal(t, status.Fresh, stale.Parts[1].State)
	require.Contains(t, stale.Why, "the answer was 500 Internal Server Error")
	_, page = running.get("/")
	require.Contains(t, page, "<title>workforce is stale – baton-host</title>")
	require.Contains(t, page, "C1 has 65 accounts, but those of fullstory are from")

	p.design.fail(0)
	require.False(t, p.sync(t).Succeeded)
	failed := running.becomes(inState(status.Failed))
	require.Equal(t, status.Failed, failed.Parts[0].State)
	require.Len(t, failed.History, 3)
	running.says(person)
	for _, path := range []string{"/", "/status.json", "/metrics"} {
		_, body := running.get(path)
		require.NotContains(t, strings.ToLower(body), "lovelace", path)
		require.NotContains(t, body, p.fullstory.token, path)
	}
	running.stop()

	p.fullstory.down.Store(false)
	again := p.serve(t, host.ServeOptions{Listen: listening})
	kept := again.becomes(func(u status.Upload) bool { return u.Last != nil })
	require.Equal(t, status.Failed, kept.State, "a restart brings nothing to C1")
	require.Equal(t, failed.Why, kept.Why)
	require.Equal(t, 65, kept.Last.Accounts)
	require.WithinDuration(t, stale.Last.At, kept.Last.At, patience)
	p.design.down.Store(false)
	require.True(t, p.sync(t).Succeeded)
	again.becomes(inState(status.Fresh))
	again.stop()
	require.Empty(t, p.Violations())
}

// TestServe_ShowsAPluginThatIsMissing: new and down, it is missing from a sync that goes up, on
// the page, in the metrics and in the history, also after a restart, until it joins.
func TestServe_ShowsAPluginThatIsMissing(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	p.fullstory.fail(0)
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.Equal(t, p.design.seeded("design-tool"), p.synced(t, p.fullSync(t, "workforce")))
	const metric = `baton_host_missing{plugin="fullstory",upload="workforce"} `
	const reason = "it is new and failed, so C1 has nothing of it yet; it joins when it can be read"
	for _, restarted := range []bool{false, true} {
		if restarted {
			running.stop()
			running = p.serve(t, host.ServeOptions{Listen: listening})
		}
		upload := running.becomes(inState(status.Incomplete))
		require.Contains(t, running.metrics(), metric+"1\n")
		require.Contains(t, running.metrics(), `baton_host_missing{plugin="design-tool",upload="workforce"} 0`+"\n")
		require.Equal(t, []string{"fullstory"}, upload.Last.Missing)
		require.Contains(t, upload.Why, reason)
		require.Equal(t, !restarted, strings.Contains(upload.Why, "500 Internal Server Error"), "the reason is that of this process: %s", upload.Why)
		is, err := running.Status(t.Context(), host.StatusOptions{History: true})
		require.NoError(t, err)
		require.Len(t, is.Uploads[0].History, 1)
		require.Equal(t, []string{"fullstory"}, is.Uploads[0].History[0].Missing)
		require.Equal(t, host.Degraded, is.Outlook())
		_, page := running.get("/")
		require.Contains(t, page, "It went without fullstory.")
		require.Contains(t, page, "It is new and failed, so C1 has nothing of it yet")
	}
	p.fullstory.down.Store(false)
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	running.becomes(inState(status.Fresh))
	require.Contains(t, running.metrics(), metric+"0\n")
	running.stop()
	require.Empty(t, p.Violations())
}
