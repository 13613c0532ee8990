package host_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// singleApp is a service with one upload of one app, "fullstory", for what goes wrong at
// C1's end.
type singleApp struct {
	tenant
	app    *app
	config string
	state  string
}

func newSingle(t *testing.T, options c1.Options, people scimsandbox.Options) *singleApp {
	t.Helper()
	people.App = "fullstory"
	if people.Accounts == 0 {
		people.Accounts = 30
	}
	s := &singleApp{tenant: startC1(t, options), app: startApp(t, people), state: t.TempDir()}
	s.config = configuration(t, []string{s.app.entry("fullstory")}, "workforce: { plugins: [fullstory], "+s.credentials(t, "workforce")+" }")
	return s
}

func (s *singleApp) serve(t *testing.T, options host.ServeOptions) *hostService {
	t.Helper()
	return s.tenant.serve(t, s.config, host.Options{StateDir: s.state, RetryFor: patience}, options)
}

// done checks that one sync arrived whole and in order, and stops the host.
func (s *singleApp) done(t *testing.T, running *hostService, id string) {
	t.Helper()
	require.Equal(t, s.app.seeded("fullstory"), s.synced(t, id))
	running.stop()
	require.Empty(t, s.Violations())
	requireOnly(t, s.state, "workforce.c1z", "workforce.c1z.json")
}

func TestServeOvercomesWhatPassesAtC1sEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   c1.Fault
		says    string
		uploads int // that C1 took whole
	}{
		"the token endpoint answers 503":      {c1.Fault{Call: c1.TokenCall, Times: 2, HTTPStatus: 503}, "token endpoint answers 503", 1},
		"the token endpoint hangs up":         {c1.Fault{Call: c1.TokenCall, Times: 2, Drop: true}, "no token could be got from C1", 1},
		"a first hello fails":                 {c1.Fault{Call: c1.HelloCall, Times: 2, Code: codes.Unavailable, Message: "starting"}, "cannot be reached: starting", 1},
		"a first hello is forbidden":          {c1.Fault{Call: c1.HelloCall, Times: 2, Code: codes.PermissionDenied, Message: "not yet"}, "PermissionDenied: not yet", 1},
		"asking for tasks fails":              {c1.Fault{Call: c1.GetTaskCall, Times: 2, Code: codes.Internal, Message: "oops"}, "Internal: oops", 1},
		"asking for tasks breaks off":         {c1.Fault{Call: c1.GetTaskCall, Times: 1, Drop: true}, "no connection to C1", 1},
		"the first heartbeat fails":           {c1.Fault{Call: c1.HeartbeatCall, Times: 2, Code: codes.Unavailable, Message: "busy"}, "the first heartbeat failed", 1},
		"an upload is dropped at its start":   {c1.Fault{Call: c1.UploadAssetCall, Times: 2, Drop: true}, "the upload failed; trying again", 1},
		"an upload is refused at its end":     {c1.Fault{Call: c1.UploadAssetCall, Times: 1, AtEOF: true, Code: codes.Internal, Message: "disk"}, "Internal: disk", 1},
		"an upload's answer is lost":          {c1.Fault{Call: c1.UploadAssetCall, Times: 1, AfterEffect: true, Drop: true}, "the upload failed; trying again", 2},
		"an upload stalls":                    {c1.Fault{Call: c1.UploadAssetCall, Times: 1, Stall: true}, "C1 has neither taken more of the upload nor answered for 2s", 1},
		"the end of a task is not heard":      {c1.Fault{Call: c1.FinishTaskCall, Times: 2, Code: codes.Unavailable, Message: "busy"}, "C1 has not heard how the task ended", 1},
		"that the end was heard is not heard": {c1.Fault{Call: c1.FinishTaskCall, Times: 1, AfterEffect: true, Drop: true}, "C1 does not know the task any more", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{}, scimsandbox.Options{})
			s.Inject(c.fault)
			id := s.fullSync(t, "workforce")
			options := host.ServeOptions{}
			if c.fault.Stall {
				options.StallTimeout = 2 * time.Second
			}
			running := s.serve(t, options)
			running.says(c.says)
			s.finished(t, id)
			running.says(`"msg":"sync done"`)
			require.Len(t, s.Uploads("workforce"), c.uploads)
			s.done(t, running, id)
		})
	}
}

func TestServeFailsATaskThatC1sEndNeverLetsThrough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault c1.Fault
		says  string
		read  bool // whether any app was
	}{
		"C1 refuses the upload":             {c1.Fault{Call: c1.UploadAssetCall, AtEOF: true, Code: codes.InvalidArgument, Message: "not like this"}, "upload the sync file: C1 at %s answers InvalidArgument: not like this", true},
		"the first heartbeat never arrives": {c1.Fault{Call: c1.HeartbeatCall, Code: codes.Unavailable, Message: "busy"}, "C1 at %s cannot be reached: busy", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{}, scimsandbox.Options{})
			repair := s.Inject(c.fault)
			id := s.fullSync(t, "workforce")
			running := s.serve(t, host.ServeOptions{})
			failed := s.finished(t, id)
			require.False(t, failed.Succeeded)
			require.False(t, failed.NonRetryable)
			require.Contains(t, failed.Status.GetMessage(), fmt.Sprintf(c.says, s.Addr()))
			require.Empty(t, failed.Uploads)
			running.says(`"msg":"sync failed"`)
			listed := slices.ContainsFunc(s.app.server.Requests(), func(r scimsandbox.Request) bool { return strings.HasSuffix(r.Path, "/Users") })
			require.Equal(t, c.read, listed)
			requireOnly(t, s.state)

			repair()
			s.done(t, running, s.fullSync(t, "workforce"))
		})
	}
}

func TestServeOutlivesAnOutageOfC1(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(t *testing.T, s *singleApp) (id string, running *hostService){
		"at the start": func(t *testing.T, s *singleApp) (string, *hostService) {
			s.Suspend()
			id, running := s.fullSync(t, "workforce"), s.serve(t, host.ServeOptions{})
			running.says("cannot be reached")
			running.says("connection refused")
			require.NoError(t, s.Resume())
			return id, running
		},
		"in the middle of a sync": func(t *testing.T, s *singleApp) (string, *hostService) {
			reached, release := s.app.hold(1)
			id, running := s.fullSync(t, "workforce"), s.serve(t, host.ServeOptions{})
			<-reached
			s.Suspend()
			release()
			running.says("the upload failed; trying again")
			require.NoError(t, s.Resume())
			return id, running
		},
		// What counts is what C1 answers when it is back, however often it was asked for
		// a connection meanwhile.
		"behind a refusal of the credentials": func(t *testing.T, s *singleApp) (string, *hostService) {
			s.Inject(c1.Fault{Call: c1.TokenCall, Times: 1, HTTPStatus: http.StatusUnauthorized})
			id, running := s.fullSync(t, "workforce"), s.serve(t, host.ServeOptions{})
			running.says("C1 refuses the client id and secret")
			s.Suspend()
			running.saysTimes("cannot be reached", 4)
			require.NoError(t, s.Resume())
			return id, running
		},
		"for heartbeats only": func(t *testing.T, s *singleApp) (string, *hostService) {
			reached, release := s.app.hold(1)
			id, running := s.fullSync(t, "workforce"), s.serve(t, host.ServeOptions{})
			<-reached
			s.Inject(c1.Fault{Call: c1.HeartbeatCall, Code: codes.Unavailable, Message: "busy"})
			running.saysTimes("a heartbeat failed", 2)
			release()
			return id, running
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{NextHeartbeat: time.Second}, scimsandbox.Options{Accounts: 60, PageCap: 10})
			id, running := outage(t, s)
			s.done(t, running, id)
		})
	}
}

func TestServeNamesACertificateThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	other, err := c1.NewAuthority()
	require.NoError(t, err)
	s := newSingle(t, c1.Options{Authority: other}, scimsandbox.Options{})
	running := s.serve(t, host.ServeOptions{})
	for _, text := range []string{"is not trusted", "certificate signed by unknown authority", "SSL_CERT_FILE", "trying again"} {
		running.says(text)
	}
	running.stop()
	require.Empty(t, s.Uploads("workforce"))
}

func TestServeReplacesAnExpiredToken(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{})
	running := s.serve(t, host.ServeOptions{})
	s.waitFor(t, kind(c1.Polled))
	s.ExpireTokens("workforce")
	id := s.fullSync(t, "workforce")
	s.finished(t, id)
	issued := slices.DeleteFunc(s.Events(), func(e c1.Event) bool { return e.Kind != c1.TokenIssued })
	require.GreaterOrEqual(t, len(issued), 2)
	s.done(t, running, id)
}

// TestServeStopsAnUploadWhoseCredentialsAreRefused has another upload go on.
func TestServeStopsAnUploadWhoseCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(t *testing.T, c *companies){
		"by an answer to it": func(t *testing.T, c *companies) { require.NoError(t, c.DisableClient("workforce")) },
		"by every request for a token": func(_ *testing.T, c *companies) {
			c.Inject(c1.Fault{Call: c1.TokenCall, Client: "workforce", HTTPStatus: http.StatusUnauthorized})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompanies(t)
			refuse(t, c)
			running := c.serve(t, c.config, host.Options{StateDir: c.state}, host.ServeOptions{Listen: listening})
			running.says("C1 refuses the credentials; this upload is stopped")
			running.says("get new ones from the connector's page in C1")
			stopped := running.becomes(inState(status.Stopped))
			require.Equal(t, "workforce", stopped.Name)
			require.Contains(t, stopped.Why, "C1 refuses the client id and secret (its token endpoint answers 401)")
			require.Len(t, c.synced(t, c.fullSync(t, "contractors")), 40)
			code, _ := running.get("/readyz")
			require.Equal(t, http.StatusOK, code, "the other upload is served")
			_, page := running.get("/")
			require.Contains(t, page, "workforce is stopped – baton-host</title>") // It may still show the end of the other's sync.
			running.stop()
			require.Empty(t, c.Uploads("workforce"))
		})
	}
}

func TestServeEndsWhereEveryUploadsCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{})
	require.NoError(t, s.DisableClient("workforce"))
	err := s.serve(t, host.ServeOptions{}).ends()
	require.ErrorContains(t, err, `no upload can be served any more:`)
	require.ErrorContains(t, err, `upload "workforce": C1 refuses the client id and secret (its token endpoint answers 401)`)
	var refused *service.RefusedError
	require.ErrorAs(t, err, &refused)
}

func TestServe_KeepsTryingCredentialsThatWorked(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{})
	running := s.serve(t, host.ServeOptions{})
	s.waitFor(t, kind(c1.Polled))
	s.Inject(c1.Fault{Call: c1.TokenCall, Times: 1, HTTPStatus: http.StatusUnauthorized})
	s.ExpireTokens("workforce")
	running.says("C1 refuses the client id and secret")
	running.says("trying again")
	running.stop()
}

func TestServeUploadsNoTaskThatC1TakesBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takeBack func(s *singleApp, id string)
		says     string
		answered codes.Code
	}{
		"cancelled": {func(s *singleApp, id string) { s.Cancel(id) }, "C1 has cancelled the task", codes.Canceled},
		"expired":   {func(s *singleApp, id string) { s.Expire(id) }, "C1 has taken the task back", codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{NextHeartbeat: time.Second}, scimsandbox.Options{Accounts: 60, PageCap: 10})
			reached, release := s.app.hold(1)
			defer release()
			id := s.fullSync(t, "workforce")
			running := s.serve(t, host.ServeOptions{})
			<-reached
			c.takeBack(s, id)
			running.says(c.says)
			running.says(`"msg":"sync dropped"`)
			outcome, known := s.Result(id)
			require.True(t, known)
			require.False(t, outcome.Succeeded)
			require.Empty(t, outcome.Uploads)
			require.Equal(t, c.answered, codes.Code(outcome.Status.GetCode())) //nolint:gosec // Codes are small.
			running.stop()
			requireOnly(t, s.state)
			require.Empty(t, s.Violations())
		})
	}
	t.Run("before its first heartbeat", func(t *testing.T) {
		t.Parallel()
		s := newSingle(t, c1.Options{}, scimsandbox.Options{})
		s.Inject(c1.Fault{Call: c1.HeartbeatCall, Times: 1, Code: codes.NotFound, Message: "no such task"})
		s.fullSync(t, "workforce")
		running := s.serve(t, host.ServeOptions{})
		running.says("C1 has taken the task back")
		running.says(`"msg":"sync dropped"`)
		running.stop()
		require.Empty(t, s.Uploads("workforce"))
		requireOnly(t, s.state)
	})
}

func TestServeMakesNoBusyLoopOfAPollIntervalOfZero(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{NextPoll: -1}, scimsandbox.Options{})
	running := s.serve(t, host.ServeOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var polls []c1.Event
	require.NoError(t, s.Wait(ctx, func(events []c1.Event) bool {
		polls = slices.DeleteFunc(events, func(e c1.Event) bool { return e.Kind != c1.Polled })
		return len(polls) >= 4
	}))
	require.Greater(t, polls[3].At.Sub(polls[0].At), 2*time.Second)
	running.stop()
}

// TestServeSendsAnUploadAgainThatC1StopsReading stalls an upload that is larger than all
// buffers on the way, in its middle, so that the host cannot send on.
func TestServeSendsAnUploadAgainThatC1StopsReading(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scimsandbox.Options{Accounts: 8000, PageCap: 1000})
	s.Inject(c1.Fault{Call: c1.UploadAssetCall, Times: 1, Stall: true, AfterBytes: 1})
	id := s.fullSync(t, "workforce")
	running := s.serve(t, host.ServeOptions{StallTimeout: 3 * time.Second})
	s.waitFor(t, kind(c1.UploadStalled))
	running.says("C1 has neither taken more of the upload nor answered for 3s")
	outcome := s.finished(t, id)
	require.True(t, outcome.Succeeded, "%v", outcome.Status)
	require.Greater(t, outcome.Uploads[0].Size, int64(400<<10), "or it would fit into the buffers")
	require.Positive(t, s.BrokenUploads()) // On a busy machine the next may stall too.
	s.done(t, running, id)
}
