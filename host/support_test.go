package host_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// TestSupport_HasTheHostThatRunsWithoutWhoIsInIt: a fresh sync, one that failed, and the same
// without a host and with a configuration that is broken.
func TestSupport_HasTheHostThatRunsWithoutWhoIsInIt(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	support := func() string {
		text, err := host.Support(t.Context(), host.Selection{ConfigFile: p.config}, host.Options{Version: "v1.2.3", StateDir: p.state})
		require.NoError(t, err)
		hidden := []string{p.fullstory.token, p.design.token, p.fullstory.url, p.tenant.Addr(), p.state, filepath.Dir(p.config), "workforce", "design-tool", "@", "example.com"}
		for _, account := range p.seeded() {
			hidden = append(hidden, account.login, account.id)
		}
		for _, one := range hidden {
			require.NotContains(t, text, one)
		}
		return text
	}
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	running.says(`"msg":"sync done"`) // By then the host shows it.
	text := support()
	require.Regexp(t, `(?m)^host that runs +\S+ +- +\S+ +go1\.`, text)
	require.Regexp(t, `(?m)^upload-1 +fresh .* connected$`, text)
	require.Regexp(t, `(?m)^plugin-1 +ready .* baton-scim +v1\.0\.0 `, text)
	require.Contains(t, text, "scim-token: (text)\n")
	require.Contains(t, text, `baton_host_accounts{plugin="plugin-1",upload="upload-1"} 40`+"\n")
	require.Contains(t, text, "\nprocess_resident_memory_bytes ")
	require.Regexp(t, `(?m)^upload-1 +\d+ +20\S+Z +good +20\S+Z +20\S+Z$`, text)
	require.Contains(t, text, "## Last errors\nNone is known.\n")

	p.fullstory.fail(0) // With the address of a person in its answer.
	require.False(t, p.sync(t).Succeeded)
	running.says(`"msg":"sync failed"`)
	text = support()
	require.Regexp(t, `(?m)^20\S+Z +1 +upload-1 +- +sync +plugin "plugin-1": .*500 Internal Server Error`, text)
	running.stop()

	replaceIn(t, p.config, "uploads:", "uplodas: { lovelace: tok }\nuploads:")
	text = support()
	require.Contains(t, text, "## Host that runs\nNo host runs on the state directory.\n")
	require.Contains(t, text, `unknown key "…"; did you mean "uploads"?`)
	require.Contains(t, text, "(a key that is unknown here): (mapping of 1)\n")
	require.Regexp(t, `(?m)^upload-1 +20\S+Z +failed .*plugin "plugin-1": .*500 Internal Server Error`, text)
	require.NotContains(t, text, "lovelace")
	require.NotContains(t, strings.ToLower(text), "## metrics")
}
