package host_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/notify"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// webhook is a receiver of events, which the configuration at a path then has.
type webhook struct {
	t   *testing.T
	got chan notify.Message
}

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func newWebhook(t *testing.T, config string) *webhook {
	t.Helper()
	w := &webhook{t: t, got: make(chan notify.Message, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		var m notify.Message
		if json.NewDecoder(request.Body).Decode(&m) == nil && request.Header.Get("Webhook-Signature") != "" {
			w.got <- m
		}
	}))
	t.Cleanup(server.Close)
	rewrite(t, config, func(text string) string {
		return text + "notify: { url: \"" + server.URL + "/events\", secret: \"" + webhookSecret + "\" }\n"
	})
	return w
}

// gets waits for events of these types, in this order.
func (w *webhook) gets(types ...notify.Type) (all []notify.Message) {
	w.t.Helper()
	for _, want := range types {
		select {
		case m := <-w.got:
			require.Equal(w.t, want, m.Type, m.Text)
			all = append(all, m)
		case <-time.After(patience):
			require.FailNow(w.t, "no event", want)
		}
	}
	return all
}

// TestServe_NotifiesTheWebhook of what fails, once, and of its end.
func TestServe_NotifiesTheWebhook(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	w := newWebhook(t, p.config)
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.keepOnly(t, 0)
	require.False(t, p.sync(t).Succeeded)
	refused := w.gets(notify.GuardTripped, notify.UploadFailed)
	require.Equal(t, "baton-host review workforce --config "+p.config+" --state-dir "+p.state, refused[0].Data.Command)
	require.Equal(t, []string{"fullstory"}, refused[0].Data.Plugins)
	require.Contains(t, refused[1].Text, `a sync of upload "workforce" failed: plugin "fullstory" lists 0 accounts of type "fullstory.user", but 40 in the baseline`)
	require.False(t, p.sync(t).Succeeded)
	running.stop()
	require.Empty(t, w.got, "once")

	running = p.serve(t, host.ServeOptions{}, "fullstory")
	running.says("connected to C1")
	require.True(t, p.sync(t).Succeeded)
	w.gets(notify.GuardCleared, notify.UploadRecovered)
	running.stop()
	require.Empty(t, w.got)
	require.FileExists(t, filepath.Join(p.state, notify.FileName))
}

// TestSync_NotifiesTheWebhook before it returns, also over several runs.
func TestSync_NotifiesTheWebhook(t *testing.T) {
	t.Parallel()
	of := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 5}, scimsandbox.Options{Seed: 2, Accounts: 5}, fallBack)
	w := newWebhook(t, of.config)
	of.syncs(t, host.Options{})
	require.Empty(t, w.got, "nothing is the matter")
	of.fullstory.fail(0)
	of.syncs(t, host.Options{})
	stale := w.gets(notify.UploadStale)
	require.Equal(t, "upload/workforce", stale[0].Data.Key)
	of.syncs(t, host.Options{})
	require.Empty(t, w.got, "once")
	of.fullstory.down.Store(false)
	of.syncs(t, host.Options{})
	w.gets(notify.UploadRecovered)

	replaceIn(t, of.config, "path: "+self+"\n", "app: not-there\n")
	_, err := of.sync(t, host.Options{})
	require.Error(t, err)
	failed := w.gets(notify.PluginFailed, notify.PluginFailed, notify.UploadFailed)
	require.Equal(t, `plugin "fullstory" failed: there is no plugin binary baton-not-there`, failed[1].Text)
}

func TestCheck_TriesTheWebhook(t *testing.T) {
	t.Parallel()
	app := startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 3})
	config := configuration(t, []string{app.entry("fullstory")}, "workforce: { plugins: [fullstory] }")
	try := func(test bool) (found []host.Checked) {
		h, err := host.Open(t.Context(), host.Selection{ConfigFile: config}, host.Options{ReferencesMayFail: true, StateDir: t.TempDir()})
		require.NoError(t, err)
		defer h.Close(t.Context())
		checked, _ := h.Check(t.Context(), host.CheckOptions{Timeout: time.Minute, OutputDir: t.TempDir(), Notify: test})
		for _, one := range checked {
			if one.Kind == host.CheckedWebhook {
				found = append(found, one)
			}
		}
		return found
	}
	require.Empty(t, try(false))
	none := try(true)
	require.ErrorContains(t, none[0].Err, "--notify sends a test to the webhook, and the configuration has none")

	w := newWebhook(t, config)
	require.NoError(t, try(false)[0].Err)
	require.Empty(t, w.got)
	require.NoError(t, try(true)[0].Err)
	w.gets(notify.Test)

	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("hunter2"), 0o600))
	replaceIn(t, config, `"`+webhookSecret+`"`, `"${file:`+secret+`}"`)
	wrong := try(true)
	require.ErrorContains(t, wrong[0].Err, "the webhook cannot be used: ")
	require.NotContains(t, wrong[0].Err.Error(), "hunter2")
	require.Empty(t, w.got)
}
