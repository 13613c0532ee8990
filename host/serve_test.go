package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestServeServesSeveralUploadsOverTheSamePlugins(t *testing.T) {
	t.Parallel()
	c := newCompanies(t)
	running := c.serve(t, c.config, host.Options{StateDir: c.state}, host.ServeOptions{})
	first, second := c.fullSync(t, "workforce"), c.fullSync(t, "contractors")
	require.Equal(t, sorted(append(c.fullstory.seeded("fullstory"), c.design.seeded("design-tool")...)), c.synced(t, first))
	require.Equal(t, sorted(append(c.design.seeded("design-tool"), c.wiki.seeded("wiki")...)), c.synced(t, second))
	require.Len(t, c.Uploads("workforce"), 1)
	require.Len(t, c.Uploads("contractors"), 1)
	require.Equal(t, "host-1", c.Uploads("workforce")[0].HostID)

	// And again, over the same processes.
	require.NoError(t, c.design.server.Remove(c.design.server.Accounts()[0].ID))
	require.Len(t, c.synced(t, c.fullSync(t, "workforce")), 64)
	running.stop()
	requireOnly(t, c.state, "contractors.c1z", "contractors.c1z.json", "workforce.c1z", "workforce.c1z.json")
	require.Empty(t, c.Violations())
	secrets := []string{c.fullstory.token, c.design.token, c.wiki.token}
	text, err := os.ReadFile(c.config)
	require.NoError(t, err)
	for _, file := range regexp.MustCompile(`\$\{file:(.*?)\}`).FindAllSubmatch(text, -1) {
		secret, err := os.ReadFile(string(file[1]))
		require.NoError(t, err)
		secrets = append(secrets, string(secret))
	}
	require.Len(t, secrets, 5)
	for _, secret := range secrets {
		require.NotContains(t, running.log.String(), secret)
	}
}

func TestServeDoesTasksThatAreNoFullSync(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{})
	running := s.serve(t, host.ServeOptions{})
	add := func(task *v1.Task) string {
		id, err := s.AddTask("workforce", task)
		require.NoError(t, err)
		return id
	}
	hello := add(v1.Task_builder{Hello: &v1.Task_HelloTask{}}.Build())
	s.waitFor(t, func(e c1.Event) bool { return e.Kind == c1.Hello && e.TaskID == hello })
	unsupported := s.finished(t, add(v1.Task_builder{CompactSyncs: &v1.Task_CompactSyncs{}}.Build()))
	require.False(t, unsupported.Succeeded)
	require.Contains(t, unsupported.Status.GetMessage(), "unsupported task type")
	schemas := s.finished(t, add(v1.Task_builder{ActionListSchemas: &v1.Task_ActionListSchemasTask{}}.Build()))
	require.True(t, schemas.Succeeded, "%v", schemas.Status)
	var answer connectorv2.ListActionSchemasResponse
	require.NoError(t, schemas.Response.UnmarshalTo(&answer))
	require.Empty(t, answer.GetSchemas())
	running.stop()
	require.Empty(t, s.Violations())
}

func TestServe_LogsATaskThatFailsAsFailed(t *testing.T) {
	t.Parallel()
	userID := connectorv2.ResourceId_builder{ResourceType: "fullstory.user", Resource: "u"}.Build()
	user := connectorv2.Resource_builder{Id: userID}.Build()
	lost := c1.Fault{Call: c1.FinishTaskCall, Times: 1, Code: codes.Unavailable, Message: "down"}
	for name, c := range map[string]struct {
		task  *v1.Task
		want  string
		retry bool // C1 may try it again
		fault *c1.Fault
	}{
		"no such task":             {task: v1.Task_builder{CompactSyncs: &v1.Task_CompactSyncs{}}.Build(), want: "unsupported task type", retry: true},
		"a grant without a person": {task: v1.Task_builder{Grant: &v1.Task_GrantTask{}}.Build(), want: "malformed grant task"},
		"a grant without a person, which C1 does not hear of at first": {
			task: v1.Task_builder{Grant: &v1.Task_GrantTask{}}.Build(), want: "malformed grant task", fault: &lost,
		},
		"an account without a profile": {task: v1.Task_builder{CreateAccount: &v1.Task_CreateAccountTask{}}.Build(), want: "malformed create account task"},
		"a deletion of nothing":        {task: v1.Task_builder{DeleteResource: &v1.Task_DeleteResourceTask{}}.Build(), want: "malformed delete resource task"},
		"an action without a name":     {task: v1.Task_builder{ActionGetSchema: &v1.Task_ActionGetSchemaTask{}}.Build(), want: "action name required", retry: true},
		"what the plugin refuses": {
			task: v1.Task_builder{DeleteResource: v1.Task_DeleteResourceTask_builder{ResourceId: userID}.Build()}.Build(),
			want: `plugin "fullstory"`,
		},
		"a grant that the plugin refuses": {
			task: v1.Task_builder{Grant: v1.Task_GrantTask_builder{
				Principal: user, Entitlement: connectorv2.Entitlement_builder{Id: "e", Resource: user}.Build(),
			}.Build()}.Build(),
			want: `plugin "fullstory"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{}, scimsandbox.Options{})
			running := s.serve(t, host.ServeOptions{})
			if c.fault != nil {
				s.Inject(*c.fault)
			}
			id, err := s.AddTask("workforce", c.task)
			require.NoError(t, err)
			outcome := s.finished(t, id)
			require.False(t, outcome.Succeeded)
			require.Contains(t, outcome.Status.GetMessage(), c.want)
			require.Equal(t, !c.retry, outcome.NonRetryable)
			running.stop()
			require.Empty(t, running.lines(map[string][]string{"msg": {"task done"}}), "it has failed")
			failed := running.lines(map[string][]string{"task": {id}, "level": {"error"}, "msg": {"task failed"}})
			require.NotEmpty(t, failed)
			for _, line := range failed {
				require.Contains(t, line["error"], c.want)
				require.NotContains(t, line["error"], "non-retryable", "the SDK's mark is not for people")
			}
		})
	}
}

// TestServeBeginsAnUploadWhenItsOwnPluginsHaveStarted has plugins of the other upload
// start for as long as the first one takes to be synced.
func TestServeBeginsAnUploadWhenItsOwnPluginsHaveStarted(t *testing.T) {
	t.Parallel()
	for name, slow := range map[string]int{
		"one slow plugin":                        1,
		"more slow plugins than start at a time": max(2, runtime.GOMAXPROCS(0)) + 1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, leash := startC1(t, c1.Options{}), newLeash(t)
			quick := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 12})
			wiki := startApp(t, scimsandbox.Options{App: "wiki", Accounts: 12})
			// The slow ones come first, and are not waited for all the same.
			var entries, names []string
			for i := range slow {
				names = append(names, fmt.Sprintf("wiki-%d", i))
				entries = append(entries, leash.on(wiki.entry(names[i], "start-timeout: 10m")))
			}
			entries = append(entries, quick.entry("fullstory"))
			running := tenant.serve(t, configuration(t, entries,
				"slow: { plugins: ["+strings.Join(names, ", ")+"], "+tenant.credentials(t, "slow")+" }",
				"quick: { plugins: [fullstory], "+tenant.credentials(t, "quick")+" }",
			), host.Options{StateDir: t.TempDir()}, host.ServeOptions{})
			first, second := tenant.fullSync(t, "quick"), tenant.fullSync(t, "slow")
			for range slow {
				leash.process()
			}
			require.Len(t, tenant.synced(t, first), 12)
			waiting := running.lines(map[string][]string{"msg": {"waiting for plugins to start"}, "upload": {"slow"}})
			require.Len(t, waiting, 1)
			require.Len(t, waiting[0]["plugins"], slow)
			for _, name := range names {
				require.Contains(t, waiting[0]["plugins"], name)
			}
			for _, event := range tenant.Events() {
				require.NotEqual(t, "slow", event.Client, "C1 does not hear of an upload before it can be synced: %v", event)
			}
			leash.loosen()
			require.Len(t, tenant.synced(t, second), 12*slow)
			running.stop()
			require.Empty(t, tenant.Violations())
		})
	}
}

func TestServeEndsWithEverythingThatSchemasRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		uploads []string // of the plugins that are refused; %s are their credentials
		served  bool     // another upload, until then
	}{
		"in one upload":                           {[]string{"a: { plugins: [design-tool, wiki], %s }"}, false},
		"in one upload, while another is served":  {[]string{"a: { plugins: [design-tool, wiki], %s }"}, true},
		"in two uploads":                          {[]string{"a: { plugins: [design-tool], %s }", "b: { plugins: [wiki], %s }"}, false},
		"in two uploads, while another is served": {[]string{"a: { plugins: [design-tool], %s }", "b: { plugins: [wiki], %s }"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant, leash := startC1(t, c1.Options{}), newLeash(t)
			good := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 12})
			bad := startApp(t, scimsandbox.Options{App: "bad", Accounts: 12})
			var uploads []string
			for i, upload := range c.uploads {
				uploads = append(uploads, fmt.Sprintf(upload, tenant.credentials(t, fmt.Sprintf("refused-%d", i))))
			}
			if c.served {
				uploads = append(uploads, "served: { plugins: [fullstory], "+tenant.credentials(t, "served")+" }")
			}
			entries := []string{good.entry("fullstory")}
			for _, name := range []string{"design-tool", "wiki"} {
				entry := strings.Replace(bad.entry(name, "start-timeout: 10m"), "scim-base-url: ", "scim-base-ulr: ", 1)
				entries = append(entries, leash.on(entry))
			}
			running := tenant.serve(t, configuration(t, entries, uploads...), host.Options{StateDir: t.TempDir()}, host.ServeOptions{})
			leash.process()
			leash.process()
			if c.served {
				require.Len(t, tenant.synced(t, tenant.fullSync(t, "served")), 12)
			}
			leash.loosen()
			err := running.ends()
			var problems settings.Problems
			require.ErrorAs(t, err, &problems)
			for _, name := range []string{"design-tool", "wiki"} {
				require.ErrorContains(t, err, fmt.Sprintf(`plugin %q needs "scim-base-url"`, name))
			}
			require.Equal(t, 2, strings.Count(err.Error(), `unknown key "scim-base-ulr"; did you mean "scim-base-url"?`), "%v", err)
			require.NotContains(t, err.Error(), "no upload can be served any more")
			require.Empty(t, tenant.Violations())
		})
	}
}

// TestServeSweepsWhatAnEarlierHostLeft: what a host that was killed left behind goes
// before C1 is asked for anything, and what a living process has stays.
func TestServeSweepsWhatAnEarlierHostLeft(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{})
	var found leftovers
	for _, place := range []struct{ dir, prefix string }{
		{s.state, ".baton-host-sync-"}, {s.state, "baton-host-read-"}, {os.TempDir(), "baton-host-run-"},
	} {
		found.leave(t, place.dir, place.prefix)
	}
	trial := filepath.Join(s.state, ".writable")
	require.NoError(t, os.WriteFile(trial, []byte("x"), 0o600))
	running := s.serve(t, host.ServeOptions{})
	running.says("starting")
	found.requireSwept(t)
	require.NoFileExists(t, trial)
	running.stop()
}

// leftovers are directories of processes that live and of some that were killed.
type leftovers struct{ living, dead []string }

// leave makes a directory of this process, one of a process that was killed, and one of a
// process that was killed before it could lock it.
func (l *leftovers) leave(t *testing.T, dir, prefix string) {
	t.Helper()
	one, err := files.Make(dir, prefix)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, one.Remove()) })
	l.living = append(l.living, one.Path())
	const noProcess = 1 << 30 // The kernel gives no such number.
	for _, name := range []string{"*", fmt.Sprintf("*.%d.new", noProcess)} {
		// A copy has a lock file that no process has locked.
		left, err := os.MkdirTemp(dir, prefix+name)
		require.NoError(t, err)
		require.NoError(t, os.CopyFS(left, os.DirFS(one.Path())))
		require.NoError(t, os.WriteFile(filepath.Join(left, "new.c1z"), []byte("half"), 0o600))
		l.dead = append(l.dead, left)
	}
}

func (l *leftovers) requireSwept(t *testing.T) {
	t.Helper()
	for _, path := range l.dead {
		require.NoDirExists(t, path)
	}
	for _, path := range l.living {
		require.DirExists(t, path)
	}
}

func TestServeTakesItsStateDirectoryAlone(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{})
	running := s.serve(t, host.ServeOptions{})
	s.waitFor(t, kind(c1.Polled))
	require.ErrorContains(t, s.serve(t, host.ServeOptions{}).ends(), "the state directory "+s.state+" is in use by another baton-host; give each its own with --state-dir")
	running.stop()
}

func TestServeRefusesWhatCannotBeServed(t *testing.T) {
	t.Parallel()
	file, unwritable := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "ro")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Mkdir(unwritable, 0o500))
	const plugins = "plugins: { fullstory: { config: { scim-base-url: x, scim-token: y } } }\n"
	credentials := startC1(t, c1.Options{}).credentials(t, "a")
	for name, c := range map[string]struct {
		config  string
		upload  string
		options host.Options
		want    string
	}{
		"no uploads":                    {config: plugins, want: "there is nothing to sync: it has no uploads"},
		"uploads without credentials":   {config: plugins + "uploads: { a: { plugins: [fullstory] }, b: { plugins: [fullstory] } }\n", want: `upload "a", "b" has no client-id and client-secret`},
		"an upload with a typing error": {config: plugins + "uploads: { nightly: { plugins: [fullstory] } }\n", upload: "nightli", want: `there is no upload "nightli"; did you mean "nightly"?`},
		"an unknown upload":             {config: plugins + "uploads: { a: { plugins: [fullstory] }, b: { plugins: [fullstory] } }\n", upload: "c", want: `there is no upload "c"; it has a, b`},
		"an unknown plugin accepted":    {config: plugins + "uploads: { a: { plugins: [fullstory], " + credentials + " } }\n", options: host.Options{AcceptDeletions: []string{"other"}}, want: "--accept-deletions other: there is no such plugin"},
		"a plugin of no upload accepted": {
			config:  "plugins: { fullstory: { config: { scim-base-url: x, scim-token: y } }, wiki: { app: scim, config: { scim-base-url: x, scim-token: y } } }\nuploads: { a: { plugins: [fullstory], " + credentials + " } }\n",
			options: host.Options{AcceptDeletions: []string{"wiki"}}, want: "--accept-deletions wiki: there is no such plugin",
		},
		"a state directory that is a file": {config: plugins + "uploads: { a: { plugins: [fullstory], " + credentials + " } }\n", options: host.Options{StateDir: file}, want: "the state directory " + file + " cannot be made"},
		"an unwritable state directory":    {config: plugins + "uploads: { a: { plugins: [fullstory], " + credentials + " } }\n", options: host.Options{StateDir: unwritable}, want: "the state directory " + unwritable + " cannot be written to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.options.StateDir == unwritable && os.Geteuid() == 0 {
				t.Skip("root may write everywhere")
			}
			if c.options.StateDir == "" {
				c.options.StateDir = t.TempDir()
			}
			path := filepath.Join(t.TempDir(), "baton-host.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.config), 0o600))
			h, err := host.Open(t.Context(), host.Selection{ConfigFile: path, Upload: c.upload}, c.options)
			if err == nil {
				err = h.Serve(t.Context(), host.ServeOptions{})
				h.Close(t.Context())
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}
