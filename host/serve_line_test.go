package host_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// lineOf returns the one line of a sync that is neither a warning nor for debugging.
func (s *hostService) lineOf(task string) logLine {
	s.t.Helper()
	s.says(`"task":"` + task + `","type":"sync_full","outcome":"`)
	lines := s.lines(map[string][]string{"task": {task}, "level": {"info", "error"}})
	require.Len(s.t, lines, 1, "one line for each sync: %v", lines)
	return lines[0]
}

// partOf returns what a line has of one plugin.
func partOf(t *testing.T, line logLine, plugin string) logLine {
	t.Helper()
	parts, ok := line["plugins"].(logLine)
	require.True(t, ok, line)
	one, ok := parts[plugin].(logLine)
	require.True(t, ok, line)
	return one
}

// requireFields checks which fields a line has beside those that each has.
func requireFields(t *testing.T, line logLine, more ...string) {
	t.Helper()
	always := []string{
		"level", "ts", "msg", "upload", "task", "type",
		"outcome", "whole", "accounts", "stale_accounts", "plugins", "pages", "retries", "restarts", "sync_took", "took",
	}
	require.ElementsMatch(t, append(always, more...), slices.Collect(maps.Keys(line)))
}

func TestServeLogsOneLineForEachSync(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{}, fallBack)
	running := p.serve(t, host.ServeOptions{})

	made := p.sync(t)
	require.True(t, made.Succeeded)
	line := running.lineOf(made.TaskID)
	requireFields(t, line, "upload_took", "bytes", "note")
	require.Equal(t, "info", line["level"])
	require.Equal(t, "sync done", line["msg"])
	require.Equal(t, "workforce", line["upload"])
	require.Equal(t, "fresh", line["outcome"])
	require.Equal(t, true, line["whole"])
	require.InDelta(t, 65, line["accounts"], 0)
	require.InDelta(t, 0, line["stale_accounts"], 0)
	require.Equal(t, "fresh", partOf(t, line, "fullstory")["state"])
	require.InDelta(t, 40, partOf(t, line, "fullstory")["accounts"], 0)
	require.InDelta(t, 1, partOf(t, line, "fullstory")["pages"], 0, "the plugin's own, not the app's")
	require.InDelta(t, 25, partOf(t, line, "design-tool")["accounts"], 0)
	file, err := os.Stat(filepath.Join(p.state, "workforce.c1z"))
	require.NoError(t, err)
	require.InDelta(t, file.Size(), line["bytes"], 0)
	require.Equal(t, "First sync: there is no baseline yet, so the change guard had nothing to compare.", line["note"])
	require.NotContains(t, running.log.String(), "MemorySessionCache", "what the SDK logs of its cache is not for operators")

	p.fullstory.fail(3)
	stale := p.sync(t)
	require.True(t, stale.Succeeded)
	line = running.lineOf(stale.TaskID)
	requireFields(t, line, "upload_took", "bytes")
	require.Equal(t, "sync done", line["msg"])
	require.Equal(t, "stale", line["outcome"])
	one := partOf(t, line, "fullstory")
	require.Equal(t, "stale", one["state"])
	require.Equal(t, line["stale_accounts"], one["stale_accounts"])
	require.NotZero(t, one["stale_accounts"])
	require.NotZero(t, one["as_of"])
	require.Contains(t, one["why"], "500")
	require.NotContains(t, one["why"], person)

	p.design.fail(0)
	failed := p.sync(t)
	require.False(t, failed.Succeeded)
	line = running.lineOf(failed.TaskID)
	requireFields(t, line, "error", "runbook")
	require.Equal(t, "error", line["level"])
	require.Equal(t, errtext.Runbook+"#the-app-cannot-be-reached", line["runbook"])
	require.Equal(t, "sync failed", line["msg"])
	require.Equal(t, "failed", line["outcome"])
	require.Equal(t, "failed", partOf(t, line, "design-tool")["state"])
	require.Contains(t, line["error"], `every plugin of upload "workforce" failed`)
	running.stop()
}

func TestServe_CountsRetriesInItsLine(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	leash := p.leash(t)
	running := p.tenant.serve(t, p.config, host.Options{StateDir: p.state, RetryFor: patience}, host.ServeOptions{})
	reached, release := p.fullstory.hold(2)
	task := p.fullSync(t, "workforce")
	<-reached
	leash.cut()
	running.says("the plugin runs again")
	release()
	require.True(t, p.finished(t, task).Succeeded)
	line := running.lineOf(task)
	require.InDelta(t, 1, partOf(t, line, "fullstory")["restarts"], 0)
	require.NotZero(t, partOf(t, line, "fullstory")["retries"])
	require.InDelta(t, 0, partOf(t, line, "design-tool")["restarts"], 0)
	require.InDelta(t, 1, line["restarts"], 0)
	require.InDelta(t, 65, line["accounts"], 0)
	running.stop()
}
