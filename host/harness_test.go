package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/sandbox/built"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
	"github.com/batonhost/baton-host/scim"
	"github.com/batonhost/baton-host/scim/config"
)

// pluginVariable makes this test's binary a plugin when the host starts it.
const pluginVariable = "BATON_HOST_TEST_PLUGIN"

var (
	// self is the binary of every plugin: this test's, built without the race detector.
	self string
	// authority signs for every C1 of this process: what is trusted is read once.
	authority *c1.Authority
)

func TestMain(m *testing.M) {
	started := os.Getenv(plugin.Handshake.MagicCookieKey) != "" || slices.Contains(os.Args, "--debug-plugin")
	if started && os.Getenv(pluginVariable) != "" {
		runPlugin()
		return
	}
	code, err := prepareAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// runPlugin runs the SCIM plugin.
func runPlugin() {
	if address := leashed(leashArgument); address != "" {
		wear(address)
	}
	connector := scim.New("v1.0.0")
	if address := leashed(configureArgument); address != "" {
		unleashed := connector
		connector = func(ctx context.Context, values *config.Scim, options *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
			wear(address)
			return unleashed(ctx, values, options)
		}
	}
	plugin.Run(context.Background(), "baton-scim", "v1.0.0", scim.Schema, connector,
		connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(scim.Describe()), plugin.WithConcurrency(scim.Concurrency))
}

func prepareAndRun(m *testing.M) (code int, err error) {
	if authority, err = c1.NewAuthority(); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "host-test-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if self, err = pluginBinary(dir); err != nil {
		return 0, err
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, authority.CAPEM(), 0o600); err != nil {
		return 0, err
	}
	temporary := filepath.Join(dir, "t")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return 0, err
	}
	// As in the Makefile: ext4 puts each test's files into another part of the disk. Elsewhere
	// there is no such attribute.
	_ = exec.CommandContext(context.Background(), "chattr", "+T", temporary).Run() //nolint:gosec // A directory of this process.
	for name, value := range map[string]string{
		"SSL_CERT_FILE": ca, "BATON_HOST_ID": "host-1", "TMPDIR": temporary, pluginVariable: "1",
		// Built with the race detector, each plugin would sleep a second at its end.
		"GORACE": "atexit_sleep_ms=0",
	} {
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	// These tests wait for processes much more than they work; -parallel on the command
	// line still decides.
	if err := flag.Set("test.parallel", "16"); err != nil {
		return 0, err
	}
	code = m.Run()
	left, err := filepath.Glob(filepath.Join(temporary, "*"))
	if code == 0 && len(left) > 0 {
		return 0, fmt.Errorf("temporary files are left behind: %s", strings.Join(left, ", "))
	}
	return code, err
}

// pluginBinary returns the binary of every plugin: this test's.
func pluginBinary(dir string) (string, error) {
	if !isRaced {
		return os.Executable()
	}
	return filepath.Join(dir, "host.test"), built.Into(context.Background(), dir, ".", "test", "-c", "-vet=off", "-ldflags=-s -w", ".")
}

// patience is how long an event is waited for before a test fails.
const patience = 3 * time.Minute

// app is an app with a SCIM service that may be out of order: while it is down, requests
// behind the first ones that it still lets through are answered 500, or held up.
type app struct {
	url, token string
	groups     bool // it has some
	server     *scimsandbox.Server
	down       atomic.Bool
	passes     atomic.Int64 // requests still let through while it is down
	barrier    atomic.Pointer[barrier]
}

// barrier is what requests wait for.
type barrier struct {
	once             sync.Once
	reached, release chan struct{}
}

// person is someone whom an app that is out of order names.
const person = "ada.lovelace@example.com"

func startApp(t *testing.T, options scimsandbox.Options) *app {
	t.Helper()
	if options.Token == "" {
		options.Token = "tok-" + options.App
	}
	server, err := scimsandbox.New(options)
	require.NoError(t, err)
	a := &app{token: options.Token, groups: options.Groups > 0, server: server}
	listener := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(listener.Close)
	a.url = listener.URL + server.BasePath()
	return a
}

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	if !a.down.Load() || a.passes.Add(-1) >= 0 {
		a.server.ServeHTTP(w, r)
		return
	}
	if barrier := a.barrier.Load(); barrier != nil {
		barrier.once.Do(func() { close(barrier.reached) })
		select {
		case <-barrier.release:
			a.server.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
		return
	}
	http.Error(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500","detail":"no place left for `+person+`"}`, http.StatusInternalServerError)
}

// fail takes the service down behind this many more requests.
func (a *app) fail(after int64) {
	a.passes.Store(after)
	a.down.Store(true)
}

// hold holds requests up behind this many more, until they are released; reached is
// closed when there is one.
func (a *app) hold(after int64) (reached <-chan struct{}, release func()) {
	barrier := &barrier{reached: make(chan struct{}), release: make(chan struct{})}
	a.barrier.Store(barrier)
	a.fail(after)
	return barrier.reached, sync.OnceFunc(func() {
		a.down.Store(false)
		a.barrier.Store(nil)
		close(barrier.release)
	})
}

// keepOnly removes all accounts but the first ones.
func (a *app) keepOnly(t *testing.T, n int) {
	t.Helper()
	for _, account := range a.server.Accounts()[n:] {
		require.NoError(t, a.server.Remove(account.ID))
	}
}

// entry returns the app's plugin in a configuration, with more lines of its entry, which are
// indented by four spaces.
func (a *app) entry(name string, more ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "  %s:\n    path: %s\n    env: [%s, GORACE, GOGC]\n", name, self, pluginVariable)
	for _, line := range more {
		fmt.Fprintf(&text, "    %s\n", line)
	}
	fmt.Fprintf(&text, "    config: { scim-display-name: %q, scim-groups: %t, scim-base-url: %q, scim-token: %q }\n", name, a.groups, a.url, a.token)
	return text.String()
}

// configuration writes a configuration file of these entries, each of which is of a
// plugin, and of these lines below `uploads`.
func configuration(t *testing.T, entries []string, uploads ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-host.yaml")
	text := "plugins:\n" + strings.Join(entries, "") + "uploads:\n  " + strings.Join(uploads, "\n  ") + "\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// account is an account in a sync file, as far as a test compares it with its app.
type account struct{ app, resourceType, id, login, email, status string }

// accountsIn returns the accounts of a sync file, sorted by type and id.
func accountsIn(t *testing.T, path string) []account {
	t.Helper()
	var all []account
	require.NoError(t, syncfile.Accounts(t.Context(), path, func(one syncfile.Account) error {
		all = append(all, account{one.App, one.ResourceType, one.ID, one.Login, one.Email, one.Status})
		return nil
	}))
	return sorted(all)
}

func sorted(accounts []account) []account {
	sort.Slice(accounts, func(i, j int) bool {
		return accounts[i].resourceType+"\x00"+accounts[i].id < accounts[j].resourceType+"\x00"+accounts[j].id
	})
	return accounts
}

// seeded returns the accounts that the app has, as the plugin of that name reads them.
func (a *app) seeded(instance string) []account {
	var want []account
	for _, one := range a.server.Accounts() {
		status, email := map[bool]string{true: "enabled", false: "disabled"}[one.Active], ""
		if one.OmitActive { // the service reports it of others
			status = "unspecified"
		}
		switch {
		case len(one.Emails) > 0:
			email = one.Emails[0]
		case strings.Contains(one.UserName, "@"):
			email = one.UserName
		}
		want = append(want, account{instance, instance + ".user", one.ID, one.UserName, email, status})
	}
	return sorted(want)
}

// transcript is a log that is being written.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(p)
}

// Sync does nothing; see zapcore.WriteSyncer.
func (*transcript) Sync() error { return nil }

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wait waits until a text has been logged so many times.
func (s *transcript) wait(ctx context.Context, text string, times int) bool {
	for {
		s.mu.Lock()
		found, changed := strings.Count(s.text.String(), text) >= times, s.changed
		s.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return strings.Count(s.String(), text) >= times
		}
	}
}

// logged returns a context whose log, in JSON as that of the program, is in the transcript.
func logged(ctx context.Context) (context.Context, *transcript) {
	log := &transcript{changed: make(chan struct{})}
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeDuration = zapcore.StringDurationEncoder
	encoder.CallerKey = zapcore.OmitKey // The core looks at who logs; a test does not.
	return ctxzap.ToContext(ctx, zap.New(hostlog.Core(zapcore.NewCore(zapcore.NewJSONEncoder(encoder), log, zap.InfoLevel)), zap.AddCaller())), log
}

// oneShot opens a host over a configuration and syncs once into dir.
func oneShot(t *testing.T, config, dir string, options host.Options) ([]*host.SyncResult, error) {
	t.Helper()
	options.Secrets = host.PluginSecrets
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: config}, options)
	if err != nil {
		return nil, err
	}
	defer h.Close(t.Context())
	return h.Sync(t.Context(), host.SyncOptions{OutputDir: dir})
}

// tenant is C1, in this process.
type tenant struct {
	*c1.Server
	// served is the host that was started last.
	served *atomic.Pointer[hostService]
}

func startC1(t *testing.T, options c1.Options) tenant {
	t.Helper()
	options.Dir = filepath.Join(t.TempDir(), "uploads")
	if options.Authority == nil {
		options.Authority = authority
	}
	server, err := c1.Start(options)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return tenant{server, &atomic.Pointer[hostService]{}}
}

// credentials returns the lines of an upload that is a client of C1 by that name.
func (c tenant) credentials(t *testing.T, name string) string {
	t.Helper()
	client, err := c.AddClient(name)
	require.NoError(t, err)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(client.Secret), 0o600))
	return fmt.Sprintf("client-id: %q, client-secret: \"${file:%s}\"", client.ID, secret)
}

func (c tenant) fullSync(t *testing.T, client string) string {
	t.Helper()
	id, err := c.AddFullSync(client, nil)
	require.NoError(t, err)
	return id
}

// finished waits until a task is done with, and returns how it ended.
func (c tenant) finished(t *testing.T, id string) c1.Outcome {
	t.Helper()
	ctx, cancel := waitFor(t, c.served.Load())
	defer cancel()
	outcome, err := c.WaitFinished(ctx, id)
	require.NoError(t, err, "task %s; what happened: %v", id, c.Events())
	return outcome
}

// synced waits until a full sync is done well and returns the accounts that C1 has.
func (c tenant) synced(t *testing.T, id string) []account {
	t.Helper()
	outcome := c.finished(t, id)
	require.True(t, outcome.Succeeded, "%v", outcome.Status)
	require.NotEmpty(t, outcome.Uploads)
	return accountsIn(t, outcome.Uploads[len(outcome.Uploads)-1].Path)
}

func (c tenant) waitFor(t *testing.T, match func(c1.Event) bool) {
	t.Helper()
	ctx, cancel := waitFor(t, c.served.Load())
	defer cancel()
	_, err := c.WaitFor(ctx, match)
	require.NoError(t, err, "what happened: %v", c.Events())
}

// hostService is a host in service mode, in this process.
type hostService struct {
	*host.Host
	t      *testing.T
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of Serve, once it has ended
	log    *transcript
}

// waitFor returns the context of a wait for what a host does: it ends when the host's
// Serve has ended with an error, which is its cause. The host is nil if there is none.
func waitFor(t *testing.T, running *hostService) (context.Context, context.CancelFunc) {
	t.Helper()
	limited, cancel := context.WithTimeout(t.Context(), patience)
	if running == nil {
		return limited, cancel
	}
	ctx, fail := context.WithCancelCause(limited)
	go func() {
		select {
		case <-running.ended:
			if running.err != nil {
				fail(fmt.Errorf("the host has ended: %w", running.err))
			}
		case <-ctx.Done():
		}
	}()
	return ctx, func() { fail(nil); cancel() }
}

// serve serves a configuration, which can be opened, until the test ends or stops it.
func (c tenant) serve(t *testing.T, config string, options host.Options, serveOptions host.ServeOptions) *hostService {
	t.Helper()
	ctx, log := logged(context.WithoutCancel(t.Context()))
	ctx, cancel := context.WithCancel(ctx)
	s := &hostService{t: t, cancel: cancel, ended: make(chan struct{}), log: log}
	c.served.Store(s)
	if serveOptions.Grace == 0 {
		serveOptions.Grace = 30 * time.Second
	}
	var err error
	s.Host, err = host.Open(ctx, host.Selection{ConfigFile: config}, options)
	require.NoError(t, err)
	go func() {
		defer close(s.ended)
		s.err = s.Serve(ctx, serveOptions)
		s.Close(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-s.ended
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return s
}

// says waits until the log has a text.
func (s *hostService) says(text string) {
	s.t.Helper()
	s.saysTimes(text, 1)
}

// saysTimes waits until the log has a text so many times.
func (s *hostService) saysTimes(text string, n int) {
	s.t.Helper()
	ctx, cancel := waitFor(s.t, s)
	defer cancel()
	require.True(s.t, s.log.wait(ctx, text, n), "it must log %q; times: %d; %v", text, n, context.Cause(ctx))
}

// ends waits until Serve has returned, and returns its error.
func (s *hostService) ends() error {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		require.Fail(s.t, "it does not end")
	}
	return s.err
}

// stop stops the service as a signal does.
func (s *hostService) stop() {
	s.t.Helper()
	s.cancel()
	require.NoError(s.t, s.ends(), "a stop is no failure")
}

// requireOnly checks what is in a state directory.
func requireOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, entry := range entries {
		// The history may be being written at this moment.
		if name := entry.Name(); name != ".lock" && name != "history.json" && name != "history.json.new" {
			got = append(got, entry.Name())
		}
	}
	require.Equal(t, names, got)
}

// asOf returns when the record of a baseline has the plugin's app read completely, newest
// sync first.
func asOf(t *testing.T, path, instance string) string {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	require.NoError(t, err)
	var record struct {
		Syncs map[string]struct {
			StartedAt string `json:"started_at"`
			Plugins   map[string]struct {
				AsOf string `json:"as_of"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(data, &record))
	var newest, of string
	for _, one := range record.Syncs {
		if one.StartedAt > newest {
			newest, of = one.StartedAt, one.Plugins[instance].AsOf
		}
	}
	require.NotEmpty(t, of)
	return of
}

// makeOld makes everything that a record knows older.
func makeOld(t *testing.T, path string, by time.Duration) {
	t.Helper()
	data, err := os.ReadFile(path + ".json")
	require.NoError(t, err)
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		for _, key := range []string{`"as_of": "`, `"at": "`} {
			if before, rest, ok := strings.Cut(line, key); ok {
				written, behind, _ := strings.Cut(rest, `"`)
				at, err := time.Parse(time.RFC3339Nano, written)
				require.NoError(t, err)
				lines[i] = before + key + at.Add(-by).Format(time.RFC3339Nano) + `"` + behind
			}
		}
	}
	require.NoError(t, os.WriteFile(path+".json", []byte(strings.Join(lines, "\n")), 0o600))
}
