package syncrun

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

func TestGuard_TripsByNumber(t *testing.T) {
	t.Parallel()
	usual := config.DefaultChangeGuard().Limits
	explicit := config.GuardLimits{KeepPercent: 50, MinMissing: 3, Explicit: true}
	for name, c := range map[string]struct {
		limits          config.GuardLimits
		before, now     int
		byCount, byPart bool
	}{
		"G3: 9 to none":                          {usual, 9, 0, true, false},
		"G3: 1 to none":                          {usual, 1, 0, true, false},
		"G3: 18 to 9":                            {usual, 18, 9, true, false},
		"G3: 18 to 10":                           {usual, 18, 10, false, false},
		"G3: 19 to 9":                            {usual, 19, 9, true, true},
		"G3: 20 to 10":                           {usual, 20, 10, false, false},
		"G3: 20 to 9":                            {usual, 20, 9, true, true},
		"G3: 1000 to 500":                        {usual, 1000, 500, false, false},
		"G3: 1000 to 499":                        {usual, 1000, 499, true, true},
		"G3: more":                               {usual, 10, 1000, false, false},
		"G3: none to none":                       {usual, 0, 0, false, false},
		"G3: as many":                            {usual, 1000, 1000, false, false},
		"G3: min-missing of 3: 4 to 2":           {explicit, 4, 2, false, false},
		"G3: min-missing of 3: 6 to 3":           {explicit, 6, 3, true, false},
		"G3: min-missing of 3: 6 to 2":           {explicit, 6, 2, true, true},
		"G3: a type that is off":                 {config.GuardLimits{}, 1000, 0, false, false},
		"G3: keep-percent of 100: one is gone":   {config.GuardLimits{KeepPercent: 100, MinMissing: 1, Explicit: true}, 1000, 999, true, true},
		"G3: keep-percent of 1: 1000 to 10":      {config.GuardLimits{KeepPercent: 1, MinMissing: 10}, 1000, 10, false, false},
		"G3: keep-percent of 1: 1000 to 9":       {config.GuardLimits{KeepPercent: 1, MinMissing: 10}, 1000, 9, true, true},
		"G3: keep-percent of 90: 19 to 15":       {config.GuardLimits{KeepPercent: 90, MinMissing: 10}, 19, 15, false, false},
		"G3: min-missing of 50: 40 to 1":         {config.GuardLimits{KeepPercent: 50, MinMissing: 50, Explicit: true}, 40, 1, false, false},
		"G3: min-missing of 50: none, for all":   {config.GuardLimits{KeepPercent: 50, MinMissing: 50, Explicit: true}, 40, 0, true, false},
		"G3: the default for a short list is 10": {config.GuardLimits{KeepPercent: 50, MinMissing: 10}, 12, 1, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.byCount, trips(c.limits, c.before, c.now))
			require.Equal(t, c.byPart, tripsByShare(c.limits, c.before, c.now))
		})
	}
}

// TestGuard_ComparesWithTheHighest: of the window, and the baseline, each measure of each
// type by itself.
func TestGuard_ComparesWithTheHighest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	of := func(resources, accounts, entitlements, grants map[string]int) syncfile.Counts {
		return syncfile.Counts{Resources: resources, Accounts: accounts, Entitlements: entitlements, Grants: grants, Varying: map[string]bool{}}
	}
	users := func(n int) syncfile.Counts {
		return of(map[string]int{"app.user": n}, map[string]int{"app.user": n}, nil, nil)
	}
	groups := func(members, owners int) syncfile.Counts {
		return of(map[string]int{"app.group": 5, "app.role": 5}, nil, map[string]int{"app.group": 10, "app.role": 10}, map[string]int{"app.group": members, "app.role": owners})
	}
	varying := func(n int) syncfile.Counts {
		counts := users(n)
		counts.Varying["app.user"] = true
		return counts
	}
	noAccounts := of(map[string]int{"app.user": 100}, map[string]int{}, nil, nil)
	at := func(ago time.Duration, n int) baseline.Numbers {
		return baseline.Numbers{At: now.Add(-ago), Resources: map[string]int{"app.user": n}, Accounts: map[string]int{"app.user": n}}
	}
	grants := func(ago time.Duration, n int, unexpanded bool) baseline.Numbers {
		return baseline.Numbers{At: now.Add(-ago), Resources: map[string]int{"app.group": 5}, Grants: map[string]int{"app.group": n}, Unexpanded: unexpanded}
	}
	const day = 24 * time.Hour
	plugin := func(change func(*config.ChangeGuard)) Plugin {
		guard := config.DefaultChangeGuard()
		if change != nil {
			change(&guard)
		}
		return Plugin{Plugin: aggregate.Plugin{Instance: "app", Namespace: "app"}, Guard: guard}
	}
	for name, c := range map[string]struct {
		guard       func(*config.ChangeGuard)
		before, now syncfile.Counts
		window      []baseline.Numbers
		unexpanded  [2]bool
		spared      int
		want        []string
	}{
		"G1: the last step of a slow drain": {
			before: users(600), now: users(360), window: []baseline.Numbers{at(2*day, 1000), at(day, 600)},
			want: []string{`plugin "app" lists 360 accounts of type "app.user", but 1000 at the highest of the last 168h (2026-11-18T12:00:00Z)`},
		},
		"G1: within the half":                     {before: users(600), now: users(500), window: []baseline.Numbers{at(2*day, 1000)}},
		"G1: the highest has left the window":     {before: users(600), now: users(360), window: []baseline.Numbers{at(8*day, 1000), at(day, 600)}},
		"G1: at the edge of the window":           {before: users(600), now: users(360), window: []baseline.Numbers{at(7*day, 1000)}, want: []string{"1000 at the highest"}},
		"G1: a shorter window":                    {guard: func(g *config.ChangeGuard) { g.Window = day }, before: users(600), now: users(360), window: []baseline.Numbers{at(2*day, 1000)}},
		"G1: of the future":                       {before: users(600), now: users(360), window: []baseline.Numbers{at(-90*day, 1000)}, want: []string{"1000 at the highest"}},
		"G1: the baseline is the highest":         {before: users(1000), now: users(360), window: []baseline.Numbers{at(day, 900)}, want: []string{"but 1000 in the baseline (2026-11-19T12:00:00Z)"}},
		"G1: no window, as an old host wrote it":  {before: users(1000), now: users(360), want: []string{"but 1000 in the baseline"}},
		"G1: a short list drains too":             {before: users(12), now: users(9), window: []baseline.Numbers{at(day, 18)}, want: []string{"9 accounts", "18 at the highest"}},
		"G1: none left, and none in the baseline": {before: users(0), now: users(0), window: []baseline.Numbers{at(day, 3)}, want: []string{"0 accounts", "3 at the highest"}},
		"G1: one left":                            {before: users(1000), now: users(1), want: []string{`plugin "app" lists 1 account of type`}},
		"G1: a type of another plugin":            {before: users(5), now: users(5), window: []baseline.Numbers{{At: now.Add(-day), Resources: map[string]int{"other.user": 900}, Accounts: map[string]int{"other.user": 900}}}},
		"G1: a type that is gone from all files":  {before: groups(0, 0), now: groups(0, 0), window: []baseline.Numbers{at(day, 40)}, want: []string{`lists 0 accounts of type "app.user", but 40 at the highest`}},
		"G3: no accounts any more, only their id": {before: users(100), now: noAccounts, want: []string{`lists 0 accounts of type "app.user", but 100 in the baseline`}},
		"G7: grants fall": {
			before: groups(5000, 5000), now: groups(3, 5000),
			want: []string{`plugin "app" lists 3 grants of resources of type "app.group", but 5000 in the baseline`},
		},
		"G7: of one type, while another grows":  {before: groups(5000, 5000), now: groups(2000, 9000), want: []string{`lists 2000 grants of resources of type "app.group"`}},
		"G7: slowly":                            {before: groups(3000, 1), now: groups(2400, 1), window: []baseline.Numbers{grants(3*day, 5000, false)}, want: []string{"2400 grants", "5000 at the highest"}},
		"G7: entitlements fall to none":         {before: groups(1, 1), now: of(groups(1, 1).Resources, nil, map[string]int{"app.group": 10}, groups(1, 1).Grants), want: []string{`lists 0 entitlements of resources of type "app.role", but 10 in the baseline`}},
		"G7: not expanded any more":             {before: groups(5000, 1), now: groups(3, 1), unexpanded: [2]bool{false, true}},
		"G7: neither was before":                {before: groups(5000, 1), now: groups(3, 1), unexpanded: [2]bool{true, true}, want: []string{"3 grants"}},
		"G7: a window that was not expanded":    {before: groups(3, 1), now: groups(3, 1), window: []baseline.Numbers{grants(day, 5000, true)}},
		"G7: what was skipped is not gone":      {before: groups(5000, 1), now: groups(40, 1), spared: 4950},
		"G7: what was skipped is not all":       {before: groups(5000, 1), now: groups(40, 1), spared: 100, want: []string{"40 grants"}},
		"G7: not known, as an old host kept it": {before: of(groups(0, 0).Resources, nil, map[string]int{}, map[string]int{}), now: groups(3, 3)},
		"G8: a type that varies":                {before: users(1000), now: varying(0)},
		"G8: a type that varied and is gone":    {before: varying(1000), now: groups(1, 1)},
		"G8: one that no longer varies":         {before: varying(1000), now: users(1), want: []string{"1 account"}},
		"G8: the operator says otherwise": {
			guard:  func(g *config.ChangeGuard) { g.ByType = map[string]config.GuardLimits{"user": g.Limits} },
			before: users(1000), now: varying(1), want: []string{"1 account"},
		},
		"G8: the operator has it off": {guard: func(g *config.ChangeGuard) { g.ByType = map[string]config.GuardLimits{"user": {}} }, before: users(1000), now: users(0)},
		"off":                         {guard: func(g *config.ChangeGuard) { g.Off = true }, before: users(1000), now: users(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &guarded{
				plugin: plugin(c.guard), mine: func(typeID string) bool { return typeID[:4] == "app." },
				before: c.before, now: c.now, window: c.window, since: now.Add(-day), started: now, unexpanded: c.unexpanded[0], nowUnexpanded: c.unexpanded[1],
			}
			if c.spared > 0 {
				g.spared = func(typeID string, measure Measure) int {
					if typeID == "app.group" && measure == Grants {
						return c.spared
					}
					return 0
				}
			}
			tripped, lost := g.judge()
			require.Empty(t, lost)
			if len(c.want) == 0 {
				require.Empty(t, tripped)
				return
			}
			require.Len(t, tripped, 1)
			for _, want := range c.want {
				require.ErrorContains(t, tripped[0], want)
			}
			require.ErrorContains(t, tripped[0], "let it through once with --accept-deletions app")
			require.Equal(t, tripped[0].Error(), tripped[0].Public())
			require.Equal(t, "app", tripped[0].Plugin())
		})
	}
}

// TestNumbersOf: what enters the window is what the guard looks at.
func TestNumbersOf(t *testing.T) {
	t.Parallel()
	guard := config.DefaultChangeGuard()
	guard.ByType = map[string]config.GuardLimits{"seat": {}}
	p := Plugin{Plugin: aggregate.Plugin{Instance: "app", Namespace: "app"}, Guard: guard}
	counts := syncfile.Counts{
		Resources: map[string]int{"app.user": 4, "app.group": 0, "app.seat": 7, "app.invite": 9, "other.user": 5}, Accounts: map[string]int{"app.user": 4},
		Grants: map[string]int{"app.group": 3, "app.seat": 8}, Varying: map[string]bool{"app.invite": true},
	}
	at := time.Now()
	require.Equal(t, baseline.Numbers{
		At: at, Unexpanded: true,
		Resources: map[string]int{"app.user": 4}, Accounts: map[string]int{"app.user": 4}, Grants: map[string]int{"app.group": 3},
	}, numbersOf(p, func(typeID string) bool { return typeID != "other.user" }, counts, at, true))
}

func TestTripError_IsOfTheFirstMeasureOfEachType(t *testing.T) {
	t.Parallel()
	var all []*GuardError
	for _, typeID := range []string{"app.bot", "app.user"} {
		for _, measure := range []Measure{Accounts, Entitlements, Grants, IDs} {
			all = append(all, &GuardError{Instance: "app", ResourceType: typeID, Measure: measure, Before: 40, Now: 3})
		}
	}
	require.EqualError(t, tripError(all), fmt.Sprint(all[0], "\n", all[4]))
}

// TestGuard_OfSixtyDays: of two months with joiners, leavers and movers every day, one merger
// and one layoff, the layoff alone trips, whoever it is and however large the company.
func TestGuard_OfSixtyDays(t *testing.T) {
	t.Parallel()
	const days, layoff, merger = 60, 40, 20
	for seed := range uint64(30) {
		t.Run(fmt.Sprintf("G1: seed %d", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // Days, not secrets.
			var disabled []bool                      // everyone who is there, by their place in ids
			var ids []uint64
			join := func(n int) {
				for range n {
					ids, disabled = append(ids, random.Uint64()>>10), append(disabled, false)
				}
			}
			leave := func(n int) {
				for range n {
					i := random.IntN(len(ids))
					ids, disabled = slices.Delete(ids, i, i+1), slices.Delete(disabled, i, i+1)
				}
			}
			join(40 + random.IntN(2000))
			groups := 10 + random.IntN(50)
			p := Plugin{Plugin: aggregate.Plugin{Instance: "app", Namespace: "app"}, Guard: config.DefaultChangeGuard()}
			mine := func(string) bool { return true }
			now := time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)
			var before guarded // the last sync that was accepted
			var window []baseline.Numbers
			var tripped []int
			for today := range days {
				now = now.Add(24*time.Hour + time.Duration(random.IntN(120)-60)*time.Minute)
				if today == merger {
					join(len(ids) * 3 / 2)
				}
				if today == layoff {
					leave(len(ids) * 6 / 10)
				}
				join(max(1, len(ids)/100))
				leave(max(1, len(ids)/100))
				for range max(1, len(ids)/100) {
					i := random.IntN(len(ids))
					disabled[i] = !disabled[i]
				}
				// An entry of a digest: the id, whether it is enabled, and three attributes.
				digest := make([]uint64, 0, len(ids))
				for i, id := range ids {
					entry := id<<5 | 0b11100 | 1
					if disabled[i] {
						entry = id<<5 | 0b11100 | 2
					}
					digest = append(digest, entry)
				}
				slices.Sort(digest)
				g := before
				g.plugin, g.mine, g.started, g.window = p, mine, now, window
				g.now = syncfile.Counts{
					Resources: map[string]int{"app.user": len(ids), "app.group": groups}, Accounts: map[string]int{"app.user": len(ids)},
					Entitlements: map[string]int{"app.group": groups}, Grants: map[string]int{"app.group": len(ids) * 3},
				}
				g.nowDigest = syncfile.Digest{"app.user": digest}
				changes, lost := g.judge()
				require.Empty(t, lost)
				if len(changes) > 0 {
					tripped, window = append(tripped, today), nil // It is approved.
				}
				numbers := numbersOf(p, mine, g.now, now, false)
				window = baseline.AdvanceWindow(window, now, p.Guard.Window, &numbers)
				require.LessOrEqual(t, len(window), 9)
				before = guarded{before: g.now, beforeDigest: g.nowDigest, since: now}
			}
			require.Equal(t, []int{layoff}, tripped)
		})
	}
}
