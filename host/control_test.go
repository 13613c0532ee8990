package host_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/control"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/sandbox/c1"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

// TestServe_AnswersAtItsControlSocket: with numbers, and in the host's own log.
func TestServe_AnswersAtItsControlSocket(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{Listen: listening})
	require.True(t, p.sync(t).Succeeded)
	var found host.Review
	err := control.Call(t.Context(), p.state, "review", map[string]string{"upload": "workforce"}, &found)
	require.EqualError(t, err, `upload "workforce": no refused sync waits for an approval`)
	p.fullstory.keepOnly(t, 15)
	require.False(t, p.sync(t).Succeeded)
	require.NoError(t, control.Call(t.Context(), p.state, "review", map[string]string{"upload": "workforce"}, &found))
	require.Len(t, found.ID, 8)
	require.Equal(t, []host.ChangeCount{{Plugin: "fullstory", ResourceType: "fullstory.user", Removed: 25}}, found.Counts)
	require.Len(t, found.Reasons, 1)
	require.Nil(t, found.Approval)
	running.says(`"msg":"sync failed"`)
	for _, path := range []string{"/", "/status.json"} {
		_, shown := running.get(path)
		require.Contains(t, shown, "baton-host review workforce", "the page has the command and the numbers")
		require.Contains(t, shown, found.ID)
		for _, account := range p.seeded() {
			require.NotContains(t, shown, account.login)
		}
	}
	for name, asked := range map[string]any{
		`there is no upload "work"; there is workforce`:          map[string]any{"upload": "work", "id": found.ID, "for": 1e9},
		`upload "workforce" has no refused sync x; the newest`:   map[string]any{"upload": "workforce", "id": "x", "for": 1e9},
		"the host does not understand the request (unknown fiel": map[string]any{"upload": "workforce", "id": found.ID, "accounts": []string{"ada"}},
	} {
		require.ErrorContains(t, control.Call(t.Context(), p.state, "approve", asked, &host.Approval{}), name)
	}
	require.ErrorContains(t, control.Call(t.Context(), p.state, "dance", map[string]string{}, &found), `does not know the request "dance"`)
	require.NotContains(t, running.log.String(), `"msg":"approved"`)
	running.stop()
	require.ErrorIs(t, control.Call(t.Context(), p.state, "review", map[string]string{"upload": "workforce"}, &found), control.ErrNoHost)
}

// TestApprove_WithoutAHost: nothing runs on the state directory, also where a dead host has
// left its socket there.
func TestApprove_WithoutAHost(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	p.fullstory.keepOnly(t, 15)
	require.False(t, p.sync(t).Succeeded)
	running.stop()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(p.state, "control.sock"), Net: "unix"})
	require.NoError(t, err)
	listener.SetUnlinkOnClose(false)
	require.NoError(t, listener.Close())

	d := desk{config: p.config, state: p.state}
	found, _, err := d.open(t).FindReview(t.Context(), "", "", host.Kept{}, host.Kept{OutputDir: t.TempDir()})
	require.NoError(t, err)
	release, err := files.Lock(p.state)
	require.NoError(t, err)
	_, err = d.open(t).Approve(t.Context(), "", found.ID, host.ApproveOptions{})
	require.EqualError(t, err, "a baton-host runs on "+p.state+" that cannot be asked to approve something (no baton-host listens there: "+
		filepath.Join(p.state, "control.sock")+" is the socket of a host that has ended); stop it, approve, and start it again")
	release()
	if os.Geteuid() == 0 {
		baseline := filepath.Join(p.state, "workforce.c1z")
		require.NoError(t, os.Chown(baseline, 65534, 65534))
		_, err = d.open(t).Approve(t.Context(), "", found.ID, host.ApproveOptions{})
		require.ErrorContains(t, err, "who could not read an approval of another user; run this command as that user")
		require.NoError(t, os.Chown(baseline, 0, 0))
	}
	approval, err := d.open(t).Approve(t.Context(), "", found.ID, host.ApproveOptions{})
	require.NoError(t, err)
	require.Equal(t, 25, approval.Plugins[0].Changes)
	require.Contains(t, approval.Plugins[0].By, " (process ")

	running = p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	require.NotContains(t, running.log.String(), "there is no control socket")
	_, err = d.open(t).Approve(t.Context(), "", found.ID, host.ApproveOptions{})
	require.EqualError(t, err, `upload "workforce": no refused sync waits for an approval`)
}

// TestServe_GoesOnWithoutAControlSocket: where its path is too long, and where something
// else has its name.
func TestServe_GoesOnWithoutAControlSocket(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		below string
		make  func(t *testing.T, dir string)
		want  string
	}{
		"a long path": {strings.Repeat("long/", 25), func(*testing.T, string) {}, "the path of the control socket is too long: "},
		"a file": {"state", func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "control.sock"), nil, 0o600))
		}, "is there and is no socket; move it away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{})
			p.state = filepath.Join(p.state, c.below)
			require.NoError(t, os.MkdirAll(p.state, 0o700))
			c.make(t, p.state)
			running := p.serve(t, host.ServeOptions{})
			require.True(t, p.sync(t).Succeeded)
			lines := running.lines(map[string][]string{"msg": {"there is no control socket, so baton-host status, restart and approve cannot reach this host"}})
			require.Len(t, lines, 1)
			require.Contains(t, lines[0]["error"], c.want)
		})
	}
}

func TestFindReview_NamesWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, "")
	other, empty := *w, t.TempDir()
	other.dir = t.TempDir()
	for _, one := range []*workforce{w, &other} {
		one.syncs(t, host.Options{})
	}
	w.fullstory.keepOnly(t, 15)
	for _, one := range []*workforce{w, &other} {
		_, err := one.sync(t, host.Options{})
		require.Error(t, err)
	}
	here, there, nowhere := host.Kept{OutputDir: w.dir}, host.Kept{OutputDir: other.dir}, host.Kept{OutputDir: empty}
	h := desk{config: w.config}.open(t)
	found, at, err := h.FindReview(t.Context(), "", "", nowhere, here)
	require.NoError(t, err)
	require.Equal(t, here, at)
	_, _, err = h.FindReview(t.Context(), "", "", here, there)
	require.ErrorContains(t, err, `2 refused syncs wait for an approval: `+found.ID+` of upload "workforce" in `+w.dir+", ")
	_, at, err = h.FindReview(t.Context(), "workforce", found.ID, there, here)
	require.NoError(t, err)
	require.NotEqual(t, nowhere, at)
	_, _, err = h.FindReview(t.Context(), "", "", nowhere)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.EqualError(t, err, `upload "workforce": no refused sync waits for an approval (looked in `+empty+")")

	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "workforce.c1z.refused"), []byte("{"), 0o600))
	_, _, err = h.FindReview(t.Context(), "workforce", "", here)
	require.ErrorContains(t, err, "workforce.c1z.refused is damaged (")
	_, err = h.Approve(t.Context(), "workforce", found.ID, host.ApproveOptions{Kept: here})
	require.ErrorContains(t, err, "workforce.c1z.refused is damaged (")
}

// TestSync_PlanWritesNothing: whatever would become of the sync, and whatever is there.
func TestSync_PlanWritesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys    string
		change  func(t *testing.T, w *workforce)
		refused bool
		failed  bool
		stale   int
		changes map[string]int
	}{
		"nothing new":          {changes: map[string]int{}},
		"a few gone":           {change: func(t *testing.T, w *workforce) { t.Helper(); w.fullstory.keepOnly(t, 37) }, changes: map[string]int{"removed": 3}},
		"many gone":            {change: func(t *testing.T, w *workforce) { t.Helper(); w.fullstory.keepOnly(t, 15) }, changes: map[string]int{"removed": 25}, refused: true},
		"many gone, fall back": {keys: fallBack, change: func(t *testing.T, w *workforce) { t.Helper(); w.fullstory.keepOnly(t, 15) }, changes: map[string]int{"removed": 25}, stale: 1},
		"an app is away":       {change: func(t *testing.T, w *workforce) { t.Helper(); w.fullstory.fail(0) }, changes: map[string]int{}, failed: true},
		"a plugin is gone": {change: func(t *testing.T, w *workforce) {
			t.Helper()
			replaceIn(t, w.config, "plugins: [fullstory, design-tool]", "plugins: [design-tool]")
		}, changes: map[string]int{"removed": 40}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, c.keys)
			w.syncs(t, host.Options{})
			if c.change != nil {
				c.change(t, w)
			}
			require.NoError(t, os.Chmod(w.dir, 0o500))       //nolint:gosec // It is a directory. Root writes all the same.
			t.Cleanup(func() { _ = os.Chmod(w.dir, 0o700) }) //nolint:gosec // It is a directory.
			before := map[string]string{}
			for _, one := range namesIn(t, w.dir) {
				before[one] = contentsOf(t, filepath.Join(w.dir, one))
			}
			changes, counted := map[string]int{}, map[string]int{}
			result, err := w.plan(t, func(upload string, one host.Change) error {
				require.Equal(t, "workforce", upload)
				changes[one.Kind]++
				return nil
			})
			require.Equal(t, c.refused || c.failed, err != nil, "%v", err)
			require.Equal(t, c.refused, result.IsRefused())
			require.Len(t, result.Stale, c.stale)
			require.Equal(t, c.changes, changes)
			for _, one := range result.Counts {
				counted["removed"] += one.Removed
			}
			require.Equal(t, changes["removed"], counted["removed"])
			after := map[string]string{}
			for _, one := range namesIn(t, w.dir) {
				after[one] = contentsOf(t, filepath.Join(w.dir, one))
			}
			require.Equal(t, before, after)
		})
	}
}

// plan makes a plan of the next sync.
func (w *workforce) plan(t *testing.T, each func(upload string, one host.Change) error) (*host.SyncResult, error) {
	t.Helper()
	ctx, _ := logged(t.Context())
	h, err := host.Open(ctx, host.Selection{ConfigFile: w.config}, host.Options{Secrets: host.PluginSecrets})
	require.NoError(t, err)
	defer h.Close(ctx)
	results, err := h.Sync(ctx, host.SyncOptions{OutputDir: w.dir, Plan: each})
	require.Len(t, results, 1)
	return results[0], err
}

func TestSync_PlanOfTheFirstSync(t *testing.T) {
	t.Parallel()
	w := newWorkforce(t, scimsandbox.Options{Seed: 1, Accounts: 40}, scimsandbox.Options{Seed: 2, Accounts: 25}, "")
	w.dir = filepath.Join(w.dir, "none")
	result, err := w.plan(t, func(string, host.Change) error { return errors.New("there is nothing to compare with") })
	require.NoError(t, err)
	require.Contains(t, result.Unguarded, "First sync")
	require.Empty(t, result.Counts)
	require.NoDirExists(t, w.dir)
}

// TestHost_ReadsStateOfEarlierVersions: the directories are those that hosts of these
// versions wrote, and are not to be written again.
func TestHost_ReadsStateOfEarlierVersions(t *testing.T) {
	t.Parallel()
	versions, err := filepath.Glob("testdata/state/v*")
	require.NoError(t, err)
	require.NotEmpty(t, versions)
	for _, version := range versions {
		t.Run(filepath.Base(version), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, c1.Options{})
			require.NoError(t, os.CopyFS(p.state, os.DirFS(version)))
			accounts := p.fullstory.server.Accounts()
			p.fullstory.keepOnly(t, 15)
			running := p.serve(t, host.ServeOptions{Listen: listening})
			is := running.status()
			require.Equal(t, 65, is.Uploads[0].History[0].Accounts)
			outcome := p.sync(t)
			require.False(t, outcome.Succeeded)
			require.Contains(t, outcome.Status.GetMessage(), "2026-11-29T10:57:31Z")
			require.NotContains(t, running.log.String(), "the baseline cannot be used")
			require.Len(t, accounts, 40)
			running.stop()
		})
	}
}

// TestHost_RefusesStateOfALaterVersion: before anything is done, and nothing is written.
func TestHost_RefusesStateOfALaterVersion(t *testing.T) {
	t.Parallel()
	p := newPair(t, c1.Options{})
	record := filepath.Join(p.state, "workforce.c1z.json")
	const later = `{"version": 9, "parts": {}}`
	require.NoError(t, os.WriteFile(record, []byte(later), 0o600))
	want := record + " was written by a newer baton-host (its form is 9, and this one reads up to "
	require.ErrorContains(t, p.serve(t, host.ServeOptions{}).ends(), want)
	results, err := oneShot(t, p.config, p.state, host.Options{})
	require.Empty(t, results)
	require.ErrorContains(t, err, want)
	require.Empty(t, cmp.Diff(later, contentsOf(t, record)), "to the byte")
	require.NoError(t, os.Remove(record))

	past := filepath.Join(p.state, "history.json")
	require.NoError(t, os.WriteFile(past, []byte(`{"version": 9}`), 0o600))
	running := p.serve(t, host.ServeOptions{})
	require.True(t, p.sync(t).Succeeded)
	running.stop()
	require.Equal(t, `{"version": 9}`, contentsOf(t, past))
	require.Contains(t, running.log.String(), "the history of the syncs cannot be kept")
}
