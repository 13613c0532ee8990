//go:build unix

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

func TestInitAsksWritesAndChecks(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "canary-3d5a"})
	cmd := command(t.Context(), t, nil, "baton-host", "init")
	person := startOnTerminal(t, cmd)
	person.await("Which app is it about?")
	person.answers("Choose: ", "fullstory")
	person.answers("Instance name [fullstory]: ", "")
	person.answers("SCIM Base URL (scim-base-url)", app.url)
	person.await("SCIM Token (scim-token)")
	person.answers("Choose [1]: ", "3")
	person.answers("Secret (not shown): ", "canary-0b57")
	person.answers("Go through them? [y/N]: ", "y")
	person.answers("Pages Read Ahead", "99")
	person.answers("scim-read-ahead must be at most 32", "2")
	person.answers("SCIM Hidden Users", "-1")
	person.answers("scim-hidden-users must be at least 0", "")
	person.answers("Upload name [workforce]: ", "")
	person.answers("Client id (Enter leaves it out of the file): ", "")
	person.await("This does not work yet:")
	person.await("401")
	entries, err := os.ReadDir(filepath.Join(cmd.Dir, "secrets"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "the plugin reads the secret where it will be")
	require.NoFileExists(t, filepath.Join(cmd.Dir, "baton-host.yaml"))
	person.answers("Choose [1]: ", "")
	person.await("2) scim-token (now ${file:secrets/fullstory-scim-token})")
	person.answers("Choose [1]: ", "scim-token")
	person.answers("Choose [1]: ", "3")
	person.answers("Secret (not shown): ", "canary-3d5a")
	person.await("It works.")
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.NotContains(t, shown, "canary", "a secret is not echoed")
	require.Contains(t, shown, "secrets/fullstory-scim-token; keep it out of version control")

	path := filepath.Join(cmd.Dir, "baton-host.yaml")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), "scim-token: ${file:secrets/fullstory-scim-token}\n      scim-read-ahead: 2\n")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	synced := execute(t, nil, "baton-host", "sync", "--config", path, "--output-dir", cmd.Dir)
	require.Equal(t, 0, synced.status, synced.stderr)
	require.NotContains(t, synced.stderr, "warning", "no other user may read what was written")
	require.Len(t, accountsIn(t, filepath.Join(cmd.Dir, "workforce.c1z")), 3)
}

func TestInitRefersToVariablesThatAreNotSetYet(t *testing.T) {
	t.Parallel()
	cmd := command(t.Context(), t, nil, "baton-host", "init", "fullstory", "--name", "fs", "--upload", "contractors", "--config", "x.yaml",
		"--set", "scim-base-url=https://app.example.com/scim/v2")
	person := startOnTerminal(t, cmd)
	person.answers("Choose [1]: ", "")
	person.answers("Name of the variable [BATON_SCIM_TOKEN]: ", "FULLSTORY_SCIM_TOKEN")
	person.answers("Go through them? [y/N]: ", "")
	person.answers("Client id (Enter leaves it out of the file): ", "")
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.Contains(t, shown, "Set FULLSTORY_SCIM_TOKEN. Then:\n\n  baton-host check --config x.yaml\n")
	require.Contains(t, shown, "The plugin was not tried")
	content, err := os.ReadFile(filepath.Join(cmd.Dir, "x.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(content), `plugins:
  fs:
    app: fullstory
    config:
      scim-base-url: https://app.example.com/scim/v2
      scim-token: ${env:FULLSTORY_SCIM_TOKEN}
uploads:
  contractors:
    plugins: [fs]
`)
}

// TestInit_LeavesNothingWhereItIsLeft: with Ctrl-D, with Ctrl-C at a question, with Ctrl-C
// at a secret.
func TestInit_LeavesNothingWhereItIsLeft(t *testing.T) {
	t.Parallel()
	asked, end := make(chan struct{}, 1), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(end) }) // Before, so that no request is waited for.
	for name, c := range map[string]struct {
		leave  func(*onTerminal)
		status int
		want   string
	}{
		"the end of the input": {func(person *onTerminal) { person.types("\x04") }, 1, "nothing was written"},
		"an interrupt":         {func(person *onTerminal) { person.types("\x03") }, 130, "nothing was left half-written"},
		"an interrupt at a secret": {func(person *onTerminal) {
			person.types("\r")
			person.answers("Choose [1]: ", "3")
			person.await("Secret (not shown): ")
			person.types("half-of-a-sec\x03")
		}, 130, "nothing was left half-written"},
		"an interrupt while it is tried": {func(person *onTerminal) {
			person.types("\r")
			person.answers("Choose [1]: ", "3")
			person.answers("Secret (not shown): ", "half-of-a-sec")
			person.answers("Go through them? [y/N]: ", "")
			person.answers("Upload name [workforce]: ", "")
			person.answers("Client id (Enter leaves it out of the file): ", "")
			person.await("Trying it with its credentials")
			select {
			case <-asked:
			case <-time.After(time.Minute):
				require.Fail(person.t, "the app was not asked")
			}
			person.types("\x03")
		}, 130, "nothing was left half-written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), t, nil, "baton-host", "init", "fullstory", "--set", "scim-base-url="+silent.URL)
			person := startOnTerminal(t, cmd)
			person.await("Instance name [fullstory]: ")
			c.leave(person)
			status, shown := person.end()
			require.Equal(t, c.status, status, shown)
			require.Contains(t, shown, c.want)
			require.NotContains(t, shown, "half-of-a-sec")
			entries, err := os.ReadDir(cmd.Dir)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}

func TestAddAsksAndKeepsTheFile(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: "canary-77ab"})
	cmd := command(t.Context(), t, nil, "baton-host", "add", "fullstory")
	path := filepath.Join(cmd.Dir, "baton-host.yaml")
	before := "# ours\nplugins:\n  # the first\n  fullstory:\n    config: { scim-base-url: " + app.url + ", scim-token: \"${file:token}\" }\nuploads:\n  workforce: { plugins: [fullstory] } # all\n"
	require.NoError(t, os.WriteFile(path, []byte(before), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, "token"), []byte("canary-77ab"), 0o600))
	person := startOnTerminal(t, cmd)
	person.answers("Instance name [fullstory]: ", "")
	person.answers(`there is a plugin "fullstory" already`, "second")
	person.answers("SCIM Base URL (scim-base-url)", "foo")
	person.answers("scim-base-url must be a whole URL", "http://")
	person.answers("scim-base-url has no host", app.url)
	person.await("SCIM Token (scim-token)")
	person.answers("Choose [1]: ", "3")
	person.answers("Secret (not shown): ", "canary-77ab")
	person.answers("Go through them? [y/N]: ", "")
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.NotContains(t, shown, "canary-77ab", "a secret is not echoed")
	require.Contains(t, shown, "baton-host.yaml has one more app: the plugin second in the upload workforce.")
	require.Contains(t, shown, "baton-host reload")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	added := "  second:\n    app: fullstory\n    config:\n      scim-base-url: " + app.url + "\n      scim-token: ${file:secrets/second-scim-token}\n"
	require.Equal(t, strings.Replace(strings.Replace(before, "uploads:", added+"uploads:", 1), "[fullstory]", "[fullstory, second]", 1), string(content))
}

// TestAdd_ForScriptsNamesTheLockFile: a host that is locked starts nothing that is new.
func TestAdd_ForScriptsNamesTheLockFile(t *testing.T) {
	t.Parallel()
	cmd := command(t.Context(), t, []string{"T=x"}, "baton-host", "add", "scim", "--no-input", "--no-validate", "--upload", "contractors",
		"--set", "scim-base-url=https://app.example.com/scim/v2", "--set", "scim-token=${env:T}")
	path := filepath.Join(cmd.Dir, "baton-host.yaml")
	require.NoError(t, os.WriteFile(path, []byte("plugins: { fullstory: {} }\nuploads: { workforce: { plugins: [fullstory] } }\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(cmd.Dir, "baton-host.lock"), []byte("{}"), 0o600))
	result := finish(t, cmd)
	require.Equal(t, 0, result.status, result.stderr)
	require.Contains(t, result.stdout, "  baton-host lock\n  baton-host check\n")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), "uploads: { contractors: {plugins: [scim]}, workforce: { plugins: [fullstory] } }\n")
}

// TestSync_OfOneUploadNeedsNoSecretsOfTheOthers: by the command as an operator has it.
func TestSync_OfOneUploadNeedsNoSecretsOfTheOthers(t *testing.T) {
	t.Parallel()
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1})
	path := writeConfig(t, "plugins:\n  fullstory: { config: { scim-base-url: "+app.url+", scim-token: \"${env:TOKEN}\" } }\n"+
		"  other: { app: fullstory, config: { scim-base-url: "+app.url+", scim-token: \"${env:NOT_SET_ANYWHERE}\" } }\n"+
		"uploads:\n  a: { plugins: [fullstory] }\n  b: { plugins: [other], client-id: \"${env:NO_ID}\", client-secret: \"${env:NO_SECRET}\" }\n")
	out, env := t.TempDir(), []string{"TOKEN=" + app.token}
	synced := execute(t, env, "baton-host", "sync", "--config", path, "--upload", "a", "--output-dir", out)
	require.Equal(t, 0, synced.status, synced.stderr)
	checked := execute(t, env, "baton-host", "check", "--config", path, "--upload", "a", "--output-dir", out)
	require.Equal(t, 0, checked.status, checked.stderr)
	require.Regexp(t, `(?m)^upload +a +not checked: no client-id$`, checked.stdout)
	requireSentence(t, execute(t, env, "baton-host", "sync", "--config", path, "--output-dir", out), []string{"NOT_SET_ANYWHERE"})
}

// TestAdd_OffersToInstallWhatIsNotThere: an app that no plugin is here for, by its version.
func TestAdd_OffersToInstallWhatIsNotThere(t *testing.T) {
	t.Parallel()
	people := startApp(t, scim.Options{App: "intranet", Accounts: 3, Token: "canary-19c4"})
	p := newPublication(t, "# ours\n")
	p.publishProgram("baton-intranet", "v0.2.41", "baton-fullstory") // It asks for less.
	person := startOnTerminal(t, command(t.Context(), t, p.env, "baton-host", "add", "--config", p.config, "--set", "scim-base-url="+people.url))
	person.await("another one: its connector is installed first")
	person.answers("Choose", strconv.Itoa(len(installedApps(t))+1))
	person.answers("App, as its connector baton-<app> is called: ", "intranet")
	person.answers("Version or image (Enter installs none): ", "v0.2.40")
	person.await("baton-intranet v0.2.40 is not installed: ")
	person.answers("Version or image (Enter installs none): ", "v0.2.41")
	person.answers("Instance name [intranet]: ", "")
	person.answers("Choose [1]: ", "3")
	person.answers("Secret (not shown): ", "canary-19c4")
	person.answers("Go through them? [y/N]: ", "")
	person.answers("Client id (Enter leaves it out of the file): ", "")
	person.await("It works.")
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.Contains(t, shown, "Its connector is installed, and locked in "+p.lock)
	requireOnly(t, p.dir, "authority.pem", "baton-host.lock", "baton-host.yaml", "secrets", "store", "trusted_root.json")
	p.does("lock", "--check")
	p.does("sync", "--output-dir", t.TempDir())
}

// installedApps returns the apps that init and add offer.
func installedApps(t *testing.T) []string {
	t.Helper()
	listed := execute(t, nil, "baton-host", "plugins", "-o", "json")
	require.Equal(t, 0, listed.status, listed.stderr)
	var found []struct {
		App      string
		Shadowed bool
	}
	require.NoError(t, json.Unmarshal([]byte(listed.stdout), &found))
	var apps []string
	for _, one := range found {
		if !one.Shadowed {
			apps = append(apps, one.App)
		}
	}
	return apps
}
