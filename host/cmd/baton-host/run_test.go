package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// guard is how long an event is waited for before a test fails.
const guard = 3 * time.Minute

// tick is a short while: between looks, and in place of C1's leases.
const tick = 500 * time.Millisecond

// tenant is the sandbox of C1 and what a host needs to reach it.
type tenant struct {
	*c1.Server
	dir string
}

func startC1(t *testing.T, options c1.Options) *tenant {
	t.Helper()
	dir := t.TempDir()
	options.Dir = filepath.Join(dir, "uploads")
	server, err := c1.Start(options)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), server.CAPEM(), 0o600))
	return &tenant{Server: server, dir: dir}
}

// trust has a process trust the sandbox.
func (c *tenant) trust() string { return "SSL_CERT_FILE=" + filepath.Join(c.dir, "ca.pem") }

func (c *tenant) client(t *testing.T, name string) c1.Credentials {
	t.Helper()
	credentials, err := c.AddClient(name)
	require.NoError(t, err)
	return credentials
}

func (c *tenant) fullSync(t *testing.T, client string) string {
	t.Helper()
	id, err := c.AddFullSync(client, nil)
	require.NoError(t, err)
	return id
}

// finished waits until a task is done with, and returns how it ended.
func (c *tenant) finished(t *testing.T, id string) c1.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	outcome, err := c.WaitFinished(ctx, id)
	require.NoError(t, err, "task %s; what happened: %v", id, c.Events())
	return outcome
}

// synced waits until a full sync is done well and returns the accounts that C1 has.
func (c *tenant) synced(t *testing.T, id string) []shownAccount {
	t.Helper()
	outcome := c.finished(t, id)
	require.True(t, outcome.Succeeded, "%v", outcome.Status)
	require.NotEmpty(t, outcome.Uploads)
	return accountsIn(t, outcome.Uploads[len(outcome.Uploads)-1].Path)
}

func (c *tenant) waitFor(t *testing.T, match func(c1.Event) bool) c1.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	event, err := c.WaitFor(ctx, match)
	require.NoError(t, err, "what happened: %v", c.Events())
	return event
}

func kind(k c1.Kind) func(c1.Event) bool { return func(e c1.Event) bool { return e.Kind == k } }

// service is a running `baton-host run`.
type service struct {
	t      *testing.T
	cmd    *exec.Cmd
	ctx    context.Context //nolint:containedctx // Ends when the process has.
	dir    string          // its TMPDIR
	output *transcript
}

// transcript is what a process has written so far.
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

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

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
			return false
		}
	}
}

// startRun starts the service; it is stopped, and must stop well, at the end of
// the test unless the test ends it.
func startRun(t *testing.T, env []string, args ...string) *service {
	t.Helper()
	return startRunIn(t, t.TempDir(), env, args...)
}

// startRunIn is startRun with a directory for temporary files.
func startRunIn(t *testing.T, dir string, env []string, args ...string) *service {
	t.Helper()
	return startService(t, dir, runCommand(t, dir, env, args...))
}

func runCommand(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	return command(context.WithoutCancel(t.Context()), t, append(env, "TMPDIR="+dir), "baton-host", append([]string{"run", "--plugin-dir", bin, "--log-format", "json"}, args...)...)
}

func startService(t *testing.T, dir string, cmd *exec.Cmd) *service {
	t.Helper()
	output := &transcript{changed: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	ctx, ended := context.WithCancel(context.Background())
	go func() {
		_ = cmd.Wait()
		ended()
	}()
	s := &service{t: t, cmd: cmd, ctx: ctx, dir: dir, output: output}
	t.Cleanup(func() {
		if ctx.Err() == nil {
			_ = cmd.Process.Kill()
			<-ctx.Done()
		}
		if t.Failed() {
			t.Logf("baton-host run wrote:\n%s", output)
		}
	})
	return s
}

// says waits until the service has logged something.
func (s *service) says(text string) {
	s.t.Helper()
	s.saysTimes(text, 1)
}

// saysTimes waits until the service has logged something so many times.
func (s *service) saysTimes(text string, n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, guard)
	defer cancel()
	require.True(s.t, s.output.wait(ctx, text, n), "it should log %q; times: %d", text, n)
}

// ends waits for the end of the process and returns its status.
func (s *service) ends() int {
	s.t.Helper()
	select {
	case <-s.ctx.Done():
	case <-time.After(guard):
		require.Fail(s.t, "it does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *service) signal(sig os.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// stop stops the service as a supervisor does, and checks that it leaves nothing.
func (s *service) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	require.Equal(s.t, 0, s.ends(), "a stop is no failure")
	left, err := filepath.Glob(filepath.Join(s.dir, "*"))
	require.NoError(s.t, err)
	require.Empty(s.t, left, "temporary files are left behind")
}

// logEntry is a line of the host's log.
type logEntry struct {
	Level, Msg, Error, Command string
}

// logOf returns the lines on standard error, all of which must be JSON.
func logOf(t *testing.T, stderr string) []logEntry {
	t.Helper()
	var lines []logEntry
	for text := range strings.Lines(stderr) {
		var line logEntry
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		lines = append(lines, line)
	}
	return lines
}

// lastError returns the error in the last line of a log in JSON, with which the command
// ended.
func lastError(t *testing.T, stderr string) string {
	t.Helper()
	lines := logOf(t, stderr)
	require.NotEmpty(t, lines)
	last := lines[len(lines)-1]
	require.Equal(t, "error", last.Level, stderr)
	require.Equal(t, "the command failed", last.Msg, stderr)
	require.NotEmpty(t, last.Error)
	return last.Error
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

// metricsOf reads the metrics of a service, at the address that it logs.
func metricsOf(t *testing.T, host *service) string {
	t.Helper()
	code, body := host.serves("/metrics")
	require.Equal(t, http.StatusOK, code)
	return body
}

// url returns where the service listens, as it logs.
func (s *service) url() string {
	s.t.Helper()
	s.says(`"msg":"listening"`)
	address, _ := listeningAddress(s.output.String())
	return "http://" + address
}

// listeningAddress returns the address that is listened on, which a log has once it is.
func listeningAddress(log string) (address string, isThere bool) {
	_, rest, isThere := strings.Cut(log, `"msg":"listening","address":"`)
	address, _, _ = strings.Cut(rest, `"`)
	return address, isThere
}

// serves asks for a path there.
func (s *service) serves(path string) (code int, body string) {
	s.t.Helper()
	return answerOf(s.t, s.url()+path)
}

// answerOf returns what a URL is answered with.
func answerOf(t *testing.T, url string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// companies returns two uploads over three plugins, one of which both uploads have.
func companies(t *testing.T, tenant *tenant, fullstory, design, wiki app) (config string, env []string) {
	t.Helper()
	workforce, contractors := tenant.client(t, "workforce"), tenant.client(t, "contractors")
	config = writeConfig(t, `
plugins:
  fullstory:
    config: { scim-base-url: "`+fullstory.url+`", scim-token: "${env:FULLSTORY_TOKEN}" }
  design-tool:
    app: scim
    config: { scim-display-name: Design Tool, scim-groups: false, scim-base-url: "`+design.url+`", scim-token: "${env:DESIGN_TOKEN}" }
  wiki:
    app: scim
    config: { scim-display-name: Wiki, scim-groups: false, scim-base-url: "`+wiki.url+`", scim-token: "${env:WIKI_TOKEN}" }
uploads:
  workforce:
    client-id: `+workforce.ID+`
    client-secret: "${env:WORKFORCE_SECRET}"
    plugins: [fullstory, design-tool]
  contractors:
    client-id: `+contractors.ID+`
    client-secret: "${env:CONTRACTORS_SECRET}"
    plugins: [design-tool, wiki]
`)
	return config, []string{
		tenant.trust(), "FULLSTORY_TOKEN=" + fullstory.token, "DESIGN_TOKEN=" + design.token, "WIKI_TOKEN=" + wiki.token,
		"WORKFORCE_SECRET=" + workforce.Secret, "CONTRACTORS_SECRET=" + contractors.Secret, "BATON_HOST_ID=host-1",
	}
}

func TestRunServesSeveralUploadsOverTheSamePlugins(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40, PageCap: 10})
	design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25})
	wiki := startApp(t, scim.Options{App: "wiki", Seed: 3, Accounts: 15})
	config, env := companies(t, tenant, fullstory, design, wiki)
	state := t.TempDir()
	host := startRun(t, env, "--config", config, "--state-dir", state)
	first, second := tenant.fullSync(t, "workforce"), tenant.fullSync(t, "contractors")

	plain := func(accounts []shownAccount) []shownAccount { return sorted(withoutLastLogins(withoutNames(accounts))) }
	wantWorkforce := append(seeded(fullstory, "fullstory", "fullstory.user"), seeded(design, "design-tool", "design-tool.user")...)
	wantContractors := append(seeded(design, "design-tool", "design-tool.user"), seeded(wiki, "wiki", "wiki.user")...)
	require.Equal(t, plain(wantWorkforce), plain(tenant.synced(t, first)))
	require.Equal(t, plain(wantContractors), plain(tenant.synced(t, second)))
	require.Len(t, tenant.Uploads("workforce"), 1)
	require.Len(t, tenant.Uploads("contractors"), 1)
	require.Equal(t, "host-1", tenant.Uploads("workforce")[0].HostID)

	// And again, in the same process.
	gone := design.server.Accounts()[0]
	require.NoError(t, design.server.Remove(gone.ID))
	again := tenant.fullSync(t, "workforce")
	require.Len(t, tenant.synced(t, again), 64)
	host.stop()
	requireOnly(t, state, "contractors.c1z", "contractors.c1z.json", "workforce.c1z", "workforce.c1z.json")
	require.Empty(t, tenant.Violations())
	for _, variable := range env[1:6] {
		_, secret, _ := strings.Cut(variable, "=")
		require.NotContains(t, host.output.String(), secret)
	}
}

func TestRunWithoutAFile(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 12})
	credentials := tenant.client(t, "fullstory")
	host := startRun(t, []string{
		tenant.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret, "BATON_HOST_ID=pod-7",
		"BATON_SCIM_BASE_URL=" + fullstory.url, "BATON_SCIM_TOKEN=" + fullstory.token,
	}, "--plugin", "fullstory", "--state-dir", t.TempDir())
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "fullstory")), 12)
	require.Equal(t, "pod-7", tenant.waitFor(t, kind(c1.Hello)).HostID)
	host.stop()
	require.Empty(t, tenant.Violations())
}
