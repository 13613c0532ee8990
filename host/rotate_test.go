package host_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/canary"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// rotatedApp is a service with two uploads of one app, whose token is in a file.
type rotatedApp struct {
	tenant
	app           *app
	token         string // the path of the file
	tokens        []string
	config, state string
	clients       map[string]string // the paths of the files with the uploads' client secrets
	secrets       []string          // of C1
}

func newRotatedApp(t *testing.T, options scimsandbox.Options) *rotatedApp {
	t.Helper()
	options.App, options.Token = "fullstory", "first-"+rand.Text()
	r := &rotatedApp{
		tenant: startC1(t, c1.Options{NextHeartbeat: time.Second}), app: startApp(t, options), state: stateDir(t),
		token: filepath.Join(t.TempDir(), "token"), tokens: []string{options.Token}, clients: map[string]string{},
	}
	r.write(t, options.Token)
	r.app.token = "${file:" + r.token + "}"
	var uploads []string
	for _, name := range rotatedUploads {
		client, err := r.AddClient(name)
		require.NoError(t, err)
		r.clients[name] = filepath.Join(t.TempDir(), "secret")
		require.NoError(t, os.WriteFile(r.clients[name], []byte(client.Secret), 0o600))
		r.secrets = append(r.secrets, client.Secret)
		uploads = append(uploads, fmt.Sprintf("%s: { plugins: [fullstory], client-id: %q, client-secret: \"${file:%s}\" }", name, client.ID, r.clients[name]))
	}
	r.config = configuration(t, []string{r.app.entry("fullstory")}, uploads...)
	return r
}

func (r *rotatedApp) serve(t *testing.T) *hostService {
	t.Helper()
	return r.tenant.serve(t, r.config, host.Options{StateDir: r.state, StoresMayBeAway: true}, host.ServeOptions{Listen: listening})
}

// write puts a token into the file, as a whole.
func (r *rotatedApp) write(t *testing.T, token string) {
	t.Helper()
	require.NoError(t, os.WriteFile(r.token+".new", []byte(token+"\n"), 0o600))
	require.NoError(t, os.Rename(r.token+".new", r.token))
}

// rotate rotates the app's token, and writes the file some moments later.
func (r *rotatedApp) rotate(t *testing.T, overlap, later time.Duration) {
	t.Helper()
	token := fmt.Sprintf("token-%d-%s", len(r.tokens), rand.Text())
	r.tokens = append(r.tokens, token)
	require.NoError(t, r.app.server.Rotate(token, overlap))
	time.Sleep(later) // How long the operator's program takes.
	r.write(t, token)
}

// syncs syncs an upload until the channel is closed, and returns how often; every sync must
// succeed, and be complete.
func (r *rotatedApp) syncs(t *testing.T, upload string, until <-chan struct{}) (n int) {
	t.Helper()
	want := r.app.seeded("fullstory")
	for {
		require.Equal(t, want, r.synced(t, r.fullSync(t, upload)))
		n++
		select {
		case <-until:
			return n
		default:
		}
	}
}

// requireNoSecrets looks for tokens and client secrets in the log, in the files of the state,
// and in what /proc shows of all processes that this one has started.
func (r *rotatedApp) requireNoSecrets(t *testing.T, running *hostService) {
	t.Helper()
	seen := []byte(running.log.String())
	given := append(slices.Collect(maps.Values(r.clients)), r.token) // Here they must be.
	for _, dir := range []string{r.state, os.TempDir()} {
		_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && !slices.Contains(given, path) {
				content, _ := os.ReadFile(path) //nolint:gosec // Files come and go.
				seen = append(seen, content...)
			}
			return nil
		})
	}
	own := fmt.Sprintf(" %d ", os.Getpid())
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		if _, behind, ok := strings.Cut(string(stat), ") "); !ok || !strings.HasPrefix(behind[1:], own) {
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			content, _ := os.ReadFile(filepath.Join(filepath.Dir(path), name))
			seen = append(seen, content...)
		}
	}
	secrets := slices.Concat(r.tokens, r.secrets)
	require.Empty(t, canary.Find(seen, secrets...))
	for _, secret := range secrets {
		require.Equal(t, secret, canary.Find(append([]byte("planted "), secret...), secrets...), "or it could not be found")
	}
}

// replaced returns the process ids that have been replaced, by the log.
func (r *rotatedApp) replaced(t *testing.T, running *hostService) (pids []int) {
	t.Helper()
	for line := range strings.Lines(running.log.String()) {
		var fields struct {
			Message  string `json:"msg"`
			Replaced int    `json:"replaced_pid"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields.Message == "another process of the plugin has taken over" {
			pids = append(pids, fields.Replaced)
		}
	}
	return pids
}

// rotatedUploads are those of a rotatedApp.
var rotatedUploads = []string{"workforce", "contractors"}

// mostRotations is how many rotations may pass before each upload has finished another sync:
// a busy machine rotates faster than it lists, and the host repeats one call ten times.
const mostRotations = 5

// rotates rotates n times at random moments under the syncs of both uploads, and returns how
// many there were.
func (r *rotatedApp) rotates(t *testing.T, n int, overlap time.Duration) (syncs int, running *hostService) {
	t.Helper()
	running = r.serve(t)
	done := make(chan struct{})
	counts := make([]int, 2)
	var syncing sync.WaitGroup
	for i, upload := range rotatedUploads {
		syncing.Go(func() { counts[i] = r.syncs(t, upload, done) })
	}
	running.says("sync done")
	for i := range n {
		if i > 0 && i%mostRotations == 0 {
			log := running.log.String()
			for _, upload := range rotatedUploads {
				message := `"sync done","upload":"` + upload + `"`
				running.saysTimes(message, strings.Count(log, message)+1)
			}
		}
		time.Sleep(time.Duration(mathrand.Int64N(int64(time.Second))))         //nolint:gosec // A random moment; it decides when, and nothing else.
		later := time.Duration(mathrand.Int64N(int64(300 * time.Millisecond))) //nolint:gosec // The same.
		r.rotate(t, overlap, later)
		if overlap > 0 {
			time.Sleep(overlap) // No third token begins before the first one ends.
		} else {
			running.saysTimes("another process of the plugin has taken over", i+1)
		}
	}
	close(done)
	syncing.Wait()
	return counts[0] + counts[1], running
}

// TestServe_NoSyncFailsOfARotation has two uploads share the plugin.
func TestServe_NoSyncFailsOfARotation(t *testing.T) {
	t.Parallel()
	for name, overlap := range map[string]time.Duration{"both tokens are taken for a while": 2 * time.Second, "the new one alone is taken": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRotatedApp(t, scimsandbox.Options{Seed: 1, Accounts: 40, PageCap: 10, Latency: 10 * time.Millisecond})
			_, running := r.rotates(t, 3, overlap)
			r.requireNoSecrets(t, running)
			running.stop()
			require.NotEmpty(t, r.replaced(t, running))
			require.NotContains(t, running.log.String(), "the plugin ended")
			for _, pid := range r.replaced(t, running) {
				require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
			}
		})
	}
}

// TestServe_KeepsTheOldSecretWhereTheNewOneDoesNotWork: the message names both facts.
func TestServe_KeepsTheOldSecretWhereTheNewOneDoesNotWork(t *testing.T) {
	t.Parallel()
	r := newRotatedApp(t, scimsandbox.Options{Seed: 1, Accounts: 20})
	running := r.serve(t)
	want := r.app.seeded("fullstory")
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))

	wrong := "wrong-" + rand.Text()
	first := r.tokens[0]
	r.tokens = append(r.tokens, wrong)
	r.write(t, wrong)
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	running.says("new secrets of the plugin do not work; those before stay in use")
	problem := func() string { return running.status().Plugins[0].Credentials[0].Problem }
	require.Contains(t, problem(), "has a new value, which does not work")
	require.Contains(t, problem(), "${file:"+r.token+"}")

	// Another process gets the one that works, whatever it is started for.
	_, err := running.Restart(t.Context(), "fullstory")
	require.NoError(t, err)
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	require.Contains(t, problem(), "has a new value, which does not work")
	require.NotContains(t, running.log.String(), "the secrets of the plugin are in order again")
	rewrite(t, r.config, replaced("    config:", "    log-level: debug\n    config:"))
	_, err = running.Reload(t.Context())
	requireSentence(t, err, `plugin "fullstory"`, "the app refuses what its changed entry has", "the token is not accepted")
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	restarted := r.replaced(t, running)
	require.Len(t, restarted, 1)

	// The app does not take the old one any more either.
	require.NoError(t, r.app.server.Rotate("third-"+rand.Text(), 0))
	failed := r.finished(t, r.fullSync(t, "workforce"))
	require.False(t, failed.Succeeded)
	require.Contains(t, failed.Status.GetMessage(), "the token is not accepted")
	require.Contains(t, failed.Status.GetMessage(), "${file:"+r.token+"} has a new value, which does not work")

	// It flips back.
	require.NoError(t, r.app.server.Rotate(first, 0))
	r.write(t, first)
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	running.says("the secrets of the plugin are in order again")
	require.Empty(t, problem())
	require.Equal(t, restarted, r.replaced(t, running), "the process has the token that works")
	r.requireNoSecrets(t, running)
	running.stop()
}

// TestServe_GoesOnWithKnownSecrets: also a process that is started again.
func TestServe_GoesOnWithKnownSecrets(t *testing.T) {
	t.Parallel()
	r := newRotatedApp(t, scimsandbox.Options{Seed: 1, Accounts: 20})
	running := r.serve(t)
	want := r.app.seeded("fullstory")
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	require.NoError(t, os.Remove(r.token))
	require.NoError(t, os.Remove(r.clients["workforce"]))
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	running.says("secrets of the plugin cannot be resolved; those known stay in use")
	r.ExpireTokens("workforce")
	running.says("the newest credentials for C1 cannot be used; those known stay in use")
	require.NotEmpty(t, running.status().Plugins[0].Credentials[0].Problem)
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))

	r.rotate(t, 0, 0)
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	running.says("the secrets of the plugin are in order again")
	require.Empty(t, running.status().Plugins[0].Credentials[0].Problem)
	r.requireNoSecrets(t, running)
	running.stop()
}

// TestServe_TakesNewCredentialsOfC1 without a restart, also if the file comes later than the
// rotation.
func TestServe_TakesNewCredentialsOfC1(t *testing.T) {
	t.Parallel()
	r := newRotatedApp(t, scimsandbox.Options{Seed: 1, Accounts: 20})
	running := r.serve(t)
	want := r.app.seeded("fullstory")
	require.Equal(t, want, r.synced(t, r.fullSync(t, "workforce")))
	for _, later := range []time.Duration{0, time.Second} {
		client, err := r.RotateClient("workforce")
		require.NoError(t, err)
		r.secrets = append(r.secrets, client.Secret)
		id := r.fullSync(t, "workforce")
		time.Sleep(later) // How long the operator's program takes.
		require.NoError(t, os.WriteFile(r.clients["workforce"]+".new", []byte(client.Secret), 0o600))
		require.NoError(t, os.Rename(r.clients["workforce"]+".new", r.clients["workforce"]))
		require.Equal(t, want, r.synced(t, id))
	}
	running.saysTimes("the credentials for C1 have new values", 2)
	r.requireNoSecrets(t, running)
	running.stop()
}
