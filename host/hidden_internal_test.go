package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHost_HidesWhatIsOfOthers from each plugin: what lies beside its program may be theirs.
func TestHost_HidesWhatIsOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "baton-host.yaml")
	for _, name := range []string{"one.token", "two.token", "secret", "vault.token"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	require.NoError(t, os.WriteFile(config, []byte(`
plugins:
  one: { app: one, config: { token: "${file:one.token}" } }
  two: { app: two, config: { token: "${file:two.token}" } }
secret-stores:
  vault: { address: "https://vault.example", login: { method: token, token: "${file:vault.token}" } }
uploads:
  all: { plugins: [one, two], client-id: x, client-secret: "${file:secret}" }
`), 0o600))
	in := func(names ...string) []string {
		paths := make([]string, 0, len(names))
		for _, name := range names {
			paths = append(paths, filepath.Join(dir, name))
		}
		return paths
	}
	h, err := Open(t.Context(), Selection{ConfigFile: config}, Options{Secrets: NoSecrets, StateDir: filepath.Join(dir, "state")})
	require.NoError(t, err)
	defer h.Close(t.Context())
	always := []string{"state", "baton-host.yaml", "baton-host.lock", "secret", "vault.token"}
	require.ElementsMatch(t, in(append(always, "two.token")...), h.hiddenFrom("one"))
	require.ElementsMatch(t, in(append(always, "one.token")...), h.hiddenFrom("two"))
	require.ElementsMatch(t, in(append(always, "one.token", "two.token")...), h.hiddenFrom(""), "of an app without an entry")

	require.NoError(t, h.prepare(t.Context(), h.plugins))
	for _, p := range h.plugins {
		require.ElementsMatch(t, h.hiddenFrom(p.Name), p.Spec().Sandbox.Hidden)
	}

	without, err := Open(t.Context(), Selection{}, Options{StateDir: "relative"})
	require.NoError(t, err)
	defer without.Close(t.Context())
	absolute, err := filepath.Abs("relative")
	require.NoError(t, err)
	require.Equal(t, []string{absolute}, without.hiddenFrom("x"))
}
