package host_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
)

func TestServeFailsATaskWhoseAppFails(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.fail(2)
	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	require.False(t, failed.NonRetryable)
	require.Contains(t, failed.Status.GetMessage(), `plugin "fullstory": listing resources of type "user"`)
	require.Contains(t, failed.Status.GetMessage(), "500")
	require.Empty(t, failed.Uploads)
	running.says(`"msg":"sync failed"`)

	p.fullstory.down.Store(false)
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")), "the next one is whole")
	running.stop()
	require.Empty(t, p.Violations())
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestServe_UploadsTheBaselineOfAnAppThatFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails func(t *testing.T, a *app)
		why   string
	}{
		"before its listing":        {func(_ *testing.T, a *app) { a.fail(0) }, "500"},
		"during its listing":        {func(_ *testing.T, a *app) { a.fail(3) }, "500"},
		"at the end of its listing": {func(_ *testing.T, a *app) { a.fail(5) }, "500"},
		"by an empty answer":        {func(t *testing.T, a *app) { a.keepOnly(t, 0) }, "so large a change at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, fallBack)
			running := p.serve(t, host.ServeOptions{Listen: listening})
			require.True(t, p.sync(t).Succeeded)
			good := running.metrics()
			require.Contains(t, good, `baton_host_stale_accounts{plugin="fullstory",upload="workforce"} 0`)
			require.NoError(t, p.design.server.Remove(p.design.server.Accounts()[0].ID))
			want := p.seeded()
			c.fails(t, p.fullstory)
			stale := p.sync(t)
			require.True(t, stale.Succeeded, "%v", stale.Status)
			require.Equal(t, want, accountsIn(t, stale.Uploads[0].Path))
			running.says("the plugin failed; the rest of this sync has what it listed in the baseline")
			running.says(c.why)
			running.says(`"outcome":"stale"`)
			require.Regexp(t, `"msg":"sync done","upload":"workforce",.*"fullstory":\{"state":"stale","accounts":40,"stale_accounts":[1-9]\d*,"as_of":1[^}]*"why":"[^}]*`+c.why, running.log.String())
			metrics := running.metrics()
			since := regexp.MustCompile(`baton_host_as_of_timestamp_seconds\{plugin="fullstory",upload="workforce"\} .*`)
			require.Equal(t, since.FindString(good), since.FindString(metrics), "it is as old as the sync that it is from")
			require.NotContains(t, good, regexp.MustCompile(`baton_host_as_of_timestamp_seconds\{plugin="design-tool",.*`).FindString(metrics), "the other is of now")
			require.Regexp(t, `baton_host_stale_accounts\{plugin="fullstory",upload="workforce"\} [1-9]`, metrics)
			require.Contains(t, metrics, `baton_host_accounts{plugin="fullstory",upload="workforce"} 40`)
			require.Contains(t, metrics, `baton_host_accounts{plugin="design-tool",upload="workforce"} 24`)
			require.Contains(t, metrics, `baton_host_tasks_total{result="done",type="sync_full",upload="workforce"} 2`)
			require.Contains(t, metrics, `baton_host_connected{upload="workforce"} 1`)
			running.stop()
			require.Empty(t, p.Violations())
		})
	}
}

func TestServeKeepsTheAccountsOfAPluginThatCannotStart(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	first := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	first.stop()

	rewrite(t, p.config, func(text string) string {
		return strings.Replace(text, "path: "+self, "path: /no/such/baton-fullstory", 1)
	})
	second := p.serve(t, host.ServeOptions{})
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	second.says("the plugin does not start; it will be tried again")
	second.says("/no/such/baton-fullstory")
	second.stop()
	require.Empty(t, p.Violations())
}

func TestServeSyncsOneAppWithoutTheOther(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	kept, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
	require.NoError(t, err)
	p.design.fail(0)
	p.fullstory.keepOnly(t, 3)
	partial := p.ask(t, v1.Task_SyncFullTask_builder{SyncResourceTypeIds: []string{"fullstory.user"}}.Build())
	require.True(t, partial.Succeeded, "%v", partial.Status)
	require.Len(t, accountsIn(t, partial.Uploads[0].Path), 3, "a partial sync does not trip the guard")
	still, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
	require.NoError(t, err)
	require.Equal(t, kept, still, "and is no baseline")
	running.stop()
	require.Empty(t, p.Violations())
}

func TestServe_FailsATaskWithoutABaselineOfThisHost(t *testing.T) {
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
			p := newPair(t, c1.Options{}, fallBack, "new-plugin: wait")
			first := p.serve(t, host.ServeOptions{})
			require.True(t, p.sync(t).Succeeded)
			first.stop()
			p.fullstory.fail(0)
			c.loses(t, p)
			second := p.serve(t, host.ServeOptions{})
			failed := p.sync(t)
			require.False(t, failed.Succeeded)
			require.False(t, failed.NonRetryable, "another host may do it")
			require.Empty(t, failed.Uploads)
			require.Contains(t, failed.Status.GetMessage(), `there is no baseline to fall back on for plugin "fullstory": `)
			require.Contains(t, failed.Status.GetMessage(), c.why)
			second.says(`"msg":"sync failed"`)

			p.fullstory.down.Store(false)
			require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
			second.stop()
			requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
		})
	}
}

func TestServeAcceptsDeletionsOnce(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	first := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.keepOnly(t, 19)
	tripped := p.sync(t)
	require.False(t, tripped.Succeeded)
	require.Contains(t, tripped.Status.GetMessage(), `plugin "fullstory" lists 19 accounts of type "fullstory.user", but 40 in the baseline`)
	require.Contains(t, tripped.Status.GetMessage(), "--accept-deletions fullstory")
	require.Empty(t, tripped.Uploads)
	first.stop()

	second := p.serve(t, host.ServeOptions{}, "fullstory")
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.keepOnly(t, 5)
	again := p.sync(t)
	require.False(t, again.Succeeded, "it was accepted for one sync")
	require.Contains(t, again.Status.GetMessage(), `lists 5 accounts of type "fullstory.user", but 19`)
	second.stop()
}

// TestServeKeepsDeletionsAcceptedWhileItFallsBack has the app fail in the first sync
// behind the operator's word, which is then still to be used.
func TestServeKeepsDeletionsAcceptedWhileItFallsBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	first := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	first.stop()
	p.fullstory.keepOnly(t, 19)
	p.fullstory.fail(0)
	second := p.serve(t, host.ServeOptions{}, "fullstory")
	require.Len(t, p.synced(t, p.fullSync(t, "workforce")), 65)
	p.fullstory.down.Store(false)
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	p.fullstory.keepOnly(t, 5)
	require.Len(t, p.synced(t, p.fullSync(t, "workforce")), 44, "and used once")
	second.stop()
}

func TestServeRefusesAnUploadWithoutAPluginThatC1Has(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{
		"G5: fail":      "on-plugin-failure: fail",
		"G5: last-good": fallBack,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, policy)
			first := p.serve(t, host.ServeOptions{})
			require.True(t, p.sync(t).Succeeded)
			first.stop()
			kept, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
			require.NoError(t, err)

			rewrite(t, p.config, func(text string) string { return strings.Replace(text, "[fullstory, design-tool]", "[design-tool]", 1) })
			check := func() error {
				h, err := host.Open(t.Context(), host.Selection{ConfigFile: p.config}, host.Options{StateDir: p.state})
				require.NoError(t, err)
				defer h.Close(t.Context())
				_, err = h.Check(t.Context(), host.CheckOptions{Timeout: patience, OutputDir: t.TempDir()})
				return err
			}
			err = check()
			require.ErrorContains(t, err, `plugin "fullstory" is no longer in upload "workforce"`)
			require.ErrorContains(t, err, filepath.Join(p.state, "workforce.c1z"))

			second := p.serve(t, host.ServeOptions{})
			refused := p.sync(t)
			require.False(t, refused.Succeeded)
			require.Contains(t, refused.Status.GetMessage(), `plugin "fullstory" is no longer in upload "workforce"`)
			require.Contains(t, refused.Status.GetMessage(), "40 accounts")
			require.Contains(t, refused.Status.GetMessage(), "--accept-deletions fullstory")
			require.Empty(t, refused.Uploads)
			second.stop()
			require.Contains(t, second.log.String(), `is in no upload, so it is never synced`)
			still, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
			require.NoError(t, err)
			require.Equal(t, kept, still, "the baseline stays")

			third := p.serve(t, host.ServeOptions{}, "fullstory")
			accepted := p.sync(t)
			require.True(t, accepted.Succeeded, "%v", accepted.Status)
			require.Len(t, accountsIn(t, accepted.Uploads[0].Path), 25)
			require.True(t, p.sync(t).Succeeded)
			third.stop()
			require.NoError(t, check())

			// The command line of a service outlives the plugin.
			fourth := p.serve(t, host.ServeOptions{}, "fullstory")
			require.True(t, p.sync(t).Succeeded)
			fourth.stop()
			require.Contains(t, fourth.log.String(), "take it out of the command line")
		})
	}
}

func TestServeGoesOnWithASyncWhosePluginEnds(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	leash := p.leash(t)
	running := p.serve(t, host.ServeOptions{Listen: listening})
	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	leash.cut()
	running.says("the plugin ended; it is started again")
	release()
	require.Equal(t, p.seeded(), p.synced(t, id))
	running.says("the plugin runs again")
	metrics := running.metrics()
	require.Contains(t, metrics, `baton_host_plugin_restarts_total{plugin="fullstory"} 1`)
	require.Contains(t, metrics, `baton_host_plugin_state{plugin="fullstory",state="ready"} 1`)
	require.Contains(t, metrics, `baton_host_plugin_state{plugin="fullstory",state="starting"} 0`)
	running.stop()
	require.Empty(t, p.Violations())
}

func TestServe_FailsAPluginThatEndsTooOftenUntilItIsRevived(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	leash := p.leash(t)
	p.also(t, "restart-limit: 1")
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	leash.cut()
	running.says("the plugin runs again")
	leash.cut()
	running.says("the plugin has failed")

	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	require.False(t, failed.NonRetryable, "another host may do it")
	require.Contains(t, failed.Status.GetMessage(), `plugin "fullstory" has failed: it ended 2 times within 10m0s`)
	require.Contains(t, running.metrics(), `baton_host_plugin_state{plugin="fullstory",state="failed"} 1`)

	running.Revive()
	running.says("the plugin gets another chance")
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	running.stop()
	require.Empty(t, p.Violations())
}

func TestServeLetsTheSyncInHandFinish(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{Grace: patience})
	reached, release := p.fullstory.hold(2)
	id := p.fullSync(t, "workforce")
	<-reached
	running.cancel()
	running.says("stopping: waiting for the tasks in hand")
	later := p.fullSync(t, "workforce")
	release()
	require.NoError(t, running.ends())
	require.Equal(t, p.seeded(), p.synced(t, id))
	// C1 may have handed it out, in answer to a call that had been canceled by then.
	log := running.log.String()
	require.Contains(t, log, `"task":"`+id+`"`)
	require.NotContains(t, log, later, "no new task is taken")
	requireOnly(t, p.state, "workforce.c1z", "workforce.c1z.json")
}

func TestServeHandsBackWhatIsNotDoneWithinTheGrace(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{MaxAttempts: 2})
	running := p.serve(t, host.ServeOptions{Grace: time.Second})
	reached, release := p.fullstory.hold(2)
	defer release()
	id := p.fullSync(t, "workforce")
	<-reached
	running.stop()
	p.waitFor(t, kind(c1.TaskRetried))
	outcome, _ := p.Result(id)
	require.False(t, outcome.Done, "another host may have it")
	require.Equal(t, codes.Aborted, codes.Code(outcome.Status.GetCode())) //nolint:gosec // Codes are small.
	require.Contains(t, outcome.Status.GetMessage(), "the host is stopping")
	requireOnly(t, p.state)
}
