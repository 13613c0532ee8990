package status_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/status"
)

func TestBoard_ContinuesTheHistoryOfEarlierRuns(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour)
	good := status.Sync{At: began.Add(time.Minute), State: status.Fresh, Accounts: 40}
	failed := status.Sync{At: began.Add(2 * time.Minute), State: status.Failed}
	known := baseline.Sync{
		StartedAt: began, UploadedAt: began.Add(time.Minute + time.Second),
		Plugins: map[string]baseline.Part{fullstory: {AsOf: began, Accounts: 40}},
	}
	states := func(syncs []status.Sync) (all []status.State) {
		for _, made := range syncs {
			all = append(all, made.State)
		}
		return all
	}
	for name, c := range map[string]struct {
		recalled []status.Sync
		want     []status.State
	}{
		"with the last good sync":    {[]status.Sync{good, failed}, []status.State{status.Fresh, status.Failed}},
		"without it":                 {[]status.Sync{failed}, []status.State{status.Fresh, status.Failed}},
		"without any":                {nil, []status.State{status.Fresh}},
		"with what makes no sense":   {[]status.Sync{good, {At: began, State: "well"}, {State: status.Fresh}, {At: began, State: status.Fresh, Accounts: -1}}, []status.State{status.Fresh}},
		"with what is yet to happen": {[]status.Sync{good, {At: time.Now().Add(time.Hour), State: status.Fresh}}, []status.State{status.Fresh}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard()
			b.Recall(map[string][]status.Sync{workforce: c.recalled, "another": {good}})
			b.Remember(workforce, known)
			require.Equal(t, c.want, states(b.History()[workforce]))
			require.Equal(t, c.want, states(b.Snapshot().Uploads[0].History))
			require.NotContains(t, b.History(), "another")
		})
	}
}

// TestBoard_RecallsGradesThatItKnows: a history may be of an older version, or of a newer one.
func TestBoard_RecallsGradesThatItKnows(t *testing.T) {
	t.Parallel()
	for grade, want := range map[baseline.Grade]baseline.Grade{baseline.Unproven: baseline.Unproven, "": "", "sworn": ""} {
		b := newBoard()
		b.Recall(map[string][]status.Sync{workforce: {{At: time.Now().Add(-time.Hour), State: status.Fresh, Evidence: grade}}})
		require.Len(t, b.History()[workforce], 1)
		require.Equal(t, want, b.History()[workforce][0].Evidence)
	}
}

func TestBoard_BoundsItsHistory(t *testing.T) {
	t.Parallel()
	b := newBoard()
	var many []status.Sync
	for i := range 1000 {
		many = append(many, status.Sync{At: time.Unix(int64(i+1), 0), State: status.Fresh, Accounts: i})
	}
	b.Recall(map[string][]status.Sync{workforce: many})
	got := b.History()[workforce]
	require.Len(t, got, 30)
	require.Equal(t, 999, got[29].Accounts)
}
