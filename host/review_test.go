package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// desk is where a person reviews what a configuration's syncs would take away.
type desk struct {
	config, upload string
	kept           host.Kept
	state          string
}

func (d desk) open(t *testing.T) *host.Host {
	t.Helper()
	h, err := host.Open(t.Context(), host.Selection{ConfigFile: d.config}, host.Options{Secrets: host.NoSecrets, StateDir: d.state})
	require.NoError(t, err)
	return h
}

// review returns the refused sync and how many changes it has of each kind.
func (d desk) review(t *testing.T) (*host.Review, map[string]int) {
	t.Helper()
	found, err := d.open(t).Review(t.Context(), d.upload, d.kept)
	require.NoError(t, err)
	kinds := map[string]int{}
	require.NoError(t, found.Each(t.Context(), func(change host.Change) error {
		require.NotEmpty(t, change.ID)
		require.NotEmpty(t, change.Plugin)
		if strings.HasSuffix(change.ResourceType, ".user") {
			require.NotEmpty(t, change.Login)
		}
		kinds[change.Kind]++
		return nil
	}))
	return found, kinds
}

func (d desk) approve(t *testing.T, id string) (*host.Approval, error) {
	t.Helper()
	return d.open(t).Approve(t.Context(), d.upload, id, host.ApproveOptions{Kept: d.kept, By: "ada"})
}

func TestSync_TakesAwayWhatWasApproved(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"fail", "last-good"} {
		t.Run("G6: "+policy, func(t *testing.T) {
			t.Parallel()
			w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 60}, scimsandbox.Options{Seed: 2, Accounts: 25}, "on-plugin-failure: "+policy)
			d := desk{config: w.config, upload: "workforce", kept: host.Kept{OutputDir: w.dir}}
			w.syncs(t, host.Options{})
			_, err := d.open(t).Review(t.Context(), "workforce", d.kept)
			require.ErrorIs(t, err, os.ErrNotExist)
			_, err = d.approve(t, "12345678")
			requireSentence(t, err, `upload "workforce": no refused sync waits for an approval`)
			_, err = d.open(t).Review(t.Context(), "workfrce", d.kept)
			requireSentence(t, err, `there is no upload "workfrce"; did you mean "workforce"?`)

			shrink := func(n int) (*host.SyncResult, error) {
				w.fullstory.keepOnly(t, n)
				return w.sync(t, host.Options{})
			}
			refused := func(result *host.SyncResult, err error) {
				t.Helper()
				if policy == "fail" {
					require.Error(t, err)
					return
				}
				require.NoError(t, err)
				require.Len(t, result.Stale, 1)
			}
			refused(shrink(20))
			first, kinds := d.review(t)
			require.Equal(t, 40, kinds["removed"])
			require.Equal(t, "fullstory", first.Reasons[0].Plugin)
			require.Contains(t, first.Reasons[0].Reason, `lists 20`)
			require.Nil(t, first.Approval)
			require.Equal(t, 7*24*time.Hour, first.Until.Sub(first.RefusedAt))
			require.Equal(t, host.ChangeCount{Plugin: "fullstory", ResourceType: "fullstory.user", Removed: 40},
				first.Counts[slices.IndexFunc(first.Counts, func(one host.ChangeCount) bool { return one.ResourceType == "fullstory.user" })])

			// One more is gone: what was approved is not that.
			approval, err := d.approve(t, first.ID)
			require.NoError(t, err)
			require.Equal(t, "fullstory", approval.Plugins[0].Plugin)
			require.Equal(t, 24*time.Hour, approval.Plugins[0].Until.Sub(approval.Plugins[0].At))
			refused(shrink(19))
			second, kinds := d.review(t)
			require.Equal(t, 41, kinds["removed"])
			require.NotEqual(t, first.ID, second.ID)
			require.Contains(t, second.Reasons[0].Reason, "the approval of "+first.ID+" covers ")
			require.Equal(t, first.ID, second.Approval.Plugins[0].ID)
			_, err = d.approve(t, first.ID)
			requireSentence(t, err, first.ID+` is not the newest refused sync of upload "workforce"`, "the newest is "+second.ID)

			_, err = d.approve(t, second.ID)
			require.NoError(t, err)
			result, err := shrink(19)
			require.NoError(t, err)
			require.Empty(t, result.Stale)
			require.Contains(t, strings.Join(result.Warnings, "\n"), "the approval of "+second.ID+" lets through what the change guard refused: 41 removed")
			require.Len(t, accountsIn(t, w.path()), 44)
			require.NotContains(t, strings.Join(keptIn(t, w.dir), " "), "refused")
			require.NotContains(t, strings.Join(keptIn(t, w.dir), " "), "approved")
			refused(shrink(2))
		})
	}
}

func TestSync_AcceptsByNameWhatWasRefusedAndNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 60}, scimsandbox.Options{Seed: 2, Accounts: 25}, "")
	accept := host.Options{AcceptDeletions: []string{"fullstory"}}
	w.syncs(t, host.Options{})
	w.fullstory.keepOnly(t, 20)
	_, err := w.sync(t, host.Options{})
	require.ErrorContains(t, err, "lists 20")
	w.fullstory.keepOnly(t, 0)
	_, err = w.sync(t, accept)
	require.ErrorContains(t, err, "lists 0")
	require.Regexp(t, `the approval of [0-9a-f]{8} covers \d+ of the \d+ changes that take something away, and \d+ are not approved; it is kept for review as [0-9a-f]{8}`, err.Error(), "G6: all, where some were seen")
	require.Len(t, accountsIn(t, w.path()), 85)
	result := w.syncs(t, accept)
	require.Contains(t, strings.Join(result.Warnings, "\n"), "--accept-deletions lets through what the change guard refused: 60 removed")
	require.Len(t, accountsIn(t, w.path()), 25, "given again, it is of what was seen")
}

// TestReview_OfASingleApp has a sync file that no configuration names, beside another one.
func TestReview_OfASingleApp(t *testing.T) { //nolint:paralleltest // It sets variables.
	app := startApp(t, scimsandbox.Options{App: "fullstory", Seed: 1, Accounts: 30})
	for name, value := range map[string]string{"BATON_SCIM_BASE_URL": app.url, "BATON_SCIM_TOKEN": app.token, "BATON_SCIM_GROUPS": "false"} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	options := host.Options{Secrets: host.PluginSecrets, PluginDirs: []string{installed(t, "one")}}
	open := func() *host.Host {
		h, err := host.Open(t.Context(), host.Selection{App: "one"}, options)
		require.NoError(t, err)
		return h
	}
	run := func(file string) error {
		_, err := open().Sync(t.Context(), host.SyncOptions{File: filepath.Join(dir, file)})
		return err
	}
	require.NoError(t, run("a.c1z"))
	require.NoError(t, run("b.c1z"))
	app.keepOnly(t, 5)
	require.Error(t, run("a.c1z"))
	require.Error(t, run("b.c1z"))
	kept := host.Kept{File: filepath.Join(dir, "a.c1z")}
	found, err := open().Review(t.Context(), "", kept)
	require.NoError(t, err)
	_, err = open().Approve(t.Context(), "", found.ID, host.ApproveOptions{Kept: kept, For: time.Hour, By: "ada"})
	require.NoError(t, err)
	require.Error(t, run("b.c1z"), "it is of another file")
	require.NoError(t, run("a.c1z"))
}

// TestServe_TakesAwayWhatWasApproved: the approval is given to a running host, and used up
// when C1 has the sync, not before.
func TestServe_TakesAwayWhatWasApproved(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"on-plugin-failure: fail", fallBack} {
		t.Run("G6: "+policy, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{}, policy)
			d := desk{config: p.config, upload: "workforce", state: p.state}
			running := p.serve(t, host.ServeOptions{Listen: listening})
			require.Len(t, p.synced(t, p.fullSync(t, "workforce")), 65)
			p.fullstory.keepOnly(t, 10)
			refused := p.sync(t)
			require.Equal(t, policy == fallBack, refused.Succeeded)
			if refused.Succeeded { // C1 has the sync with the old part, which is the baseline now.
				require.Len(t, accountsIn(t, refused.Uploads[0].Path), 65)
			}
			running.says(`"msg":"the change guard refused this sync, which is kept for review"`)
			found, kinds := d.review(t)
			require.Equal(t, 30, kinds["removed"])
			shown := running.status().Uploads[0].Why
			require.Contains(t, shown, `lists 10 `)
			require.Contains(t, shown, found.ID+": baton-host review workforce")
			again := p.sync(t)
			require.Equal(t, refused.Succeeded, again.Succeeded)
			same, _ := d.review(t)
			require.Equal(t, found.ID, same.ID)
			_, err := d.approve(t, found.ID)
			require.NoError(t, err)

			// C1 is away when the sync is there: the approval is still needed.
			repair := p.Inject(c1.Fault{Call: c1.UploadAssetCall, AtEOF: true, Code: codes.InvalidArgument, Message: "not now"})
			failed := p.sync(t)
			require.False(t, failed.Succeeded)
			require.Contains(t, failed.Status.GetMessage(), "not now")
			repair()
			found, _ = d.review(t)
			require.NotNil(t, found.Approval)
			running.stop()

			restarted := p.serve(t, host.ServeOptions{})
			require.Equal(t, p.seeded(), p.synced(t, p.fullSync(t, "workforce")))
			restarted.says(`"msg":"an approval is used up"`)
			used := restarted.lines(map[string][]string{"msg": {"an approval is used up"}})
			require.Contains(t, used[0]["by"], " (process ", "as the system reports it")
			require.Equal(t, found.ID, used[0]["id"])
			_, err = d.open(t).Review(t.Context(), "workforce", host.Kept{})
			require.ErrorIs(t, err, os.ErrNotExist)
			p.fullstory.keepOnly(t, 2)
			last := p.sync(t)
			require.Equal(t, policy == fallBack, last.Succeeded)
			third, _ := d.review(t)
			require.NotEqual(t, found.ID, third.ID)
			require.Nil(t, third.Approval)
			restarted.stop()
			requireOnlyKept(t, p.state, "workforce.c1z", "workforce.c1z.json", "workforce.c1z.refused", "workforce.c1z.refused-*")
			for _, one := range p.fullstory.server.Accounts() {
				require.NotContains(t, running.log.String()+restarted.log.String(), fmt.Sprintf("%q", one.UserName), "no person is named")
			}
		})
	}
}

// requireOnlyKept is requireOnly with a refused file's name without its sum.
func requireOnlyKept(t *testing.T, dir string, names ...string) {
	t.Helper()
	got := slices.DeleteFunc(keptIn(t, dir), func(name string) bool { return name == ".lock" || strings.HasPrefix(name, "history.json") })
	require.Equal(t, names, got)
}

// TestServe_ApprovesForOneUpload has an app that is in two uploads.
func TestServe_ApprovesForOneUpload(t *testing.T) {
	t.Parallel()
	c := newCompanies(t)
	running := c.tenant.serve(t, c.config, host.Options{StateDir: c.state}, host.ServeOptions{})
	syncs := func(upload string) bool { return c.finished(t, c.fullSync(t, upload)).Succeeded }
	require.True(t, syncs("workforce"))
	require.True(t, syncs("contractors"))
	c.design.keepOnly(t, 5)
	require.False(t, syncs("workforce"))
	require.False(t, syncs("contractors"))
	workforce := desk{config: c.config, upload: "workforce", state: c.state}
	found, _ := workforce.review(t)
	_, err := workforce.approve(t, found.ID)
	require.NoError(t, err)
	require.False(t, syncs("contractors"))
	require.True(t, syncs("workforce"))
	other, _ := desk{config: c.config, upload: "contractors", state: c.state}.review(t)
	require.Nil(t, other.Approval)
	_, err = workforce.open(t).Review(t.Context(), "", host.Kept{})
	requireSentence(t, err, "there is more than one upload; name one of workforce, contractors")
	running.stop()
}

// TestReview_OfAPluginThatIsGone has nothing but the baseline: nothing was read.
func TestReview_OfAPluginThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, "")
	d := desk{config: w.config, kept: host.Kept{OutputDir: w.dir}}
	w.syncs(t, host.Options{})
	replaceIn(t, w.config, "[fullstory, design-tool]", "[design-tool]")
	_, err := w.sync(t, host.Options{})
	require.ErrorContains(t, err, `plugin "fullstory" is no longer in upload "workforce"`)
	options := host.Options{StateDir: t.TempDir()}
	_, err = check(t, w.config, options, w.dir)
	require.ErrorContains(t, err, "no longer in upload")
	found, kinds := d.review(t)
	require.Zero(t, kinds["added"])
	require.Equal(t, 40, found.Counts[slices.IndexFunc(found.Counts, func(one host.ChangeCount) bool { return one.ResourceType == "fullstory.user" })].Removed)
	_, err = d.approve(t, found.ID)
	require.NoError(t, err)
	_, err = check(t, w.config, options, w.dir)
	require.NoError(t, err)
	result := w.syncs(t, host.Options{})
	require.Contains(t, strings.Join(result.Warnings, "\n"), "the 40 accounts that the baseline has of it are deleted, as the approval of "+found.ID+" lets through")
	require.NotContains(t, strings.Join(namesIn(t, w.dir), " "), "refused")
	require.NotContains(t, strings.Join(namesIn(t, w.dir), " "), "approved")
}

// TestSync_IsGuardedWhateverIsDamaged: no file beside the sync file opens the change guard,
// and none of them fails a sync that is good.
func TestSync_IsGuardedWhateverIsDamaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, content, says string // says is what the refused sync says, beyond why
	}{
		"the record of the baseline":         {".json", "{", "it is kept for review as "},
		"the record of the baseline, a list": {".json", "[]", "it is kept for review as "},
		"the refused sync":                   {".refused", "{", "it is kept for review as "},
		"the refused sync, of a newer host":  {".refused", `{"version":2}` + "\n", "it cannot be kept for review: "},
		"the approval":                       {".approved", "{", "what was approved of it cannot be read: "},
		"the approval, of a newer host":      {".approved", `{"version":2}` + "\n", "what was approved of it cannot be read: "},
	} {
		t.Run("G2: "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, "")
			w.syncs(t, host.Options{})
			damage := func() { require.NoError(t, os.WriteFile(w.path()+c.file, []byte(c.content), 0o600)) }
			damage()
			w.syncs(t, host.Options{})
			damage()
			w.fullstory.keepOnly(t, 10)
			_, err := w.sync(t, host.Options{})
			require.ErrorContains(t, err, "lists 10 accounts")
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestReview_WithADamagedApproval: it approves nothing, and another one replaces it.
func TestReview_WithADamagedApproval(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, "")
	d := desk{config: w.config, kept: host.Kept{OutputDir: w.dir}}
	w.syncs(t, host.Options{})
	w.fullstory.keepOnly(t, 10)
	_, err := w.sync(t, host.Options{})
	require.ErrorContains(t, err, "lists 10 accounts")
	require.NoError(t, os.WriteFile(w.path()+".approved", []byte("{"), 0o600))
	found, kinds := d.review(t)
	require.Nil(t, found.Approval)
	require.Equal(t, 30, kinds["removed"])

	blocked := w.path() + ".approved.new"
	require.NoError(t, os.MkdirAll(filepath.Join(blocked, "x"), 0o700))
	_, err = d.approve(t, found.ID)
	require.ErrorContains(t, err, `upload "workforce": the approval cannot be kept, so nothing is approved: `)
	require.NoError(t, os.RemoveAll(blocked))

	_, err = d.approve(t, found.ID)
	require.NoError(t, err)
	w.syncs(t, host.Options{})
}
