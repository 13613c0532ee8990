package main_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// TestStatus_HasAnExitStatusByState: from the start of a host to its end, with a restart of
// a plugin in between.
func TestStatus_HasAnExitStatusByState(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40})
	design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25})
	config, env := twoApps(t, fullstory, design)
	tenant := startC1(t, c1.Options{})
	credentials := tenant.client(t, "workforce")
	state := shortDir(t)
	status := func(more ...string) run {
		return execute(t, nil, "baton-host", append([]string{"status", "--config", config, "--state-dir", state}, more...)...)
	}
	none := status()
	require.Equal(t, 4, none.status)
	require.Contains(t, none.stderr, "baton-host: no host runs on the state directory "+state+" (no baton-host listens there: ")
	require.Empty(t, none.stdout)

	running := startRun(t, append(env, tenant.trust(), "BATON_CLIENT_ID="+credentials.ID, "BATON_CLIENT_SECRET="+credentials.Secret),
		"--config", config, "--state-dir", state, "--retry-for", "0")
	running.says("connected to C1")
	waiting := status()
	require.Equal(t, 0, waiting.status, waiting.stdout+waiting.stderr)
	require.Regexp(t, `(?m)^workforce +waiting +- +- +- +C1 has asked for no sync yet$`, waiting.stdout)
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 65)

	fresh := status("workforce")
	require.Equal(t, 0, fresh.status, fresh.stdout+fresh.stderr)
	require.Empty(t, fresh.stderr)
	require.Regexp(t, `(?m)^workforce +fresh +65 +20\S+Z +proven$`, fresh.stdout)
	require.Regexp(t, `(?m)^ +fullstory +fresh +40 +20\S+Z +proven$`, fresh.stdout)
	require.Regexp(t, `(?m)^fullstory +ready +20\S+Z +0 +baton-fullstory \S+ +(on|off)$`, fresh.stdout)
	var shown struct {
		Uploads []struct {
			Name, State string
			History     []struct{ Accounts int }
		}
		Errors []any
	}
	encoded := status("--output", "json")
	require.Equal(t, 0, encoded.status, encoded.stderr)
	require.NoError(t, json.Unmarshal([]byte(encoded.stdout), &shown))
	require.Equal(t, "fresh", shown.Uploads[0].State)
	require.Equal(t, 65, shown.Uploads[0].History[0].Accounts)
	require.NotNil(t, shown.Errors, "a list, also where it is empty")
	records, err := csv.NewReader(strings.NewReader(status("--output", "csv").stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 3)
	require.Equal(t, []string{"upload", "upload_state", "last_sync", "plugin", "state", "accounts"}, records[0][:6])
	require.Equal(t, []string{"fullstory", "fresh", "40"}, records[1][3:6])
	require.Equal(t, "sandbox", records[0][len(records[0])-1])
	if sandbox.Kernel().Obstacle == "" {
		require.Equal(t, "on", records[1][len(records[1])-1])
	}

	restart := func(plugin string) run {
		return execute(t, nil, "baton-host", "restart", plugin, "--state-dir", state)
	}
	restarted := restart("fullstory")
	require.Equal(t, 0, restarted.status, restarted.stderr)
	require.Equal(t, "plugin fullstory: another process has taken over\n", restarted.stdout)
	running.says(`"msg":"the plugin is to be restarted"`)
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 65)
	unknown := restart("fulstory")
	require.Equal(t, 1, unknown.status)
	require.Equal(t, "baton-host: the host has no plugin \"fulstory\"; did you mean \"fullstory\"?\n", unknown.stderr)
	require.Empty(t, unknown.stdout)

	keepOnly(t, fullstory.server, 15)
	require.False(t, tenant.finished(t, tenant.fullSync(t, "workforce")).Succeeded)
	running.says(`"msg":"sync failed"`)
	for _, form := range []string{"table", "json", "csv"} {
		failed := status("-o", form)
		require.Equal(t, 3, failed.status, form)
		require.Contains(t, failed.stdout, "failed", form)
		require.Empty(t, failed.stderr, form)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an unknown upload": {[]string{"work-force"}, `there is no upload "work-force"; did you mean "workforce"?`},
		"an unknown form":   {[]string{"--output", "xml"}, "--output must be one of table, json, csv"},
		"two uploads":       {[]string{"a", "b"}, "baton-host status takes [UPLOAD], and 2 arguments were given"},
	} {
		result := status(c.args...)
		require.Equal(t, 1, result.status, name)
		require.Contains(t, result.stderr, c.want, name)
	}
	running.stop()
	require.Equal(t, 4, status().status)
	require.Equal(t, 1, restart("fullstory").status)
}
