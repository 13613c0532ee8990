package host_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// tokenUntil returns a JSON web token that ends then.
func tokenUntil(end time.Time) string {
	claims := fmt.Sprintf(`{"exp":%d}`, end.Unix())
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// newExpiringPair returns a service whose credentials end: that of fullstory, which is no
// reference, soon; that of design-tool, which is in a file, has.
func newExpiringPair(t *testing.T) (p *pair, reference string, ends [2]time.Time) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	ends = [2]time.Time{now.Add(3 * 24 * time.Hour), now.Add(-time.Hour)}
	p = &pair{
		tenant:    startC1(t, c1.Options{}),
		fullstory: startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 40, Token: tokenUntil(ends[0])}),
		design:    startApp(t, scimsandbox.Options{App: "design-tool", Seed: 2, Accounts: 25, Token: tokenUntil(ends[1])}),
		state:     stateDir(t),
	}
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(p.design.token+"\n"), 0o600))
	reference = "${file:" + file + "}"
	p.config = configuration(t, []string{p.fullstory.entry("fullstory"), strings.Replace(p.design.entry("design-tool"), p.design.token, reference, 1)},
		"workforce: { plugins: [fullstory, design-tool], "+p.credentials(t, "workforce")+" }")
	return p, reference, ends
}

// TestServe_ReportsItsStatus: over the control socket, with what is known of credentials,
// which the log, the page and the metrics have too.
func TestServe_ReportsItsStatus(t *testing.T) {
	t.Parallel()
	p, reference, ends := newExpiringPair(t)
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	outside := desk{config: p.config, state: p.state}.open(t)

	is, err := outside.Status(t.Context(), host.StatusOptions{Upload: "workforce", History: true})
	require.NoError(t, err)
	require.Len(t, is.Uploads, 1)
	require.Equal(t, 65, is.Uploads[0].Last.Accounts)
	require.Len(t, is.Uploads[0].History, 1)
	expires := map[string]time.Time{}
	for _, plugin := range is.Plugins {
		require.Equal(t, "ready", plugin.State)
		for _, one := range plugin.Credentials {
			expires[plugin.Name+" "+one.Name()] = one.Expires.UTC()
		}
	}
	require.Equal(t, map[string]time.Time{"fullstory scim-token": ends[0], "design-tool " + reference: ends[1]}, expires)
	require.Equal(t, host.Degraded, is.Outlook(), "a token has expired")
	short, err := outside.Status(t.Context(), host.StatusOptions{})
	require.NoError(t, err)
	require.Empty(t, short.Uploads[0].History)
	itself, err := running.Status(t.Context(), host.StatusOptions{})
	require.NoError(t, err)
	require.Equal(t, short.Uploads[0].Last.At.UnixNano(), itself.Uploads[0].Last.At.UnixNano())
	for upload, want := range map[string]string{
		"work-force": `there is no upload "work-force"; did you mean "workforce"?`,
		"x":          `there is no upload "x"; baton-host status without a name shows all`,
	} {
		_, err = outside.Status(t.Context(), host.StatusOptions{Upload: upload})
		require.EqualError(t, err, want)
	}

	running.says("a credential expires soon")
	running.says("a credential has expired")
	soon := running.lines(map[string][]string{"msg": {"a credential expires soon; put a new one in its place before then"}})
	require.Len(t, soon, 1)
	require.Equal(t, []any{"fullstory", "scim-token"}, []any{soon[0]["plugin"], soon[0]["reference"]})
	past := running.lines(map[string][]string{"msg": {"a credential has expired; put a new one in its place now"}})
	require.Len(t, past, 1)
	require.Equal(t, []any{"design-tool", reference}, []any{past[0]["plugin"], past[0]["reference"]})
	metrics := running.metrics()
	require.Contains(t, metrics, fmt.Sprintf("baton_host_credential_expiry_timestamp_seconds{plugin=\"fullstory\",reference=\"scim-token\",upload=\"\"} %g\n", float64(ends[0].Unix())))
	require.Contains(t, metrics, `baton_host_credential_problem{plugin="design-tool",reference="`+reference+`",upload=""} 0`+"\n")
	_, shown := running.get("/")
	require.Contains(t, shown, "Expired")
	require.Contains(t, shown, "Expires soon")
	encoded, err := json.Marshal(is)
	require.NoError(t, err)
	for _, text := range []string{shown, metrics, string(encoded), running.log.String()} {
		require.NotContains(t, text, p.fullstory.token)
		require.NotContains(t, text, p.design.token)
	}

	running.stop()
	_, err = outside.Status(t.Context(), host.StatusOptions{})
	require.ErrorIs(t, err, host.ErrNoHost)
	require.ErrorContains(t, err, "no host runs on the state directory "+p.state+" (")
}

// TestCheckAndSync_WarnOfCredentialsThatExpire: each once, and never with the value.
func TestCheckAndSync_WarnOfCredentialsThatExpire(t *testing.T) {
	t.Parallel()
	p, reference, ends := newExpiringPair(t)
	want := []string{
		`plugin "design-tool": the value of ` + reference + " expired on " + ends[1].Format("2006-01-02 15:04 MST") + "; put a new one there now",
		`plugin "fullstory": the token in scim-token expires on ` + ends[0].Format("2006-01-02 15:04 MST") + "; put a new one into it before then",
	}
	for name, do := range map[string]func(ctx context.Context, h *host.Host) error{
		"check": func(ctx context.Context, h *host.Host) error {
			_, err := h.Check(ctx, host.CheckOptions{Timeout: patience, OutputDir: t.TempDir()})
			return err
		},
		"sync": func(ctx context.Context, h *host.Host) error {
			_, err := h.Sync(ctx, host.SyncOptions{OutputDir: t.TempDir()})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, log := logged(t.Context())
			h, err := host.Open(ctx, host.Selection{ConfigFile: p.config}, host.Options{Secrets: host.PluginSecrets, StateDir: p.state})
			require.NoError(t, err)
			t.Cleanup(func() { h.Close(ctx) })
			require.NoError(t, do(ctx, h))
			var got []string
			for line := range strings.Lines(log.String()) {
				var fields logLine
				require.NoError(t, json.Unmarshal([]byte(line), &fields))
				if text, _ := fields["msg"].(string); strings.Contains(text, " expire") {
					got = append(got, text)
				}
			}
			slices.Sort(got)
			require.Equal(t, want, got)
		})
	}
}

// TestHost_RestartsAPlugin: one that runs, one that must not be replaced, and one that has
// failed.
func TestHost_RestartsAPlugin(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	leash := p.leash(t)
	p.also(t, "restart-limit: 1")
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	leash.process()
	outside := desk{config: p.config, state: p.state}.open(t)
	for plugin, want := range map[string]string{
		"full-story": `the host has no plugin "full-story"; did you mean "fullstory"?`,
		"x":          `the host has no plugin "x"; baton-host status shows those that it has`,
	} {
		_, err := outside.Restart(t.Context(), plugin)
		require.EqualError(t, err, want)
	}

	p.fullstory.fail(0)
	_, err := outside.Restart(t.Context(), "fullstory")
	require.ErrorContains(t, err, `plugin "fullstory" is not restarted, and its process goes on: `)
	leash.process()
	running.says("the plugin was not restarted; its process goes on")
	p.fullstory.down.Store(false)
	require.True(t, p.sync(t).Succeeded)

	restarted, err := outside.Restart(t.Context(), "fullstory")
	require.NoError(t, err)
	require.Equal(t, &host.Restarted{Plugin: "fullstory", Replaced: true}, restarted)
	leash.process()
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
	asked := running.lines(map[string][]string{"msg": {"the plugin is to be restarted"}, "plugin": {"fullstory"}})
	require.Len(t, asked, 2)
	require.Contains(t, asked[0]["by"], " (process ")
}

func TestHost_RestartsAPluginThatHasFailed(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	leash := p.leash(t)
	p.also(t, "restart-limit: 0")
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	leash.cut()
	running.says("the plugin has failed")
	restarted, err := running.Restart(t.Context(), "fullstory")
	require.NoError(t, err)
	require.Equal(t, &host.Restarted{Plugin: "fullstory"}, restarted)
	running.says("the plugin gets another chance")
	require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
}

// TestOpen_NeedsNoConfigurationForAStatus: a file that is wrong at the moment is no obstacle.
func TestOpen_NeedsNoConfigurationForAStatus(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	h, err := host.Open(t.Context(), host.Selection{}, host.Options{Secrets: host.NoSecrets, StateDir: dir})
	require.NoError(t, err)
	_, err = h.Status(t.Context(), host.StatusOptions{})
	require.ErrorIs(t, err, host.ErrNoHost)
	_, err = h.Restart(t.Context(), "fullstory")
	require.ErrorIs(t, err, host.ErrNoHost)
	_, err = h.Sync(t.Context(), host.SyncOptions{OutputDir: dir})
	require.ErrorContains(t, err, "there is nothing to sync")
}
