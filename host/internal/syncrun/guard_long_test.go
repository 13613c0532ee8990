//go:build long

package syncrun_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

func TestLongChangeGuard(t *testing.T) {
	t.Parallel()
	changeGuard(t, func(int, bool) bool { return true })
}

// TestLongChangeGuard_OfSixtyDays: of two months with joiners, leavers and movers every day, one
// merger and one layoff, the layoff alone trips.
func TestLongChangeGuard_OfSixtyDays(t *testing.T) {
	t.Parallel()
	const (
		days, layoff, merger = 60, 40, 20
		size                 = 100
	)
	// With more seeds, and without files: TestGuard_OfSixtyDays.
	for seed, fallsBack := range map[uint64]bool{1: true, 2: false} {
		t.Run(fmt.Sprintf("G1: seed %d/last-good %t", seed, fallsBack), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // Days, not secrets.
			staff, next := people(0, size, nil), size
			groups := make([]entry, 12)
			for i := range groups {
				groups[i].id = fmt.Sprint("g", i)
			}
			join := func(n int) {
				for _, one := range people(next, n, nil) {
					staff = append(staff, one)
					group := &groups[random.IntN(len(groups))]
					group.members = append(group.members, one.id)
				}
				next += n
			}
			leave := func(one int) {
				id := staff[one].id
				staff = slices.Delete(staff, one, one+1)
				for i := range groups {
					groups[i].members = slices.DeleteFunc(groups[i].members, func(member string) bool { return member == id })
				}
			}
			for _, one := range staff {
				group := &groups[random.IntN(len(groups))]
				group.members = append(group.members, one.id)
			}
			app := func() roster {
				rows := map[string][]entry{"user": slices.Clone(staff), "group": nil}
				for _, one := range groups {
					one.members = slices.Clone(one.members)
					rows["group"] = append(rows["group"], one)
				}
				return of(rows)
			}
			l := newLine(t)
			l.recorded = true
			guard := config.DefaultChangeGuard()
			other := member{name: "other", app: counted{"user": 3}, guard: guard}
			var tripped []int
			for today := range days {
				switch today {
				case merger:
					join(len(staff) * 3 / 2)
				case layoff:
					for n := len(staff) * 6 / 10; n > 0; n-- {
						leave(random.IntN(len(staff)))
					}
				}
				join(max(1, len(staff)/100))
				for range max(1, len(staff)/100) {
					leave(random.IntN(len(staff)))
					moved := &staff[random.IntN(len(staff))]
					moved.disabled = random.IntN(2) == 0
					from, to := &groups[random.IntN(len(groups))], &groups[random.IntN(len(groups))]
					if len(from.members) > 1 && !slices.Contains(to.members, from.members[0]) {
						to.members, from.members = append(to.members, from.members[0]), from.members[1:]
					}
				}
				run := func(accept map[string]bool) (bool, error) {
					made, err := l.sync(t, fallsBack, syncrun.Spec{Plugins: plugins(t, member{name: "app", app: app(), guard: guard}, other), Accept: accept})
					return err == nil && len(made.Stale) > 0, err
				}
				fellBack, err := run(nil)
				if fellBack || err != nil {
					tripped = append(tripped, today)
					_, err := run(map[string]bool{"app": true})
					require.NoError(t, err)
				}
				l.age(t, 24*time.Hour)
			}
			require.Equal(t, []int{layoff}, tripped)
			require.LessOrEqual(t, len(baseline.At(l.path).Known().Plugins["app"].Window), 9)
		})
	}
}
