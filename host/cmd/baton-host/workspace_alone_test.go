package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/workspace"
)

// TestStandAlone_DoesEverythingOnceWithEitherMain runs what the SDK's command line does
// once and ends, with the program of the SDK and with the one that is a plugin too.
func TestStandAlone_DoesEverythingOnceWithEitherMain(t *testing.T) {
	t.Parallel()
	for _, main := range []string{unmodified, native} {
		t.Run(main, func(t *testing.T) {
			t.Parallel()
			p := startWorkspace(t, asItIs)
			want := p.State()
			dir := t.TempDir()
			file, template := filepath.Join(dir, "sync.c1z"), filepath.Join(dir, "ticket.json")
			require.NoError(t, os.WriteFile(template, []byte(`{"schema_id":"request","status_id":"open","display_name":"A laptop","description":"Please.","labels":["new"],"custom_fields":{"queue":"IT"}}`), 0o600))
			// The SDK can exit with 0 though what it was to do has failed, so only the
			// workspace shows it.
			once := func(args ...string) run {
				t.Helper()
				result := execute(t, append(p.env(), "TMPDIR="+t.TempDir()), filepath.Join(main, "baton-workspace"), append([]string{"-f", file}, args...)...)
				require.Equal(t, 0, result.status, result.stderr)
				require.NotContains(t, result.stderr, p.token)
				return result
			}
			once()
			requireTruth(t, p, contentOf(t, file))

			once("--grant-entitlement", "group:platform:member", "--grant-principal", "u003", "--grant-principal-type", "user")
			want.Groups["platform"] = append(want.Groups["platform"], workspace.Member{Kind: workspace.UserKind, Key: "person003@example.com"})
			once("--grant-entitlement", "role:owner:assigned", "--grant-principal", "platform", "--grant-principal-type", "group")
			want.Roles["owner"] = append(want.Roles["owner"], workspace.Member{Kind: workspace.GroupKind, Key: "platform"})
			once("--revoke-grant", "role:owner:assigned:user:u001")
			want.Roles["owner"] = want.Roles["owner"][1:]
			once("--create-account-login", "new@example.com", "--create-account-resource-type", "user")
			want.Users = append(want.Users, workspace.User{ID: "n001", Login: "new@example.com", Email: "new@example.com", Name: "new@example.com", Created: "2026-02-01"})
			once("--rotate-credentials", "u004", "--rotate-credentials-type", "user")
			once("--delete-resource", "u060", "--delete-resource-type", "user")
			gone := workspace.Member{Kind: workspace.UserKind, Key: want.Users[59].Login}
			want.Users = append(want.Users[:59:59], want.Users[60:]...)
			require.Equal(t, gone, want.Groups["everyone"][59])
			want.Groups["everyone"] = want.Groups["everyone"][:59]
			once("--invoke-action", "announce", "--invoke-action-args", `{"text":"Lunch is served"}`)
			want.Announcements = []string{"Lunch is served"}
			once("--invoke-action", "suspend", "--invoke-action-resource-type", "user", "--invoke-action-args", `{"user":{"resource_type_id":"user","resource_id":"u005"}}`)
			want.Users[4].Suspended = true
			once("--create-ticket", "--ticket-template-path", template)
			want.Tickets = []workspace.Ticket{{ID: "T-1", Title: "A laptop", Text: "Please.", Queue: "IT", Labels: []string{"new"}}}

			state := p.State()
			for id, length := range map[string]int{"n001": 20, "u004": 20} {
				require.Len(t, state.Passwords[id], length)
				want.Passwords[id] = state.Passwords[id]
			}
			require.Equal(t, want, state)

			require.Equal(t, 60, strings.Count(once("--event-feed", "true", "--event-feed-start-at", "2024-01-01T00:00:00Z", "--event-feed-id", "audit").stdout, `"usageEvent"`))
			require.Contains(t, once("--get-ticket", "--ticket-id", "T-1").stderr, "A laptop")
			require.Contains(t, once("--list-ticket-schemas").stderr, "Queue")
			require.Contains(t, once("--list-action-schemas").stderr, "announce")
			once()
			requireTruth(t, p, contentOf(t, file))
		})
	}
}

// TestStandAlone_DescribesItselfTheSameWithEitherMain compares what can be asked of a
// connector that is not configured.
func TestStandAlone_DescribesItselfTheSameWithEitherMain(t *testing.T) {
	t.Parallel()
	require.NoError(t, buildWorkspace())
	for _, command := range []string{"config", "capabilities", "--version"} {
		first := execute(t, nil, filepath.Join(unmodified, "baton-workspace"), command)
		require.Equal(t, 0, first.status, first.stderr)
		require.NotEmpty(t, first.stdout)
		require.Equal(t, first.stdout, execute(t, nil, filepath.Join(native, "baton-workspace"), command).stdout)
	}
}
