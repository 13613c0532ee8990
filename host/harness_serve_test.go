package host_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// leash is what a test holds the processes of a plugin by: each waits before it does
// anything until the leash is loose, and ends at once when it is cut.
type leash struct {
	t       *testing.T
	address string
	come    chan net.Conn // processes that the test has not seen, oldest first
	seen    []net.Conn    // which would be cut if they were garbage
	loose   chan struct{}
	loosen  func()
}

// The arguments of this binary before the address of a leash: it waits there when it starts, or
// when it is configured.
const (
	leashArgument     = "leashed-to"
	configureArgument = "configured-by"
)

func newLeash(t *testing.T) *leash {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	l := &leash{t: t, address: listener.Addr().String(), come: make(chan net.Conn, 100), loose: make(chan struct{})}
	l.loosen = sync.OnceFunc(func() { close(l.loose) })
	t.Cleanup(l.loosen)
	go func() {
		for {
			process, err := listener.Accept()
			if err != nil {
				return
			}
			l.come <- process
			go func() {
				<-l.loose
				_, _ = process.Write([]byte{1})
			}()
		}
	}()
	return l
}

// on returns an entry of a configuration whose plugin is on the leash.
func (l *leash) on(entry string) string { return l.from(entry, leashArgument) }

// whenConfigured is on for a plugin that starts by itself, and waits when it is configured.
func (l *leash) whenConfigured(entry string) string { return l.from(entry, configureArgument) }

func (l *leash) from(entry, argument string) string {
	return strings.Replace(entry, "path: "+self, "command: ["+self+", "+argument+", "+l.address+"]", 1)
}

// process waits for the next process of the plugin, the first one first.
func (l *leash) process() net.Conn {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	select {
	case process := <-l.come:
		l.seen = append(l.seen, process)
		return process
	case <-ctx.Done():
		require.Fail(l.t, "no process of the plugin has started")
		return nil
	}
}

// cut ends the next process of the plugin.
func (l *leash) cut() {
	l.t.Helper()
	require.NoError(l.t, l.process().Close())
}

// leashed returns the address of this process's leash; "" if it is on none of that kind.
func leashed(argument string) string {
	if len(os.Args) != 3 || os.Args[1] != argument {
		return ""
	}
	return os.Args[2]
}

// wear returns when the leash is loose, and has this process end when it is cut.
func wear(address string) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		os.Exit(7)
	}
	wait := func() {
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			os.Exit(7)
		}
	}
	wait()
	go wait()
}

// rewrite changes a configuration.
func rewrite(t *testing.T, path string, change func(text string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	changed := change(string(text))
	require.NotEqual(t, string(text), changed)
	require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
}

// fallBack is the line of an upload that falls back.
const fallBack = "on-plugin-failure: last-good"

// pair is a service with one upload, "workforce", of two apps.
type pair struct {
	tenant
	fullstory, design *app
	config, state     string
}

// newPair has more lines in the upload.
func newPair(t *testing.T, options c1.Options, more ...string) *pair {
	t.Helper()
	return newPairOf(t, options, scimsandbox.Options{App: "design-tool", Seed: 2, Accounts: 25, PageCap: 10}, more...)
}

// newPairOf is newPair with another second app.
func newPairOf(t *testing.T, options c1.Options, design scimsandbox.Options, more ...string) *pair {
	t.Helper()
	p := &pair{
		tenant:    startC1(t, options),
		fullstory: startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 40, PageCap: 10}),
		design:    startApp(t, design),
		state:     stateDir(t),
	}
	upload := append([]string{"plugins: [fullstory, design-tool]", p.credentials(t, "workforce")}, more...)
	p.config = configuration(t, []string{p.fullstory.entry("fullstory"), p.design.entry("design-tool")}, "workforce: { "+strings.Join(upload, ", ")+" }")
	return p
}

// stateDir returns a directory whose path is short enough for a socket.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "state-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// also adds a line to the entry of the plugin fullstory.
func (p *pair) also(t *testing.T, line string) {
	t.Helper()
	rewrite(t, p.config, func(text string) string {
		return strings.Replace(text, "  fullstory:\n", "  fullstory:\n    "+line+"\n", 1)
	})
}

// leash puts the plugin fullstory on a leash, which is loose.
func (p *pair) leash(t *testing.T) *leash {
	t.Helper()
	l := newLeash(t)
	l.loosen()
	rewrite(t, p.config, l.on)
	return l
}

// serve has deletions of these plugins accepted. No app is retried.
func (p *pair) serve(t *testing.T, options host.ServeOptions, accept ...string) *hostService {
	t.Helper()
	return p.tenant.serve(t, p.config, host.Options{StateDir: p.state, AcceptDeletions: accept}, options)
}

// sync has C1 ask for a sync and waits for its end.
func (p *pair) sync(t *testing.T) c1.Outcome {
	t.Helper()
	return p.finished(t, p.fullSync(t, "workforce"))
}

// seeded returns the accounts that both apps have.
func (p *pair) seeded() []account {
	return sorted(append(p.fullstory.seeded("fullstory"), p.design.seeded("design-tool")...))
}

// companies is a service with two uploads over three apps, one of which both have.
type companies struct {
	tenant
	fullstory, design, wiki *app
	config, state           string
}

func newCompanies(t *testing.T) *companies {
	t.Helper()
	c := &companies{
		tenant:    startC1(t, c1.Options{}),
		fullstory: startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 40, PageCap: 10}),
		design:    startApp(t, scimsandbox.Options{App: "design-tool", Seed: 2, Accounts: 25}),
		wiki:      startApp(t, scimsandbox.Options{App: "wiki", Seed: 3, Accounts: 15}),
		state:     stateDir(t),
	}
	c.config = configuration(t, []string{c.fullstory.entry("fullstory"), c.design.entry("design-tool"), c.wiki.entry("wiki")},
		"workforce: { plugins: [fullstory, design-tool], "+c.credentials(t, "workforce")+" }",
		"contractors: { plugins: [design-tool, wiki], "+c.credentials(t, "contractors")+" }")
	return c
}

// kind matches the events of a kind.
func kind(k c1.Kind) func(c1.Event) bool { return func(e c1.Event) bool { return e.Kind == k } }

// listening is where a service listens that may choose its port.
const listening = "127.0.0.1:0"

// get asks for a path at the address that the service logs.
func (s *hostService) get(path string) (code int, body string) {
	s.t.Helper()
	s.says(`"msg":"listening"`)
	_, rest, _ := strings.Cut(s.log.String(), `"msg":"listening","address":"`)
	address, _, _ := strings.Cut(rest, `"`)
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(s.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, string(text)
}

// metrics returns the service's metrics.
func (s *hostService) metrics() string {
	s.t.Helper()
	code, body := s.get("/metrics")
	require.Equal(s.t, http.StatusOK, code)
	return body
}

// status returns the service's status in its form for programs.
func (s *hostService) status() status.Snapshot {
	s.t.Helper()
	code, body := s.get("/status.json")
	require.Equal(s.t, http.StatusOK, code)
	var is status.Snapshot
	require.NoError(s.t, json.Unmarshal([]byte(body), &is))
	return is
}

// logLine is a line of the log.
type logLine = map[string]any

// lines returns the lines of the log that have these fields, where each may have one of
// several values.
func (s *hostService) lines(want map[string][]string) []logLine {
	s.t.Helper()
	var found []logLine
	for line := range strings.Lines(s.log.String()) {
		var fields logLine
		require.NoError(s.t, json.Unmarshal([]byte(line), &fields), line)
		fits := true
		for name, values := range want {
			value, _ := fields[name].(string)
			fits = fits && slices.Contains(values, value)
		}
		if fits {
			found = append(found, fields)
		}
	}
	return found
}

// allRows returns the resources, entitlements and grants of a sync file, in full, sorted.
func allRows(t *testing.T, path string) []string {
	t.Helper()
	ctx := t.Context()
	file, err := syncfile.Open(ctx, path, t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close(ctx)) }()
	var all []string
	put := func(what string, row proto.Message) {
		text, err := protojson.Marshal(row)
		require.NoError(t, err)
		var plain any // protojson's spaces differ from run to run.
		require.NoError(t, json.Unmarshal(text, &plain))
		text, err = json.Marshal(plain)
		require.NoError(t, err)
		all = append(all, what+" "+string(text))
	}
	for token, more := "", true; more; more = token != "" {
		page, err := file.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, row := range page.GetList() {
			put("resource", row)
		}
		token = page.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		page, err := file.ListEntitlements(ctx, connectorv2.EntitlementsServiceListEntitlementsRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, row := range page.GetList() {
			put("entitlement", row)
		}
		token = page.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		page, err := file.ListGrants(ctx, connectorv2.GrantsServiceListGrantsRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, row := range page.GetList() {
			put("grant", row)
		}
		token = page.GetNextPageToken()
	}
	slices.Sort(all)
	return all
}
