package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// single is a service with one upload of one app, "fullstory", for what goes
// wrong at C1's end.
type single struct {
	*tenant
	app   *outage
	env   []string
	state string
}

func newSingle(t *testing.T, options c1.Options, people scim.Options) *single {
	t.Helper()
	s := &single{tenant: startC1(t, options), state: t.TempDir()}
	people.App = "fullstory"
	if people.Accounts == 0 {
		people.Accounts = 30
	}
	s.app = startFlakyApp(t, people)
	credentials := s.client(t, "fullstory")
	s.env = []string{
		s.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret, "BATON_HOST_ID=host-1",
		"BATON_SCIM_BASE_URL=" + s.app.url, "BATON_SCIM_TOKEN=" + s.app.token,
	}
	return s
}

func (s *single) run(t *testing.T, args ...string) *service {
	t.Helper()
	return startRun(t, s.env, append([]string{"--plugin", "fullstory", "--state-dir", s.state}, args...)...)
}

// done checks that one sync arrived whole and in order, and stops the host.
func (s *single) done(t *testing.T, host *service, id string) {
	t.Helper()
	require.Len(t, s.synced(t, id), len(s.app.server.Accounts()))
	host.stop()
	require.Empty(t, s.Violations())
	requireOnly(t, s.state, "fullstory.c1z", "fullstory.c1z.json")
}

func TestWhatFailsAtC1sEndAndPassesIsOvercome(t *testing.T) {
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
			s := newSingle(t, c1.Options{}, scim.Options{})
			s.Inject(c.fault)
			id := s.fullSync(t, "fullstory")
			host := s.run(t, "--stall-timeout", "2s")
			host.says(c.says)
			s.finished(t, id)
			host.says(`"msg":"sync done"`)
			require.Len(t, s.Uploads("fullstory"), c.uploads)
			s.done(t, host, id)
		})
	}
}

func TestWhatFailsAtC1sEndForGoodFailsTheTask(t *testing.T) {
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
			s := newSingle(t, c1.Options{}, scim.Options{})
			mended := s.Inject(c.fault)
			id := s.fullSync(t, "fullstory")
			host := s.run(t)
			failed := s.finished(t, id)
			require.False(t, failed.Succeeded)
			require.False(t, failed.NonRetryable)
			require.Contains(t, failed.Status.GetMessage(), fmt.Sprintf(c.says, s.Addr()))
			require.Empty(t, failed.Uploads)
			host.says(`"msg":"sync failed"`)
			listed := slices.ContainsFunc(s.app.server.Requests(), func(r scim.Request) bool { return strings.HasSuffix(r.Path, "/Users") })
			require.Equal(t, c.read, listed)
			requireOnly(t, s.state)

			mended()
			s.done(t, host, s.fullSync(t, "fullstory"))
		})
	}
}

func TestHeartbeatsThatAreNotHeardEndNoSync(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{NextHeartbeat: time.Second}, scim.Options{Accounts: 60, PageCap: 10})
	reached, release := s.app.hold(1)
	id := s.fullSync(t, "fullstory")
	host := s.run(t)
	<-reached
	s.Inject(c1.Fault{Call: c1.HeartbeatCall, Code: codes.Unavailable, Message: "busy"})
	host.saysTimes("a heartbeat failed", 2)
	release()
	s.done(t, host, id)
}

func TestC1MayBeAwayAtTheStart(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	s.Suspend()
	id := s.fullSync(t, "fullstory")
	host := s.run(t)
	host.says("cannot be reached")
	host.says("connection refused")
	require.NoError(t, s.Resume())
	s.done(t, host, id)
}

func TestC1MayGoAwayInTheMiddleOfASync(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{Accounts: 60, PageCap: 10})
	reached, release := s.app.hold(1)
	id := s.fullSync(t, "fullstory")
	host := s.run(t)
	<-reached
	s.Suspend()
	release()
	host.says("the upload failed; trying again")
	require.NoError(t, s.Resume())
	s.done(t, host, id)
}

func TestAnExpiredTokenIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	host := s.run(t)
	s.waitFor(t, kind(c1.Polled))
	s.ExpireTokens("fullstory")
	id := s.fullSync(t, "fullstory")
	s.finished(t, id)
	issued := 0
	for _, event := range s.Events() {
		if event.Kind == c1.TokenIssued {
			issued++
		}
	}
	require.GreaterOrEqual(t, issued, 2)
	s.done(t, host, id)
}

func TestACertificateThatIsNotTrustedIsNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	s.env = s.env[1:]
	host := s.run(t)
	host.says("is not trusted")
	host.says("certificate signed by unknown authority")
	host.says("SSL_CERT_FILE")
	host.says("trying again")
	host.stop()
	require.Empty(t, s.Uploads("fullstory"))
}

func TestWrongCredentialsStopOneUploadOnly(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	people := scim.Options{App: "fullstory", Accounts: 12}
	config, env := companies(t, tenant, startApp(t, people), startApp(t, scim.Options{App: "design-tool", Accounts: 12}), startApp(t, scim.Options{App: "wiki", Accounts: 12}))
	require.NoError(t, tenant.DisableClient("contractors"))
	host := startRun(t, env, "--config", config, "--state-dir", t.TempDir())
	host.says("C1 refuses the credentials; this upload is stopped")
	host.says("get new ones from the connector's page in C1")
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 24)
	host.stop()
	require.Empty(t, tenant.Uploads("contractors"))
}

func TestWrongCredentialsForEveryUploadEndTheProcess(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	require.NoError(t, s.DisableClient("fullstory"))
	host := s.run(t)
	require.Equal(t, 1, host.ends())
	require.Contains(t, host.said.String(), `no upload can be served any more:`)
	require.Contains(t, lastError(t, host.said.String()), `upload "fullstory": C1 refuses the client id and secret (its token endpoint answers 401)`)
}

func TestCredentialsThatWorkedAreNotGivenUp(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	host := s.run(t)
	s.waitFor(t, kind(c1.Polled))
	s.Inject(c1.Fault{Call: c1.TokenCall, Times: 1, HTTPStatus: 401})
	s.ExpireTokens("fullstory")
	host.says("C1 refuses the client id and secret")
	host.says("trying again")
	host.stop()
}

// TestARefusalAndThenAnOutageIsAnOutage has C1 refuse the credentials on its way
// down. What counts is what it says when it is back, however often it was asked
// for a connection meanwhile.
func TestARefusalAndThenAnOutageIsAnOutage(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	s.Inject(c1.Fault{Call: c1.TokenCall, Times: 1, HTTPStatus: 401})
	id := s.fullSync(t, "fullstory")
	host := s.run(t)
	host.says("C1 refuses the client id and secret")
	s.Suspend()
	host.saysTimes("cannot be reached", 4)
	require.NoError(t, s.Resume())
	s.done(t, host, id)
}

func TestATaskThatC1TakesBackIsNotUploaded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takeBack func(s *single, id string)
		says     string
		told     codes.Code
	}{
		"cancelled": {func(s *single, id string) { s.Cancel(id) }, "C1 has cancelled the task", codes.Canceled},
		"expired":   {func(s *single, id string) { s.Expire(id) }, "C1 has taken the task back", codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{NextHeartbeat: time.Second}, scim.Options{Accounts: 60, PageCap: 10})
			reached, release := s.app.hold(1)
			defer release()
			id := s.fullSync(t, "fullstory")
			host := s.run(t)
			<-reached
			c.takeBack(s, id)
			host.says(c.says)
			host.says(`"msg":"sync dropped"`)
			outcome, known := s.Result(id)
			require.True(t, known)
			require.False(t, outcome.Succeeded)
			require.Empty(t, outcome.Uploads)
			require.Equal(t, c.told, codes.Code(outcome.Status.GetCode())) //nolint:gosec // Codes are small.
			host.stop()
			requireOnly(t, s.state)
			require.Empty(t, s.Violations())
		})
	}
}

func TestATaskThatIsTakenBackBeforeItsFirstHeartbeatLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	s.Inject(c1.Fault{Call: c1.HeartbeatCall, Times: 1, Code: codes.NotFound, Message: "no such task"})
	s.fullSync(t, "fullstory")
	host := s.run(t)
	host.says("C1 has taken the task back")
	host.says(`"msg":"sync dropped"`)
	host.stop()
	require.Empty(t, s.Uploads("fullstory"))
	requireOnly(t, s.state)
}

func TestAPollIntervalOfZeroIsNoBusyLoop(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{NextPoll: -1}, scim.Options{})
	host := s.run(t)
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	var polls []c1.Event
	require.NoError(t, s.Wait(ctx, func(events []c1.Event) bool {
		polls = slices.DeleteFunc(events, func(e c1.Event) bool { return e.Kind != c1.Polled })
		return len(polls) >= 4
	}))
	require.Greater(t, polls[3].At.Sub(polls[0].At), 2*time.Second)
	host.stop()
}

func TestTheStateDirectoryIsTakenByOneHost(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{})
	host := s.run(t)
	s.waitFor(t, kind(c1.Polled))
	second := s.run(t)
	require.Equal(t, 1, second.ends())
	require.Contains(t, second.said.String(), "the state directory "+s.state+" is in use by another baton-host; give each its own with --state-dir")
	host.stop()
}

func TestRunRefusesBadInputWithASentence(t *testing.T) {
	t.Parallel()
	good := newSingle(t, c1.Options{}, scim.Options{})
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	unwritable := filepath.Join(t.TempDir(), "ro")
	require.NoError(t, os.Mkdir(unwritable, 0o500))
	bare := writeConfig(t, "plugins: { fullstory: { config: { scim-base-url: x, scim-token: y } } }\nuploads: { a: { plugins: [fullstory] }, b: { plugins: [fullstory] } }\n")
	nightly := writeConfig(t, "plugins: { fullstory: { config: { scim-base-url: x, scim-token: y } } }\nuploads: { nightly: { plugins: [fullstory] } }\n")
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no credentials":                {nil, []string{"--plugin", "fullstory"}, `upload "fullstory" has no credentials for C1: set BATON_CLIENT_ID and BATON_CLIENT_SECRET`},
		"a malformed client id":         {[]string{"BATON_CLIENT_ID=x", good.env[2]}, []string{"--plugin", "fullstory"}, "BATON_CLIENT_ID is not of the form name@tenant.conductor.one/use"},
		"a malformed client secret":     {[]string{good.env[1], "BATON_CLIENT_SECRET=hush-hush"}, []string{"--plugin", "fullstory"}, "BATON_CLIENT_SECRET is not one that C1 gives out"},
		"uploads without any":           {nil, []string{"--config", bare}, `upload "a", "b" has no client-id and client-secret`},
		"an upload with a typing error": {nil, []string{"--config", nightly, "--upload", "nightli"}, `there is no upload "nightli"; did you mean "nightly"?`},
		"an unknown upload":             {nil, []string{"--config", bare, "--upload", "c"}, `there is no upload "c"; it has a, b`},
		"an unknown plugin accepted":    {good.env, []string{"--plugin", "fullstory", "--accept-deletions", "other"}, "--accept-deletions other: there is no such plugin"},
		"a bad duration":                {good.env, []string{"--plugin", "fullstory", "--grace", "soon"}, `--grace must be a duration with its unit, such as 30s, not "soon"`},
		"a negative duration":           {good.env, []string{"--plugin", "fullstory", "--grace", "-1s"}, "--grace must not be negative, unlike -1s"},
		"an address it cannot have":     {good.env, []string{"--plugin", "fullstory", "--state-dir", t.TempDir(), "--listen", "192.0.2.1:80"}, "--listen 192.0.2.1:80: "},
		"a state dir that is a file":    {good.env, []string{"--plugin", "fullstory", "--state-dir", file}, "the state directory " + file + " cannot be made"},
		"a wrong configuration":         {append(good.env[:4:4], "BATON_SCIM_TOKEN=x"), []string{"--plugin", "fullstory", "--state-dir", t.TempDir()}, "BATON_SCIM_BASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := execute(t, c.env, "baton-host", append([]string{"run", "--plugin-dir", bin, "--log-level", "error"}, c.args...)...)
			require.Equal(t, 1, result.status, result.stderr)
			require.Contains(t, lastError(t, result.stderr), c.want)
			require.NotContains(t, result.stderr, "hush")
			require.Empty(t, result.stdout)
		})
	}
	if os.Geteuid() != 0 { // Root may write everywhere.
		t.Run("an unwritable state dir", func(t *testing.T) {
			t.Parallel()
			result := execute(t, good.env, "baton-host", "run", "--plugin", "fullstory", "--state-dir", unwritable)
			require.Equal(t, 1, result.status)
			require.Contains(t, result.stderr, "the state directory "+unwritable+" cannot be written to")
		})
	}
}

// TestAnUploadThatC1StopsReadingIsSentAgain stalls an upload that is larger than
// all buffers on the way, in its middle, so that the host cannot send on.
func TestAnUploadThatC1StopsReadingIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newSingle(t, c1.Options{}, scim.Options{Accounts: 8000, PageCap: 1000})
	s.Inject(c1.Fault{Call: c1.UploadAssetCall, Times: 1, Stall: true, AfterBytes: 1})
	id := s.fullSync(t, "fullstory")
	host := s.run(t, "--stall-timeout", "3s")
	s.waitFor(t, kind(c1.UploadStalled))
	host.says("C1 has neither taken more of the upload nor answered for 3s")
	outcome := s.finished(t, id)
	require.True(t, outcome.Succeeded, "%v", outcome.Status)
	require.Greater(t, outcome.Uploads[0].Size, int64(400<<10), "or it would fit into the buffers")
	require.Equal(t, 1, s.BrokenUploads())
	s.done(t, host, id)
}
