//go:build long

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/sandbox/scim"
)

const (
	killAccounts = 3200 // of each app: four batches of the reader
	killPage     = 100
	killBatch    = 1000 // what a reader delivers at a time, at most

	// restartPause is less than the least time between a process and the next.
	restartPause = 400 * time.Millisecond
)

// killRounds is how many syncs have a plugin killed: enough, with processes that are
// this slow, under the race detector, or not.
var killRounds = map[bool]int{true: 20, false: 100}[raceFlag == "-race"]

// killedApp is an app that has its plugin killed at one of its requests, and the
// log of the requests of one sync.
type killedApp struct {
	app

	mu            sync.Mutex
	at            int // which request; 0 is none
	late          bool
	kill          func()
	before, after []int             // startIndex of the pages asked for, by which process
	conns         map[net.Conn]bool // of the process that is killed; its ports may be those of the next one
	seen          int
	killed        time.Time
}

type connKey struct{}

func serveKilledApp(t *testing.T, server *scim.Server, token string) *killedApp {
	t.Helper()
	k := &killedApp{conns: map[net.Conn]bool{}}
	listener := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before, after := k.note(r)
		before()
		server.ServeHTTP(w, r)
		after()
	}))
	listener.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	listener.Start()
	t.Cleanup(listener.Close)
	k.app = app{url: listener.URL + server.BasePath(), token: token, server: server}
	return k
}

// killAt decides when the plugin is killed: at which request, before or after it
// is answered.
func (k *killedApp) killAt(at int, late bool, kill func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at, k.late, k.kill = at, late, kill
}

// note logs a request and returns what to do before and after it is answered.
func (k *killedApp) note(r *http.Request) (before, after func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	start, _ := strconv.Atoi(r.URL.Query().Get("startIndex"))
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	k.seen++
	switch {
	case k.killed.IsZero(), time.Since(k.killed) < restartPause:
		k.conns[conn] = true
		k.before = append(k.before, start)
	case k.conns[conn]: // on its way when its process was killed
		k.before = append(k.before, start)
	default:
		k.after = append(k.after, start)
	}
	nothing := func() {}
	if k.seen != k.at {
		return nothing, nothing
	}
	k.killed = time.Now()
	if k.late {
		return nothing, k.kill
	}
	return k.kill, nothing
}

// between reports whether the kill fell between the first and the last page.
func (k *killedApp) between() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.before) > 1 && slices.Max(k.before) < killAccounts-killPage && len(k.after) > 0
}

// resumed reports whether the next process began in the middle of the list.
func (k *killedApp) resumed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.after) > 0 && slices.Min(k.after) > 1
}

// check returns what is wrong with what was read, "" if nothing is. Until the kill
// and after it no page may be read twice, and after it none may be that was
// delivered before. What was on its way when the process was killed may be taken
// for the next one's.
func (k *killedApp) check(ahead int) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	// The first page serves to try the credentials too.
	if repeated(k.before) > 1 || repeated(k.after) > 1+ahead {
		return fmt.Sprintf("pages were read twice: %v, then %v", k.before, k.after)
	}
	if len(k.before) == 0 || len(k.after) == 0 {
		return ""
	}
	if least := slices.Max(k.before) - killBatch - ahead*killPage; slices.Min(k.after) < least {
		return fmt.Sprintf("pages from %d on were read again that had been delivered: %v, then %v", slices.Min(k.after), k.before, k.after)
	}
	return ""
}

// repeated returns how many pages were asked for more than once. Behind the last
// account the reader makes sure that there is none.
func repeated(starts []int) int {
	seen, again := map[int]bool{}, 0
	for _, start := range starts {
		if start < killAccounts && seen[start] {
			again++
		}
		seen[start] = true
	}
	return again
}

// TestLongKill_CostsTimeAndNoAccount kills a plugin at a random moment of
// each of many syncs, in several ways. Every sync file must be exact, the log of
// the app must show that the listing went on where it was, and the app's token may
// be nowhere.
func TestLongKill_CostsTimeAndNoAccount(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("BATON_HOST_KILL_SEED"); given != "" {
		var err error
		seed, err = strconv.ParseUint(given, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("seed %d; set BATON_HOST_KILL_SEED to it to kill alike", seed)

	const token = tokenCanary
	requireGlimpseFinds(t, token)
	servers := map[string]*scim.Server{}
	for _, name := range []string{"fullstory", "design-tool"} {
		server, err := scim.New(scim.Options{App: name, Seed: seed, Accounts: killAccounts, PageCap: killPage, Token: token})
		require.NoError(t, err)
		servers[name] = server
	}

	var between, resumed atomic.Int64
	kinds := map[syscall.Signal]*atomic.Int64{syscall.SIGKILL: {}, syscall.SIGSTOP: {}, syscall.SIGQUIT: {}}
	rounds := make(chan int)
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			for n := range rounds {
				r := newKillRound(seed, n)
				for _, problem := range r.run(t, servers, token) {
					t.Errorf("round %d (%s of %s at request %d, %d in flight): %s", n, r.signal, r.victim, r.at, r.ahead, problem)
				}
				kinds[r.signal].Add(1)
				if r.app.between() {
					between.Add(1)
				}
				if r.app.resumed() {
					resumed.Add(1)
				}
			}
		})
	}
	for n := range killRounds {
		if t.Failed() {
			break
		}
		rounds <- n
	}
	close(rounds)
	working.Wait()
	t.Logf("%d syncs with a killed plugin (SIGKILL %d, SIGSTOP %d, exit %d); %d kills between the first and the last page, %d went on in the middle of the list",
		killRounds, kinds[syscall.SIGKILL].Load(), kinds[syscall.SIGSTOP].Load(), kinds[syscall.SIGQUIT].Load(), between.Load(), resumed.Load())
	require.GreaterOrEqual(t, between.Load(), int64(killRounds*60/100), "or it has shown too little")
	require.Greater(t, resumed.Load(), int64(killRounds/4))
}

// killRound is one sync of two apps, of which one has its plugin killed.
type killRound struct {
	victim string
	signal syscall.Signal
	at     int
	ahead  int
	late   bool
	delay  time.Duration
	app    *killedApp
}

func newKillRound(seed uint64, n int) *killRound {
	random := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // To be repeated.
	const requests = killAccounts/killPage + 3
	return &killRound{
		victim: []string{"fullstory", "design-tool"}[random.IntN(2)],
		signal: []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGQUIT}[random.IntN(3)],
		at:     1 + (n*requests+random.IntN(requests))/killRounds, // all over the listing
		ahead:  1 + random.IntN(4),
		late:   random.IntN(2) == 0,
		delay:  time.Duration(random.IntN(3)) * 4 * time.Millisecond,
	}
}

func (r *killRound) run(t *testing.T, servers map[string]*scim.Server, token string) (problems []string) {
	apps := map[string]*killedApp{}
	for name, server := range servers {
		apps[name] = serveKilledApp(t, server, token)
	}
	r.app = apps[r.victim]

	// Short where it is waited for, or a busy machine would look like a plugin that
	// hangs.
	timeout := map[string]string{"fullstory": "20s", "design-tool": "20s"}
	if r.signal == syscall.SIGSTOP {
		timeout[r.victim] = "5s"
	}
	config := writeConfig(t, fmt.Sprintf(`
plugins:
  fullstory:
    health-timeout: %s
    config: { scim-base-url: %q, scim-token: %q, scim-read-ahead: %d }
  design-tool:
    app: scim
    health-timeout: %s
    config: { scim-groups: false, scim-base-url: %q, scim-token: %q, scim-read-ahead: %d }
uploads:
  workforce:
    plugins: [fullstory, design-tool]
`, timeout["fullstory"], apps["fullstory"].url, token, r.ahead, timeout["design-tool"], apps["design-tool"].url, token, r.ahead))
	temporary, out := t.TempDir(), t.TempDir()
	cmd := command(t.Context(), t, []string{"TMPDIR=" + temporary},
		"baton-host", "sync", "--config", config, "--plugin-dir", bin, "--output-dir", out, "--retry-for", "0", "--log-level", "warn", "--log-format", "json")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	var host, killed atomic.Int64
	var done atomic.Bool
	var seen map[string][]byte
	r.app.killAt(r.at, r.late, func() {
		time.Sleep(r.delay) // The moment is random, not awaited.
		pid := childCalled(int(host.Load()), "baton-"+map[string]string{"fullstory": "fullstory", "design-tool": "scim"}[r.victim])
		killed.Store(int64(pid))
		seen = glimpse(int(host.Load()), pid, temporary, out, cmd.Dir)
		done.Store(pid != 0 && syscall.Kill(pid, r.signal) == nil)
	})
	if err := cmd.Start(); err != nil {
		return []string{err.Error()}
	}
	host.Store(int64(cmd.Process.Pid))
	if err := cmd.Wait(); err != nil {
		return []string{fmt.Sprintf("%v: %s", err, output.String())}
	}

	if !done.Load() {
		return []string{"nothing was killed"}
	}
	var want []shownAccount
	for name, app := range apps {
		want = append(want, seeded(app.app, name, name+".user")...)
		if problem := app.check(r.ahead); problem != "" {
			problems = append(problems, name+": "+problem)
		}
	}
	got := accountsIn(t, filepath.Join(out, "workforce.c1z"))
	if diff := cmp.Diff(plain(want), plain(got)); diff != "" {
		problems = append(problems, "the sync file differs from the apps:\n"+diff)
	}
	if !isInSandbox(seen[statusOf(host.Load())], seen[statusOf(killed.Load())]) {
		problems = append(problems, "the plugin was in no sandbox")
	}
	seen["what was written"] = output.Bytes()
	if r.at%10 == 0 { // It is the same every time.
		listed := execute(t, nil, "baton", "resources", "-f", filepath.Join(out, "workforce.c1z"), "-o", "json")
		seen["the sync file"] = []byte(listed.stdout + listed.stderr)
	}
	for where, what := range seen {
		if piece := canary.Find(what, token); piece != "" {
			problems = append(problems, "the token is in "+where+": "+piece)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(temporary, "*")); len(left) > 0 {
		problems = append(problems, fmt.Sprintf("left behind: %v", left))
	}
	return problems
}

// TestLongKill_CostsNoRole kills a plugin while the users are read for their roles, while
// they are read for the accounts, and in between: what the process knew of the roles is
// gone, and every grant is there all the same.
func TestLongKill_CostsNoRole(t *testing.T) {
	t.Parallel()
	server, err := scim.New(scim.Options{App: "design-tool", Seed: 4, Accounts: 1500, PageCap: killPage, Token: tokenCanary})
	require.NoError(t, err)
	want := map[string]bool{}
	for _, account := range server.Accounts() {
		for _, role := range account.Roles {
			want["design-tool.role:"+role+":assigned: "+account.ID] = true
		}
	}
	require.Greater(t, len(want), 1000)
	for _, at := range []int64{2, 8, 16, 20, 30} {
		t.Run(fmt.Sprintf("at request %d", at), func(t *testing.T) {
			t.Parallel()
			var host, seen atomic.Int64
			var killed atomic.Bool
			listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if seen.Add(1) == at {
					pid := childCalled(int(host.Load()), "baton-scim")
					killed.Store(pid != 0 && syscall.Kill(pid, syscall.SIGKILL) == nil)
				}
				server.ServeHTTP(w, r)
			}))
			t.Cleanup(listener.Close)
			config := writeConfig(t, fmt.Sprintf(`
plugins:
  design-tool:
    app: scim
    config: { scim-groups: false, scim-roles: true, scim-base-url: %q, scim-token: %q, scim-read-ahead: 2 }
uploads:
  workforce: { plugins: [design-tool] }
`, listener.URL+server.BasePath(), tokenCanary))
			out := t.TempDir()
			cmd := command(t.Context(), t, nil, "baton-host", "sync", "--config", config, "--plugin-dir", bin, "--output-dir", out, "--log-level", "warn")
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			require.NoError(t, cmd.Start())
			host.Store(int64(cmd.Process.Pid))
			require.NoError(t, cmd.Wait(), "%s", &output)
			require.True(t, killed.Load(), "nothing was killed: %s", &output)

			require.Len(t, accountsIn(t, filepath.Join(out, "workforce.c1z")), 1500)
			file, err := syncfile.Open(t.Context(), filepath.Join(out, "workforce.c1z"), t.TempDir())
			require.NoError(t, err)
			defer func() { require.NoError(t, file.Close(t.Context())) }()
			got := map[string]bool{}
			require.NoError(t, file.EachGrant(t.Context(), func(one syncfile.Grant) error {
				got[one.Entitlement+": "+one.Principal.GetResource()] = true
				return nil
			}))
			require.Equal(t, want, got)
		})
	}
}

func statusOf(pid int64) string { return fmt.Sprintf("/proc/%d/status", pid) }

// isInSandbox reports whether a plugin is in a sandbox, by what the system says of it and of
// its host: it has more filters than that, where the kernel has any, and can gain nothing.
func isInSandbox(host, plugin []byte) bool {
	return !sandbox.Kernel().Seccomp || filtersIn(plugin) > filtersIn(host) && bytes.Contains(plugin, []byte("NoNewPrivs:\t1\n"))
}

var filters = regexp.MustCompile(`(?m)^Seccomp_filters:\t(\d+)$`)

// filtersIn is how many filters of seccomp a process has, by its status; below Linux 5.10 that
// is not in it, and one without any has the mode 0.
func filtersIn(status []byte) int {
	found := filters.FindSubmatch(status)
	if found == nil {
		return bytes.Count(status, []byte("Seccomp:\t2\n"))
	}
	n, _ := strconv.Atoi(string(found[1])) // They are digits.
	return n
}

// glimpse returns what others may read of a host and a plugin at this moment: of the
// processes, and in the files of these directories. What goes meanwhile is left out.
func glimpse(host, plugin int, dirs ...string) map[string][]byte {
	seen := map[string][]byte{}
	look := func(path string) {
		if content, err := os.ReadFile(path); err == nil {
			seen[path] = content
		}
	}
	for _, pid := range []int{host, plugin} {
		for _, name := range []string{"environ", "cmdline", "comm", "status"} {
			look(fmt.Sprintf("/proc/%d/%s", pid, name))
		}
	}
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				look(path)
			}
			return nil
		})
	}
	return seen
}

// requireGlimpseFinds plants a secret where glimpse looks.
func requireGlimpseFinds(t *testing.T, secret string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("token: "+secret), 0o600))
	cmd := exec.CommandContext(t.Context(), "sleep", "3600")
	cmd.Env = []string{"TOKEN=" + secret}
	require.NoError(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	environ := fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid)
	require.Eventually(t, func() bool {
		seen := glimpse(os.Getpid(), cmd.Process.Pid, dir)
		return canary.Find(seen[environ], secret) != "" && canary.Find(seen[filepath.Join(dir, "file")], secret) != ""
	}, time.Minute, time.Millisecond)
}
