package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
)

// TestALimitOfListingsHoldsInEveryCommand: a limit of the configuration reaches the
// syncs of both ways of use.
func TestALimitOfListingsHoldsInEveryCommand(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	text, err := os.ReadFile(p.config)
	require.NoError(t, err)
	limited := strings.Replace(string(text), "  fullstory:\n", "  fullstory:\n    max-rows: 39\n    concurrency: 1\n", 1)
	require.NoError(t, os.WriteFile(p.config, []byte(limited), 0o600))
	const want = `plugin "fullstory": listing resources of type "user": it lists more than 39 rows`

	t.Run("H9: sync", func(t *testing.T) {
		t.Parallel()
		result := execute(t, p.env, "baton-host", "sync", "--config", p.config, "--output-dir", t.TempDir())
		require.Equal(t, 1, result.status, result.stderr)
		require.Contains(t, result.stderr, want)
		require.Contains(t, result.stderr, "raise max-rows of the plugin's entry")
	})
	t.Run("H9: run", func(t *testing.T) {
		t.Parallel()
		p.run(t)
		outcome := p.sync(t)
		require.False(t, outcome.Succeeded)
		require.Contains(t, outcome.Status.GetMessage(), want)
	})
}
