package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// singleApp is a service with one upload of one app, "fullstory", for what goes
// wrong at C1's end.
type singleApp struct {
	*tenant
	app   *outage
	env   []string
	state string
}

func newSingle(t *testing.T) *singleApp {
	t.Helper()
	return newSingleOf(t, c1.Options{}, scim.Options{Accounts: 30})
}

// newSingleOf is newSingle with a C1 and an app that answer in other ways.
func newSingleOf(t *testing.T, options c1.Options, people scim.Options) *singleApp {
	t.Helper()
	s := &singleApp{tenant: startC1(t, options), state: t.TempDir()}
	people.App = "fullstory"
	s.app = startFlakyApp(t, people)
	credentials := s.client(t, "fullstory")
	s.env = []string{
		s.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret, "BATON_HOST_ID=host-1",
		"BATON_SCIM_BASE_URL=" + s.app.url, "BATON_SCIM_TOKEN=" + s.app.token,
	}
	return s
}

func (s *singleApp) run(t *testing.T, args ...string) *service {
	t.Helper()
	return startRun(t, s.env, append([]string{"--plugin", "fullstory", "--state-dir", s.state}, args...)...)
}

func TestRun_EndsWhereTheCredentialsOfEveryUploadAreWrong(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	require.NoError(t, s.DisableClient("fullstory"))
	host := s.run(t)
	require.Equal(t, 1, host.ends())
	require.Contains(t, host.output.String(), `no upload can be served any more:`)
	require.Contains(t, lastError(t, host.output.String()), `upload "fullstory": C1 refuses the client id and secret (its token endpoint answers 401)`)
}

func TestRunRefusesBadInputWithASentence(t *testing.T) {
	t.Parallel()
	good := newSingle(t)
	nightly := writeConfig(t, "plugins: { fullstory: { config: { scim-base-url: x, scim-token: y } } }\nuploads: { nightly: { plugins: [fullstory] } }\n")
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no credentials":                {nil, []string{"--plugin", "fullstory"}, `upload "fullstory" has no credentials for C1: set BATON_CLIENT_ID and BATON_CLIENT_SECRET`},
		"a malformed client id":         {[]string{"BATON_CLIENT_ID=x", good.env[2]}, []string{"--plugin", "fullstory"}, "BATON_CLIENT_ID is not of the form name@tenant.conductor.one/use"},
		"a malformed client secret":     {[]string{good.env[1], "BATON_CLIENT_SECRET=hush-hush"}, []string{"--plugin", "fullstory"}, "BATON_CLIENT_SECRET is not one that C1 gives out"},
		"an upload with a typing error": {nil, []string{"--config", nightly, "--upload", "nightli"}, `there is no upload "nightli"; did you mean "nightly"?`},
		"an unknown plugin accepted":    {good.env, []string{"--plugin", "fullstory", "--accept-deletions", "other"}, "--accept-deletions other: there is no such plugin"},
		"a bad duration":                {good.env, []string{"--plugin", "fullstory", "--grace", "soon"}, `--grace must be a duration with its unit, such as 30s, not "soon"`},
		"negative durations":            {good.env, []string{"--plugin", "fullstory", "--stall-timeout", "-3s", "--retry-for", "-2s", "--grace", "-1s"}, "--grace must not be negative, unlike -1s"},
		"a negative time to retry":      {good.env, []string{"--plugin", "fullstory", "--retry-for", "-2s"}, "--retry-for must not be negative, unlike -2s"},
		"an address it cannot have":     {good.env, []string{"--plugin", "fullstory", "--state-dir", t.TempDir(), "--listen", "192.0.2.1:80"}, "--listen 192.0.2.1:80: "},
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
}
