package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
)

func TestAServiceRefusesAnUploadWithoutAPluginThatC1Has(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{
		"G5: fail":      "",
		"G5: last-good": "    on-plugin-failure: last-good\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, policy)
			first := p.run(t)
			require.True(t, p.sync(t).Succeeded)
			first.stop()
			kept, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
			require.NoError(t, err)

			replaceIn(t, p.config, "[fullstory, design-tool]", "[design-tool]")
			check := func(more ...string) run {
				return execute(t, p.env, "baton-host", append([]string{"check", "--plugin-dir", bin, "--config", p.config, "--state-dir", p.state}, more...)...)
			}
			checked := check()
			require.Equal(t, 1, checked.status)
			require.Contains(t, checked.stderr, `plugin "fullstory" is no longer in upload "workforce"`)
			require.Contains(t, checked.stderr, filepath.Join(p.state, "workforce.c1z"))

			second := p.run(t)
			refused := p.sync(t)
			require.False(t, refused.Succeeded)
			require.Contains(t, refused.Status.GetMessage(), `plugin "fullstory" is no longer in upload "workforce"`)
			require.Contains(t, refused.Status.GetMessage(), "40 accounts")
			require.Contains(t, refused.Status.GetMessage(), "--accept-deletions fullstory")
			require.Empty(t, refused.Uploads)
			second.stop()
			require.Contains(t, second.said.String(), `is in no upload, so it is never synced`)
			still, err := os.ReadFile(filepath.Join(p.state, "workforce.c1z"))
			require.NoError(t, err)
			require.Equal(t, kept, still, "the baseline stays")

			third := p.run(t, "--accept-deletions", "fullstory")
			accepted := p.sync(t)
			require.True(t, accepted.Succeeded, "%v", accepted.Status)
			require.Len(t, accountsIn(t, accepted.Uploads[0].Path), 25)
			require.True(t, p.sync(t).Succeeded)
			third.stop()
			require.Equal(t, 0, check().status)

			// The command line of a service outlives the plugin.
			fourth := p.run(t, "--accept-deletions", "fullstory")
			require.True(t, p.sync(t).Succeeded)
			fourth.stop()
			require.Contains(t, fourth.said.String(), "take it out of the command line")
		})
	}
}
