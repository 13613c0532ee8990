package baseline

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Numbers are how many rows one sync had of a plugin, by resource type id. A type that is
// not there had none.
type Numbers struct {
	// At is when the sync began.
	At time.Time `json:"at"`
	// Resources are all resources, Accounts those of types of accounts, Entitlements those
	// of resources of the type, and Grants those of such entitlements.
	Resources    map[string]int `json:"resources,omitempty"`
	Accounts     map[string]int `json:"accounts,omitempty"`
	Entitlements map[string]int `json:"entitlements,omitempty"`
	Grants       map[string]int `json:"grants,omitempty"`
	// Unexpanded says that grants which follow from others are not among the grants.
	Unexpanded bool `json:"unexpanded,omitempty"`
}

func (n *Numbers) measures() []map[string]int {
	return []map[string]int{n.Resources, n.Accounts, n.Entitlements, n.Grants}
}

// AdvanceWindow returns the numbers of the syncs of the last time up to now, with those of
// one more, and of them only what the highest of each day need: for each day the highest
// numbers, and behind all the newest. Numbers of the future are dated now, so that they age
// from here on: the clock was wrong when they were written, or it is now. A nil newest adds
// none.
func AdvanceWindow(window []Numbers, now time.Time, length time.Duration, newest *Numbers) []Numbers {
	type day struct {
		date       string
		unexpanded bool
	}
	days := map[day]Numbers{}
	for _, one := range window {
		if one.At.After(now) {
			one.At = now
		}
		if now.Sub(one.At) > length {
			continue
		}
		of := day{one.At.UTC().Format(time.DateOnly), one.Unexpanded}
		if before, ok := days[of]; ok {
			one = highest(before, one)
		}
		days[of] = one
	}
	advanced := slices.SortedFunc(maps.Values(days), func(a, b Numbers) int { return cmp.Or(a.At.Compare(b.At), compareBool(a.Unexpanded, b.Unexpanded)) })
	if newest != nil {
		advanced = append(advanced, *newest)
	}
	return advanced
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// highest returns the highest numbers of two syncs, dated by the later one of those that
// has a number which the other has not reached. Of syncs with the same numbers that is the
// later.
func highest(a, b Numbers) Numbers {
	if b.At.Before(a.At) {
		a, b = b, a
	}
	if b.reaches(a) {
		return b
	}
	if a.reaches(b) {
		return a
	}
	merged := Numbers{At: b.At, Unexpanded: b.Unexpanded}
	merged.Resources = highestOf(a.Resources, b.Resources)
	merged.Accounts = highestOf(a.Accounts, b.Accounts)
	merged.Entitlements = highestOf(a.Entitlements, b.Entitlements)
	merged.Grants = highestOf(a.Grants, b.Grants)
	return merged
}

// reaches says that no number of the other is higher.
func (n *Numbers) reaches(other Numbers) bool {
	mine := n.measures()
	for i, theirs := range other.measures() {
		for typeID, count := range theirs {
			if mine[i][typeID] < count {
				return false
			}
		}
	}
	return true
}

func highestOf(a, b map[string]int) map[string]int {
	merged := maps.Clone(a)
	if merged == nil {
		return maps.Clone(b)
	}
	for typeID, count := range b {
		merged[typeID] = max(merged[typeID], count)
	}
	return merged
}
