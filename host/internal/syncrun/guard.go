package syncrun

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Guard is when a plugin that lists fewer resources than in its last good sync
// counts as failed; see [Limits]. The zero value never trips.
type Guard struct {
	// Off switches the guard off.
	Off bool
	// Limits are for types of accounts.
	Limits Limits
	// ByType are other limits for single resource types, by the plugin's own id
	// of the type. Types that are none of accounts are guarded only if they are
	// here.
	ByType map[string]Limits
}

// Limits are the numbers of a guard. It trips if
//   - nothing is left of what there was, whatever the numbers;
//   - less than KeepPercent is left, and at least MinMissing are missing;
//   - there were fewer than 20, and half of them or less is left (KeepPercent or less,
//     where that is less than half). MinMissing counts there only if it is explicit:
//     its default would let a short list lose nearly everyone.
//
// The zero value never trips.
type Limits struct {
	KeepPercent int // 1 to 100
	MinMissing  int // at least 1
	// Explicit says that the operator chose MinMissing: it holds for short lists too.
	Explicit bool
}

const (
	// shortList is the length below which a list is short.
	shortList = 20
	// half is what a short list must keep more than, in percent.
	half = 50
)

// DefaultGuard is the guard of a plugin whose configuration says nothing.
func DefaultGuard() Guard {
	return Guard{Limits: Limits{KeepPercent: 50, MinMissing: 10}}
}

// trips says whether so many resources fewer are too many.
func (l Limits) trips(before, now int) bool {
	missing := before - now
	switch {
	case l == Limits{} || missing <= 0:
		return false
	case now == 0:
		return true
	case missing < l.MinMissing && (l.Explicit || before >= shortList):
		return false
	case before < shortList && now*100 <= before*min(l.KeepPercent, half):
		return true
	}
	return missing >= l.MinMissing && now*100 < before*l.KeepPercent
}

// limits are the limits for a resource type, by the plugin's own id; ok is false
// if it is not guarded.
func (g Guard) limits(typeID string, accounts bool) (l Limits, ok bool) {
	if g.Off {
		return Limits{}, false
	}
	if l, ok := g.ByType[typeID]; ok {
		return l, true
	}
	return g.Limits, accounts
}

// GuardError says that a plugin lists suspiciously few resources.
type GuardError struct {
	Instance     string
	ResourceType string
	Before, Now  int
	// Since is when the last good sync was.
	Since time.Time
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("plugin %q lists %d of type %q, but %d in the last good sync (%s): "+
		"so many deletions at once look like a fault of the app; if they are right, let them through once with --accept-deletions %s",
		e.Instance, e.Now, e.ResourceType, e.Before, e.Since.UTC().Format(time.RFC3339), e.Instance)
}

// Plugin is the instance that the guard is of.
func (e *GuardError) Plugin() string { return e.Instance }

// Discreet is all of the error: it knows numbers only.
func (e *GuardError) Discreet() string { return e.Error() }

// counts is how many resources there are by resource type, all and those of
// accounts.
type counts struct{ resources, accounts map[string]int }

// guarded compares a plugin's part of a new file with that of the last good one.
// mine tells which resource types are the plugin's.
func (g Guard) guarded(instance, prefix string, mine func(typeID string) bool, before, now counts, since time.Time) error {
	var tripped []error
	for _, typeID := range slices.Sorted(maps.Keys(before.resources)) {
		if !mine(typeID) {
			continue
		}
		_, accounts := before.accounts[typeID]
		limits, ok := g.limits(strings.TrimPrefix(typeID, prefix), accounts)
		if ok && limits.trips(before.resources[typeID], now.resources[typeID]) {
			tripped = append(tripped, &GuardError{
				Instance: instance, ResourceType: typeID, Since: since,
				Before: before.resources[typeID], Now: now.resources[typeID],
			})
		}
	}
	return errors.Join(tripped...)
}
