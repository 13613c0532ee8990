package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

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

func plain(accounts []shownAccount) []shownAccount {
	return sorted(withoutLastLogins(withoutNames(accounts)))
}

func (p *pair) seeded() []shownAccount {
	return append(seeded(p.fullstory.app, "fullstory", "fullstory.user"), seeded(p.design.app, "design-tool", "design-tool.user")...)
}

// pidOf returns the process of a plugin, from the service's children.
func pidOf(t *testing.T, host *service, binary string) int {
	t.Helper()
	pid := childCalled(host.cmd.Process.Pid, binary)
	require.NotZero(t, pid, "no process of %s", binary)
	return pid
}

// TestRunFallsBack: how, in all its variants, is tested in package host.
func TestRunFallsBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	host := p.run(t)
	require.True(t, p.sync(t).Succeeded)
	want := p.seeded()
	require.NoError(t, p.design.server.Remove(p.design.server.Accounts()[0].ID))
	p.fullstory.fail(3)
	stale := p.sync(t)
	require.True(t, stale.Succeeded, "%v", stale.Status)
	require.Equal(t, plain(append(want[:40:40], want[41:]...)), plain(accountsIn(t, stale.Uploads[0].Path)))
	host.says("the plugin failed; the rest of this sync has what it listed in the baseline")
	host.says(`"outcome":"stale"`)
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

func TestRun_FailsAPluginThatEndsTooOftenUntilAnOperatorActs(t *testing.T) {
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

func TestRun_LetsTheSyncInHandFinishAtAStop(t *testing.T) {
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

func TestRun_StopsAtOnceAtASecondSignal(t *testing.T) {
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
	requireGone(t, plugin)
}

func TestRun_WorksAfterAHostThatWasKilled(t *testing.T) {
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

func TestRun_SharesTheTasksOfAClientWithAnotherHost(t *testing.T) {
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
