package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// pair is a service with one upload of two apps.
type pair struct {
	*tenant
	fullstory, design *outage
	config            string
	env               []string
	state             string
}

func newPair(t *testing.T, options c1.Options, upload string) *pair {
	t.Helper()
	p := &pair{
		tenant:    startC1(t, options),
		fullstory: startFlakyApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40, PageCap: 10}),
		design:    startFlakyApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25, PageCap: 10}),
		state:     t.TempDir(),
	}
	p.config, p.env = twoApps(t, p.fullstory.app, p.design.app)
	appendTo(t, p.config, upload)
	credentials := p.client(t, "workforce")
	p.env = append(p.env, p.trust(), "BATON_CLIENT_ID="+credentials.ID, "BATON_CLIENT_SECRET="+credentials.Secret, "BATON_HOST_ID=host-1")
	return p
}

func (p *pair) run(t *testing.T, args ...string) *service {
	t.Helper()
	return startRun(t, p.env, append([]string{"--config", p.config, "--state-dir", p.state, "--retry-for", "0"}, args...)...)
}

// sync has C1 ask for a sync and waits for its end.
func (p *pair) sync(t *testing.T) c1.Outcome {
	t.Helper()
	return p.finished(t, p.fullSync(t, "workforce"))
}

func plain(accounts []shown) []shown { return sorted(withoutLastLogins(withoutNames(accounts))) }

func (p *pair) seeded() []shown {
	return append(seeded(p.fullstory.app, "fullstory", "fullstory.user"), seeded(p.design.app, "design-tool", "design-tool.user")...)
}

// pidOf is the process of a plugin, as the service's children say.
func pidOf(t *testing.T, host *service, binary string) int { //nolint:unparam // There are others.
	t.Helper()
	pid := childCalled(host.cmd.Process.Pid, binary)
	require.NotZero(t, pid, "no process of %s", binary)
	return pid
}

func TestAnAppThatFailsFailsTheTaskAndTheNextSyncIsWhole(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.fail(2)
	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	require.False(t, failed.NonRetryable)
	require.Contains(t, failed.Status.GetMessage(), `plugin "fullstory": listing resources of type "user"`)
	require.Contains(t, failed.Status.GetMessage(), "500")
	require.Empty(t, failed.Uploads)
	host.says(`"msg":"sync failed"`)

	p.fullstory.down.Store(false)
	healed := p.sync(t)
	require.True(t, healed.Succeeded)
	require.Equal(t, plain(p.seeded()), plain(accountsIn(t, healed.Uploads[0].Path)))
	host.stop()
	require.Empty(t, p.Violations())
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestTheUploadHoldsTheLastGoodAccountsOfAnAppThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails func(t *testing.T, p *pair, host *service)
		why   string
	}{
		"before its listing":        {func(_ *testing.T, p *pair, _ *service) { p.fullstory.fail(0) }, "500"},
		"during its listing":        {func(_ *testing.T, p *pair, _ *service) { p.fullstory.fail(3) }, "500"},
		"at the end of its listing": {func(_ *testing.T, p *pair, _ *service) { p.fullstory.fail(5) }, "500"},
		"by an empty answer":        {func(t *testing.T, p *pair, _ *service) { keepOnly(t, p.fullstory.server, 0) }, "so many deletions at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
			host := p.run(t, "--listen", "127.0.0.1:0")
			require.True(t, p.sync(t).Succeeded)
			want := p.seeded()
			good := metricsOf(t, host)
			require.Contains(t, good, `baton_host_stale_accounts{plugin="fullstory",upload="workforce"} 0`)
			require.NoError(t, p.design.server.Remove(p.design.server.Accounts()[0].ID))
			c.fails(t, p, host)
			stale := p.sync(t)
			require.True(t, stale.Succeeded, "%v", stale.Status)
			require.Equal(t, plain(append(want[:40:40], want[41:]...)), plain(accountsIn(t, stale.Uploads[0].Path)))
			host.says("the plugin failed; the rest of this sync has what it listed in the last good one")
			host.says(c.why)
			host.says(`"outcome":"stale"`)
			require.Regexp(t, `"msg":"sync done","upload":"workforce",.*"fullstory":\{"state":"stale","accounts":40,"stale_accounts":[1-9]\d*,"as_of":1\d+[^}]*"why":"[^}]*`+c.why, host.said.String())
			metrics := metricsOf(t, host)
			since := regexp.MustCompile(`baton_host_as_of_timestamp_seconds\{plugin="fullstory",upload="workforce"\} .*`)
			require.Equal(t, since.FindString(good), since.FindString(metrics), "it is as old as the sync that it is from")
			require.NotContains(t, good, regexp.MustCompile(`baton_host_as_of_timestamp_seconds\{plugin="design-tool",.*`).FindString(metrics), "the other is of now")
			require.Regexp(t, `baton_host_stale_accounts\{plugin="fullstory",upload="workforce"\} [1-9]`, metrics)
			require.Contains(t, metrics, `baton_host_accounts{plugin="fullstory",upload="workforce"} 40`)
			require.Contains(t, metrics, `baton_host_accounts{plugin="design-tool",upload="workforce"} 24`)
			require.Contains(t, metrics, `baton_host_tasks_total{result="done",type="sync_full",upload="workforce"} 2`)
			require.Contains(t, metrics, `baton_host_connected{upload="workforce"} 1`)
			host.stop()
			require.Empty(t, p.Violations())
		})
	}
}

func TestAPluginThatCannotStartKeepsItsAccountsInC1(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	first := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	first.stop()

	p.also(t, "path: /no/such/baton-fullstory")
	second := p.run(t)
	stale := p.sync(t)
	require.True(t, stale.Succeeded, "%v", stale.Status)
	require.Equal(t, plain(p.seeded()), plain(accountsIn(t, stale.Uploads[0].Path)))
	second.says("the plugin does not start; it will be tried again")
	second.says("/no/such/baton-fullstory")
	second.stop()
	require.Empty(t, p.Violations())
}

func TestASyncOfOneAppDoesNotNeedTheOther(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	kept, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
	require.NoError(t, err)
	p.design.fail(0)
	keepOnly(t, p.fullstory.server, 3)
	id, err := p.AddFullSync("workforce", v1.Task_SyncFullTask_builder{SyncResourceTypeIds: []string{"fullstory.user"}}.Build())
	require.NoError(t, err)
	partial := p.finished(t, id)
	require.True(t, partial.Succeeded, "%v", partial.Status)
	require.Len(t, accountsIn(t, partial.Uploads[0].Path), 3, "a partial sync does not trip the guard")
	still, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
	require.NoError(t, err)
	require.Equal(t, kept, still, "and is no last good one")
	host.stop()
	require.Empty(t, p.Violations())
}

func TestAHostWithoutItsOwnLastGoodSyncFailsTheTask(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		loses func(t *testing.T, p *pair)
		why   string
	}{
		"it has none": {func(t *testing.T, p *pair) { p.state = t.TempDir() }, "there is none yet"},
		"its own is too old": {func(t *testing.T, p *pair) {
			makeOld(t, filepath.Join(p.state, "workforce.c1z"), 73*time.Hour)
		}, "longer ago than max-stale (72h0m0s) allows"},
		"its own is damaged": {func(t *testing.T, p *pair) {
			require.NoError(t, os.Truncate(filepath.Join(p.state, "workforce.c1z"), 100))
		}, "cannot be read as a sync file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
			first := p.run(t)
			require.True(t, p.sync(t).Succeeded)
			first.stop()
			p.fullstory.fail(0)
			c.loses(t, p)
			second := p.run(t)
			failed := p.sync(t)
			require.False(t, failed.Succeeded)
			require.False(t, failed.NonRetryable, "another host may do it")
			require.Empty(t, failed.Uploads)
			require.Contains(t, failed.Status.GetMessage(), `there is no last good sync to answer from for plugin "fullstory": `)
			require.Contains(t, failed.Status.GetMessage(), c.why)
			second.says(`"msg":"sync failed"`)

			p.fullstory.down.Store(false)
			healed := p.sync(t)
			require.True(t, healed.Succeeded, "%v", healed.Status)
			require.Equal(t, plain(p.seeded()), plain(accountsIn(t, healed.Uploads[0].Path)))
			second.stop()
			requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
		})
	}
}

func TestDeletionsAreAcceptedOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	first := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	keepOnly(t, p.fullstory.server, 19)
	tripped := p.sync(t)
	require.False(t, tripped.Succeeded)
	require.Contains(t, tripped.Status.GetMessage(), `plugin "fullstory" lists 19 of type "fullstory.user", but 40 in the last good sync`)
	require.Contains(t, tripped.Status.GetMessage(), "--accept-deletions fullstory")
	require.Empty(t, tripped.Uploads)
	first.stop()

	second := p.run(t, "--accept-deletions", "fullstory")
	require.True(t, p.sync(t).Succeeded)
	keepOnly(t, p.fullstory.server, 5)
	again := p.sync(t)
	require.False(t, again.Succeeded, "it was accepted for one sync")
	require.Contains(t, again.Status.GetMessage(), `lists 5 of type "fullstory.user", but 19`)
	second.stop()
}

// TestDeletionsStayAcceptedWhileTheirPluginIsAnsweredFor has the app fail in the
// first sync behind the operator's word, which is then still to be used.
func TestDeletionsStayAcceptedWhileTheirPluginIsAnsweredFor(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	first := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	first.stop()
	keepOnly(t, p.fullstory.server, 19)
	p.fullstory.fail(0)
	second := p.run(t, "--accept-deletions", "fullstory")
	stale := p.sync(t)
	require.True(t, stale.Succeeded, "%v", stale.Status)
	require.Len(t, accountsIn(t, stale.Uploads[0].Path), 65)
	p.fullstory.down.Store(false)
	accepted := p.sync(t)
	require.True(t, accepted.Succeeded, "%v", accepted.Status)
	require.Equal(t, plain(p.seeded()), plain(accountsIn(t, accepted.Uploads[0].Path)))
	keepOnly(t, p.fullstory.server, 5)
	again := p.sync(t)
	require.True(t, again.Succeeded, "%v", again.Status)
	require.Len(t, accountsIn(t, again.Uploads[0].Path), 44, "and used once")
	second.stop()
}

func TestASyncGoesOnWhenItsPluginIsKilled(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t, "--listen", "127.0.0.1:0")
	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	require.NoError(t, syscall.Kill(pidOf(t, host, "baton-fullstory"), syscall.SIGKILL))
	host.says("the plugin ended; it is started again")
	release()
	outcome := p.finished(t, id)
	require.True(t, outcome.Succeeded, "%v", outcome.Status)
	require.Equal(t, plain(p.seeded()), plain(accountsIn(t, outcome.Uploads[0].Path)))
	host.says("the plugin runs again")
	metrics := metricsOf(t, host)
	require.Contains(t, metrics, `baton_host_plugin_restarts_total{plugin="fullstory"} 1`)
	require.Contains(t, metrics, `baton_host_plugin_state{plugin="fullstory",state="ready"} 1`)
	require.Contains(t, metrics, `baton_host_plugin_state{plugin="fullstory",state="starting"} 0`)
	host.stop()
	require.Empty(t, p.Violations())
}

// also adds a line to the entry of the plugin fullstory.
func (p *pair) also(t *testing.T, line string) {
	t.Helper()
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	with := strings.Replace(string(text), "  fullstory:\n", "  fullstory:\n    "+line+"\n", 1)
	require.NotEqual(t, string(text), with)
	require.NoError(t, os.WriteFile(p.config, []byte(with), 0o600))
}

func TestAPluginThatEndsTooOftenFailsUntilAnOperatorActs(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	p.also(t, "restart-limit: 1")
	host := p.run(t, "--listen", "127.0.0.1:0")
	require.True(t, p.sync(t).Succeeded)
	require.NoError(t, syscall.Kill(pidOf(t, host, "baton-fullstory"), syscall.SIGKILL))
	host.says("the plugin runs again")
	require.NoError(t, syscall.Kill(pidOf(t, host, "baton-fullstory"), syscall.SIGKILL))
	host.says("the plugin has failed")

	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	require.False(t, failed.NonRetryable, "another host may do it")
	require.Contains(t, failed.Status.GetMessage(), `plugin "fullstory" has failed: it ended 2 times within 10m0s`)
	require.Contains(t, metricsOf(t, host), `baton_host_plugin_state{plugin="fullstory",state="failed"} 1`)

	host.signal(syscall.SIGUSR1)
	host.says("the plugin gets another chance")
	healed := p.sync(t)
	require.True(t, healed.Succeeded, "%v", healed.Status)
	require.Equal(t, plain(p.seeded()), plain(accountsIn(t, healed.Uploads[0].Path)))
	host.stop()
	require.Empty(t, p.Violations())
}

func TestAStopLetsTheSyncInHandFinish(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t)
	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	host.signal(syscall.SIGTERM)
	host.says("stopping: waiting for the tasks in hand")
	later := p.fullSync(t, "workforce")
	release()
	require.Equal(t, 0, host.ends())
	outcome := p.finished(t, id)
	require.True(t, outcome.Succeeded)
	require.Len(t, accountsIn(t, outcome.Uploads[0].Path), 65)
	untouched, _ := p.Result(later)
	require.Zero(t, untouched.Attempts, "no new task is taken")
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestWhatIsNotDoneWithinTheGraceIsHandedBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{MaxAttempts: 2}, "")
	host := p.run(t, "--grace", "1s")
	reached, release := p.fullstory.hold(2)
	defer release()
	id := p.fullSync(t, "workforce")
	<-reached
	host.signal(syscall.SIGINT)
	require.Equal(t, 0, host.ends())
	p.waitFor(t, kind(c1.TaskRetried))
	outcome, _ := p.Result(id)
	require.False(t, outcome.Done, "another host may have it")
	require.Equal(t, codes.Aborted, codes.Code(outcome.Status.GetCode())) //nolint:gosec // Codes are small.
	require.Contains(t, outcome.Status.GetMessage(), "the host is stopping")
	requireOnly(t, p.state)
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t, "--grace", "1h")
	reached, release := p.fullstory.hold(2)
	defer release()
	p.fullSync(t, "workforce")
	<-reached
	plugin := pidOf(t, host, "baton-fullstory")
	host.signal(syscall.SIGTERM)
	host.says("stopping: waiting for the tasks in hand")
	host.signal(syscall.SIGTERM)
	require.NotEqual(t, 0, host.ends())
	require.Eventually(t, func() bool { return syscall.Kill(plugin, 0) != nil }, guard, tick, "the plugin goes with its host")
}

func TestAKilledHostLeavesNothingToTripOver(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{Lease: tick}, "    on-plugin-failure: last-good\n")
	host := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	host.signal(syscall.SIGKILL)
	host.ends()
	release()
	// In the place of a host that was killed, with what it left there.
	again := startRunIn(t, host.dir, p.env, "--config", p.config, "--state-dir", p.state)
	require.True(t, p.finished(t, id).Succeeded)
	again.stop()
	left, err := filepath.Glob(filepath.Join(host.dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestTwoHostsShareTheTasksOfAClient(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{Lease: 3 * tick, NextHeartbeat: tick}, "")
	one := p.run(t)
	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	p.env[len(p.env)-1] = "BATON_HOST_ID=host-2"
	p.state = t.TempDir()
	two := p.run(t)
	p.waitFor(t, func(e c1.Event) bool { return e.Kind == c1.Polled && e.HostID == "host-2" })
	one.signal(syscall.SIGKILL)
	one.ends()
	release()
	outcome := p.finished(t, id)
	require.True(t, outcome.Succeeded)
	require.Equal(t, "host-2", outcome.HostID)
	require.Len(t, outcome.Uploads, 1)
	require.Equal(t, plain(p.seeded()), plain(accountsIn(t, outcome.Uploads[0].Path)))
	p.waitFor(t, kind(c1.LeaseExpired))
	two.stop()
	require.Empty(t, p.Violations())
}
