//go:build long

package host_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/raced"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// The variables of a process of this binary that is a host.
const (
	servedVariable = "BATON_HOST_TEST_SERVED"
	stateVariable  = "BATON_HOST_TEST_STATE"
)

// A process with these variables is a host, and no test.
func init() {
	config := os.Getenv(servedVariable)
	if config == "" || os.Getenv(pluginVariable) == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log, err := zap.NewProduction()
	if err == nil {
		ctx = ctxzap.ToContext(ctx, log)
		var h *host.Host
		if h, err = host.Open(ctx, host.Selection{ConfigFile: config}, host.Options{StateDir: os.Getenv(stateVariable)}); err == nil {
			err = h.Serve(ctx, host.ServeOptions{Grace: time.Second})
			h.Close(ctx)
		}
	}
	if err != nil {
		log.Error("the host of the test has ended", zap.Error(err))
		os.Exit(1)
	}
	os.Exit(0)
}

// hostProcess is a host in a process that can be killed.
type hostProcess struct {
	name, state, config string
	temp                string // what is left of those that were killed goes with the test
	command             *exec.Cmd
	log                 *transcript
}

func (h *hostProcess) start(t *testing.T) {
	t.Helper()
	executable, err := os.Executable()
	require.NoError(t, err)
	h.command = exec.CommandContext(context.WithoutCancel(t.Context()), executable) //nolint:gosec // It is this binary; the test ends it.
	h.command.Env = append(os.Environ(), servedVariable+"="+h.config, stateVariable+"="+h.state, "BATON_HOST_ID="+h.name, "TMPDIR="+h.temp)
	h.command.Stderr = h.log
	require.NoError(t, h.command.Start())
}

func (h *hostProcess) kill() {
	_ = h.command.Process.Kill()
	_ = h.command.Wait()
}

// TestLongFailover_OfProcesses kills three hosts of two uploads, each in the middle of something,
// and holds every upload that C1 accepts against the apps: exact, or of the baseline where an app
// fails or shrinks without an approval, which counts once.
func TestLongFailover_OfProcesses(t *testing.T) { //nolint:paralleltest // It needs the machine.
	kills := 100
	if raced.IsShort() {
		kills = 25 // make kill has all of them, without the race detector.
	}
	random := rand.New(rand.NewPCG(4, 25)) //nolint:gosec // The same each time.
	tenant := startC1(t, c1.Options{Lease: 3 * time.Second, MaxAttempts: 5})
	apps := map[string]*app{}
	var entries, uploads []string
	for i, name := range []string{"one", "two"} {
		apps[name] = startApp(t, scimsandbox.Options{App: name, Seed: uint64(i) + 1, Accounts: 600, PageCap: 100})
		apps[name+"-still"] = startApp(t, scimsandbox.Options{App: name + "-still", Seed: uint64(i) + 11, Accounts: 20})
		entries = append(entries, apps[name].entry(name), apps[name+"-still"].entry(name+"-still"))
		uploads = append(uploads, name+": { plugins: ["+name+", "+name+"-still], "+tenant.credentials(t, name)+", "+fallBack+" }")
	}
	config := configuration(t, entries, uploads...)
	shared := t.TempDir()
	rewrite(t, config, func(text string) string { return "state: " + shared + "\n" + text })
	_, log := logged(t.Context())
	var hosts []*hostProcess
	for i := range 3 {
		h := &hostProcess{name: "host-" + strconv.Itoa(i), state: stateDir(t), temp: stateDir(t), config: config, log: log}
		h.start(t)
		hosts = append(hosts, h)
	}
	t.Cleanup(func() {
		for _, h := range hosts {
			h.kill()
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	seeded := func(upload string) []account {
		return sorted(append(apps[upload].seeded(upload), apps[upload+"-still"].seeded(upload+"-still")...))
	}
	killed := 0
	// sync has both uploads synced while hosts are killed, and returns what C1 has.
	sync := func(kill bool) map[string][]account {
		ids := map[string]string{}
		for _, upload := range []string{"one", "two"} {
			ids[upload] = tenant.fullSync(t, upload)
		}
		if kill {
			h := hosts[random.IntN(len(hosts))]
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond) // When it is killed is the point.
			h.kill()
			h.start(t)
			killed++
		}
		got := map[string][]account{}
		for upload, id := range ids {
			got[upload] = tenant.synced(t, id)
		}
		return got
	}
	was := map[string][]account{"one": seeded("one"), "two": seeded("two")}
	require.Equal(t, was, sync(false))
	approvals, left := 0, 600
	for round := 1; killed < kills; round++ {
		upload := []string{"one", "two"}[round%2]
		switch {
		case round%20 == 0 && left > 20:
			left /= 3
			apps[upload].keepOnly(t, left)
			require.Equal(t, was, sync(true), "round %d: the guard has a memory", round)
			require.Equal(t, was, sync(false), "round %d", round) // What a host was killed with is refused here.
			h, err := host.Open(t.Context(), host.Selection{ConfigFile: config}, host.Options{Secrets: host.NoSecrets, StateDir: filepath.Join(t.TempDir(), "none")})
			require.NoError(t, err)
			waits, _, err := h.FindReview(t.Context(), upload, "", host.Kept{})
			require.NoError(t, err)
			_, err = h.Approve(t.Context(), upload, waits.ID, host.ApproveOptions{By: "ada"})
			require.NoError(t, err)
			h.Close(t.Context())
			approvals++
			was[upload] = seeded(upload)
			require.Equal(t, was, sync(true), "round %d: it is approved", round)
		case round%3 == 0:
			apps[upload].fail(0)
			require.Equal(t, was, sync(true), "round %d: the app fails", round)
			apps[upload].down.Store(false)
		default:
			require.Equal(t, was, sync(true), "round %d", round)
		}
	}
	require.LessOrEqual(t, strings.Count(log.String(), "an approval is used up"), approvals)
	require.Zero(t, tenant.BrokenUploads())
	require.Empty(t, tenant.Violations())
}
