package syncrun_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/sandbox/raced"
)

// reviewed is a line whose refused syncs are kept, of the plugins "app" and "other".
type reviewed struct {
	*line
	fallsBack bool
	store     *review.Store
	accept    map[string]bool
}

func newReviewed(t *testing.T, policy string, app counted) *reviewed {
	t.Helper()
	l := newLine(t)
	r := &reviewed{line: l, fallsBack: policy == "last-good", store: review.At(l.path)}
	made, err := r.run(t, app, counted{"user": 9})
	require.NoError(t, err)
	require.NoError(t, made.Settle(t.Context(), r.store))
	return r
}

// run runs a sync, which is accepted; nil: the upload has no such plugin.
func (r *reviewed) run(t *testing.T, app, other counted) (*syncrun.Result, error) {
	t.Helper()
	var running []member
	if app != nil {
		running = append(running, member{name: "app", app: app, guard: config.DefaultChangeGuard()})
	}
	running = append(running, member{name: "other", app: other, guard: config.DefaultChangeGuard()})
	return r.sync(t, r.fallsBack, syncrun.Spec{Plugins: plugins(t, running...), Review: r.store, Accept: r.accept})
}

// outcome is why the part of the app was refused; nil: it was not.
func (r *reviewed) outcome(t *testing.T, app counted) error {
	t.Helper()
	made, err := r.run(t, app, counted{"user": 9})
	if !r.fallsBack || err != nil {
		return err
	}
	require.NoError(t, made.Settle(t.Context(), r.store))
	for _, one := range made.Stale {
		require.Equal(t, "app", one.Instance)
		return one.Err
	}
	return nil
}

func (r *reviewed) approve(t *testing.T, valid time.Duration) *review.Refused {
	t.Helper()
	kept, err := r.store.Refused()
	require.NoError(t, err)
	_, err = r.store.Approve(t.Context(), kept.ID, valid, "ada")
	require.NoError(t, err)
	return kept
}

// leftovers are what is beside the baseline.
func (r *reviewed) leftovers(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(r.path))
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		if name := strings.TrimPrefix(entry.Name(), "workforce.c1z"); name != "" && name != ".json" {
			name, _, _ = strings.Cut(name, "-")
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func eachPolicy(t *testing.T, test func(t *testing.T, policy string)) {
	t.Helper()
	for _, policy := range []string{"fail", "last-good"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			test(t, policy)
		})
	}
}

func TestRelease_LetsThroughWhatWasApprovedAndNothingMore(t *testing.T) {
	t.Parallel()
	users := func(n int) counted { return counted{"user": n} }
	for name, c := range map[string]struct {
		before, refused, now counted
		valid                time.Duration
		says                 string // "": it passes
	}{
		"G6: the list that was seen":                 {users(250), users(100), users(100), time.Hour, ""},
		"G6: fewer are gone meanwhile":               {users(250), users(100), users(120), time.Hour, ""},
		"G6: one more is gone":                       {users(250), users(100), users(99), time.Hour, "covers 150 of the 151 changes that take something away, and 1 are not approved"},
		"G6: all are gone":                           {users(250), users(100), users(0), time.Hour, "covers 150 of the 250 changes that take something away, and 100 are not approved"},
		"G6: another type goes too":                  {counted{"user": 250, "bot": 30}, counted{"user": 100, "bot": 30}, counted{"user": 100, "bot": 0}, time.Hour, "and 30 are not approved"},
		"G6: zero, which was what was seen":          {users(250), users(0), users(0), time.Hour, ""},
		"G6: the approval has expired":               {users(250), users(100), users(100), time.Nanosecond, "expired at 20"},
		"G6: the list is whole again: nothing trips": {users(250), users(100), users(250), time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			eachPolicy(t, func(t *testing.T, policy string) {
				r := newReviewed(t, policy, c.before)
				refused := r.outcome(t, c.refused)
				kept, err := r.store.Refused()
				require.NoError(t, err)
				require.ErrorContains(t, refused, "it is kept for review as "+kept.ID+": baton-host review workforce")
				require.Contains(t, errtext.Public(refused), kept.ID)
				require.Equal(t, ".refused .refused", r.leftovers(t))
				require.True(t, kept.Of("app"))
				require.False(t, kept.Of("other"))
				require.ErrorContains(t, r.outcome(t, c.refused), kept.ID, "it stays refused, with the same id")
				r.approve(t, c.valid)

				released := r.outcome(t, c.now)
				if c.says == "" {
					require.NoError(t, released)
					if !r.fallsBack { // There it was settled.
						made, err := r.run(t, c.now, counted{"user": 9})
						require.NoError(t, err)
						require.NoError(t, made.Settle(t.Context(), r.store))
					}
					require.Empty(t, r.leftovers(t), "it is used up")
					require.Equal(t, c.now["user"], r.types(t)["app.user"])
					require.NoError(t, r.outcome(t, c.now), "it is the baseline")
					return
				}
				require.ErrorContains(t, released, c.says)
				require.Contains(t, errtext.Public(released), c.says)
				require.NotContains(t, released.Error(), "ada")
				again, err := r.store.Refused()
				require.NoError(t, err)
				require.Equal(t, c.valid == time.Nanosecond, again.ID == kept.ID)
				r.approve(t, time.Hour)
				require.NoError(t, r.outcome(t, c.now))
			})
		})
	}
}

// TestRelease_EndsWhereC1Accepts: an approval is there until then, whatever happens.
func TestRelease_EndsWhereC1Accepts(t *testing.T) {
	t.Parallel()
	eachPolicy(t, func(t *testing.T, policy string) {
		r := newReviewed(t, policy, counted{"user": 40})
		before := bytesOf(t, r.path)
		require.Error(t, r.outcome(t, counted{"user": 10}))
		kept := r.approve(t, time.Hour)
		for range 2 { // C1 is away, or the host is killed behind the sync.
			made, err := r.run(t, counted{"user": 10}, counted{"user": 9})
			require.NoError(t, err)
			require.Equal(t, map[string]bool{"app": true}, made.Accepted)
			require.Contains(t, made.Warnings, fmt.Sprintf(`plugin "app": the approval of %s lets through what the change guard refused: 30 removed, 0 disabled, 0 emptied, 0 withdrawn, 0 ungranted, 0 added`, kept.ID))
			require.Equal(t, "ada", r.log.FilterMessageSnippet("lets through").All()[0].ContextMap()["by"])
			require.NoError(t, os.WriteFile(r.path, before, 0o600))
			r.store = review.At(r.path) // The host has been restarted.
		}
		require.Equal(t, ".approved .refused .refused", r.leftovers(t))
		made, err := r.run(t, counted{"user": 10}, counted{"user": 9})
		require.NoError(t, err)
		require.NoError(t, made.Settle(t.Context(), r.store))
		require.Empty(t, r.leftovers(t))
		require.NoError(t, os.WriteFile(r.path, before, 0o600))
		require.Error(t, r.outcome(t, counted{"user": 10}), "it is used once")
	})
}

func TestRelease_LetsAPluginGo(t *testing.T) {
	t.Parallel()
	eachPolicy(t, func(t *testing.T, policy string) {
		r := newReviewed(t, policy, counted{"user": 40, "group": 3})
		_, err := r.run(t, nil, counted{"user": 9})
		require.ErrorContains(t, err, `plugin "app" is no longer in upload "workforce"`)
		require.Equal(t, ".refused", r.leftovers(t), "nothing was read")
		kept := r.approve(t, time.Hour)
		require.Equal(t, 43, kept.TakenAway())
		// The other plugin is guarded as ever.
		made, err := r.run(t, nil, counted{"user": 0})
		require.ErrorContains(t, err, `plugin "other" lists 0`)
		require.NotContains(t, err.Error(), `plugin "app"`)
		require.Nil(t, made)
		r.approve(t, time.Hour)
		made, err = r.run(t, nil, counted{"user": 0})
		require.NoError(t, err, "both are approved")
		require.Equal(t, map[string]bool{"app": true, "other": true}, made.Accepted)
		require.Contains(t, made.Warnings[len(made.Warnings)-2], `plugin "app" is no longer in the upload: the 40 accounts that the baseline has of it are deleted, as the approval of `+kept.ID+` lets through`)
		require.NoError(t, made.Settle(t.Context(), r.store))
		require.Empty(t, r.leftovers(t))
	})
}

func TestRelease_ForgetsWhatAGoodSyncFollows(t *testing.T) {
	t.Parallel()
	eachPolicy(t, func(t *testing.T, policy string) {
		r := newReviewed(t, policy, counted{"user": 40})
		require.Error(t, r.outcome(t, counted{"user": 10}))
		require.Equal(t, ".refused .refused", r.leftovers(t))
		made, err := r.run(t, counted{"user": 40}, counted{"user": 9})
		require.NoError(t, err)
		require.Empty(t, made.Accepted)
		require.NoError(t, made.Settle(t.Context(), r.store))
		require.Empty(t, r.leftovers(t))
	})
}

// TestRelease_KeepsTheSyncsOwnError where the sync cannot be kept.
func TestRelease_KeepsTheSyncsOwnError(t *testing.T) {
	t.Parallel()
	eachPolicy(t, func(t *testing.T, policy string) {
		r := newReviewed(t, policy, counted{"user": 40})
		require.NoError(t, os.MkdirAll(r.path+".refused.new/taken", 0o700))
		refused := r.outcome(t, counted{"user": 10})
		require.ErrorContains(t, refused, `plugin "app" lists 10`)
		require.ErrorContains(t, refused, "; it cannot be kept for review: remove "+r.path+".refused.new: ")
		require.Contains(t, errtext.Public(refused), "; it cannot be kept for review; the log has the reason")
		require.NotContains(t, errtext.Public(refused), r.path)
		require.Equal(t, 1, r.log.FilterMessageSnippet("cannot be kept for review").Len())
		require.Equal(t, ".refused.new", r.leftovers(t))
	})
}

// TestRelease_ByNameIsOfWhatWasRefused has --accept-deletions without an approval: what the
// sync would take away has not been seen.
func TestRelease_ByNameIsOfWhatWasRefused(t *testing.T) {
	t.Parallel()
	eachPolicy(t, func(t *testing.T, policy string) {
		r := newReviewed(t, policy, counted{"user": 250})
		r.accept = map[string]bool{"app": true}
		refused := r.outcome(t, counted{"user": 0})
		require.ErrorContains(t, refused, "--accept-deletions app lets nothing go to zero that was not refused before: give it again if that is right")
		require.ErrorContains(t, r.outcome(t, counted{"user": 0}), "lets nothing go to zero", "the same run does not see it either")
		made, err := r.run(t, counted{"user": 100}, counted{"user": 9})
		require.NoError(t, err)
		require.Equal(t, map[string]bool{"app": true}, made.Accepted)
		require.Contains(t, made.Warnings, `plugin "app": --accept-deletions lets through what the change guard refused: 150 removed, 0 disabled, 0 emptied, 0 withdrawn, 0 ungranted, 0 added`)
	})
}

// TestRelease_ReportsAnApprovalThatCannotBeRead approves nothing.
func TestRelease_ReportsAnApprovalThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newReviewed(t, "fail", counted{"user": 40})
	require.Error(t, r.outcome(t, counted{"user": 10}))
	r.approve(t, time.Hour)
	require.NoError(t, os.Truncate(r.path+".approved", 60))
	require.ErrorContains(t, r.outcome(t, counted{"user": 10}), "what was approved of it cannot be read: ")
	require.Equal(t, 1, r.log.FilterMessageSnippet("so nothing is approved").Len())
}
