package main_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host/status"
	"github.com/batonhost/baton-host/sandbox/c1"
)

func TestAnAddressThatCannotBeListenedOnIsASentence(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a port that is in use":         {[]string{"--listen", taken.Addr().String()}, "--listen " + taken.Addr().String() + ": the port is in use by another program; name a free one, or port 0 to have one chosen"},
		"an address that others reach":  {[]string{"--listen", "0.0.0.0:0"}, "--listen 0.0.0.0:0: other machines may reach this address, and the status page has no login: whoever reaches it can read it; name a loopback address such as 127.0.0.1:9400, or add --listen-any if that is meant"},
		"no host":                       {[]string{"--listen", ":9400"}, "the status page has no login"},
		"no port":                       {[]string{"--listen", "localhost"}, "--listen localhost: this is no address to listen on"},
		"leave to listen, but no place": {[]string{"--listen-any"}, "--listen-any is about the address of --listen; name that too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, "")
			host := p.run(t, c.args...)
			require.Equal(t, 1, host.ends())
			require.Contains(t, lastError(t, host.said.String()), c.want)
			require.NotContains(t, host.said.String(), "starting", "before anything is started")
		})
	}
}

func TestAHostIsReadyOnceC1HasAnswered(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	away := p.Inject(c1.Fault{Call: c1.HelloCall, Code: codes.Unavailable})
	defer away()
	host := p.run(t, "--listen", "0.0.0.0:0", "--listen-any")
	host.says("no connection to C1; trying again")
	code, why := host.serves("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Regexp(t, `^upload "workforce": C1 has not answered yet: C1 at .* cannot be reached`, why)
	code, _ = host.serves("/healthz")
	require.Equal(t, http.StatusOK, code, "to restart the host would not bring C1 back")
	away()
	host.says("connected to C1")
	code, why = host.serves("/readyz")
	require.Equal(t, http.StatusOK, code, why)
	defer p.Inject(c1.Fault{Call: c1.GetTaskCall, Code: codes.Unavailable})()
	host.saysTimes("no connection to C1; trying again", strings.Count(host.said.String(), "no connection to C1; trying again")+1)
	code, _ = host.serves("/readyz")
	require.Equal(t, http.StatusOK, code)
	host.stop()
}

func TestTheMetricsOfAServiceAreCleanAndOutliveIt(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t, "--listen", "127.0.0.1:0")
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.fail(0)
	require.False(t, p.sync(t).Succeeded)
	host.says(`"msg":"sync failed"`)
	text := metricsOf(t, host)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	require.Contains(t, families, "go_goroutines")
	require.Contains(t, families, "process_resident_memory_bytes")
	for _, line := range []string{
		`baton_host_accounts{plugin="fullstory",upload="workforce"} 40`,
		`baton_host_last_sync_failed{upload="workforce"} 1`,
		`baton_host_tasks_total{result="failed",type="sync_full",upload="workforce"} 1`,
		`baton_host_plugin_info{connector="baton-scim",plugin="design-tool",sdk_version="v0.25.0",version="dev"} 1`,
	} {
		require.Contains(t, text, line+"\n")
	}
	success := families["baton_host_last_success_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue()
	host.stop()

	again := p.run(t, "--listen", "127.0.0.1:0")
	again.says("connected to C1")
	text = metricsOf(t, again)
	require.Contains(t, text, `baton_host_accounts{plugin="fullstory",upload="workforce"} 40`+"\n")
	families, err = parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	kept := families["baton_host_last_success_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue()
	require.InDelta(t, success, kept, 60, "when C1 had it is kept with the file")
	again.stop()
}

// pastOf is how the last syncs of an upload went, as the service says.
func pastOf(t *testing.T, host *service) []status.Sync {
	t.Helper()
	code, body := host.serves("/status.json")
	require.Equal(t, http.StatusOK, code)
	var is status.Snapshot
	require.NoError(t, json.Unmarshal([]byte(body), &is))
	require.Len(t, is.Uploads, 1)
	return is.Uploads[0].History
}

func TestTheHistoryOfAServiceOutlivesIt(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t, "--listen", "127.0.0.1:0")
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.fail(0)
	require.False(t, p.sync(t).Succeeded)
	host.says(`"msg":"sync failed"`)
	host.stop()

	again := p.run(t, "--listen", "127.0.0.1:0")
	past := pastOf(t, again)
	require.Len(t, past, 2)
	require.Equal(t, status.Fresh, past[0].State)
	require.Equal(t, 65, past[0].Accounts)
	require.Equal(t, status.Failed, past[1].State)
	again.stop()

	require.NoError(t, os.WriteFile(filepath.Join(p.state, "history.json"), []byte("{"), 0o600))
	damaged := p.run(t, "--listen", "127.0.0.1:0")
	damaged.says(`"level":"warn"`)
	damaged.says("the history of the syncs cannot be read, so the page begins a new one")
	damaged.says("connected to C1")
	require.Len(t, pastOf(t, damaged), 1, "the last good sync is known all the same")
	damaged.stop()
}
