//go:build real && linux

package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestReal_Keyring reads gnome-keyring in a D-Bus session of its own. `make real` installs it.
func TestReal_Keyring(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 3, Seed: 1, Token: tokenCanary})
	home := t.TempDir()
	token := filepath.Join(home, "token")
	require.NoError(t, os.WriteFile(token, []byte(tokenCanary), 0o600))
	config := func(entry string) string {
		return writeConfig(t, `
plugins:
  fullstory:
    config: { scim-base-url: "`+fullstory.url+`", scim-token: "${keyring:`+entry+`}" }
uploads: { workforce: { plugins: [fullstory] } }
`)
	}
	// One after another: each session finds the files of the one before it.
	for _, c := range []struct {
		name, script, entry string
		want                []string // of a failure; empty: the app takes the token
	}{
		{"stored", `printf pw | gnome-keyring-daemon --unlock --components=secrets >&2 &&
			secret-tool store --label=test service fullstory username scim <` + token, "fullstory/scim", nil},
		{"unlocked again", `printf pw | gnome-keyring-daemon --unlock --components=secrets >&2`, "fullstory/scim", nil},
		{"no such entry", `printf pw | gnome-keyring-daemon --unlock --components=secrets >&2`, "fullstory/other", []string{
			"${keyring:fullstory/other}: the keyring has no entry of this service and account; ",
		}},
		{"locked", `gnome-keyring-daemon --start --components=secrets >&2`, "fullstory/scim", []string{"${keyring:fullstory/scim}: the keyring "}},
		{"no session", "", "fullstory/scim", []string{"${keyring:fullstory/scim}: there is no session bus (D-Bus), by which a keyring is asked; "}},
	} {
		// What /proc shows of the host and of its children while it runs.
		check := `"$0" check --config "$1" --log-level debug & host=$!
			while [ -n "$(tr -d '\0' </proc/$host/cmdline)" ]; do
				for process in $host $(cat /proc/$host/task/*/children); do
					cat /proc/$process/cmdline /proc/$process/environ
				done >>"$HOME/processes"
			done 2>/dev/null
			wait $host`
		args := []string{"dbus-run-session", "--", "sh", "-c", c.script + "\n" + check, filepath.Join(bin, "baton-host"), config(c.entry)}
		if c.script == "" {
			args = append([]string{"env"}, args[2:]...)
		}
		cmd := command(t.Context(), t, []string{"XDG_RUNTIME_DIR=" + home}, "baton-host")
		cmd.Path, cmd.Args = "/usr/bin/env", append([]string{"env", "HOME=" + home}, args...)
		result := finish(t, cmd)
		for where, text := range places(t, cmd.Dir) {
			require.Empty(t, canary.Find(text, tokenCanary), "%s: %s", c.name, where)
		}
		require.Empty(t, canary.Find([]byte(result.stdout+result.stderr), tokenCanary), c.name)
		processes, err := os.ReadFile(filepath.Join(home, "processes"))
		require.NoError(t, err)
		require.Empty(t, canary.Find(processes, tokenCanary), c.name)
		if len(c.want) > 0 {
			requireSentence(t, result, c.want)
			continue
		}
		require.Equal(t, 0, result.status, "%s: %s", c.name, result.stdout+result.stderr)
		require.Contains(t, result.stdout, "ok", c.name)
		require.Contains(t, string(processes), "BATON_PLUGIN_HOST_PID=", "the plugin was seen")
	}
}
