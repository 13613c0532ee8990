package syncrun

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/config"
)

const (
	// shortList is the length below which a list is short.
	shortList = 20
	// half is what a short list must keep more than, in percent.
	half = 50
)

// trips reports whether so many resources fewer are too many. It is so if
//   - nothing is left of what there was, whatever the numbers;
//   - less than KeepPercent is left, and at least MinMissing are missing;
//   - there were fewer than 20, and half of them or less is left (KeepPercent or less,
//     where that is less than half). MinMissing counts there only if it is explicit:
//     its default would let a short list lose nearly everyone.
//
// The zero value of the limits never trips.
func trips(l config.DeletionLimits, before, now int) bool {
	missing := before - now
	switch {
	case l == config.DeletionLimits{} || missing <= 0:
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

// limitsOf are the limits for a resource type, by the plugin's own id; ok is false
// if it is not guarded: types that are none of accounts are only if they are
// configured.
func limitsOf(guard config.DeletionGuard, typeID string, accounts bool) (l config.DeletionLimits, ok bool) {
	if guard.Off {
		return config.DeletionLimits{}, false
	}
	if l, ok := guard.ByType[typeID]; ok {
		return l, true
	}
	return guard.Accounts, accounts
}

// GuardError says that a plugin lists suspiciously few resources.
type GuardError struct {
	Instance     string
	ResourceType string
	Before, Now  int
	// Since is when the baseline was.
	Since time.Time
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("plugin %q lists %d of type %q, but %d in the baseline (%s): "+
		"so many deletions at once look like a fault of the app; if they are right, let them through once with --accept-deletions %s",
		e.Instance, e.Now, e.ResourceType, e.Before, e.Since.UTC().Format(time.RFC3339), e.Instance)
}

// Plugin is the instance that the guard is of.
func (e *GuardError) Plugin() string { return e.Instance }

// Public is all of the error: it knows numbers only.
func (e *GuardError) Public() string { return e.Error() }

// counts is how many resources there are by resource type, all and those of
// accounts.
type counts struct{ resources, accounts map[string]int }

// guarded compares a plugin's part of a new file with that of the baseline.
// mine reports which resource types are the plugin's.
func guarded(p Plugin, mine func(typeID string) bool, before, now counts, since time.Time) error {
	var tripped []error
	for _, typeID := range slices.Sorted(maps.Keys(before.resources)) {
		if !mine(typeID) {
			continue
		}
		_, accounts := before.accounts[typeID]
		limits, ok := limitsOf(p.Guard, strings.TrimPrefix(typeID, prefixOf(p)), accounts)
		if ok && trips(limits, before.resources[typeID], now.resources[typeID]) {
			tripped = append(tripped, &GuardError{
				Instance: p.Instance, ResourceType: typeID, Since: since,
				Before: before.resources[typeID], Now: now.resources[typeID],
			})
		}
	}
	return errors.Join(tripped...)
}
