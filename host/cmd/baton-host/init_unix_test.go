//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"testing"

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
	person.answers("Secret (not shown): ", "canary-3d5a")
	person.answers("Go through them? [y/N]: ", "y")
	person.answers("Pages Read Ahead", "99")
	person.answers("scim-read-ahead must be at most 32", "2")
	person.answers("SCIM Hidden Users", "-1")
	person.answers("scim-hidden-users must be at least 0", "")
	person.answers("Upload name [workforce]: ", "")
	person.answers("Client id (Enter leaves it out of the file): ", "")
	person.answers("Try it now, with its credentials? [Y/n]: ", "")
	status, shown := person.end()
	require.Equal(t, 0, status, shown)
	require.NotContains(t, shown, "canary-3d5a", "a secret is not echoed")
	require.Contains(t, shown, "secrets/fullstory-scim-token; keep it out of version control")
	require.Regexp(t, `(?m)^fullstory +fullstory +(\x1b\[\d+m)?ok`, shown)

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
	require.NotContains(t, shown, "Try it now", "it would fail")
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
			person.types("half of a sec\x03")
		}, 130, "nothing was left half-written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), t, nil, "baton-host", "init", "fullstory", "--set", "scim-base-url=https://app.example.com/scim/v2")
			person := startOnTerminal(t, cmd)
			person.await("Instance name [fullstory]: ")
			c.leave(person)
			status, shown := person.end()
			require.Equal(t, c.status, status, shown)
			require.Contains(t, shown, c.want)
			require.NotContains(t, shown, "half of a sec")
			entries, err := os.ReadDir(cmd.Dir)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}
