package main_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// logLine is a line of the log, as JSON has it.
type logLine = map[string]any

// linesWith returns the lines of a log that have these fields, where each may have one
// of several values.
func linesWith(t *testing.T, log string, want map[string][]string) []logLine {
	t.Helper()
	var found []logLine
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var fields logLine
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		fits := true
		for name, values := range want {
			value, _ := fields[name].(string)
			fits = fits && slices.Contains(values, value)
		}
		if fits {
			found = append(found, fields)
		}
	}
	return found
}

// part returns what a line has about one plugin.
func part(t *testing.T, line logLine, plugin string) logLine {
	t.Helper()
	parts, ok := line["plugins"].(logLine)
	require.True(t, ok, line)
	one, ok := parts[plugin].(logLine)
	require.True(t, ok, line)
	return one
}

func TestSync_LogsTheSameLineAsAService(t *testing.T) {
	t.Parallel()
	app := startFlakyApp(t, scim.Options{App: "fullstory", Accounts: 12, Seed: 1})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	again := func(format string) run {
		return execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "sync.c1z"),
			"--retry-for", "0", "--log-level", "info", "--log-format", format)
	}

	result := again("json")
	require.Equal(t, 0, result.status, result.stderr)
	lines := linesWith(t, result.stderr, map[string][]string{"level": {"info", "error"}, "upload": {"fullstory"}, "msg": {"sync done", "sync failed", "sync dropped"}})
	require.Len(t, lines, 1, result.stderr)
	require.Equal(t, "sync done", lines[0]["msg"])
	require.InDelta(t, 12, lines[0]["accounts"], 0)
	require.NotContains(t, lines[0], "upload_took")
	require.NotZero(t, lines[0]["bytes"])

	result = again("console")
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `(?m)^.*\sINFO\s.*sync done\s+\{"upload": "fullstory", "outcome": "fresh", .*"accounts": 12,`, result.stderr)

	silent := execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "sync.c1z"))
	require.Equal(t, 0, silent.status, silent.stderr)
	require.Len(t, strings.Split(strings.TrimSpace(silent.stderr), "\n"), 1, "without a log there is only the note: %s", silent.stderr)

	app.fail(0)
	result = again("json")
	require.Equal(t, 1, result.status)
	lines = linesWith(t, result.stderr, map[string][]string{"level": {"info", "error"}, "upload": {"fullstory"}, "msg": {"sync done", "sync failed", "sync dropped"}})
	require.Len(t, lines, 1, result.stderr)
	require.Equal(t, "sync failed", lines[0]["msg"])
	require.Equal(t, "failed", part(t, lines[0], "fullstory")["state"])
	require.NotContains(t, lines[0], "bytes")
}
