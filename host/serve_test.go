package host_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// single is a service with one upload of one app, "fullstory", for what goes wrong at
// C1's end.
type single struct {
	tenant
	app    *app
	config string
	state  string
}

func newSingle(t *testing.T, options c1.Options, people scimsandbox.Options) *single {
	t.Helper()
	people.App = "fullstory"
	if people.Accounts == 0 {
		people.Accounts = 30
	}
	s := &single{tenant: startC1(t, options), app: startApp(t, people), state: t.TempDir()}
	s.config = configuration(t, []string{s.app.entry("fullstory")}, "workforce: { plugins: [fullstory], "+s.credentials(t, "workforce")+" }")
	return s
}

func (s *single) serve(t *testing.T, options host.ServeOptions) *serving {
	t.Helper()
	return serve(t, s.config, host.Options{StateDir: s.state, RetryFor: patience}, options)
}

// done checks that one sync arrived whole and in order, and stops the host.
func (s *single) done(t *testing.T, running *serving, id string) {
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
		"the token endpoint answers 503": {c1.Fault{Call: c1.TokenCall, Times: 2, HTTPStatus: 503}, "token endpoint answers 503", 1},
		"a first hello fails":            {c1.Fault{Call: c1.HelloCall, Times: 2, Code: codes.Unavailable, Message: "starting"}, "cannot be reached: starting", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSingle(t, c1.Options{}, scimsandbox.Options{})
			s.Inject(c.fault)
			id := s.fullSync(t, "workforce")
			running := s.serve(t, host.ServeOptions{})
			running.says(c.says)
			s.finished(t, id)
			running.says(`"msg":"sync done"`)
			require.Len(t, s.Uploads("workforce"), c.uploads)
			s.done(t, running, id)
		})
	}
}
