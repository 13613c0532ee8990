package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// runVariable makes the test binary the command itself, so that the tests drive
// a separate process with the code they were built from.
const runVariable = "BATON_SANDBOX_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runVariable) != "" {
		main()
		return
	}
	// Built with the race detector, each process would sleep a second at its end.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(m.Run())
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // This binary.
	cmd.Env = append([]string{runVariable + "=1", "GORACE=" + os.Getenv("GORACE")}, env...)
	return cmd
}

// service is a running `baton-sandbox scim`.
type service struct {
	cmd     *exec.Cmd
	baseURL string
	stdout  *bufio.Reader
	stderr  *bytes.Buffer
}

func startService(t *testing.T, env []string, args ...string) *service {
	t.Helper()
	return startListening(t, command(t, env, append([]string{"scim"}, args...)...))
}

// startListening starts a command that prints where it listens.
func startListening(t *testing.T, cmd *exec.Cmd) *service {
	t.Helper()
	s := &service{cmd: cmd, stderr: &bytes.Buffer{}}
	s.cmd.Stderr = s.stderr
	stdout, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	s.stdout = bufio.NewReader(stdout)
	require.NoError(t, s.cmd.Start())
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		require.NoError(t, err, s.stderr)
	}
	s.baseURL = strings.TrimSuffix(line, "\n")
	return s
}

// get asks for a path and decodes the answer, if it is a good one.
func (s *service) get(t *testing.T, path, token string, into any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.baseURL+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		require.NoError(t, json.NewDecoder(response.Body).Decode(into))
	}
	return response.StatusCode
}

// stop signals the service and waits for its end.
func (s *service) stop(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(signal))
	rest, err := io.ReadAll(s.stdout)
	require.NoError(t, err)
	require.Empty(t, string(rest), "one line on standard output and nothing after it")
	require.NoError(t, s.cmd.Wait(), s.stderr)
}

type page struct {
	TotalResults int
	Resources    []struct {
		ID       string
		UserName string
	}
}

func TestSCIM_RunsUntilASignal(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"interrupt": os.Interrupt, "terminate": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const token = "t0ken-from-the-environment"
			s := startService(t, []string{tokenVariable + "=" + token},
				"--accounts", "40", "--page-cap", "15", "--seed", "9", "--app", "design-tool", "--latency", "1ms")
			require.Regexp(t, `^http://127\.0\.0\.1:[1-9][0-9]*/scim/v2$`, s.baseURL)

			want, err := scim.People("design-tool", 9, 40)
			require.NoError(t, err)
			var got page
			require.Equal(t, http.StatusOK, s.get(t, "/Users?startIndex=11&count=1000", token, &got))
			require.Equal(t, 40, got.TotalResults)
			require.Len(t, got.Resources, 15)
			for i, resource := range got.Resources {
				require.Equal(t, want[10+i].ID, resource.ID)
				require.Equal(t, want[10+i].UserName, resource.UserName)
			}
			require.Equal(t, http.StatusUnauthorized, s.get(t, "/Users", "another", nil))

			s.stop(t, signal)
			log := s.stderr.String()
			require.Contains(t, log, `"query": "startIndex=11&count=1000", "status": 200`)
			require.NotContains(t, log, token)

			address, _, found := strings.Cut(strings.TrimPrefix(s.baseURL, "http://"), "/")
			require.True(t, found)
			var dialer net.Dialer
			_, err = dialer.DialContext(t.Context(), "tcp", address)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		})
	}
}

func TestTokenFlag_OverridesTheEnvironment(t *testing.T) {
	t.Parallel()
	s := startService(t, []string{tokenVariable + "=environment"}, "--token", "flag", "--addr", "localhost:0")
	var got page
	require.Equal(t, http.StatusUnauthorized, s.get(t, "/Users", "environment", nil))
	require.Equal(t, http.StatusOK, s.get(t, "/Users", "flag", &got))
	require.Equal(t, 250, got.TotalResults)
	s.stop(t, syscall.SIGTERM)
}

func TestSCIM_RefusesBadInputInOneSentence(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no token":               {[]string{"scim"}, "the bearer token is missing; set BATON_SANDBOX_TOKEN or pass --token"},
		"unsendable token":       {[]string{"scim", "--token", "hush hush"}, "the bearer token must consist of visible ASCII characters, without spaces"},
		"every address":          {[]string{"scim", "--token", "x", "--addr", ":0"}, `the address ":0" is not a loopback address; a sandbox listens on this machine only, such as on 127.0.0.1:0`},
		"every IPv4 address":     {[]string{"scim", "--token", "x", "--addr", "0.0.0.0:0"}, `the address "0.0.0.0:0" is not a loopback address; a sandbox listens on this machine only, such as on 127.0.0.1:0`},
		"every IPv6 address":     {[]string{"scim", "--token", "x", "--addr", "[::]:0"}, `the address "[::]:0" is not a loopback address; a sandbox listens on this machine only, such as on 127.0.0.1:0`},
		"an outer address":       {[]string{"scim", "--token", "x", "--addr", "192.0.2.1:0"}, `the address "192.0.2.1:0" is not a loopback address; a sandbox listens on this machine only, such as on 127.0.0.1:0`},
		"no port":                {[]string{"scim", "--token", "x", "--addr", "127.0.0.1"}, `the address "127.0.0.1" is not a host and a port such as 127.0.0.1:0: address 127.0.0.1: missing port in address`},
		"a port in use":          {[]string{"scim", "--token", "x", "--addr", taken.Addr().String()}, "cannot listen on " + taken.Addr().String() + "; is the port in use? "},
		"negative accounts":      {[]string{"scim", "--token", "x", "--accounts", "-1"}, "the number of accounts must not be negative, unlike -1"},
		"no page":                {[]string{"scim", "--token", "x", "--page-cap", "0"}, "the page cap must be at least 1, not 0"},
		"negative latency":       {[]string{"scim", "--token", "x", "--latency", "-1s"}, "the latency must not be negative, unlike -1s"},
		"too many arguments":     {[]string{"scim", "now"}, `unknown command "now" for "baton-sandbox scim"`},
		"no such command":        {[]string{"ldap"}, `unknown command "ldap" for "baton-sandbox"`},
		"no such output":         {[]string{"scim", "accounts", "--output", "xml"}, `the output must be csv or json, not "xml"`},
		"negative, for accounts": {[]string{"scim", "accounts", "--accounts", "-1"}, "the number of accounts must not be negative, unlike -1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, nil, c.args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Run(), &exit, "it must fail")
			require.Equal(t, 1, exit.ExitCode())
			require.Empty(t, stdout.String())
			require.True(t, strings.HasPrefix(stderr.String(), "baton-sandbox: "+c.want), stderr.String())
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
			require.NotContains(t, stderr.String(), "hush")
		})
	}
}

func TestAccounts_ArePrintedAsSeeded(t *testing.T) {
	t.Parallel()
	args := []string{"scim", "accounts", "--app", "design-tool", "--seed", "2", "--accounts", "25"}
	want, err := scim.People("design-tool", 2, 25)
	require.NoError(t, err)

	t.Run("json", func(t *testing.T) {
		t.Parallel()
		out, err := command(t, nil, append(args, "--output", "json")...).Output()
		require.NoError(t, err)
		var got []scim.Account
		require.NoError(t, json.Unmarshal(out, &got))
		require.Empty(t, cmp.Diff(want, got))
	})
	t.Run("csv", func(t *testing.T) {
		t.Parallel()
		out, err := command(t, nil, args...).Output()
		require.NoError(t, err)
		rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 1+len(want))
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		for i, account := range want {
			row := rows[1+i]
			require.Equal(t, account.ID, row[column["id"]])
			require.Equal(t, account.UserName, row[column["user_name"]])
			require.Equal(t, account.DisplayName, row[column["display_name"]])
			require.Equal(t, strings.Join(account.Emails, ";"), row[column["emails"]])
			require.Equal(t, account.Active, row[column["active"]] == "true")
			require.Equal(t, account.LastModified.Format("2006-01-02T15:04:05Z"), row[column["last_modified"]])
		}
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, err := command(t, nil, "--version").Output()
	require.NoError(t, err)
	require.Equal(t, "baton-sandbox version dev\n", string(out))
}
