package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// seeded returns what the service was seeded with, as `accounts` should show it.
func seeded(app app, instance, resourceType string) []shownAccount {
	var want []shownAccount
	for _, account := range app.server.Accounts() {
		status := map[bool]string{true: "enabled", false: "disabled"}[account.Active]
		if account.OmitActive { // the service reports it of others
			status = "unspecified"
		}
		want = append(want, shownAccount{
			App:          instance,
			ResourceType: resourceType,
			ID:           account.ID,
			Login:        account.UserName,
			Status:       status,
			Email:        firstOf(account.Emails, account.UserName),
		})
	}
	return want
}

// firstOf returns the primary e-mail; an account without one has its user name for
// an e-mail if that is an address.
func firstOf(emails []string, userName string) string {
	if len(emails) > 0 {
		return emails[0]
	}
	if strings.Contains(userName, "@") {
		return userName
	}
	return ""
}

func sorted(accounts []shownAccount) []shownAccount {
	sort.Slice(accounts, func(i, j int) bool {
		return accounts[i].ResourceType+accounts[i].ID < accounts[j].ResourceType+accounts[j].ID
	})
	return accounts
}

// withoutNames leaves the display names out: their rules are the reader's own
// tests' business.
func withoutNames(accounts []shownAccount) []shownAccount {
	for i := range accounts {
		accounts[i].DisplayName = ""
	}
	return accounts
}

// TestSync_ShowsEvidence: the list of one app ends at a size at which apps cut lists, and the
// app does not sort it. Another app of that size does.
func TestSync_ShowsEvidence(t *testing.T) {
	t.Parallel()
	config, env := twoApps(t, startApp(t, scim.Options{App: "fullstory", Accounts: 100, Seed: 1, IgnoreSort: true}), startApp(t, scim.Options{App: "design-tool", Accounts: 100, Seed: 2}))
	const reason = `the list ends at 100 users, a size at which apps cut lists`
	result := execute(t, env, "baton-host", "sync", "--config", config, "--output-dir", t.TempDir())
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `(?m)^workforce +fullstory +100 +complete in .*\.c1z \(evidence: unproven\)$`, result.stdout)
	require.Regexp(t, `(?m)^workforce +design-tool +100 +complete in .*\.c1z \(evidence: proven\)$`, result.stdout)
	require.Regexp(t, `(?m)^workforce: warning: plugin "fullstory": nothing proves that its list of type "fullstory\.user" is complete: `+reason, result.stderr)

	result = execute(t, env, "baton-host", "sync", "--config", config, "--output-dir", t.TempDir(), "--output", "json", "--log-level", "info", "--log-format", "json")
	require.Equal(t, 0, result.status, result.stderr)
	var parts []struct {
		Plugin   string `json:"plugin"`
		Evidence string `json:"evidence"`
		Reason   string `json:"evidence_reason"`
	}
	require.NoError(t, json.Unmarshal([]byte(result.stdout), &parts), result.stdout)
	lines := linesWith(t, result.stderr, map[string][]string{"msg": {"sync done"}})
	require.Len(t, lines, 1)
	require.Len(t, parts, 2)
	for _, one := range parts {
		want := map[string]string{"fullstory": "unproven", "design-tool": "proven"}[one.Plugin]
		require.Equal(t, want, one.Evidence)
		require.Equal(t, want == "unproven", strings.HasPrefix(one.Reason, reason))
		require.Equal(t, want, part(t, lines[0], one.Plugin)["evidence"])
	}
}

func TestSyncWritesExactlyTheAccountsOfBothApps(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 250, Seed: 1, PageCap: 30})
	design := startApp(t, scim.Options{App: "design-tool", Accounts: 120, Seed: 2})
	config, env := twoApps(t, fullstory, design)
	out := t.TempDir()

	result := execute(t, env, "baton-host", "sync", "--config", config, "--output-dir", out)
	require.Equal(t, 0, result.status, result.stderr)
	require.Regexp(t, `workforce +fullstory +250 +complete in`, result.stdout)
	require.Regexp(t, `workforce +design-tool +120 +complete in`, result.stdout)
	file := filepath.Join(out, "workforce.c1z")
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	require.Len(t, entries, 1, "the sync file and nothing else")
	info, err := entries[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it holds personal data")

	want := append(seeded(fullstory, "fullstory", "fullstory.user"), seeded(design, "design-tool", "design-tool.user")...)
	require.Empty(t, cmp.Diff(sorted(want), sorted(withoutNames(accountsIn(t, file)))))

	t.Run("and the SDK's own tool reads the same", func(t *testing.T) {
		t.Parallel()
		var types struct {
			ResourceTypes []struct {
				ResourceType struct {
					ID          string `json:"id"`
					DisplayName string `json:"displayName"`
				} `json:"resourceType"`
			} `json:"resourceTypes"`
		}
		batonJSON(t, file, &types, "resource-types")
		names := map[string]string{}
		for _, row := range types.ResourceTypes {
			names[row.ResourceType.ID] = row.ResourceType.DisplayName
		}
		require.Equal(t, map[string]string{"fullstory.user": "Fullstory: User", "design-tool.user": "Design Tool: User"}, names)

		var resources struct {
			Resources []struct {
				Resource struct {
					ID struct {
						ResourceType string `json:"resourceType"`
						Resource     string `json:"resource"`
					} `json:"id"`
				} `json:"resource"`
			} `json:"resources"`
		}
		batonJSON(t, file, &resources, "resources")
		got := map[string]bool{}
		for _, row := range resources.Resources {
			got[row.Resource.ID.ResourceType+"/"+row.Resource.ID.Resource] = true
		}
		wantIDs := map[string]bool{}
		for _, account := range want {
			wantIDs[account.ResourceType+"/"+account.ID] = true
		}
		require.Len(t, wantIDs, 370, "equal ids of the two apps stay two accounts")
		require.Equal(t, wantIDs, got)

		stats := execute(t, nil, "baton", "stats", "-f", file)
		require.Equal(t, 0, stats.status, stats.stderr)
		require.Contains(t, stats.stdout, "370")
	})
}

func batonJSON(t *testing.T, file string, into any, command string) {
	t.Helper()
	result := execute(t, nil, "baton", command, "-f", file, "-o", "json")
	require.Equal(t, 0, result.status, result.stderr)
	require.NoError(t, json.Unmarshal([]byte(result.stdout), into), result.stdout)
}

func TestStandAlone_WritesTheSameAccountsWithPlainIDs(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Accounts: 60, Seed: 1, PageCap: 25})
	out := filepath.Join(t.TempDir(), "out.c1z")
	result := execute(t, nil, "baton-fullstory", "--scim-base-url", fullstory.url, "--scim-token", fullstory.token, "-f", out)
	require.Equal(t, 0, result.status, result.stderr)
	require.Empty(t, cmp.Diff(sorted(seeded(fullstory, "user", "user")), sorted(withoutNames(accountsIn(t, out)))))

	hosted := filepath.Join(t.TempDir(), "hosted.c1z")
	env := []string{"BATON_SCIM_BASE_URL=" + fullstory.url, "BATON_SCIM_TOKEN=" + fullstory.token}
	result = execute(t, env, "baton-host", "sync", "--plugin", "fullstory", "-f", hosted)
	require.Equal(t, 0, result.status, result.stderr)
	require.Empty(t, cmp.Diff(sorted(seeded(fullstory, "fullstory", "fullstory.user")), sorted(withoutNames(accountsIn(t, hosted)))))
}

// rowsOf returns what the SDK's own tool shows of a file, row by row and sorted: the
// order is the storage engine's affair.
func rowsOf(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	for _, what := range []string{"resources", "entitlements", "grants"} {
		result := execute(t, nil, "baton", what, "-f", path, "-o", "json")
		require.Equal(t, 0, result.status, result.stderr)
		var lists map[string][]any
		require.NoError(t, json.Unmarshal([]byte(result.stdout), &lists))
		for _, row := range lists[what] {
			text, err := json.Marshal(row)
			require.NoError(t, err)
			all = append(all, what+" "+string(text))
		}
	}
	slices.Sort(all)
	return all
}
