//go:build long

package host_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// loadForm is a configuration of a [reloadLoad], from which its text is made.
type loadForm struct {
	settings, scripts map[string]int // by plugin: how often its settings or its program have changed
	reversed          bool           // the fields of all plugins stand in another order
	comment           string
	crm               bool // in the upload "workforce"
	partners          bool // an upload with a plugin that no other has
}

// loadUpload is an upload of a configuration with its plugins.
type loadUpload struct {
	name    string
	plugins []string
}

func (f loadForm) clone() loadForm {
	f.settings, f.scripts = maps.Clone(f.settings), maps.Clone(f.scripts)
	return f
}

func (f loadForm) plugins() []string {
	names := []string{"fullstory", "design-tool", "wiki"}
	if f.crm {
		names = append(names, "crm")
	}
	if f.partners {
		names = append(names, "desk")
	}
	return names
}

func (f loadForm) uploads() []loadUpload {
	uploads := []loadUpload{{"workforce", []string{"fullstory", "design-tool"}}, {"contractors", []string{"design-tool", "wiki"}}}
	if f.crm {
		uploads[0].plugins = append(uploads[0].plugins, "crm")
	}
	if f.partners {
		uploads = append(uploads, loadUpload{"partners", []string{"wiki", "desk"}})
	}
	return uploads
}

func (f loadForm) upload(name string) []string {
	for _, upload := range f.uploads() {
		if upload.name == name {
			return upload.plugins
		}
	}
	return nil
}

// changesTo returns what a reload reports that makes another configuration of this one, and
// the plugins of which it starts a process.
func (f loadForm) changesTo(next loadForm) (want changes, started map[string]bool) {
	want, started = changes{}, map[string]bool{}
	note := func(change host.ReloadedChange, name string) { want[change] = append(want[change], name) }
	for _, name := range next.plugins() {
		switch {
		case !slices.Contains(f.plugins(), name):
			note(host.ReloadAdded, name)
		case f.settings[name] != next.settings[name] || f.scripts[name] != next.scripts[name]:
			note(host.ReloadChanged, name)
		default:
			continue
		}
		started[name] = true
	}
	for _, name := range f.plugins() {
		if !slices.Contains(next.plugins(), name) {
			note(host.ReloadRemoved, name)
		}
	}
	for _, upload := range next.uploads() {
		before := f.upload(upload.name)
		switch {
		case before == nil:
			note(host.ReloadAdded, upload.name)
		case !slices.Equal(before, upload.plugins) || slices.ContainsFunc(before, func(name string) bool { return started[name] }):
			note(host.ReloadChanged, upload.name)
		}
	}
	for _, upload := range f.uploads() {
		if next.upload(upload.name) == nil {
			note(host.ReloadRemoved, upload.name)
		}
	}
	return want, started
}

// loadVersion is the configuration from one reload to the next.
type loadVersion struct {
	form  loadForm
	since time.Time // zero: its reload is under way
}

// reloadLoad is a host that is reloaded while it syncs without a pause.
type reloadLoad struct {
	tenant
	t             *testing.T
	apps          map[string]*app
	leashes       map[string]*leash
	credentials   map[string]string
	dir           string // of the programs
	config, state string
	running       *hostService

	mu       sync.Mutex
	versions []loadVersion
	sets     map[string]int // syncs by upload and plugins
	longest  time.Duration  // the longest reload
	refused  atomic.Int64   // syncs that the change guard refused
	removed  atomic.Bool    // crm was removed, and that is not approved yet
}

func newReloadLoad(t *testing.T) *reloadLoad {
	t.Helper()
	l := &reloadLoad{
		tenant: startC1(t, c1.Options{NextHeartbeat: time.Second}), t: t, dir: t.TempDir(), state: stateDir(t),
		apps: map[string]*app{}, leashes: map[string]*leash{}, credentials: map[string]string{}, sets: map[string]int{},
	}
	for i, name := range []string{"fullstory", "design-tool", "wiki", "crm", "desk"} {
		l.apps[name] = startApp(t, scimsandbox.Options{App: name, Seed: uint64(i) + 1, Accounts: 100 - 15*i, PageCap: 20, Latency: 5 * time.Millisecond})
		l.leashes[name] = newLeash(t)
		l.leashes[name].loosen()
		l.script(name, 0)
	}
	for _, name := range []string{"workforce", "contractors", "partners"} {
		l.credentials[name] = l.tenant.credentials(t, name)
	}
	l.config = configuration(t, nil, "none: {}")
	return l
}

// script writes the program of a plugin.
func (l *reloadLoad) script(name string, n int) {
	l.t.Helper()
	fresh := program(l.t, l.dir, "new", fmt.Sprintf("# %s %d\nexec '%s' \"$@\"", name, n, self))
	require.NoError(l.t, os.Rename(fresh, filepath.Join(l.dir, name)))
}

// put writes a configuration and its lock file.
func (l *reloadLoad) put(form loadForm) {
	l.t.Helper()
	var text strings.Builder
	text.WriteString(form.comment + "plugins:\n")
	for _, name := range form.plugins() {
		// The script starts another program, which the sandbox has to let it read.
		entry := l.leashes[name].on(l.apps[name].entry(name, fmt.Sprintf("sandbox: { read: [%q] }", self)))
		entry = strings.Replace(entry, "command: ["+self, "command: ["+filepath.Join(l.dir, name), 1)
		entry = strings.Replace(entry, fmt.Sprintf("scim-display-name: %q", name), fmt.Sprintf("scim-display-name: %q", fmt.Sprint(name, form.settings[name])), 1)
		if form.reversed {
			before, fields, _ := strings.Cut(strings.TrimSuffix(entry, " }\n"), "config: { ")
			list := strings.Split(fields, ", ")
			slices.Reverse(list)
			entry = before + "config: { " + strings.Join(list, ", ") + " }\n"
		}
		text.WriteString(entry)
	}
	text.WriteString("uploads:\n")
	for _, upload := range form.uploads() {
		fmt.Fprintf(&text, "  %s: { plugins: [%s], %s }\n", upload.name, strings.Join(upload.plugins, ", "), l.credentials[upload.name])
	}
	require.NoError(l.t, os.WriteFile(l.config, []byte(text.String()), 0o600))
	_, err := lock(l.t, l.config, host.Options{}, false)
	require.NoError(l.t, err)
	for _, name := range form.plugins() {
		l.leashes[name].processes() // Those that the lock file was made of.
	}
}

// now returns the configuration of the moment.
func (l *reloadLoad) now() loadForm {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.versions[len(l.versions)-1].form
}

// reload reloads what was put, and notes how long it took.
func (l *reloadLoad) reload() (*host.Reloaded, error) {
	begun := time.Now()
	result, err := l.running.Reload(l.t.Context())
	l.longest = max(l.longest, time.Since(begun))
	return result, err
}

// becomes reloads another configuration, which must change exactly what is another one.
func (l *reloadLoad) becomes(next loadForm, what string) {
	l.t.Helper()
	before := l.now()
	l.put(next)
	l.mu.Lock()
	l.versions = append(l.versions, loadVersion{form: next})
	l.mu.Unlock()
	result, err := l.reload()
	require.NoError(l.t, err, what)
	l.mu.Lock()
	l.versions[len(l.versions)-1].since = time.Now()
	l.mu.Unlock()
	want, started := before.changesTo(next)
	require.Equal(l.t, want, changesOf(result), what)
	for name, leash := range l.leashes {
		require.Equal(l.t, map[bool]int{true: 1}[started[name]], leash.processes(), "%s: processes of %s", what, name)
	}
}

// isRefused tries a configuration that is wrong; a process of the plugin tried finds that out.
func (l *reloadLoad) isRefused(text, why, tried string) {
	l.t.Helper()
	good := contentsOf(l.t, l.config)
	require.NoError(l.t, os.WriteFile(l.config, []byte(text), 0o600))
	_, err := l.reload()
	require.ErrorContains(l.t, err, why)
	require.NoError(l.t, os.WriteFile(l.config, []byte(good), 0o600))
	for name, leash := range l.leashes {
		require.Equal(l.t, map[bool]int{true: 1}[name == tried], leash.processes(), name)
	}
}

// handOver is how long a task that C1 gives out while its upload is reloaded may be on its way.
const handOver = 2 * time.Second

// sync syncs an upload, which must have exactly the accounts of a configuration of the
// meantime. What the change guard refuses of it is none.
func (l *reloadLoad) sync(upload string) (plugins []string) {
	l.t.Helper()
	asked := time.Now()
	outcome := l.finished(l.t, l.fullSync(l.t, upload))
	if !outcome.Succeeded {
		require.True(l.t, l.removed.Load(), "%v", outcome.Status)
		require.Contains(l.t, outcome.Status.GetMessage(), `plugin "crm" is no longer in upload "workforce"`)
		l.refused.Add(1)
		return nil
	}
	got := accountsIn(l.t, outcome.Uploads[len(outcome.Uploads)-1].Path)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, version := range slices.Backward(l.versions) {
		plugins := version.form.upload(upload)
		var want []account
		for _, name := range plugins {
			want = append(want, l.apps[name].seeded(name)...)
		}
		if slices.Equal(sorted(want), got) {
			l.sets[upload+" of "+strings.Join(plugins, ", ")]++
			return plugins
		}
		if !version.since.IsZero() && asked.After(version.since.Add(handOver)) {
			break
		}
	}
	require.Fail(l.t, "the sync has the accounts of no configuration", "upload %s: %d accounts", upload, len(got))
	return nil
}

// approveRemoval approves that the accounts of a plugin go, and waits until they have.
func (l *reloadLoad) approveRemoval(done func() bool) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		found, err := l.running.Review(l.t.Context(), "workforce", host.Kept{})
		if err != nil || !slices.ContainsFunc(found.Reasons, func(one host.RefusedPlugin) bool { return one.Plugin == "crm" }) {
			return false
		}
		_, err = desk{config: l.config, state: l.state}.open(l.t).Approve(l.t.Context(), "workforce", found.ID, host.ApproveOptions{})
		return err == nil
	}, patience, 50*time.Millisecond)
	require.Eventually(l.t, done, patience, 50*time.Millisecond)
	l.removed.Store(false)
}

// letGo closes the connections to processes that have ended, and returns how many have not.
func (l *leash) letGo() (running int) {
	l.t.Helper()
	for _, process := range l.seen {
		require.NoError(l.t, process.SetReadDeadline(time.Now().Add(time.Second)))
		if _, err := process.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			running++
			continue
		}
		require.NoError(l.t, process.Close())
	}
	return running
}

// held is what this process holds.
type held struct{ goroutines, descriptors, children int }

func holds(t *testing.T) held {
	t.Helper()
	descriptors, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	now := held{goroutines: runtime.NumGoroutine(), descriptors: len(descriptors)}
	own := fmt.Sprintf(" %d ", os.Getpid())
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range stats {
		stat, _ := os.ReadFile(path) // It may have ended.
		if _, behind, ok := strings.Cut(string(stat), ") "); ok && strings.HasPrefix(behind[1:], own) {
			now.children++
		}
	}
	return now
}

// TestLongServe_ReloadsUnderLoad is the source of the figures in docs/measurements.md. It runs
// alone, to count what is left behind.
func TestLongServe_ReloadsUnderLoad(t *testing.T) { //nolint:paralleltest // It counts processes and goroutines.
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // It decides what changes when, and nothing else.
	l := newReloadLoad(t)
	first := loadForm{settings: map[string]int{}, scripts: map[string]int{}}
	l.put(first)
	l.versions = []loadVersion{{form: first, since: time.Now()}}
	existing := goleak.IgnoreCurrent()
	l.running = l.tenant.serve(t, l.config, host.Options{StateDir: l.state}, host.ServeOptions{})
	for _, upload := range []string{"workforce", "contractors"} {
		require.NotNil(t, l.sync(upload))
	}
	for _, name := range first.plugins() {
		require.Equal(t, 1, l.leashes[name].processes(), name)
	}
	before := holds(t)

	syncing, stop := context.WithCancel(t.Context())
	defer stop()
	counts := map[string]*atomic.Int64{"workforce": {}, "contractors": {}}
	var withCRM, withoutCRM atomic.Int64
	var loops sync.WaitGroup
	for upload, count := range counts {
		loops.Go(func() {
			for syncing.Err() == nil {
				plugins := l.sync(upload)
				if plugins == nil {
					continue
				}
				count.Add(1)
				switch {
				case upload != "workforce":
				case slices.Contains(plugins, "crm"):
					withCRM.Add(1)
				default:
					withoutCRM.Add(1)
				}
			}
		})
	}
	one := func(names []string) string { return names[random.IntN(len(names))] }
	changeCRM := func(next *loadForm) { next.crm = !next.crm }
	changePartners := func(next *loadForm) { next.partners = !next.partners }
	kinds := map[string]struct {
		times  int
		change func(next *loadForm) // nil: a broken file
	}{
		"settings": {8, func(next *loadForm) { next.settings[one(next.plugins())]++ }},
		"two at once": {2, func(next *loadForm) {
			next.settings["design-tool"]++
			next.settings["wiki"]++
		}},
		"the order of fields": {3, func(next *loadForm) { next.reversed = !next.reversed }},
		"a comment":           {2, func(next *loadForm) { next.comment += "# A comment, which moves every line.\n" }},
		"a program": {4, func(next *loadForm) {
			name := one(next.plugins())
			next.scripts[name]++
			l.script(name, next.scripts[name])
		}},
		"crm":         {4, changeCRM},
		"partners":    {4, changePartners},
		"broken file": {3, nil},
	}
	var order []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		order = append(order, slices.Repeat([]string{kind}, kinds[kind].times)...)
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for i, kind := range order {
		time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
		what := fmt.Sprintf("reload %d: %s", i+1, kind)
		if kinds[kind].change == nil {
			good := contentsOf(t, l.config)
			if random.IntN(2) == 0 {
				l.isRefused(good[:len(good)/2], l.config+":", "")
			} else {
				l.isRefused(strings.Replace(good, "scim-base-url: \"http", "scim-base-url: \"gopher", 1), "scim-base-url", "fullstory")
			}
			continue
		}
		next := l.now().clone()
		kinds[kind].change(&next)
		removes, adds := l.now().crm && !next.crm, next.crm && !l.now().crm
		with, without := withCRM.Load(), withoutCRM.Load()
		if removes {
			l.removed.Store(true)
		}
		l.becomes(next, what)
		switch {
		case removes:
			l.approveRemoval(func() bool { return withoutCRM.Load() > without })
		case adds: // The change guard refuses the removal of what the baseline has only.
			require.Eventually(t, func() bool { return withCRM.Load() > with }, patience, 50*time.Millisecond)
		}
		if kind == "partners" && next.partners {
			require.NotNil(t, l.sync("partners"), what)
		}
	}
	stop()
	loops.Wait()
	last := l.now()
	for _, upload := range last.uploads() {
		require.Equal(t, upload.plugins, l.sync(upload.name))
	}
	require.Equal(t, first.plugins(), last.plugins(), "what was added was removed, so that what is held can be compared")
	require.Eventually(t, func() bool { return holds(t).children == before.children }, patience, 100*time.Millisecond)
	for name, leash := range l.leashes {
		require.Equal(t, map[bool]int{true: 1}[slices.Contains(last.plugins(), name)], leash.letGo(), name)
	}
	var now held
	require.Eventually(t, func() bool {
		now = holds(t)
		return now.children == before.children && now.descriptors <= before.descriptors && now.goroutines <= before.goroutines
	}, 2*time.Minute, 100*time.Millisecond, "%+v before, %+v now", before, &now)
	log := l.running.log.String()
	require.NotContains(t, log, "the plugin ended")
	require.Empty(t, l.Violations())
	l.running.stop()
	require.Zero(t, holds(t).children)
	require.Eventually(t, func() bool { return goleak.Find(existing) == nil }, patience, 100*time.Millisecond, "%v", goleak.Find(existing))
	t.Logf("%d reloads, %d syncs of workforce and %d of contractors, 0 failed; %d refused by the change guard and approved; longest reload %s; held before %+v, at the end %+v; syncs %v",
		len(order), counts["workforce"].Load(), counts["contractors"].Load(), l.refused.Load(), l.longest.Round(time.Millisecond), before, now, l.sets)
}

// TestLongReload_EndsWhereAPluginHangsInConfigure: a minute, which is how long a plugin may
// take its configuration at least. Nothing has changed then, and the next reload works.
func TestLongReload_EndsWhereAPluginHangsInConfigure(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	good := contentsOf(t, p.config)
	hanging := newLeash(t)
	rewrite(t, p.config, func(text string) string {
		at := strings.Index(text, "  design-tool:\n")
		return text[:at] + replaced("    env:", "    start-timeout: 2s\n    env:")(hanging.whenConfigured(text[at:]))
	})
	reloaded := make(chan error, 1)
	go func() {
		_, err := running.Reload(t.Context())
		reloaded <- err
	}()
	process := hanging.process()
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")), "while the reload waits")
	require.ErrorContains(t, <-reloaded, `plugin "design-tool" has not taken its configuration within 1m0s; if it needs longer, raise its start-timeout`)
	hanging.hasEnded(process)
	for _, plugin := range running.status().Plugins {
		require.Equal(t, "ready", plugin.State, plugin.Name)
	}
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	require.NoError(t, os.WriteFile(p.config, []byte(good), 0o600))
	require.Equal(t, changes{}, running.reloads())
	rewrite(t, p.config, replaced(`scim-display-name: "design-tool"`, `scim-display-name: "Designs"`))
	require.Equal(t, changes{host.ReloadChanged: {"design-tool", "workforce"}}, running.reloads())
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	running.stop()
	require.Empty(t, p.Violations())
}
