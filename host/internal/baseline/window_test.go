package baseline

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
)

func TestAdvanceWindow(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	users := func(ago time.Duration, n int) Numbers {
		return Numbers{At: now.Add(-ago), Resources: map[string]int{"app.user": n}}
	}
	both := func(ago time.Duration, n, groups int) Numbers {
		return Numbers{At: now.Add(-ago), Resources: map[string]int{"app.user": n, "app.group": groups}, Grants: map[string]int{"app.group": groups * 10}}
	}
	unexpanded := users(time.Hour, 3)
	unexpanded.Unexpanded = true
	newest := users(0, 40)
	for name, c := range map[string]struct {
		window []Numbers
		newest *Numbers
		want   []Numbers
	}{
		"nothing":                    {nil, nil, nil},
		"the first":                  {nil, &newest, []Numbers{newest}},
		"a stale sync adds none":     {[]Numbers{users(24*time.Hour, 50)}, nil, []Numbers{users(24*time.Hour, 50)}},
		"one of each day":            {[]Numbers{users(50*time.Hour, 70), users(26*time.Hour, 60)}, &newest, []Numbers{users(50*time.Hour, 70), users(26*time.Hour, 60), newest}},
		"the highest of a day":       {[]Numbers{users(3*time.Hour, 70), users(2*time.Hour, 90), users(time.Hour, 60)}, &newest, []Numbers{users(2*time.Hour, 90), newest}},
		"the later of the same":      {[]Numbers{users(3*time.Hour, 70), users(2*time.Hour, 70)}, nil, []Numbers{users(2*time.Hour, 70)}},
		"each type by itself":        {[]Numbers{both(3*time.Hour, 70, 1), both(2*time.Hour, 60, 5)}, nil, []Numbers{both(2*time.Hour, 70, 5)}},
		"a type that one has not":    {[]Numbers{users(3*time.Hour, 70), both(2*time.Hour, 60, 5)}, nil, []Numbers{both(2*time.Hour, 70, 5)}},
		"too old":                    {[]Numbers{users(week+time.Second, 70), users(week, 60)}, nil, []Numbers{users(week, 60)}},
		"of the future, dated now":   {[]Numbers{users(-48*time.Hour, 70)}, &newest, []Numbers{users(0, 70), newest}},
		"not expanded, by itself":    {[]Numbers{users(2*time.Hour, 70), unexpanded}, nil, []Numbers{users(2*time.Hour, 70), unexpanded}},
		"of the future and of today": {[]Numbers{users(2*time.Hour, 80), users(-time.Hour, 70)}, nil, []Numbers{users(2*time.Hour, 80)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(c.want, AdvanceWindow(c.window, now, week, c.newest), cmpopts.EquateEmpty()))
		})
	}
}

// TestAdvanceWindow_StaysShort: whatever is synced how often, and whatever the clock does.
func TestAdvanceWindow_StaysShort(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var window []Numbers
	for i := range 5000 {
		now = now.Add(20 * time.Minute)
		if i%700 == 0 {
			now = now.Add(-30 * time.Hour)
		}
		window = AdvanceWindow(window, now, week, &Numbers{At: now, Resources: map[string]int{"app.user": 1000 - i%100}})
		require.LessOrEqual(t, len(window), 10)
	}
	most := 0
	for _, one := range window {
		most = max(most, one.Resources["app.user"])
	}
	require.Equal(t, 1000, most)
	for i := range 8 {
		window = AdvanceWindow(window, now.Add(time.Duration(i+1)*24*time.Hour), week, nil)
	}
	require.Empty(t, window, "they age where nothing is added")
}

func TestNumbers_KeepTheirForm(t *testing.T) {
	t.Parallel()
	const written = `{"at":"2026-11-01T08:00:00Z","resources":{"crm.user":40},"accounts":{"crm.user":40},"entitlements":{"crm.role":2},"grants":{"crm.role":7},"unexpanded":true}`
	var numbers Numbers
	require.NoError(t, json.Unmarshal([]byte(written), &numbers))
	again, err := json.Marshal(numbers)
	require.NoError(t, err)
	require.JSONEq(t, written, string(again))
	require.Equal(t, 7, numbers.Grants["crm.role"])
}
