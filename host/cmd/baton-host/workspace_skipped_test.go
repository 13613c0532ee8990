package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/sandbox/c1"
)

// deletedMeanwhile answers as if two groups were deleted after groups had been listed: one
// before its members are read, and one between two pages of them.
func deletedMeanwhile(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone := false
		switch r.URL.Path {
		case "/v1/groups/engineering", "/v1/groups/engineering/members", "/v1/groups/everyone":
			gone = true
		case "/v1/groups/everyone/members":
			gone = r.URL.Query().Get("page") > "2"
		}
		if gone {
			http.Error(w, `{"error":"there is nothing of this id"}`, http.StatusNotFound)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// TestConnector_SkipsTheSameInEveryWay: the rows are those of the connector alone, and
// an operator who looks at the host sees that some are missing.
func TestConnector_SkipsTheSameInEveryWay(t *testing.T) {
	t.Parallel()
	p := startWorkspace(t, deletedMeanwhile)
	alone := contentOf(t, p.syncAlone(t))
	require.NotEmpty(t, alone.Grants)
	require.Len(t, alone.Resources, 1+len(p.State().Users)+3+3)
	for _, way := range append([]string{older}, hosted...) {
		t.Run("H3: "+way, func(t *testing.T) {
			t.Parallel()
			config, out := p.config(t, way, ""), t.TempDir()
			result := execute(t, []string{"TOKEN=" + p.token}, "baton-host", "sync", "--config", config, "--output-dir", out, "--output", "json", "--log-level", "info", "--log-format", "json")
			require.Equal(t, 0, result.status, result.stderr)
			require.Empty(t, cmp.Diff(alone, contentOf(t, filepath.Join(out, "all.c1z")), protocmp.Transform()))

			var parts []struct {
				Plugin  string `json:"plugin"`
				Skipped int    `json:"skipped_resources"`
			}
			require.NoError(t, json.Unmarshal([]byte(result.stdout), &parts), result.stdout)
			require.Len(t, parts, 1)
			require.Equal(t, 2, parts[0].Skipped)
			lines := linesWith(t, result.stderr, map[string][]string{"msg": {"the plugin no longer finds a resource that it listed; its entitlements or grants are skipped"}})
			require.Len(t, lines, 2, result.stderr)
			rows := map[any]any{}
			for _, line := range lines {
				require.Equal(t, "warn", line["level"])
				require.Equal(t, "workspace", line["plugin"])
				require.Equal(t, "all", line["upload"])
				require.Equal(t, "group", line["resource_type"])
				require.Equal(t, "grants", line["listing"])
				require.Equal(t, way != older, line["gone"], "the older connector has no GetResource")
				rows[line["resource"]] = line["rows_before"]
			}
			require.Equal(t, map[any]any{"engineering": 0.0, "everyone": 20.0}, rows)
			lines = linesWith(t, result.stderr, map[string][]string{"msg": {"sync done"}})
			require.Len(t, lines, 1)
			require.Equal(t, "incomplete", lines[0]["outcome"])
			require.InDelta(t, 2, lines[0]["skipped_resources"], 0)
			require.Equal(t, "incomplete", part(t, lines[0], "workspace")["state"])

			result = execute(t, []string{"TOKEN=" + p.token}, "baton-host", "sync", "--config", config, "--output-dir", out)
			require.Equal(t, 0, result.status, result.stderr)
			require.Regexp(t, `(?m)^all +workspace +60 +INCOMPLETE in .*; 2 of its resources lack entitlements or grants, which were skipped$`, result.stdout)
			require.Regexp(t, `(?m)^all: warning: plugin "workspace" no longer finds 2 resources that it listed \((2 gone, 0|0 gone, 2) that cannot be looked up\); .*: for example the grants of "(engineering|everyone)" of type "group"$`, result.stderr)
		})
	}
}

// TestRun_MarksSkippedResources on the page, in the metrics and in what outlives the host.
func TestRun_MarksSkippedResources(t *testing.T) {
	t.Parallel()
	for _, way := range hosted {
		t.Run("H3: "+way, func(t *testing.T) {
			t.Parallel()
			tenant, p, state := startC1(t, c1.Options{}), startWorkspace(t, deletedMeanwhile), t.TempDir()
			credentials := tenant.client(t, "workspace")
			env := []string{tenant.trust(), "BATON_CLIENT_ID=" + credentials.ID, "BATON_CLIENT_SECRET=" + credentials.Secret, "TOKEN=" + p.token}
			run := func() *service {
				return startRun(t, env, "--config", p.config(t, way, ""), "--state-dir", state, "--listen", "127.0.0.1:0")
			}
			marked := func(host *service) {
				_, metrics := host.serves("/metrics")
				require.Contains(t, metrics, `baton_host_skipped_resources{plugin="workspace",upload="all"} 2`+"\n")
				_, page := host.serves("/")
				require.Contains(t, page, "all is incomplete")
				require.Contains(t, page, "It lacks entitlements or grants of 2 resources that were not found any more")
				require.NotContains(t, page, "engineering", "the page has no login")
				var snapshot status.Snapshot
				_, text := host.serves("/status.json")
				require.NoError(t, json.Unmarshal([]byte(text), &snapshot))
				upload := snapshot.Uploads[0]
				require.Equal(t, status.Incomplete, upload.State)
				require.Equal(t, 2, upload.Parts[0].SkippedResources)
				require.Len(t, upload.History, 1)
				require.Equal(t, status.Incomplete, upload.History[0].State)
			}
			host := run()
			done := tenant.finished(t, tenant.fullSync(t, "workspace"))
			require.True(t, done.Succeeded, "%v", done.Status)
			require.Len(t, done.Uploads, 1)
			host.says(`"outcome":"incomplete"`)
			marked(host)
			host.stop()
			history, err := os.ReadFile(filepath.Join(state, "history.json"))
			require.NoError(t, err)
			require.Contains(t, string(history), `"state":"incomplete"`)
			require.Contains(t, string(history), `"skipped_resources":2`)
			again := run()
			again.says("connected to C1")
			marked(again)
			again.stop()
		})
	}
}
