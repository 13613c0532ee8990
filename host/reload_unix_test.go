//go:build unix

package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// TestReload_EndsTheWaitForCredentials: an upload whose credentials are in a store that is
// away waits for them, and a reload that names others does not wait for that. That a store has
// come or gone since changes nothing.
func TestReload_EndsTheWaitForCredentials(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	good := contentsOf(t, p.config)
	dir := t.TempDir()
	between := func(before, behind string) string {
		_, rest, _ := strings.Cut(good, before)
		text, _, _ := strings.Cut(rest, behind)
		return text
	}
	away, id, secret := filepath.Join(dir, "away"), between(`client-id: "`, `"`), between("${file:", "}")
	require.NoError(t, os.WriteFile(away, nil, 0o600))
	store := program(t, dir, "store", fmt.Sprintf("test ! -e %s || exit 1\ncase $1 in id) printf %%s '%s';; *) cat '%s';; esac", away, id, secret))
	rewrite(t, p.config, func(text string) string {
		before, _, _ := strings.Cut(text, "client-id:")
		return before + fmt.Sprintf("client-id: \"${exec:c1 id}\", client-secret: \"${exec:c1 secret}\" }\nsecret-helpers: { c1: { command: [%q] } }\n", store)
	})
	const waits = "the credentials for C1 cannot be resolved; trying again"
	running := p.tenant.serve(t, p.config, host.Options{StateDir: p.state, StoresMayBeAway: true}, host.ServeOptions{})
	running.says(waits)
	inStore := contentsOf(t, p.config)
	require.NoError(t, os.WriteFile(p.config, []byte(good), 0o600))
	require.Equal(t, changes{host.ReloadChanged: {"workforce"}}, running.reloads())
	require.True(t, p.sync(t).Succeeded)

	waited := strings.Count(running.log.String(), waits)
	require.NoError(t, os.WriteFile(p.config, []byte(inStore), 0o600))
	require.Equal(t, changes{host.ReloadChanged: {"workforce"}}, running.reloads())
	running.saysTimes(waits, waited+1)
	require.NoError(t, os.Remove(away))
	require.True(t, p.sync(t).Succeeded)
	require.Equal(t, changes{}, running.reloads(), "they were resolved later than they were loaded")
	require.NoError(t, os.WriteFile(away, nil, 0o600))
	require.Equal(t, changes{}, running.reloads(), "they are known")
	require.True(t, p.sync(t).Succeeded)
	running.stop()
	require.Empty(t, p.Violations())
}

// TestReload_HidesWhatIsNewBesideAProgram: a file with a secret of another plugin that lies
// where a running one may read is kept from it by another process.
func TestReload_HidesWhatIsNewBesideAProgram(t *testing.T) {
	t.Parallel()
	if sandbox.Kernel().Landlock == 0 {
		t.Skip("this system has no Landlock")
	}
	p := newPair(t, c1.Options{})
	program := besides(t, t.TempDir())
	rewrite(t, p.config, replaced("  fullstory:\n    path: "+self, "  fullstory:\n    path: "+program))
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	token := filepath.Join(filepath.Dir(program), "token")
	require.NoError(t, os.WriteFile(token, []byte(p.design.token), 0o600))
	rewrite(t, p.config, replaced(fmt.Sprintf("scim-token: %q", p.design.token), "scim-token: \"${file:"+token+"}\""))
	require.Equal(t, changes{host.ReloadChanged: {"fullstory", "design-tool", "workforce"}}, running.reloads())
	require.True(t, p.sync(t).Succeeded)
	running.stop()
}
