//go:build long

package main_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

const (
	soakUploads = 4
	soakTasks   = 52 // of each upload
)

// company is one upload of a soak: its own app that changes, and one that
// all uploads share and that does not.
type company struct {
	name      string
	app       *outage
	shared    *outage
	fallsBack bool
	random    *rand.Rand
	// sent is what the last upload that C1 took whole held of the app.
	sent map[string]bool
	log  []string
}

func (c *company) number() string { return strings.TrimPrefix(c.name, "company-") }

func (c *company) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

// TestLongRun_LosesNothingInManyTasksWithFailuresOnBothEnds has several uploads synced again
// and again while accounts come and go, apps fail, plugins are killed and C1
// misbehaves in every way that it knows. What C1 took must always be exactly
// what was there; of an app that failed, what it had in the baseline may
// still be there, and nothing may be missing that is in both.
func TestLongRun_LosesNothingInManyTasksWithFailuresOnBothEnds(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("BATON_HOST_SOAK_SEED"); given != "" {
		var err error
		seed, err = strconv.ParseUint(given, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d; set BATON_HOST_SOAK_SEED to it to begin alike", seed)

	tenant := startC1(t, c1.Options{NextHeartbeat: time.Second, NextPoll: 100 * time.Millisecond})
	shared := startFlakyApp(t, scim.Options{App: "design-tool", Seed: seed, Accounts: 30, PageCap: 10})
	text, env := "plugins:\n  shared: { app: scim, config: { scim-groups: false, scim-base-url: \""+shared.url+"\", scim-token: "+shared.token+" } }\n",
		[]string{tenant.trust(), "BATON_HOST_ID=soak"}
	uploads, binaries := "uploads:\n", t.TempDir()
	var companies []*company
	for i := range uint64(soakUploads) {
		c := &company{
			name: fmt.Sprintf("company-%d", i), shared: shared, fallsBack: i%2 == 0,
			app:    startFlakyApp(t, scim.Options{App: fmt.Sprintf("app-%d", i), Seed: seed + i, Accounts: 40, PageCap: 10}),
			random: rand.New(rand.NewPCG(seed, i)), //nolint:gosec // To be repeated.
		}
		companies = append(companies, c)
		credentials := tenant.client(t, c.name)
		// A different name, to be found by when it is to be killed.
		require.NoError(t, os.Symlink(filepath.Join(bin, "baton-scim"), filepath.Join(binaries, fmt.Sprintf("baton-app-%d", i))))
		text += fmt.Sprintf("  app-%d: { restart-limit: 1000, config: { scim-groups: false, scim-base-url: %q, scim-token: %q } }\n", i, c.app.url, c.app.token)
		uploads += fmt.Sprintf("  %s: { client-id: %q, client-secret: \"${env:SECRET_%d}\", plugins: [app-%d, shared], on-plugin-failure: %s }\n",
			c.name, credentials.ID, i, i, map[bool]string{true: "last-good", false: "fail"}[c.fallsBack])
		env = append(env, fmt.Sprintf("SECRET_%d=%s", i, credentials.Secret))
	}
	config, state := writeConfig(t, text+uploads), t.TempDir()
	host := startRun(t, env, "--config", config, "--state-dir", state, "--retry-for", "0", "--stall-timeout", "2s", "--listen", "127.0.0.1:0", "--plugin-dir", binaries)

	// What one task of each upload leaves open is what all may leave open.
	for _, c := range companies {
		c.task(t, tenant, host, false)
	}
	goroutines, files := goroutinesOf(t, host), openFiles(t, host)
	var working sync.WaitGroup
	for _, c := range companies {
		working.Go(func() {
			for range soakTasks {
				if !t.Failed() {
					c.task(t, tenant, host, true)
				}
			}
		})
	}
	working.Wait()
	for _, c := range companies {
		c.task(t, tenant, host, false)
		if t.Failed() {
			t.Logf("%s:\n%s", c.name, strings.Join(c.log, "\n"))
		}
	}
	require.Empty(t, tenant.Violations())
	taken := 0
	for _, c := range companies {
		taken += len(tenant.Uploads(c.name))
	}
	t.Logf("%d tasks, %d complete uploads, %d broken off", soakUploads*(soakTasks+2), taken, tenant.BrokenUploads())
	require.Greater(t, taken, soakUploads*soakTasks/3, "or it has shown nothing")

	// Connections for tokens stay for a while, in case they are of use again.
	noMore := func() bool {
		for what, n := range openFiles(t, host) {
			if n > files[what] {
				return false
			}
		}
		return true
	}
	if !assert.Eventually(t, noMore, guard, tick, "open files are left behind") {
		t.Logf("open files at first: %v", files)
		t.Logf("open files at last: %v", openFiles(t, host))
	}
	children := childrenOf(host.cmd.Process.Pid)
	require.Len(t, children, soakUploads+1, "one process for each plugin")
	status := func(pid int) []byte {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		require.NoError(t, err)
		return text
	}
	for pid, program := range children {
		require.True(t, isInSandbox(status(host.cmd.Process.Pid), status(pid)), "%s is in no sandbox", program)
	}
	// A leak in one task of ten would show. Those of connections come and go.
	fewer := func() bool { return goroutinesOf(t, host) < goroutines+soakUploads*soakTasks/10 }
	if !assert.Eventually(t, fewer, guard, tick, "goroutines are left behind") {
		t.Logf("%d goroutines at first, %d at last", goroutines, goroutinesOf(t, host))
	}
	host.stop()
	var want []string
	for _, c := range companies {
		want = append(want, c.name+".c1z", c.name+".c1z.json")
	}
	requireOnly(t, state, want...)
}

// task changes the app a little, has C1 ask for a sync, lets something go wrong
// and compares what C1 took.
func (c *company) task(t *testing.T, tenant *tenant, host *service, trouble bool) {
	c.change(t)
	var undo func()
	failing := false
	if trouble {
		undo, failing = c.trouble(tenant, host)
	}
	id, err := tenant.AddFullSync(c.name, nil)
	if err != nil {
		t.Error(err)
		return
	}
	c.note("task %s of %d accounts", id, len(c.app.server.Accounts()))
	if trouble && c.random.IntN(12) == 0 {
		c.note("taken back")
		if c.random.IntN(2) == 0 {
			tenant.Cancel(id)
		} else {
			tenant.Expire(id)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	outcome, err := tenant.WaitFinished(ctx, id)
	if undo != nil {
		undo()
	}
	if err != nil {
		t.Errorf("%s: task %s: %v", c.name, id, err)
		return
	}
	c.note("ended: succeeded %t, %d uploads, %s", outcome.Succeeded, len(outcome.Uploads), outcome.Status.GetMessage())
	if !trouble && !outcome.Succeeded {
		t.Errorf("%s: nothing was wrong and the task failed: %s", c.name, outcome.Status.GetMessage())
	}
	for _, upload := range outcome.Uploads {
		c.compare(t, upload, failing)
	}
}

// change adds and removes a few accounts.
func (c *company) change(t *testing.T) {
	accounts := c.app.server.Accounts()
	for range c.random.IntN(3) {
		if len(accounts) > 30 {
			gone := c.random.IntN(len(accounts))
			if err := c.app.server.Remove(accounts[gone].ID); err != nil {
				t.Error(err)
			}
			accounts = slices.Delete(accounts, gone, gone+1)
		}
	}
	for range c.random.IntN(3) {
		name := fmt.Sprintf("new-%d", c.random.Uint64())
		if err := c.app.server.Add(scim.Account{ID: name, UserName: name, Active: true}); err != nil {
			t.Error(err)
		}
	}
}

// trouble lets something go wrong with the next task, and returns whether it may be
// the app that fails.
func (c *company) trouble(tenant *tenant, host *service) (undo func(), failing bool) {
	fault := c1.Fault{Client: c.name, Times: 1 + c.random.IntN(2)}
	switch choice := c.random.IntN(16); choice {
	case 0, 1, 2, 3:
		after := c.random.Int64N(7)
		c.note("the app fails after %d requests", after)
		c.app.fail(after)
		return func() { c.app.down.Store(false) }, true
	case 4:
		c.note("its plugin is killed")
		for pid, binary := range childrenOf(host.cmd.Process.Pid) {
			if strings.HasSuffix(binary, "baton-app-"+c.number()) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		return nil, false // The sync waits for its next process.
	case 5:
		tenant.ExpireTokens(c.name)
		return nil, false
	case 6:
		fault.Call, fault.HTTPStatus = c1.TokenCall, 503
		tenant.ExpireTokens(c.name)
	case 7:
		fault.Call, fault.Code = c1.GetTaskCall, codes.Unavailable
	case 8:
		fault.Call, fault.Code = c1.HeartbeatCall, codes.Unavailable
	case 9:
		fault.Call, fault.Drop, fault.AfterBytes = c1.UploadAssetCall, true, c.random.Int64N(2)
	case 10:
		fault.Call, fault.AtEOF, fault.Code = c1.UploadAssetCall, true, codes.Internal
	case 11:
		fault.Call, fault.AfterEffect, fault.Drop = c1.UploadAssetCall, true, true
	case 12:
		fault.Call, fault.Stall, fault.Times = c1.UploadAssetCall, true, 1
	case 13:
		fault.Call, fault.Code = c1.FinishTaskCall, codes.Unavailable
	case 14:
		fault.Call, fault.AfterEffect, fault.Drop = c1.FinishTaskCall, true, true
	default:
		return nil, false
	}
	c.note("%+v", fault)
	return tenant.Inject(fault), false
}

// compare holds what C1 took against what was there.
func (c *company) compare(t *testing.T, upload c1.Upload, failing bool) {
	got := map[string]map[string]bool{}
	err := syncfile.Accounts(t.Context(), upload.Path, func(account syncfile.Account) error {
		of, ok := got[account.App]
		if !ok {
			of = map[string]bool{}
			got[account.App] = of
		}
		if of[account.ID] {
			return fmt.Errorf("the account %s is there twice", account.ID)
		}
		of[account.ID] = true
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", c.name, err)
		return
	}
	now := map[string]bool{}
	for _, account := range c.app.server.Accounts() {
		now[account.ID] = true
	}
	mine := got["app-"+c.number()]
	if len(got["shared"]) != len(c.shared.server.Accounts()) {
		t.Errorf("%s: %d accounts of the shared app", c.name, len(got["shared"]))
	}
	switch {
	case !failing || !c.fallsBack:
		if !maps.Equal(now, mine) {
			t.Errorf("%s: there were %d accounts and C1 has %d", c.name, len(now), len(mine))
		}
	default:
		for id := range now {
			if c.sent[id] && !mine[id] {
				t.Errorf("%s: the account %s is lost", c.name, id)
			}
		}
		for id := range mine {
			if !c.sent[id] && !now[id] {
				t.Errorf("%s: the account %s is from nowhere", c.name, id)
			}
		}
	}
	c.sent = mine
}

func goroutinesOf(t *testing.T, host *service) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindStringSubmatch(metricsOf(t, host))
	require.NotNil(t, found)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}

var digits = regexp.MustCompile(`\d+`)

// openFiles returns the service's open files, by what they are.
func openFiles(t *testing.T, host *service) map[string]int {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(host.cmd.Process.Pid) + "/fd"
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files := map[string]int{}
	for _, entry := range entries {
		what, _ := os.Readlink(filepath.Join(dir, entry.Name()))
		files[digits.ReplaceAllString(what, "#")]++
	}
	return files
}
