package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/built"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// startC1 runs `baton-sandbox c1` and returns the address that it prints.
func startC1(t *testing.T, args ...string) *service {
	t.Helper()
	return startListening(t, command(t, nil, append([]string{"c1"}, args...)...))
}

func TestC1_RunsUntilASignal(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"interrupt": os.Interrupt, "terminate": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "new")
			require.NoError(t, os.Mkdir(dir, 0o750))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "app.env"), []byte("old"), 0o644)) //nolint:gosec // too wide a mode is what is tested
			s := startC1(t, "--dir", dir, "--client", "app", "--client", "design-tool", "--addr", "localhost:0",
				"--sync-every", "1h", "--lease", "5s", "--next-poll", "0")
			require.Regexp(t, `^127\.0\.0\.1:[1-9][0-9]*$`, s.baseURL)

			for _, file := range []string{"ca.pem", "app.env", "design-tool.env"} {
				info, err := os.Stat(filepath.Join(dir, file))
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o600), info.Mode(), file)
			}
			// What a shell makes of the file is what a connector gets.
			out, err := exec.CommandContext(t.Context(), "sh", "-c", //nolint:gosec // a file of this test
				`. "$1"; echo "$BATON_CLIENT_ID"; echo "$BATON_CLIENT_SECRET"`, "sh", filepath.Join(dir, "design-tool.env")).Output()
			require.NoError(t, err)
			id, secret, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
			require.Equal(t, "design-tool@"+s.baseURL+"/pcc", id)
			require.Regexp(t, `^secret-token:conductorone\.com:v1:[A-Za-z0-9_-]+$`, secret)

			s.stop(t, signal)
			require.NotContains(t, s.stderr.String(), secret)
			var dialer net.Dialer
			_, err = dialer.DialContext(t.Context(), "tcp", s.baseURL)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
		})
	}
}

// TestC1_EndsAfterSyncs runs a real connector, the SDK's
// own service mode, against the command.
func TestC1_EndsAfterSyncs(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	connector := filepath.Join(bin, "baton-fullstory")
	require.NoError(t, built.Into(t.Context(), bin, ".", "build", "-ldflags", "-s -w", "../../../fullstory/cmd/baton-fullstory"))
	app, err := scim.New(scim.Options{Accounts: 25, Seed: 1, Token: "app-token"})
	require.NoError(t, err)
	running := httptest.NewServer(app)
	t.Cleanup(running.Close)
	baseURL := running.URL + app.BasePath()

	t.Run("that went well", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startC1(t, "--dir", dir, "--client", "app", "--exit-after", "2", "--sync-every", "100ms")
		runConnector(t, connector, dir, baseURL, "app-token")
		rest, err := io.ReadAll(s.stdout)
		require.NoError(t, err)
		require.NoError(t, s.cmd.Wait(), s.stderr)
		lines := regexp.MustCompile(`(?m)^client=app task=(\w{27}) bytes=[1-9]\d* sha256=[0-9a-f]{64}$`).FindAllStringSubmatch(string(rest), -1)
		require.Len(t, lines, 2, string(rest))
		for _, line := range lines {
			require.FileExists(t, filepath.Join(dir, "uploads", "app", line[1]+"-1.c1z"))
		}
	})
	t.Run("of which one failed", func(t *testing.T) {
		t.Parallel()
		// The app refuses its token.
		dir := t.TempDir()
		s := startC1(t, "--dir", dir, "--client", "app", "--exit-after", "1")
		runConnector(t, connector, dir, baseURL, "another-token")
		rest, err := io.ReadAll(s.stdout)
		require.NoError(t, err)
		require.Empty(t, string(rest), "nothing was uploaded")
		requireFailure(t, s, "failed for good")
	})
	t.Run("that did not come", func(t *testing.T) {
		t.Parallel()
		s := startC1(t, "--dir", t.TempDir(), "--exit-after", "1")
		require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
		_, err := io.ReadAll(s.stdout)
		require.NoError(t, err)
		requireFailure(t, s, "stopped before 1 full syncs were finished")
	})
}

func requireFailure(t *testing.T, s *service, want string) {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, s.cmd.Wait(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	lines := strings.Split(strings.TrimSpace(s.stderr.String()), "\n")
	require.Contains(t, lines[len(lines)-1], "baton-sandbox: ")
	require.Contains(t, lines[len(lines)-1], want)
}

// runConnector runs a connector of the client app until the test ends.
func runConnector(t *testing.T, connector, dir, baseURL, token string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	work := t.TempDir()
	cmd := exec.CommandContext(ctx, "sh", "-c", //nolint:gosec // files of this test
		`set -a; . "$1"; exec "$2"`, "sh", filepath.Join(dir, "app.env"), connector)
	cmd.Dir = work
	cmd.Env = []string{
		"HOME=" + work, "TMPDIR=" + work, "PATH=" + os.Getenv("PATH"), "SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem"),
		"BATON_SCIM_BASE_URL=" + baseURL, "BATON_SCIM_TOKEN=" + token,
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // It was interrupted.
	})
}

func TestC1_RefusesBadInput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no directory":     {nil, "the directory for credentials and uploads is missing; pass --dir"},
		"a file":           {[]string{"--dir", file}, "make the directory: "},
		"an outer address": {[]string{"--dir", "DIR", "--addr", "192.0.2.1:0"}, `the address "192.0.2.1:0" is not a loopback address`},
		"every address":    {[]string{"--dir", "DIR", "--addr", ":0"}, `the address ":0" is not a loopback address`},
		"a client twice":   {[]string{"--dir", "DIR", "--client", "a", "--client", "a"}, `there is a client "a" already`},
		"a client's path":  {[]string{"--dir", "DIR", "--client", "../a"}, `the client's name "../a" must be 1 to 64 letters`},
		"no client":        {[]string{"--dir", "DIR", "--client", ""}, "there is no client; pass --client with a name"},
		"a negative time":  {[]string{"--dir", "DIR", "--sync-every", "-1s"}, "the time between two full syncs must not be negative, unlike -1s"},
		"no lease":         {[]string{"--dir", "DIR", "--lease", "0"}, "the lease must be longer than 0s"},
		"a negative poll":  {[]string{"--dir", "DIR", "--next-poll", "-1s"}, "the pause before the next poll must not be negative, unlike -1s"},
		"a negative count": {[]string{"--dir", "DIR", "--exit-after", "-1"}, "the number of full syncs to exit after must not be negative, unlike -1"},
		"no number":        {[]string{"--dir", "DIR", "--exit-after", "many"}, `invalid argument "many" for "--exit-after" flag`},
		"an argument":      {[]string{"--dir", "DIR", "now"}, `unknown command "now" for "baton-sandbox c1"`},
		"no such flag":     {[]string{"--directory", "DIR"}, "unknown flag: --directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"c1"}, c.args...)
			for i := range args {
				args[i] = strings.Replace(args[i], "DIR", t.TempDir(), 1)
			}
			cmd := command(t, nil, args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			require.ErrorAs(t, cmd.Run(), &exit, "it must fail")
			require.Equal(t, 1, exit.ExitCode())
			require.Empty(t, stdout.String())
			require.True(t, strings.HasPrefix(stderr.String(), "baton-sandbox: "+c.want), stderr.String())
			require.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
		})
	}
}
