package host_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/control"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// reloads reloads, and returns what changed: plugins and uploads by what became of them.
func (s *hostService) reloads() map[host.ReloadedChange][]string {
	s.t.Helper()
	result, err := s.Reload(s.t.Context())
	require.NoError(s.t, err)
	return changesOf(result)
}

func changesOf(result *host.Reloaded) map[host.ReloadedChange][]string {
	changes := map[host.ReloadedChange][]string{}
	for _, one := range append(result.Plugins, result.Uploads...) {
		if one.Change != host.ReloadUnchanged {
			changes[one.Change] = append(changes[one.Change], one.Name)
		}
	}
	return changes
}

type changes = map[host.ReloadedChange][]string

// replaced replaces a part of a configuration, once.
func replaced(part, by string) func(string) string {
	return func(text string) string { return strings.Replace(text, part, by, 1) }
}

// processes returns how many processes of the plugin have started since it was last asked.
func (l *leash) processes() int {
	n := 0
	for {
		select {
		case process := <-l.come:
			l.seen = append(l.seen, process)
			n++
		default:
			return n
		}
	}
}

// hasEnded waits until a process has ended.
func (l *leash) hasEnded(process net.Conn) {
	l.t.Helper()
	require.NoError(l.t, process.SetReadDeadline(time.Now().Add(patience)))
	_, err := process.Read(make([]byte, 1))
	require.Error(l.t, err)
	require.NotErrorIs(l.t, err, os.ErrDeadlineExceeded, "it must end")
}

func TestReload_ChangesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	c := newCompanies(t)
	crm := startApp(t, scimsandbox.Options{App: "crm", Seed: 4, Accounts: 5})
	other := c.credentials(t, "other")
	leashes := map[string]*leash{}
	for _, name := range []string{"fullstory", "design-tool", "wiki"} {
		l := newLeash(t)
		l.loosen()
		leashes[name] = l
		rewrite(t, c.config, func(text string) string {
			at := strings.Index(text, "  "+name+":\n")
			return text[:at] + l.on(text[at:])
		})
	}
	running := c.serve(t, c.config, host.Options{StateDir: c.state}, host.ServeOptions{Listen: listening})
	both := func(fullstory, design, wiki bool) {
		t.Helper()
		for _, client := range []string{"workforce", "contractors"} {
			require.True(t, c.finished(t, c.fullSync(t, client)).Succeeded)
		}
		for name, started := range map[string]bool{"fullstory": fullstory, "design-tool": design, "wiki": wiki} {
			require.Equal(t, map[bool]int{true: 1}[started], leashes[name].processes(), name)
		}
	}
	both(true, true, true)
	steps := []struct {
		name    string
		edit    func(string) string
		want    changes
		started [3]bool
	}{
		{"nothing", func(text string) string { return "# A comment.\n" + text }, changes{}, [3]bool{}},
		{
			"a setting of a plugin that both have", replaced(`scim-display-name: "design-tool"`, `scim-display-name: "Designs"`),
			changes{host.ReloadChanged: {"design-tool", "workforce", "contractors"}},
			[3]bool{false, true, false},
		},
		{
			"a limit", replaced("  fullstory:\n", "  fullstory:\n    call-timeout: 5m\n"),
			changes{host.ReloadChanged: {"fullstory", "workforce"}},
			[3]bool{true, false, false},
		},
		{
			"an upload", replaced("contractors: { ", "contractors: { max-stale: 30h, "),
			changes{host.ReloadChanged: {"contractors"}},
			[3]bool{},
		},
		{
			"a new plugin", func(text string) string {
				return replaced("uploads:\n", crm.entry("crm")+"uploads:\n")(replaced("[design-tool, wiki]", "[design-tool, wiki, crm]")(text))
			}, changes{host.ReloadAdded: {"crm"}, host.ReloadChanged: {"contractors"}}, [3]bool{},
		},
		{
			"an order", replaced("[fullstory, design-tool]", "[design-tool, fullstory]"),
			changes{host.ReloadChanged: {"workforce"}},
			[3]bool{},
		},
	}
	for _, step := range steps {
		rewrite(t, c.config, step.edit)
		require.Equal(t, step.want, running.reloads(), step.name)
		both(step.started[0], step.started[1], step.started[2])
	}
	require.Len(t, running.status().Plugins, 4)
	require.Contains(t, running.metrics(), `baton_host_config_last_reload_successful 1`)
	require.Contains(t, running.metrics(), `baton_host_accounts{plugin="wiki",upload="contractors"} 15`)

	// The upload goes with what only it has, and comes back with its history.
	before := contentsOf(t, c.config)
	rewrite(t, c.config, func(text string) string {
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		return strings.Join(lines[:len(lines)-1], "\n") + "\n"
	})
	wiki := leashes["wiki"].seen[0]
	require.Equal(t, changes{host.ReloadRemoved: {"wiki", "crm", "contractors"}}, running.reloads())
	leashes["wiki"].hasEnded(wiki)
	require.Eventually(t, func() bool { return len(running.status().Uploads) == 1 }, patience, 50*time.Millisecond)
	require.NotContains(t, running.metrics(), "wiki")
	require.NotContains(t, running.metrics(), "contractors")
	_, page := running.get("/")
	require.NotContains(t, page, "contractors")
	require.True(t, c.finished(t, c.fullSync(t, "workforce")).Succeeded)
	require.NoError(t, os.WriteFile(c.config, []byte(before), 0o600))
	require.Equal(t, changes{host.ReloadAdded: {"wiki", "crm", "contractors"}}, running.reloads())
	both(false, false, true)
	require.Len(t, running.status().Uploads[1].History, 8, "also of before")

	// Another client of C1 is another connector.
	rewrite(t, c.config, func(text string) string {
		at := strings.Index(text, "  workforce: ")
		from := at + strings.Index(text[at:], "client-id:")
		to := from + strings.Index(text[from:], " }")
		return text[:from] + other + text[to:]
	})
	require.Equal(t, changes{host.ReloadChanged: {"workforce"}}, running.reloads())
	require.True(t, c.finished(t, c.fullSync(t, "other")).Succeeded)
	running.stop()
	require.Empty(t, c.Violations())
	require.NotContains(t, running.log.String(), `"msg":"sync failed"`)
}

func TestReload_RefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	l := p.leash(t)
	hanging := newLeash(t)
	rewrite(t, p.config, func(text string) string { return "state-dir: " + p.state + "\n" + text })
	running := p.tenant.serve(t, p.config, host.Options{}, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	require.Equal(t, 1, l.processes())
	good := contentsOf(t, p.config)
	refused := p.credentials(t, "disabled")
	require.NoError(t, p.DisableClient("disabled"))
	for name, c := range map[string]struct {
		edit func(string) string
		want string
	}{
		"no YAML":           {func(text string) string { return text + "}{" }, p.config + ":"},
		"nothing":           {func(string) string { return "" }, p.config},
		"half a file":       {func(text string) string { return text[:len(text)/2] }, p.config + ":"},
		"an unknown key":    {replaced("    path:", "    pfad: x\n    path:"), `unknown key "pfad"`},
		"no such variable":  {replaced(`scim-token: "`, `scim-token: "${env:BATON_TEST_UNSET}`), "${env:BATON_TEST_UNSET}: the environment variable is not set"},
		"no such file":      {replaced(`scim-token: "`, `scim-token: "${file:unknown}`), "${file:unknown}"},
		"a state directory": {replaced("state-dir: ", "state-dir: /nowhere"), "that needs a restart of the host"},
		"no credentials":    {func(text string) string { return text + "  contractors: { plugins: [fullstory] }\n" }, `upload "contractors" has no client-id and client-secret`},
		"no program":        {replaced("    path: "+self+"\n", "    app: nowhere\n"), `baton-nowhere`},
		"an unknown field":  {replaced("scim-token:", "scim-tocken: x, scim-token:"), `"scim-tocken"`},
		"no token":          {replaced("scim-token:", "scim-toke:"), `scim-toke`},
		"a refused setting": {replaced(`scim-base-url: "http`, `scim-base-url: "gopher`), "scim-base-url"},
		"a refused token":   {replaced(`scim-token: "`, `scim-token: "wrong-`), "the app refuses what its changed entry has"},
		"refused credentials": {func(text string) string {
			before, _, _ := strings.Cut(text, "client-id:")
			return before + refused + " }\n"
		}, "upload \"workforce\": C1 refuses the client id and secret"},
		"a program that ends": {replaced("    path: "+self+"\n", "    command: [/bin/false]\n"), `plugin "design-tool"`},
		"one that hangs": {func(text string) string {
			at := strings.Index(text, "  design-tool:\n")
			return text[:at] + replaced("    env:", "    start-timeout: 1s\n    env:")(hanging.on(text[at:]))
		}, `plugin "design-tool"`},
	} {
		rewrite(t, p.config, func(string) string { return c.edit(good) })
		_, err := running.Reload(t.Context())
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "tok-", name)
		is := running.status()
		require.NotEmpty(t, is.Host.LastReload.Why, name)
		for _, plugin := range is.Plugins {
			require.Equal(t, "ready", plugin.State, name)
		}
		require.NoError(t, os.WriteFile(p.config, []byte(good), 0o600))
	}
	require.Contains(t, running.metrics(), "baton_host_config_last_reload_successful 0")
	_, page := running.get("/")
	require.Contains(t, page, "Configuration refused")
	require.NoError(t, os.Remove(p.config))
	_, err := running.Reload(t.Context())
	require.ErrorContains(t, err, p.config)
	require.NoError(t, os.WriteFile(p.config, []byte(good), 0o600))
	require.Equal(t, 4, l.processes(), "that of each change of its settings alone")
	for _, tried := range l.seen[1:] {
		l.hasEnded(tried)
	}
	hanging.hasEnded(hanging.process())
	require.True(t, p.sync(t).Succeeded)

	// That the app is away is nothing wrong.
	p.design.fail(0)
	rewrite(t, p.config, replaced(`scim-display-name: "design-tool"`, `scim-display-name: "Designs"`))
	require.Equal(t, changes{host.ReloadChanged: {"design-tool", "workforce"}}, running.reloads())
	require.Nil(t, running.lines(map[string][]string{"msg": {"the plugin refuses its configuration; it will be tried again"}}))
	p.design.down.Store(false)
	require.True(t, p.sync(t).Succeeded)
	_, page = running.get("/")
	require.Contains(t, page, "Configuration reloaded")
	require.NotContains(t, page, "Configuration refused")
	running.stop()
	require.Empty(t, p.Violations())
}

// TestReload_LetsTheSyncInHandEnd: a second reload comes on top of one that waits.
func TestReload_LetsTheSyncInHandEnd(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	l := p.leash(t)
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	old := l.process()
	reached, release := p.fullstory.hold(2)
	inHand := p.fullSync(t, "workforce")
	<-reached
	p.also(t, "call-timeout: 5m")
	require.Equal(t, changes{host.ReloadChanged: {"fullstory", "workforce"}}, running.reloads())
	between := l.process()
	p.also(t, "idle-timeout: 7m")
	crm := startApp(t, scimsandbox.Options{App: "crm", Seed: 4, Accounts: 5})
	rewrite(t, p.config, func(text string) string {
		return replaced("uploads:\n", crm.entry("crm")+"uploads:\n")(replaced("[fullstory, design-tool]", "[fullstory, design-tool, crm]")(text))
	})
	require.Equal(t, changes{host.ReloadAdded: {"crm"}, host.ReloadChanged: {"fullstory", "workforce"}}, running.reloads())
	l.hasEnded(between)
	l.process()
	next := p.fullSync(t, "workforce")
	require.Len(t, running.status().Uploads[0].Syncing, 1, "the sync in hand is still shown")
	require.Empty(t, running.lines(map[string][]string{"msg": {"sync done"}, "task": {inHand}}))
	release()
	require.Equal(t, p.seeded(), p.synced(t, inHand), "by the plugins that it began with")
	l.hasEnded(old)
	require.Equal(t, sorted(append(p.seeded(), crm.seeded("crm")...)), p.synced(t, next))
	require.Zero(t, l.processes())
	running.stop()
	require.Empty(t, p.Violations())
	require.NotContains(t, running.log.String(), `"msg":"sync failed"`)
}

func TestReload_GuardsWhatItTakesFromC1(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	running.stop()
	running = p.serve(t, host.ServeOptions{Listen: listening}, "design-tool")
	running.says("connected to C1")
	rewrite(t, p.config, replaced("[fullstory, design-tool]", "[fullstory]"))
	require.Equal(t, changes{host.ReloadRemoved: {"design-tool"}, host.ReloadChanged: {"workforce"}}, running.reloads())
	running.saysTimes(`"msg":"connected to C1"`, 2) // The upload as it was may take one more task until then.
	require.False(t, p.sync(t).Succeeded, "what the start accepted is not what a reload takes away")
	found, err := running.Review(t.Context(), "workforce", host.Kept{})
	require.NoError(t, err)
	require.Equal(t, "design-tool", found.Reasons[0].Plugin)
	require.Contains(t, found.Reasons[0].Reason, `plugin "design-tool" is no longer in upload "workforce"`)
	_, err = desk{config: p.config, state: p.state}.open(t).Approve(t.Context(), "workforce", found.ID, host.ApproveOptions{})
	require.NoError(t, err)
	require.Equal(t, p.fullstory.seeded("fullstory"), p.synced(t, p.fullSync(t, "workforce")))
	running.stop()
	require.Empty(t, p.Violations())
}

// TestReload_CoalescesAStorm: also over the control socket.
func TestReload_CoalescesAStorm(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	l := p.leash(t)
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	l.process()
	p.also(t, "call-timeout: 5m")
	var storm sync.WaitGroup
	errs := make([]error, 100)
	for i := range errs {
		storm.Go(func() {
			if i%10 == 0 {
				errs[i] = control.Call(t.Context(), p.state, "reload", struct{}{}, &host.Reloaded{})
				return
			}
			_, errs[i] = running.Reload(t.Context())
		})
	}
	storm.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.True(t, p.sync(t).Succeeded)
	require.Equal(t, 1, l.processes(), "it changed once")
	times := len(running.lines(map[string][]string{"msg": {"the configuration is reloaded"}}))
	require.Less(t, times, len(errs))
	running.stop()
	require.Empty(t, p.Violations())
}

// TestReload_GoesOnWithoutItsCaller: a command that is ended while it waits leaves no half of a
// reload behind.
func TestReload_GoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	l := newLeash(t)
	rewrite(t, p.config, l.on)
	calling, end := context.WithCancel(t.Context())
	called := make(chan error, 1)
	go func() { called <- control.Call(calling, p.state, "reload", struct{}{}, &host.Reloaded{}) }()
	l.process()
	end()
	require.Error(t, <-called)
	l.loosen()
	running.says("the configuration is reloaded")
	require.Equal(t, changes{}, running.reloads())
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	require.Zero(t, l.processes())
	running.stop()
	require.Empty(t, p.Violations())
}

func TestReload_NeedsAHostThatServesAFile(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: p.config}, host.Options{StateDir: p.state})
	require.NoError(t, err)
	_, err = h.Reload(t.Context())
	require.ErrorIs(t, err, host.ErrNotServing)
	_, err = desk{config: p.config, state: p.state}.open(t).RequestReload(t.Context())
	require.ErrorIs(t, err, control.ErrNoHost)
	running := p.serve(t, host.ServeOptions{})
	running.says("connected to C1")
	running.stop()
	_, err = running.Reload(t.Context())
	require.ErrorIs(t, err, host.ErrNotServing)
}

// TestReload_BringsBackAnUploadThatC1Refused: a host that was reloaded does not end with its
// last upload, which the next reload can fix.
func TestReload_BringsBackAnUploadThatC1Refused(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	good := contentsOf(t, p.config)
	wrong := p.credentials(t, "refused")
	rewrite(t, p.config, func(text string) string {
		before, _, _ := strings.Cut(text, "client-id:")
		return before + wrong + " }\n"
	})
	running.reloads()
	require.NoError(t, p.DisableClient("refused"))
	p.ExpireTokens("refused")
	require.Equal(t, status.Stopped, running.becomes(func(u status.Upload) bool { return u.State == status.Stopped }).State)
	require.NoError(t, os.WriteFile(p.config, []byte(good), 0o600))
	require.Equal(t, changes{host.ReloadChanged: {"workforce"}}, running.reloads())
	require.True(t, p.sync(t).Succeeded)
	running.becomes(inState(status.Fresh))
	running.stop()
}

func TestReload_FollowsTheLockFile(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	dir := installed(t, "fullstory", "scim")
	rewrite(t, p.config, func(text string) string {
		text = strings.Replace(text, "    path: "+self+"\n", "    app: fullstory\n", 1)
		return strings.Replace(text, "    path: "+self+"\n", "    app: scim\n", 1)
	})
	options := host.Options{PluginDirs: []string{dir}, StateDir: p.state}
	locks := func() {
		t.Helper()
		_, err := lock(t, p.config, host.Options{PluginDirs: []string{dir}}, false)
		require.NoError(t, err)
	}
	locks()
	running := p.tenant.serve(t, p.config, options, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	rewrite(t, p.config, func(text string) string {
		return strings.Replace(strings.Replace(text, "[fullstory, design-tool]", "[fullstory, design-tool, third]", 1), "uploads:\n",
			strings.Replace(p.design.entry("third"), "path: "+self, "app: scim", 1)+"uploads:\n", 1)
	})
	_, err := running.Reload(t.Context())
	require.ErrorContains(t, err, `plugin "third" is not in `)
	require.ErrorContains(t, err, "add it with: baton-host lock --config "+p.config)
	locks()
	require.Equal(t, changes{host.ReloadAdded: {"third"}, host.ReloadChanged: {"workforce"}}, running.reloads())
	require.True(t, p.sync(t).Succeeded)

	script := filepath.Join(dir, "baton-fullstory")
	require.NoError(t, os.WriteFile(script, []byte(contentsOf(t, script)+"\n"), 0o700)) //nolint:gosec // It is to be executed.
	require.Equal(t, changes{}, running.reloads(), "the lock file is as it was")
	locks()
	require.Equal(t, changes{host.ReloadChanged: {"fullstory", "workforce"}}, running.reloads())
	require.True(t, p.sync(t).Succeeded)
	running.stop()
}
