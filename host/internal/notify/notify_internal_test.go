package notify

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/status"
)

// ada is a person whose name must be nowhere.
const ada = "ada@example.com"

// keyOf returns a key of so many bytes of a letter, and the secret that has it.
func keyOf(letter string) (key, text string) {
	key = strings.Repeat(letter, 32)
	return key, "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
}

// The vector is that of the libraries of Standard Webhooks.
func TestSign_IsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
}

// posted is a request that a receiver got.
type posted struct {
	header http.Header
	body   []byte
}

func (p posted) message(t *testing.T) (m Message) {
	t.Helper()
	require.NoError(t, json.Unmarshal(p.body, &m))
	return m
}

// isSignedWith reports whether a request is signed with a key, as the documents verify it.
func (p posted) isSignedWith(key string) bool {
	at, err := json.Number(p.header.Get("Webhook-Timestamp")).Int64()
	return err == nil && p.header.Get("Webhook-Signature") == sign([]byte(key), p.header.Get("Webhook-Id"), time.Unix(at, 0), p.body)
}

// receiver is a webhook that answers as it is told.
type receiver struct {
	*httptest.Server

	status atomic.Int64
	got    chan posted
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{got: make(chan posted, 1000)}
	r.status.Store(http.StatusNoContent)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.got <- posted{request.Header, body}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(r.status.Load()))
		_, _ = io.WriteString(w, ada)
	}))
	t.Cleanup(r.Close)
	return r
}

// next returns the next request.
func (r *receiver) next(t *testing.T) posted {
	t.Helper()
	select {
	case one := <-r.got:
		return one
	case <-time.After(time.Minute):
		require.FailNow(t, "nothing was posted")
		return posted{}
	}
}

// kit is a notifier with what it works on.
type kit struct {
	*Notifier

	dir   string
	board *status.Board
	logs  *observer.ObservedLogs
}

func (k *kit) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600))
}

func (k *kit) load(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.Load(t.Context(), filepath.Join(k.dir, "baton-host.yaml"), config.WithoutReferences())
	require.NoError(t, err)
	return cfg
}

// start starts a notifier in a directory that there may be already.
func start(t *testing.T, dir, url string) *kit {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	k := &kit{dir: dir, logs: logs, board: status.New(status.Options{Version: "v1.2.3", HostID: "host-1", Uploads: []status.Served{
		{Name: workforce, Plugins: []string{fullstory}, MaxStale: 72 * time.Hour},
	}})}
	_, text := keyOf("a")
	k.write(t, "key", text)
	k.write(t, "url", url+"/services/T0/hunter2")
	k.write(t, "baton-host.yaml", "notify: { url: '${file:url}', secret: '${file:key}' }\nplugins: { fullstory: {} }\nuploads: { workforce: { plugins: [fullstory] } }\n")
	k.Notifier = New(ctxzap.ToContext(t.Context(), zap.New(core)), Options{
		Board: k.board, Config: k.load(t), Review: reviewed, File: filepath.Join(dir, FileName), firstWait: time.Millisecond,
	})
	t.Cleanup(k.stop)
	return k
}

// fail has a sync of the upload fail, for a reason that names a person.
func (k *kit) fail() {
	k.board.Report(status.Event{Upload: workforce, Kind: status.TaskDone, Whole: true, Err: fmt.Errorf("the app says: no such user %s", ada)})
}

// metric returns how many events had a result.
func (k *kit) metric(t *testing.T, result string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	k.board.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if value, ok := strings.CutPrefix(line, `baton_host_notifications_total{result="`+result+`"} `); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// logged returns the log as text.
func (k *kit) logged() string {
	var all strings.Builder
	for _, entry := range k.logs.All() {
		fmt.Fprintln(&all, entry.Message, entry.ContextMap())
	}
	return all.String()
}

func TestNotifier_PostsWhatChangesSigned(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	k := start(t, t.TempDir(), r.URL)
	stop := k.Watch(t.Context())
	k.fail()
	got := r.next(t)
	stop()
	key, _ := keyOf("a")
	require.True(t, got.isSignedWith(key))
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, "baton-host/v1.2.3", got.header.Get("User-Agent"))
	require.True(t, strings.HasPrefix(got.header.Get("Webhook-Id"), "msg_"))
	m := got.message(t)
	require.Equal(t, UploadFailed, m.Type)
	require.Equal(t, "upload/workforce", m.Data.Key)
	require.NotContains(t, string(got.body), ada)
	require.NoError(t, k.Close(time.Minute))
	require.Empty(t, r.got, "once")
	require.Equal(t, "1", k.metric(t, status.NotificationDelivered))
}

// TestNotifier_TriesAgainWithTheNewestKey: the key and the URL are resolved for each attempt.
func TestNotifier_TriesAgainWithTheNewestKey(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.status.Store(http.StatusUnauthorized)
	k := start(t, t.TempDir(), r.URL)
	k.fail()
	k.Look()
	first := r.next(t)
	key, text := keyOf("b")
	k.write(t, "key", text)
	again := r.next(t)
	for !again.isSignedWith(key) { // One attempt may have been on its way.
		again = r.next(t)
	}
	require.Equal(t, first.header.Get("Webhook-Id"), again.header.Get("Webhook-Id"), "a receiver knows it by that")
	r.status.Store(http.StatusOK)
	require.NoError(t, k.Close(time.Minute))
	require.Equal(t, "1", k.metric(t, status.NotificationDelivered))
}

// TestNotifier_LeavesItAtAFewAttempts, and logs neither the URL, nor the key, nor the answer.
func TestNotifier_LeavesItAtAFewAttempts(t *testing.T) {
	t.Parallel()
	const away = "http://127.0.0.1:1" // Nothing listens there, and no other test will.
	for name, c := range map[string]struct {
		status int // 0: nothing listens
		want   string
	}{
		"it fails":        {http.StatusInternalServerError, "answers 500 Internal Server Error"},
		"it redirects":    {http.StatusFound, "answers 302 Found: no redirect is followed, so put the final URL into notify"},
		"it is not there": {0, "cannot be reached: dial tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			r.status.Store(int64(c.status))
			url := r.URL
			if c.status == 0 {
				url = away
			}
			k := start(t, t.TempDir(), url)
			k.fail()
			require.ErrorContains(t, k.Close(time.Minute), "the webhook did not accept 1 of the events: the webhook at ")
			require.Equal(t, "1", k.metric(t, status.NotificationFailed))
			if c.status != 0 {
				require.Len(t, r.got, mostAttempts)
			}
			logged := k.logged()
			require.Contains(t, logged, c.want)
			require.Equal(t, 2, k.logs.Len(), logged)
			for _, hidden := range []string{"hunter2", "services", ada, "whsec_"} {
				require.NotContains(t, logged, hidden)
			}
		})
	}
}

// TestNotifier_IsHeldUpByNothing: a receiver that never answers costs neither who looks nor
// the end more than its bound.
func TestNotifier_IsHeldUpByNothing(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		select {
		case <-request.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(ended) })
	k := start(t, t.TempDir(), slow.URL)
	var all []status.Served
	const uploads = longest + 20
	for i := range uploads {
		all = append(all, status.Served{Name: fmt.Sprintf("upload-%d", i), Plugins: []string{fullstory}})
	}
	k.board.Serve(all)
	for _, one := range all {
		k.board.Report(status.Event{Upload: one.Name, Kind: status.TaskDone, Whole: true, Err: errors.New("x")})
	}
	k.Look()
	require.NotEqual(t, "0", k.metric(t, status.NotificationDropped), "what the queue does not hold")
	require.Contains(t, k.logged(), "an event is dropped: too many wait for the webhook")
	require.ErrorContains(t, k.Close(0), fmt.Sprintf("the webhook did not accept %d of the events: ", uploads))
	require.Equal(t, fmt.Sprint(uploads), k.metric(t, status.NotificationDropped), "each is counted")
	k.Look() // Behind the end it does nothing.
}

// TestNotifier_RemembersWhatWasSent over a restart, and sends the end.
func TestNotifier_RemembersWhatWasSent(t *testing.T) {
	t.Parallel()
	r, dir := newReceiver(t), t.TempDir()
	k := start(t, dir, r.URL)
	k.fail()
	require.NoError(t, k.Close(time.Minute))
	require.Equal(t, UploadFailed, r.next(t).message(t).Type)

	k = start(t, dir, r.URL)
	k.fail()
	require.NoError(t, k.Close(time.Minute))
	require.Empty(t, r.got, "it knows that")
	info, err := os.Stat(filepath.Join(dir, FileName))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	k = start(t, dir, r.URL)
	k.write(t, "baton-host.yaml", "notify: { url: '${file:url}', secret: '${file:key}' }\nplugins: { fullstory: {} }\n")
	k.board.Serve(nil)
	k.Use(k.load(t))
	require.NoError(t, k.Close(time.Minute))
	require.Equal(t, UploadRecovered, r.next(t).message(t).Type)
}

// TestNotifier_GoesOnWithDamagedFiles: they cost a repeated event.
func TestNotifier_GoesOnWithDamagedFiles(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"damaged": "{", "newer": `{"version": 99}`, "nothing": `{"version": 1, "alarms": {"upload/workforce": null}}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, dir := newReceiver(t), t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, FileName), []byte(content), 0o600))
			k := start(t, dir, r.URL)
			k.fail()
			require.NoError(t, k.Close(time.Minute))
			require.Equal(t, UploadFailed, r.next(t).message(t).Type)
		})
	}
}

// TestNotifier_ReloadsItsWebhook: one that is added hears of what is the matter.
func TestNotifier_ReloadsItsWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	k := start(t, t.TempDir(), r.URL)
	with := k.load(t)
	k.write(t, "baton-host.yaml", "plugins: { fullstory: {} }\nuploads: { workforce: { plugins: [fullstory] } }\n")
	k.Use(k.load(t))
	k.fail()
	k.Look()
	k.Use(with)
	require.Equal(t, UploadFailed, r.next(t).message(t).Type)
	require.NoError(t, k.Close(time.Minute))
	require.Empty(t, r.got)
}

func TestSendTest_PostsOnce(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	k := start(t, t.TempDir(), r.URL)
	require.NoError(t, SendTest(t.Context(), k.load(t), Host{ID: "h", Version: "v1"}))
	require.Equal(t, Test, r.next(t).message(t).Type)
	r.status.Store(http.StatusForbidden)
	require.ErrorContains(t, SendTest(t.Context(), k.load(t), Host{}), "answers 403 Forbidden")
	k.write(t, "key", "hunter2")
	err := SendTest(t.Context(), k.load(t), Host{})
	require.ErrorContains(t, err, "secret is not of the form of Standard Webhooks")
	require.NotContains(t, err.Error(), "hunter2")
}
