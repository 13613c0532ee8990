package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/status/page"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

const (
	workforce = "workforce"
	fullstory = "fullstory"
)

func newBoard() *status.Board {
	b := status.New(status.Options{Version: "v1.2.3", SDKVersion: "v0.25.0", HostID: "host-1", Uploads: []status.Served{
		{Name: workforce, Plugins: []string{fullstory, "wiki"}, MaxStale: time.Hour, Addresses: map[string]string{fullstory: "api.fullstory.com:443"}},
		{Name: "others", Plugins: []string{"wiki"}, MaxStale: time.Hour},
	}})
	b.PluginChanged(fullstory, "ready", 0, &pluginv1.Manifest{Name: "baton-fullstory", DisplayName: "Fullstory", Version: "v1.0.0"}, nil)
	b.Report(status.Event{Upload: workforce, Kind: status.Connected})
	b.Report(status.Event{Upload: "others", Kind: status.Connected})
	return b
}

func begun(b *status.Board) {
	b.Report(status.Event{Upload: workforce, Kind: status.TaskBegun, Task: "sync_full", ID: "task-1", Whole: true})
}

func ended(b *status.Board, err error) {
	b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: "sync_full", ID: "task-1", Whole: true, Err: err})
}

// synced has a sync go well; behind is how old the second plugin's part is.
func synced(b *status.Board, upload1 string, first, second int, behind time.Duration) {
	now := time.Now()
	result := &syncrun.Result{Whole: true, Sync: baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{
		fullstory: {AsOf: now, Accounts: first}, "wiki": {AsOf: now.Add(-behind), Accounts: second},
	}}}
	if behind > 0 {
		result.Stale = []aggregate.Stale{{Instance: "wiki", AsOf: now.Add(-behind), Accounts: second, Err: errors.New("answered 502")}}
	}
	b.Report(status.Event{Upload: upload1, Kind: status.Uploaded, ID: "task-1", Whole: true, Result: result, Bytes: 48_211, Took: 3 * time.Second})
}

func get(t *testing.T, source page.Source, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	page.Handler(source).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

var spaces = regexp.MustCompile(`\s+`)

// shown is what a reader of the page sees, and its title.
func shown(t *testing.T, source page.Source) (text, title string) {
	t.Helper()
	answer := get(t, source, "/")
	require.Equal(t, http.StatusOK, answer.Code)
	root, err := html.Parse(answer.Body)
	require.NoError(t, err)
	var words strings.Builder
	for node := range root.Descendants() {
		switch {
		case node.Type == html.ElementNode && node.Data == "title" && node.Parent.Data == "head":
			title = node.FirstChild.Data
		case node.Type == html.TextNode:
			words.WriteString(node.Data + " ")
		}
	}
	return spaces.ReplaceAllString(words.String(), " "), title
}

func TestPage_ShowsTheBoard(t *testing.T) {
	t.Parallel()
	guard := &syncrun.GuardError{Instance: fullstory, ResourceType: "fullstory.user", Measure: syncrun.Accounts, Before: 40, Now: 3, Since: time.Now()}
	for name, c := range map[string]struct {
		happens func(b *status.Board)
		title   string
		want    []string
	}{
		"nothing has happened": {
			func(*status.Board) {},
			"Waiting for the first sync – baton-host",
			[]string{"2 uploads, 2 plugins workforce No sync yet C1", "C1 has asked for no sync yet.", "No sync yet", "None since the host was started."},
		},
		"everything is well": {
			func(b *status.Board) {
				synced(b, workforce, 1040, 25, 0)
				synced(b, "others", 0, 25, 0)
			},
			"Everything is fresh – baton-host",
			[]string{"C1 has 1,065 accounts, as of just now.", "Fullstory, api.fullstory.com:443", "1,040", "48 kB", "3.0 s", "1,200 0 ", "Accounts of the last sync", "Fresh", "baton-fullstory v1.0.0", "baton-host v1.2.3"},
		},
		"one of two has not begun": {
			func(b *status.Board) { synced(b, workforce, 1, 0, 0) },
			"others has no sync yet – baton-host",
			[]string{"C1 has 1 account, as of just now.", "1 account "},
		},
		"a sync is under way": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				synced(b, "others", 0, 25, 0)
				begun(b)
				watch := b.Sync(workforce, "task-1")
				watch.Listed(aggregate.Page{Instance: fullstory, Accounts: true, Rows: 10})
				watch.Retrying(aggregate.Retry{Instance: "wiki", Wait: 12 * time.Second, Err: errors.New("answered 429")})
			},
			"Syncing – wiki is being retried – baton-host",
			[]string{"Syncing now: workforce", "wiki Fresh Retrying", "Reading the apps for a moment", "10 of about 40 accounts, 1 page", "nothing read yet", "Trying again after 12s: the answer was 429 Too Many Requests: its rate limit is reached."},
		},
		"a plugin is answered for": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 3*time.Hour)
				synced(b, "others", 0, 25, 0)
			},
			"workforce is stale – baton-host",
			[]string{"C1 has 65 accounts, but those of wiki are from 3 hours ago.", "That is older than max-stale allows since ", "the next sync that cannot read the app fails. What to do", "The answer was 502 Bad Gateway: what answers, or a proxy before it, is out of order.", "dashed: in part from the baseline"},
		},
		"H3: resources were skipped": {
			func(b *status.Board) {
				now := time.Now()
				b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: "task-1", Whole: true, Bytes: 48_211, Took: 3 * time.Second, Result: &syncrun.Result{
					Whole: true, Sync: baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{fullstory: {AsOf: now, Accounts: 40}, "wiki": {AsOf: now, Accounts: 25, Skipped: 2}}},
				}})
				synced(b, "others", 0, 25, 0)
				begun(b)
				watch := b.Sync(workforce, "task-1")
				watch.Listed(aggregate.Page{Instance: "wiki", Grants: true, Rows: 10})
				watch.Skipped(aggregate.Skipped{Instance: "wiki", ResourceTypeID: "wiki.group", ResourceID: "board", Err: errors.New("404")})
			},
			"Syncing – workforce is incomplete – baton-host",
			[]string{
				"C1 has 65 accounts, as of just now.", "It lacks entitlements or grants of 2 resources that were not found any more; the host's log names them.",
				"wiki Incomplete", "0 of about 25 accounts, 10 grants, 1 page, 1 resource skipped", "It lacks entitlements or grants of 2 resources.",
			},
		},
		"lists are unproven": {
			func(b *status.Board) {
				now := time.Now()
				graded := func(grade baseline.Grade, reason string) []baseline.Evidence {
					return []baseline.Evidence{{ResourceType: "user", Grade: grade, Reason: reason}}
				}
				b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: "task-1", Whole: true, Bytes: 48_211, Took: 3 * time.Second, Result: &syncrun.Result{
					Whole: true, Sync: baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{
						fullstory: {AsOf: now, Accounts: 40, Evidence: graded(baseline.Proven, "")},
						"wiki":    {AsOf: now, Accounts: 100, Evidence: graded(baseline.Unproven, "the list ends at 100")},
					}},
				}})
				synced(b, "others", 0, 25, 0)
			},
			"Everything is fresh – baton-host",
			[]string{
				"C1 has 140 accounts, as of just now.", "just now", "Fresh evidence unproven 140", "Fresh evidence proven", "wiki Fresh evidence unproven",
				"Nothing proves that its lists are complete: the list ends at 100.", "evidence not reported",
			},
		},
		"a sync failed": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				begun(b)
				ended(b, guard)
			},
			"workforce failed – baton-host",
			[]string{"The last sync failed just now because of fullstory. C1 still has 65 accounts, as of just now.", `Plugin "fullstory" lists 3 accounts of type "fullstory.user", but 40 in the baseline`, "--accept-deletions fullstory.", "Accounts of the last 2 syncs, since ", "; 1 failed", "workforce: change guard", "task-1"},
		},
		"a host is started again after a sync that failed": {
			func(b *status.Board) {
				b.Recall(map[string][]status.Sync{workforce: {
					{At: time.Now().Add(-3 * time.Hour), State: status.Fresh, Accounts: 65},
					{At: time.Now().Add(-2 * time.Hour), State: status.Failed, Why: "it was out of order", FailedPlugins: map[string]string{"wiki": "it was out of order"}},
				}})
				b.Remember(workforce, baseline.Sync{StartedAt: time.Now().Add(-3 * time.Hour), Plugins: map[string]baseline.Part{
					fullstory: {AsOf: time.Now().Add(-3 * time.Hour), Accounts: 40}, "wiki": {AsOf: time.Now().Add(-3 * time.Hour), Accounts: 25},
				}})
			},
			"workforce failed – baton-host",
			[]string{"The last sync failed 2 hours ago because of wiki. C1 still has 65 accounts, as of 3 hours ago. It was out of order. What to do"},
		},
		"the first sync is under way": {
			begun,
			"The first sync is under way – baton-host",
			[]string{"workforce Syncing The first sync is under way. C1 has no sync of this upload.", "Fullstory, api.fullstory.com:443 First sync", "wiki First sync"},
		},
		"a plugin has joined": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				synced(b, "others", 0, 25, 0)
				b.Serve([]status.Served{{Name: workforce, Plugins: []string{fullstory, "wiki", "notes"}}})
			},
			"workforce is incomplete – baton-host",
			[]string{`Plugin "notes": C1 has nothing of it yet: it joins with the next sync.`, "notes No sync yet"},
		},
		"a plugin has joined, and another skipped resources": {
			func(b *status.Board) {
				now := time.Now()
				b.Report(status.Event{Upload: workforce, Kind: status.Uploaded, ID: "task-1", Whole: true, Took: 3 * time.Second, Result: &syncrun.Result{
					Whole: true, Sync: baseline.Sync{StartedAt: now, Plugins: map[string]baseline.Part{fullstory: {AsOf: now, Accounts: 40, Skipped: 1}}},
				}})
				synced(b, "others", 0, 25, 0)
			},
			"workforce is incomplete – baton-host",
			[]string{`Plugin "wiki": C1 has nothing of it yet: it joins with the next sync; plugin "fullstory": it lacks entitlements or grants of 1 resource`},
		},
		"no sync has ever gone well": {
			func(b *status.Board) {
				for range 2 {
					begun(b)
					ended(b, guard)
				}
			},
			"workforce failed – baton-host",
			[]string{"Syncs have failed for a moment because of fullstory. C1 has no sync of this upload.", "Accounts of the last 2 syncs, since ", "; 2 failed"},
		},
		"the credentials are refused": {
			func(b *status.Board) { b.Ended(workforce, errors.New("answered 401")) },
			"workforce is stopped – baton-host",
			[]string{"This upload is not served any more. C1 has no sync of this upload.", "The answer was 401 Unauthorized: the credentials are refused."},
		},
		"C1 is away": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				for _, name := range []string{workforce, "others"} {
					b.Report(status.Event{Upload: name, Kind: status.Disconnected, Err: errors.New("connection refused")})
				}
			},
			"No connection to C1 – baton-host",
			[]string{"No connection to C1 for a moment: the connection is refused. What to do", "No answer"},
		},
		"a plugin does not run": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				synced(b, "others", 0, 25, 0)
				b.PluginChanged(fullstory, "failed", 5, nil, &supervise.FailedError{
					Instance: fullstory, Ends: 6, Window: 10 * time.Minute, Last: &supervise.ExitError{Instance: fullstory, State: "exit status 2"},
				})
			},
			"fullstory is not running – baton-host",
			[]string{`Plugin "fullstory" has failed: it ended 6 times within 10m0s`, "or sends it SIGUSR1; the last time: the process of plugin"},
		},
		"a plugin is in no sandbox": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				synced(b, "others", 0, 25, 0)
				b.Sandboxed(fullstory, sandbox.State{Mode: sandbox.On, Detail: "Landlock 7, seccomp"})
				b.Sandboxed("wiki", sandbox.State{Mode: sandbox.Off, Exposes: true})
			},
			"Everything is fresh – baton-host",
			[]string{
				"Running for a moment, in a sandbox", "for a moment, in no sandbox",
				`Plugin "wiki" is in no sandbox that keeps it from the secrets of this host and of all plugins; set sandbox: on where the kernel has Landlock, or use another host for what must not be read. baton-host v1.2.3`,
			},
		},
		"credentials end": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				synced(b, "others", 0, 25, 0)
				day := 24 * time.Hour
				b.Credentials(fullstory, "", []secret.Credential{
					{Reference: "${file:soon}", Expires: time.Now().Add(3*day + time.Minute)},
					{Field: "scim-token", Expires: time.Now().Add(-2 * day)},
					{Reference: "${file:later}", Expires: time.Now().Add(90 * day)},
					{Reference: "${file:hourly}", Issued: time.Now().Add(-2 * time.Hour), Read: time.Now().Add(-110 * time.Minute), Expires: time.Now().Add(-time.Hour)},
					{Reference: "${env:UNKNOWN}"},
				})
				b.Credentials("", "others", []secret.Credential{{Reference: "${vault:kv/<c1>#secret}", Problem: "the store does not answer"}})
			},
			"Check the credentials of others and fullstory – baton-host",
			[]string{
				"Expires soon ${file:soon} expires 3 days from now", "Expired scim-token expired 2 days ago", "${file:later} expires 2 months from now",
				"${file:hourly} was good until 1 hour ago",
				"Not renewed ${vault:kv/<c1>#secret} The store does not answer. What to do",
			},
		},
		"a sync under way goes on without a plugin": {
			func(b *status.Board) {
				synced(b, workforce, 40, 1, 0)
				synced(b, "others", 0, 25, 0)
				begun(b)
				watch := b.Sync(workforce, "task-1")
				watch.Listed(aggregate.Page{Instance: "wiki", Accounts: true})
				watch.FellBack(aggregate.Fallback{Instance: fullstory, Err: errors.New("answered 502")})
			},
			"Syncing – fullstory cannot be read – baton-host",
			[]string{
				"2 uploads, 2 plugins, 66 accounts. Syncing now: workforce", "Fresh Falling back", "0 of about 1 account, 1 page",
				"From its part of the baseline: the answer was 502 Bad Gateway",
			},
		},
		"a plugin refuses its configuration": {
			func(b *status.Board) {
				synced(b, workforce, 40, 25, 0)
				synced(b, "others", 0, 25, 0)
				b.PluginChanged(fullstory, "refusing", 0, nil, errors.New("answered 401"))
			},
			"fullstory refuses its configuration – baton-host",
			[]string{"fullstory: process The answer was 401 Unauthorized: the credentials are refused. What to do", "Refusing"},
		},
		"there is a history and no baseline": {
			func(b *status.Board) {
				b.Recall(map[string][]status.Sync{workforce: {
					{At: time.Now().Add(-3 * time.Hour), State: status.Fresh, Accounts: 1_234_567},
					{At: time.Now().Add(-2 * time.Hour), State: status.Incomplete, Accounts: 1_300_000, Missing: []string{"wiki"}},
				}})
				begun(b)
			},
			"A sync is under way – baton-host",
			[]string{"A sync is under way. There is no baseline, so what C1 has is not known.", "1.5M 0 ", "; outlined: incomplete"},
		},
		"C1 has asked for no sync for too long": {
			func(b *status.Board) {
				then := time.Now().Add(-2 * time.Hour)
				b.Remember(workforce, baseline.Sync{StartedAt: then, Plugins: map[string]baseline.Part{fullstory: {AsOf: then, Accounts: 40}, "wiki": {AsOf: then, Accounts: 25}}})
			},
			"workforce is stale – baton-host",
			[]string{"C1 has 65 accounts, as of 2 hours ago. C1 has asked for no sync for longer than max-stale (1h0m0s).", "wiki Stale"},
		},
		"the host is stopping": {
			func(b *status.Board) { b.Stopping() },
			"The host is stopping – baton-host", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			c.happens(b)
			text, title := shown(t, b)
			require.Equal(t, c.title, title)
			for _, words := range c.want {
				require.Contains(t, text, words)
			}
			require.NotRegexp(t, `\b1 (accounts|pages|uploads|plugins|syncs|resources)\b|: [A-Z][a-z]+ answer `, text)
			require.NotContains(t, text, "UNKNOWN", "a credential of which nothing is known")
		})
	}
}

// TestPage_LeadsToTheRunbook holds that what is wrong leads to its own entry.
func TestPage_LeadsToTheRunbook(t *testing.T) {
	t.Parallel()
	refused := errors.New("answered 401")
	guard := &syncrun.GuardError{Instance: fullstory, ResourceType: "fullstory.user", Measure: syncrun.Accounts, Before: 40, Now: 3, Since: time.Now()}
	for name, c := range map[string]struct {
		happens func(b *status.Board)
		want    []string
	}{
		"nothing is wrong": {func(b *status.Board) { synced(b, workforce, 40, 25, 0) }, nil},
		"a sync failed": {
			func(b *status.Board) { begun(b); ended(b, errors.New("something broke")) },
			[]string{"upload-failed", "upload-failed"},
		},
		"an app was away": {
			func(b *status.Board) { begun(b); ended(b, errors.New("answered 502")) },
			[]string{"upload-failed", "the-app-cannot-be-reached"},
		},
		"the change guard refused a sync": {
			func(b *status.Board) { begun(b); ended(b, guard) },
			[]string{"change-guard", "change-guard"},
		},
		"a plugin falls back": {
			func(b *status.Board) {
				b.Sync(workforce, "task-1").FellBack(aggregate.Fallback{Instance: fullstory, Err: errors.New("answered 502")})
			},
			[]string{"upload-stale"},
		},
		"another task failed": {
			func(b *status.Board) {
				b.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Task: "grant", ID: "task-2", Err: refused})
			},
			[]string{"tasks"},
		},
		"an upload is stopped": {func(b *status.Board) { b.Ended(workforce, refused) }, []string{"upload-stopped"}},
		"C1 is away": {
			func(b *status.Board) {
				b.Report(status.Event{Upload: workforce, Kind: status.Disconnected, Err: refused})
			},
			[]string{"c1-cannot-be-reached", "c1-cannot-be-reached"},
		},
		"a plugin refuses its configuration": {
			func(b *status.Board) { b.PluginChanged(fullstory, "refusing", 0, nil, refused) },
			[]string{"plugin-refusing", "plugin-refusing"},
		},
		"a plugin ended, and runs again": {
			func(b *status.Board) {
				b.PluginChanged(fullstory, "starting", 1, nil, refused)
				b.PluginChanged(fullstory, "ready", 1, nil, nil)
			},
			[]string{"a-plugin-ends-or-hangs"},
		},
		"a credential expires soon": {
			func(b *status.Board) {
				b.Credentials(fullstory, "", []secret.Credential{{Field: "scim-token", Expires: time.Now().Add(time.Hour)}})
			},
			[]string{"expiring-credentials"},
		},
		"a configuration is refused": {func(b *status.Board) { b.Reloaded(refused) }, []string{"reload"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			c.happens(b)
			var links []string
			for _, match := range regexp.MustCompile(`docs/runbook\.md#([a-z0-9-]+)`).FindAllStringSubmatch(get(t, b, "/").Body.String(), -1) {
				links = append(links, match[1])
			}
			require.Equal(t, c.want, links)
		})
	}
}

// TestPage_EscapesPluginNames has a plugin call itself by what would be
// markup.
func TestPage_EscapesPluginNames(t *testing.T) {
	t.Parallel()
	b := newBoard()
	b.Name(fullstory, `<script>alert(1)</script>`)
	body := get(t, b, "/").Body.String()
	require.NotContains(t, body, "<script>alert")
	require.Contains(t, body, "&lt;script&gt;alert(1)")
}

// TestPage_LoadsNothingFromElsewhere holds that every address on it is its own,
// and that no style or script stands in it, which its policy would forbid.
func TestPage_LoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	b := newBoard()
	synced(b, workforce, 40, 25, 3*time.Hour)
	root, err := html.Parse(get(t, b, "/").Body)
	require.NoError(t, err)
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		require.NotEqual(t, "style", node.Data)
		for _, attribute := range node.Attr {
			require.NotEqual(t, "style", attribute.Key, "of %s", node.Data)
			require.False(t, strings.HasPrefix(attribute.Key, "on"), attribute.Key)
			if attribute.Key != "src" && attribute.Key != "href" {
				continue
			}
			if node.Data == "a" && strings.HasPrefix(attribute.Val, "https://github.com/batonhost/baton-host/blob/main/docs/runbook.md#") {
				continue // It is opened by who clicks on it.
			}
			require.Regexp(t, `^/[a-z.]+$`, attribute.Val)
			if attribute.Val != "/metrics" { // It is the board's.
				require.Equal(t, http.StatusOK, get(t, b, attribute.Val).Code, attribute.Val)
			}
		}
		if node.Data == "script" {
			require.Nil(t, node.FirstChild)
		}
	}
	for _, path := range []string{"/style.css", "/live.js"} {
		require.NotRegexp(t, `https?:|//[a-z]|@import|url\(`, get(t, b, path).Body.String(), path)
	}
}

func TestPage_ServesNothingElse(t *testing.T) {
	t.Parallel()
	b := newBoard()
	require.Equal(t, http.StatusNotFound, get(t, b, "/favicon.ico").Code)
	require.Equal(t, http.StatusNotFound, get(t, b, "/assets/").Code)
	answer := httptest.NewRecorder()
	page.Handler(b).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, answer.Code)
}

func TestPage_GivesProgramsTheSameAsJSON(t *testing.T) {
	t.Parallel()
	b := newBoard()
	synced(b, workforce, 40, 25, 3*time.Hour)
	answer := get(t, b, "/status.json")
	require.Equal(t, "application/json", answer.Header().Get("Content-Type"))
	var got status.Snapshot
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &got))
	want := b.Snapshot()
	require.Equal(t, status.Stale, got.Uploads[0].State)
	require.Equal(t, want.Uploads[0].Last.ByPlugin, got.Uploads[0].Last.ByPlugin)
	require.Equal(t, "host-1", got.Host.ID)
}

// stream reads the page's updates.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
}

func listen(t *testing.T, url string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // Its context ends.
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	return &stream{t: t, lines: bufio.NewScanner(response.Body)}
}

// next is the title of the next update.
func (s *stream) next() string {
	s.t.Helper()
	title := ""
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			return title
		}
		text, ok := strings.CutPrefix(line, "data: ")
		require.True(s.t, ok, line)
		if found := regexp.MustCompile(`<title>(.*)</title>`).FindStringSubmatch(text); title == "" && found != nil {
			title = found[1]
		}
	}
	require.NoError(s.t, s.lines.Err())
	require.Fail(s.t, "the stream has ended")
	return ""
}

func TestPage_IsSentAgainAfterAChange(t *testing.T) {
	t.Parallel()
	b := newBoard()
	server := httptest.NewServer(page.Handler(b))
	t.Cleanup(server.Close)
	updates := listen(t, server.URL)
	require.Equal(t, "Waiting for the first sync – baton-host", updates.next())
	begun(b)
	require.Equal(t, "The first sync is under way – baton-host", updates.next())
	// What happens in quick succession is one update.
	ended(b, nil)
	synced(b, workforce, 40, 25, 0)
	synced(b, "others", 0, 25, 0)
	require.Equal(t, "Everything is fresh – baton-host", updates.next())
	require.Equal(t, "Everything is fresh – baton-host", updates.next(), "times that pass are shown too")
}

func TestPage_BoundsTheOpenStreams(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(page.Handler(newBoard()))
	t.Cleanup(server.Close)
	for range 64 {
		listen(t, server.URL)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
}
