//go:build real

package scim_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"
)

// scimmyServers is where the SCIMMY servers are. `make real` installs their packages.
const scimmyServers = "testdata/scimmy"

// TestReal_SCIMMY reads real SCIMMY servers with the connector's own binary, stand-alone,
// and the sync file with the SDK. The app behind SCIMMY returns everyone, as in SCIMMY's
// documentation, and SCIMMY makes the pages.
//
// Express 4: SCIMMY sends everyone for each page that is not full, also past the end. With
// 0 or 1 users no smaller page can show what the total is worth. Express 5: SCIMMY loses
// the query, and sends the first 20 whatever is asked for.
func TestReal_SCIMMY(t *testing.T) {
	t.Parallel()
	connector := buildConnector(t)
	for server, most := range map[string]int{"1.0-express-4": 150, "1.0-express-5": 20, "1.3-express-4": 150, "1.3-express-5": 20} {
		for _, size := range []int{0, 1, 20, 45, 100, 150} {
			t.Run(fmt.Sprintf("R1: SCIMMY %s, %d users and groups", server, size), func(t *testing.T) {
				t.Parallel()
				file := filepath.Join(t.TempDir(), "sync.c1z")
				log, ended := runConnector(t, connector, startSCIMMY(t, server, size), file)
				if size > most {
					require.Error(t, ended, log)
					require.Contains(t, log, "ignores startIndex")
					return
				}
				require.NoError(t, ended, log)
				requireSCIMMY(t, file, size)
				for _, list := range []string{"users", "groups"} {
					grade, reason := gradeInLog(t, log, list)
					t.Logf("%s: %s %s", list, grade, reason)
					if size > 1 {
						require.Equal(t, "proven", grade, reason)
					}
					require.Equal(t, grade == "unproven", reason != "", "an unproven list has a reason, another one has none")
				}
			})
		}
	}
}

// buildConnector builds the connector of this module and returns its path.
func buildConnector(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "baton-scim")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "./cmd/baton-scim").CombinedOutput() //nolint:gosec // Our own program.
	require.NoError(t, err, string(output))
	return path
}

// runConnector syncs an app to a file, and returns its log and how the process ended.
func runConnector(t *testing.T, connector, url, file string) (log string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), connector, "--file", file, "--log-format", "json") //nolint:gosec // Our own program.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "BATON_SCIM_BASE_URL=" + url, "BATON_SCIM_TOKEN=" + testToken}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err = cmd.Run()
	return output.String(), err
}

// startSCIMMY starts a server with that many users and groups, and returns its URL.
func startSCIMMY(t *testing.T, server string, size int) string {
	t.Helper()
	dir := filepath.Join(scimmyServers, server)
	require.DirExists(t, filepath.Join(dir, "node_modules"), "the packages of the server are not installed; run: make real")
	cmd := exec.CommandContext(t.Context(), "node", "../server.cjs", strconv.Itoa(size), testToken) //nolint:gosec // Our own script.
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	lifeline, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = lifeline.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "the server ended before it listened")
	return "http://127.0.0.1:" + strings.TrimSpace(port) + "/scim"
}

// gradeInLog returns the grade that the log has of a list, with the reason.
func gradeInLog(t *testing.T, log, list string) (grade, reason string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var entry struct{ List, Evidence, Reason string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.List == list && entry.Evidence != "" {
			grade, reason = entry.Evidence, entry.Reason
		}
	}
	require.NotEmpty(t, grade, "the log has no grade of the list of %s:\n%s", list, log)
	return grade, reason
}

// requireSCIMMY requires that a sync file has exactly the users, groups and members of a
// server of that size.
func requireSCIMMY(t *testing.T, file string, size int) {
	t.Helper()
	ctx := t.Context()
	store, err := dotc1z.NewStore(ctx, file, dotc1z.WithTmpDir(t.TempDir()), dotc1z.WithReadOnly(true))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(ctx)) }()

	var want, wantMembers, got, members []string
	for i := range size {
		want = append(want, fmt.Sprintf("user user-%04d person%d@example.com", i, i), fmt.Sprintf("group group-%04d Group %d", i, i))
		wantMembers = append(wantMembers, fmt.Sprintf("group-%04d user-%04d", i, i))
		if size > 1 {
			wantMembers = append(wantMembers, fmt.Sprintf("group-%04d user-%04d", i, (i+1)%size))
		}
	}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListResources(ctx, v2.ResourcesServiceListResourcesRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, row := range page.GetList() {
			name := row.GetDisplayName()
			if row.GetId().GetResourceType() == "user" {
				name = loginOf(t, row)
			}
			got = append(got, row.GetId().GetResourceType()+" "+row.GetId().GetResource()+" "+name)
		}
		token = page.GetNextPageToken()
	}
	for token, more := "", true; more; more = token != "" {
		page, err := store.ListGrants(ctx, v2.GrantsServiceListGrantsRequest_builder{PageToken: token}.Build())
		require.NoError(t, err)
		for _, grant := range page.GetList() {
			members = append(members, grant.GetEntitlement().GetResource().GetId().GetResource()+" "+grant.GetPrincipal().GetId().GetResource())
		}
		token = page.GetNextPageToken()
	}
	require.ElementsMatch(t, want, got)
	require.ElementsMatch(t, wantMembers, members)
}

// loginOf returns what a user signs in with.
func loginOf(t *testing.T, row *v2.Resource) string {
	t.Helper()
	trait, err := resource.GetUserTrait(row)
	require.NoError(t, err)
	return trait.GetLogin()
}
