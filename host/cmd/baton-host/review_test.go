package main_test

import (
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

// shortDir returns a directory whose path is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "baton-state-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// refusedID returns the id that an error or a log names for a refused sync.
func refusedID(t *testing.T, text string) string {
	t.Helper()
	found := regexp.MustCompile(`kept for review as ([0-9a-f]{8})`).FindStringSubmatch(text)
	require.NotEmpty(t, found, text)
	return found[1]
}

// shownReview is the JSON of baton-host review.
type shownReview struct {
	Changes []struct {
		Upload, Change, Plugin, ID string
		ResourceType               string `json:"resource_type"`
		DisplayName                string `json:"display_name"`
	}
	Review struct {
		Upload, ID string
		Reasons    []struct{ Plugin, Reason string }
		Counts     []struct{ Removed, Added int }
		Approval   *struct {
			Plugins []struct {
				Changes int
				By      string
			}
		}
	}
	ApproveWith string `json:"approve_with"`
}

// TestReview_ShowsWhatApproveLetsThrough: one-shot, from the refusal to the next good sync.
func TestReview_ShowsWhatApproveLetsThrough(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40})
	design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25})
	config, env := twoApps(t, fullstory, design)
	out := t.TempDir()
	flags := []string{"--config", config, "--output-dir", out}
	host := func(command string, more ...string) run {
		return execute(t, env, "baton-host", append(append([]string{command}, more...), flags...)...)
	}
	synced := func(more ...string) run {
		return host("sync", append(more, "--plugin-dir", bin, "--retry-for", "0")...)
	}
	first := synced()
	require.Equal(t, 0, first.status, first.stderr)
	nothing := host("review", "workforce")
	require.Equal(t, 1, nothing.status)
	require.Equal(t, `baton-host: upload "workforce": no refused sync waits for an approval (looked in `+out+")\n", nothing.stderr)

	gone := fullstory.server.Accounts()[15:]
	keepOnly(t, fullstory.server, 15)
	before := tree(t, out)
	planned := synced("--plan")
	require.Equal(t, 1, planned.status, planned.stderr)
	require.Equal(t, before, tree(t, out), "a plan writes nothing")
	require.Contains(t, planned.stdout, "workforce: fullstory: fullstory.user: 25 removed, 0 disabled, 0 emptied, 0 withdrawn, 0 ungranted, 0 added\n")
	require.Contains(t, planned.stdout, "workforce: REFUSED: the sync would be refused\n")
	require.Equal(t, 25, strings.Count(planned.stdout, "\nremoved "))

	refused := synced()
	require.Equal(t, 1, refused.status)
	id := refusedID(t, refused.stderr)
	var shown shownReview
	asJSON := host("review", "--output", "json")
	require.Equal(t, 0, asJSON.status, asJSON.stderr)
	require.NoError(t, json.Unmarshal([]byte(asJSON.stdout), &shown), asJSON.stdout)
	require.Equal(t, id, shown.Review.ID)
	require.Equal(t, "fullstory", shown.Review.Reasons[0].Plugin)
	require.Equal(t, 25, shown.Review.Counts[0].Removed)
	require.Nil(t, shown.Review.Approval)
	var left []string
	for _, one := range shown.Changes {
		require.Equal(t, []string{"workforce", "removed", "fullstory", "fullstory.user"}, []string{one.Upload, one.Change, one.Plugin, one.ResourceType})
		left = append(left, one.ID)
	}
	var want []string
	for _, account := range gone {
		want = append(want, account.ID)
	}
	require.ElementsMatch(t, want, left)
	table := host("review", "workforce")
	require.Equal(t, 25, strings.Count(table.stdout, "\nremoved "))
	require.Contains(t, table.stdout, "\nrefused: plugin \"fullstory\" ")
	require.Contains(t, table.stdout, "\nif all of this is right: "+shown.ApproveWith+"\n")
	require.Equal(t, "baton-host approve workforce "+id+" --config "+config+" --output-dir "+out, shown.ApproveWith)
	require.Contains(t, refused.stderr, "as "+id+": baton-host review workforce --config "+config+" --output-dir "+out+"\n")
	rows, err := csv.NewReader(strings.NewReader(host("review", "workforce", "--output", "csv").stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 26)

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"another id":         {[]string{"workforce", "00000000"}, `upload "workforce" has no refused sync 00000000; the newest is ` + id},
		"no id":              {[]string{"workforce", ""}, `upload "workforce" has no refused sync ""; the newest is ` + id},
		"an id, and where":   {[]string{"workforce", "00000001"}, "look at that with baton-host review workforce --config " + config + " --output-dir " + out + "\n"},
		"an unknown upload":  {[]string{"work-force", id}, `there is no upload "work-force"; did you mean "workforce"?`},
		"for no time":        {[]string{"workforce", id, "--for", "0"}, "--for must be longer than nothing, unlike 0s"},
		"for no duration":    {[]string{"workforce", id, "--for", "soon"}, "--for must be a duration with its unit, such as 30s, not "},
		"without an id":      {[]string{"workforce"}, "baton-host approve takes UPLOAD ID, and only one argument was given"},
		"both, and not both": {[]string{"workforce", id, "--state-dir", out}, "--output-dir and --state-dir exclude each other"},
	} {
		result := host("approve", c.args...)
		require.Equal(t, 1, result.status, name)
		require.Contains(t, result.stderr, c.want, name)
	}

	ids, _ := offered(t, "", append(append([]string{"approve"}, flags...), "workforce", "")...)
	require.Equal(t, []string{id}, ids)
	approved := host("approve", "workforce", id, "--for", "2h")
	require.Equal(t, 0, approved.status, approved.stderr)
	require.Regexp(t, `^upload workforce: approved 25 changes of plugin fullstory until 20\S+Z, as `+id+`, by \S+ \(process \d+\)
workforce: fullstory: fullstory.user: 25 removed, 0 disabled, 0 emptied, 0 withdrawn, 0 ungranted, 0 added
the next sync passes if it takes away no more than that
$`, approved.stdout)
	require.Contains(t, host("review").stdout, "\napproved: 25 changes of plugin fullstory until 20")
	planned = synced("--plan", "--output", "json")
	require.Equal(t, 0, planned.status, planned.stderr)
	require.Contains(t, planned.stdout, `"syncs": [{"upload":"workforce","refused":false,"counts":[{"plugin":"fullstory","resource_type":"fullstory.user","removed":25,`)

	passed := synced()
	require.Equal(t, 0, passed.status, passed.stderr)
	require.Len(t, accountsIn(t, filepath.Join(out, "workforce.c1z")), 40)
	used := host("approve", "workforce", id)
	require.Equal(t, 1, used.status)
	require.Contains(t, used.stderr, "no refused sync waits for an approval")
}

// tree returns all files below a directory with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	all := os.DirFS(dir)
	err := fs.WalkDir(all, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			found[path] = "directory"
			return err
		}
		content, err := fs.ReadFile(all, path)
		found[path] = string(content)
		return err
	})
	require.NoError(t, err)
	return found
}

// TestApprove_NeedsNoRestart: a running host approves, says who has asked for it, and the
// next sync passes.
func TestApprove_NeedsNoRestart(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scim.Options{App: "fullstory", Seed: 1, Accounts: 40})
	design := startApp(t, scim.Options{App: "design-tool", Seed: 2, Accounts: 25})
	config, env := twoApps(t, fullstory, design)
	tenant := startC1(t, c1.Options{})
	credentials := tenant.client(t, "workforce")
	state := shortDir(t)
	running := startRun(t, append(env, tenant.trust(), "BATON_CLIENT_ID="+credentials.ID, "BATON_CLIENT_SECRET="+credentials.Secret),
		"--config", config, "--state-dir", state, "--plugin-dir", bin, "--retry-for", "0", "--log-format", "json")
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 65)
	keepOnly(t, fullstory.server, 15)
	require.False(t, tenant.finished(t, tenant.fullSync(t, "workforce")).Succeeded)
	running.says("kept for review as ")
	id := refusedID(t, running.output.String())

	require.Contains(t, running.output.String(), `"command":"baton-host review workforce --config `+config+` --state-dir `+state+`"`)
	control := func(command string, more ...string) run {
		return execute(t, nil, "baton-host", append([]string{command, "workforce", "--config", config, "--state-dir", state}, more...)...)
	}
	shown := control("review")
	require.Equal(t, 0, shown.status, shown.stderr)
	require.Contains(t, shown.stdout, "\nif all of this is right: baton-host approve workforce "+id+" --config "+config+" --state-dir "+state+"\n")
	wrong := control("approve", "00000000")
	require.Equal(t, 1, wrong.status)
	require.Contains(t, wrong.stderr, "has no refused sync 00000000; the newest is "+id)
	approved := control("approve", id)
	require.Equal(t, 0, approved.status, approved.stderr)
	require.Contains(t, approved.stdout, "approved 25 changes of plugin fullstory until ")
	running.says(`"msg":"approved","upload":"workforce","plugin":"fullstory","id":"` + id + `","by":"`)
	require.Regexp(t, `"msg":"approved",.*"by":"[^"(]+ \(process \d+\)","approved":25,`, running.output.String())
	require.Len(t, tenant.synced(t, tenant.fullSync(t, "workforce")), 40)
	again := control("approve", id)
	require.Equal(t, 1, again.status)
	require.Contains(t, again.stderr, "no refused sync waits for an approval")

	running.stop()
	for _, name := range []string{"control.sock", "control.token"} {
		require.NoFileExists(t, filepath.Join(state, name))
	}
}
