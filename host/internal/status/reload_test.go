package status_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

// TestBoard_FollowsAReload: what stays keeps what is known of it, also a sync under way;
// what goes takes its metrics along, but for those of the sync that C1 has, and leaves its
// history.
func TestBoard_FollowsAReload(t *testing.T) {
	t.Parallel()
	b := newBoard()
	synced(b, firstTask, 40, 25, nil)
	begun(b, secondTask)
	b.PluginChanged(designTool, "ready", 2, nil, nil)
	both := status.Served{Name: workforce, Plugins: []string{fullstory, "wiki"}, MaxStale: time.Hour}
	b.Serve([]status.Served{both, {Name: "contractors", Plugins: []string{"wiki"}}})
	s := b.Snapshot()
	require.Len(t, s.Uploads, 2)
	require.Len(t, s.Uploads[0].Syncing, 1)
	require.Equal(t, []string{fullstory, designTool}, []string{s.Uploads[0].Syncing[0].Plugins[0].Plugin, s.Uploads[0].Syncing[0].Plugins[1].Plugin})
	require.Len(t, s.Uploads[0].History, 1)
	require.Equal(t, map[string]status.State{"": status.Incomplete, fullstory: status.Fresh, "wiki": status.Waiting}, statesOf(s.Uploads[0]))
	require.Equal(t, status.Waiting, s.Uploads[1].State)
	require.Equal(t, []string{fullstory, "wiki"}, []string{s.Plugins[0].Name, s.Plugins[1].Name})
	require.Equal(t, []string{workforce, "contractors"}, s.Plugins[1].Uploads)
	metrics := get(t, b, "/metrics").Body.String()
	require.Contains(t, metrics, `baton_host_accounts{plugin="design-tool",upload="workforce"} 25`, "C1 has them until the next sync")
	require.NotRegexp(t, `baton_host_(plugin_[a-z_]+|retries_total|missing)\{[^}]*plugin="design-tool"`, metrics)
	require.Contains(t, metrics, `baton_host_tasks_running{upload="workforce"} 1`)
	require.Contains(t, metrics, `baton_host_tasks_total{result="done",type="sync_full",upload="contractors"} 0`)

	b.Serve([]status.Served{{Name: "contractors", Plugins: []string{"wiki"}}})
	ended(b, secondTask, nil) // It comes too late.
	b.Sync(workforce, secondTask).Retrying(aggregate.Retry{Instance: fullstory, Err: errors.New(ada)})
	b.PluginChanged(fullstory, "stopped", 0, nil, nil)
	metrics = get(t, b, "/metrics").Body.String()
	require.NotContains(t, metrics, workforce)
	require.NotContains(t, metrics, fullstory)
	require.Len(t, b.History()[workforce], 1)

	b.Serve([]status.Served{both})
	u := uploadOf(t, b)
	require.Equal(t, status.Waiting, u.State)
	require.Len(t, u.History, 1)
	require.Empty(t, u.Syncing)
	require.NotContains(t, get(t, b, "/metrics").Body.String(), "contractors")
}

func TestBoard_ShowsTheLastReload(t *testing.T) {
	t.Parallel()
	b := newBoard()
	metric := func(name string) string {
		for line := range strings.Lines(get(t, b, "/metrics").Body.String()) {
			if value, ok := strings.CutPrefix(line, "baton_host_config_last_reload_"+name+" "); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	require.Equal(t, "1", metric("successful"), "at the start")
	require.Nil(t, b.Snapshot().Host.LastReload)
	first := metric("success_timestamp_seconds")
	require.NotEmpty(t, first)
	b.Reloaded(errors.New("jane@example.com is no key"))
	require.Equal(t, "0", metric("successful"))
	require.Equal(t, first, metric("success_timestamp_seconds"))
	require.Equal(t, "the configuration was refused; the host's log says why", b.Snapshot().Host.LastReload.Why)
	b.Reloaded(nil)
	require.Equal(t, "1", metric("successful"))
	require.NotEqual(t, first, metric("success_timestamp_seconds"))
	require.Empty(t, b.Snapshot().Host.LastReload.Why)
}

// TestBoard_CountsThePluginsThatWereInTheSync: the numbers of a sync are those of its own
// plugins, whatever plugins the upload has when C1 has it; the rows are those of the upload.
func TestBoard_CountsThePluginsThatWereInTheSync(t *testing.T) {
	t.Parallel()
	const wiki = "wiki"
	now := time.Now()
	whole := baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{
		fullstory: {AsOf: now, Accounts: 40}, designTool: {AsOf: now, Accounts: 25},
	}}
	worse := baseline.Sync{StartedAt: now, Missing: []string{designTool}, Plugins: map[string]baseline.Part{
		fullstory: {AsOf: now.Add(-time.Hour), Accounts: 40, Skipped: 2},
	}}
	stale := []aggregate.Stale{{Instance: fullstory, Err: grpcstatus.Error(codes.Unavailable, "answered 503"), Accounts: 30}}
	ways := map[string]func(b *status.Board, plugins []string, known baseline.Sync, stale []aggregate.Stale){
		"while the sync is in hand": func(b *status.Board, plugins []string, known baseline.Sync, stale []aggregate.Stale) {
			begun(b, firstTask)
			b.Serve([]status.Served{{Name: workforce, Plugins: plugins}})
			uploaded(b, known, stale)
		},
		"after the sync": func(b *status.Board, plugins []string, known baseline.Sync, stale []aggregate.Stale) {
			begun(b, firstTask)
			uploaded(b, known, stale)
			b.Serve([]status.Served{{Name: workforce, Plugins: plugins}})
		},
		"before a restart": func(b *status.Board, plugins []string, known baseline.Sync, _ []aggregate.Stale) {
			b.Serve([]status.Served{{Name: workforce, Plugins: plugins}})
			b.Remember(workforce, known)
		},
	}
	type numbers struct {
		state             status.State
		accounts, skipped int
		byPlugin          map[string]int
		missing           []string
	}
	all := numbers{state: status.Fresh, accounts: 65, byPlugin: map[string]int{fullstory: 40, designTool: 25}}
	without := baseline.Sync{StartedAt: now, Missing: []string{designTool}, Plugins: map[string]baseline.Part{fullstory: {AsOf: now, Accounts: 40}}}
	lacks := numbers{status.Stale, 40, 2, map[string]int{fullstory: 40}, []string{designTool}}
	for name, c := range map[string]struct {
		plugins []string // that the upload has at the end
		known   baseline.Sync
		stale   []aggregate.Stale
		want    numbers
		rows    map[string]status.State // of the plugins
		state   status.State            // of the upload, where it is not that of its last sync
		why     string                  // of the upload, but after a restart
	}{
		"no change":              {[]string{fullstory, designTool}, whole, nil, all, map[string]status.State{fullstory: status.Fresh, designTool: status.Fresh}, "", ""},
		"one is renamed":         {[]string{fullstory, wiki}, whole, nil, all, map[string]status.State{fullstory: status.Fresh, wiki: status.Waiting}, status.Incomplete, `plugin "wiki": C1 has nothing of it yet: it joins with the next sync`},
		"all are renamed":        {[]string{wiki}, whole, nil, all, map[string]status.State{wiki: status.Waiting}, status.Incomplete, `plugin "wiki": C1 has nothing of it yet: it joins with the next sync`},
		"one is removed":         {[]string{designTool}, whole, nil, all, map[string]status.State{designTool: status.Fresh}, "", ""},
		"one is added":           {[]string{fullstory, designTool, wiki}, whole, nil, all, map[string]status.State{fullstory: status.Fresh, designTool: status.Fresh, wiki: status.Waiting}, status.Incomplete, `plugin "wiki": C1 has nothing of it yet: it joins with the next sync`},
		"a stale one is removed": {[]string{designTool}, worse, stale, lacks, map[string]status.State{designTool: status.Incomplete}, "", `plugin "fullstory", which the upload no longer has: the answer was 503`},
		"a missing one is removed": {
			[]string{fullstory},
			without, nil,
			numbers{status.Incomplete, 40, 0, map[string]int{fullstory: 40}, []string{designTool}},
			map[string]status.State{fullstory: status.Fresh},
			"", `plugin "design-tool", which the upload no longer has: it is new and failed`,
		},
		"a missing one is removed, and one is stale": {[]string{fullstory}, worse, stale, lacks, map[string]status.State{fullstory: status.Stale}, "", "the answer was 503"},
	} {
		for way, happens := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				b := newBoard()
				happens(b, c.plugins, c.known, c.stale)
				u := uploadOf(t, b)
				rows := statesOf(u)
				require.Equal(t, cmp.Or(c.state, c.want.state), rows[""])
				delete(rows, "")
				require.Equal(t, c.rows, rows)
				if way != "before a restart" || c.state == status.Incomplete {
					require.True(t, strings.HasPrefix(u.Why, c.why), u.Why)
				}
				require.Len(t, u.History, 1)
				for _, made := range []status.Sync{*u.Last, u.History[0], b.History()[workforce][0]} {
					require.Equal(t, c.want, numbers{made.State, made.Accounts, made.SkippedResources, made.ByPlugin, made.Missing})
				}
				series := map[string]int{}
				for _, metric := range metricsOf(t, b)["baton_host_accounts"].GetMetric() {
					series[metric.GetLabel()[0].GetValue()] = int(metric.GetGauge().GetValue())
				}
				require.Equal(t, c.want.byPlugin, series)

				// The next sync is of what the upload has now.
				next := baseline.Sync{StartedAt: time.Now(), Plugins: map[string]baseline.Part{}}
				for _, plugin := range c.plugins {
					next.Plugins[plugin] = baseline.Part{AsOf: next.StartedAt, Accounts: 7}
				}
				begun(b, secondTask)
				uploaded(b, next, nil)
				u = uploadOf(t, b)
				require.Equal(t, 7*len(c.plugins), u.Last.Accounts)
				require.Equal(t, status.Fresh, u.State)
				metrics := get(t, b, "/metrics").Body.String()
				for _, plugin := range []string{fullstory, designTool, wiki} {
					require.Equal(t, slices.Contains(c.plugins, plugin), strings.Contains(metrics, plugin), "%s: %s", plugin, metrics)
				}
			})
		}
	}
}

// uploaded has C1 take a sync of everything.
func uploaded(b *status.Board, known baseline.Sync, stale []aggregate.Stale) {
	b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, Whole: true, Result: &syncrun.Result{Whole: true, Sync: known, Stale: stale}})
}

// TestBoard_KeepsWhatC1HasOfAPluginThatComesBack, and drops what only an older sync had.
func TestBoard_KeepsWhatC1HasOfAPluginThatComesBack(t *testing.T) {
	t.Parallel()
	b := newBoard()
	both, first := []status.Served{{Name: workforce, Plugins: []string{fullstory, designTool}}}, []status.Served{{Name: workforce, Plugins: []string{fullstory}}}
	synced(b, firstTask, 40, 25, nil)
	b.Serve(first)
	b.Serve(both)
	require.Equal(t, map[string]status.State{"": status.Fresh, fullstory: status.Fresh, designTool: status.Fresh}, statesOf(uploadOf(t, b)))

	b.Serve(first)
	begun(b, secondTask)
	b.Serve(both)
	now := time.Now()
	uploaded(b, baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{fullstory: {AsOf: now, Accounts: 41}}}, nil)
	require.Equal(t, map[string]status.State{"": status.Incomplete, fullstory: status.Fresh, designTool: status.Waiting}, statesOf(uploadOf(t, b)))
	require.NotContains(t, get(t, b, "/metrics").Body.String(), `baton_host_accounts{plugin="design-tool"`)
}

// TestBoard_BringsBackAnUploadThatWasRefused once it is served again.
func TestBoard_BringsBackAnUploadThatWasRefused(t *testing.T) {
	t.Parallel()
	b := newBoard()
	b.Ended(workforce, errors.New("no"))
	require.Equal(t, status.Stopped, uploadOf(t, b).State)
	b.Begun(workforce)
	require.Equal(t, status.Waiting, uploadOf(t, b).State)
}
