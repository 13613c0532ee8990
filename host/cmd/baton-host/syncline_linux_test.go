package main_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// logLine is a line of the log, as JSON has it.
type logLine = map[string]any

// linesWith are the lines of a log that have these fields, where each may have one
// of several values.
func linesWith(t *testing.T, said string, want map[string][]string) []logLine {
	t.Helper()
	var found []logLine
	for line := range strings.Lines(said) {
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

// theLineOf is the one line of a sync that is neither a warning nor for debugging.
func theLineOf(t *testing.T, host *service, task string) logLine {
	t.Helper()
	host.says(`"task":"` + task + `","type":"sync_full","outcome":"`)
	lines := linesWith(t, host.said.String(), map[string][]string{"task": {task}, "level": {"info", "error"}})
	require.Len(t, lines, 1, "one line for each sync: %v", lines)
	return lines[0]
}

// part is what a line says of one plugin.
func part(t *testing.T, line logLine, plugin string) logLine {
	t.Helper()
	parts, ok := line["plugins"].(logLine)
	require.True(t, ok, line)
	one, ok := parts[plugin].(logLine)
	require.True(t, ok, line)
	return one
}

var always = []string{"outcome", "whole", "accounts", "stale_accounts", "plugins", "pages", "retries", "restarts", "sync_took", "took"}

func requireNames(t *testing.T, line logLine, more ...string) {
	t.Helper()
	want := append([]string{"level", "ts", "caller", "msg", "upload", "task", "type"}, always...)
	require.ElementsMatch(t, append(want, more...), slices.Collect(maps.Keys(line)))
}

func TestTheLogOfAServiceHasOneLineForEachSync(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "    on-plugin-failure: last-good\n")
	host := p.run(t)

	made := p.sync(t)
	require.True(t, made.Succeeded)
	line := theLineOf(t, host, made.TaskID)
	requireNames(t, line, "upload_took", "bytes", "note")
	require.Equal(t, "info", line["level"])
	require.Equal(t, "sync done", line["msg"])
	require.Equal(t, "workforce", line["upload"])
	require.Equal(t, "fresh", line["outcome"])
	require.Equal(t, true, line["whole"])
	require.InDelta(t, 65, line["accounts"], 0)
	require.InDelta(t, 0, line["stale_accounts"], 0)
	require.Equal(t, "fresh", part(t, line, "fullstory")["state"])
	require.InDelta(t, 40, part(t, line, "fullstory")["accounts"], 0)
	require.InDelta(t, 1, part(t, line, "fullstory")["pages"], 0, "the plugin's own, not the app's")
	require.InDelta(t, 25, part(t, line, "design-tool")["accounts"], 0)
	file, err := os.Stat(filepath.Join(p.state, "workforce.c1z"))
	require.NoError(t, err)
	require.InDelta(t, file.Size(), line["bytes"], 0)
	require.Equal(t, "First sync: there is no baseline yet, so the deletion guard had nothing to compare.", line["note"])
	require.NotContains(t, host.said.String(), "MemorySessionCache", "what the SDK says of its cache is not for operators")

	p.fullstory.fail(3)
	stale := p.sync(t)
	require.True(t, stale.Succeeded)
	line = theLineOf(t, host, stale.TaskID)
	requireNames(t, line, "upload_took", "bytes")
	require.Equal(t, "sync done", line["msg"])
	require.Equal(t, "stale", line["outcome"])
	one := part(t, line, "fullstory")
	require.Equal(t, "stale", one["state"])
	require.Equal(t, line["stale_accounts"], one["stale_accounts"])
	require.NotZero(t, one["stale_accounts"])
	require.NotZero(t, one["as_of"])
	require.Contains(t, one["why"], "500")
	require.NotContains(t, one["why"], somebody)

	p.design.fail(0)
	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	line = theLineOf(t, host, failed.TaskID)
	requireNames(t, line, "error")
	require.Equal(t, "error", line["level"])
	require.Equal(t, "sync failed", line["msg"])
	require.Equal(t, "failed", line["outcome"])
	require.Equal(t, "failed", part(t, line, "design-tool")["state"])
	require.Contains(t, line["error"], `every plugin of upload "workforce" failed`)
	host.stop()
}

func TestALineCountsWhatWasTriedAgain(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, "")
	host := p.run(t, "--retry-for", "5m")
	reached, release := p.fullstory.hold(2)
	task := p.fullSync(t, "workforce")
	<-reached
	require.NoError(t, syscall.Kill(pidOf(t, host, "baton-fullstory"), syscall.SIGKILL))
	host.says("the plugin runs again")
	release()
	require.True(t, p.finished(t, task).Succeeded)
	line := theLineOf(t, host, task)
	require.InDelta(t, 1, part(t, line, "fullstory")["restarts"], 0)
	require.NotZero(t, part(t, line, "fullstory")["retries"])
	require.InDelta(t, 0, part(t, line, "design-tool")["restarts"], 0)
	require.InDelta(t, 1, line["restarts"], 0)
	require.InDelta(t, 65, line["accounts"], 0)
	host.stop()
}

func TestASyncThatIsRunByHandLogsTheSameLine(t *testing.T) {
	t.Parallel()
	app := startFlakyApp(t, scim.Options{App: "fullstory", Accounts: 12, Seed: 1})
	env := []string{"BATON_SCIM_BASE_URL=" + app.url, "BATON_SCIM_TOKEN=" + app.token}
	again := func(format string) run {
		return execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", filepath.Join(t.TempDir(), "sync.c1z"),
			"--retry-for", "0", "--log-level", "info", "--log-format", format)
	}

	result := again("json")
	require.Equal(t, 0, result.status, result.stderr)
	lines := linesWith(t, result.stderr, map[string][]string{"level": {"info", "error"}, "upload": {"fullstory"}})
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
	lines = linesWith(t, result.stderr, map[string][]string{"level": {"info", "error"}, "upload": {"fullstory"}})
	require.Len(t, lines, 1, result.stderr)
	require.Equal(t, "sync failed", lines[0]["msg"])
	require.Equal(t, "failed", part(t, lines[0], "fullstory")["state"])
	require.NotContains(t, lines[0], "bytes")
}
