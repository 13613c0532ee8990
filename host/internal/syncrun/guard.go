package syncrun

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

const (
	// shortList is the length below which a list is short.
	shortList = 20
	// half is what a short list must keep more than, in percent.
	half = 50
)

// trips reports whether so many fewer are too many. It is so if
//   - nothing is left of what there was, whatever the numbers;
//   - less than KeepPercent is left, and at least MinMissing are missing;
//   - there were fewer than 20, and half of them or less is left (KeepPercent or less,
//     where that is less than half). MinMissing counts there only if it is explicit:
//     its default would let a short list lose nearly everyone.
//
// The zero value of the limits never trips.
func trips(l config.GuardLimits, before, now int) bool {
	missing := before - now
	switch {
	case l == config.GuardLimits{} || missing <= 0:
		return false
	case now == 0:
		return true
	case missing < l.MinMissing && (l.Explicit || before >= shortList):
		return false
	case before < shortList && now*100 <= before*min(l.KeepPercent, half):
		return true
	}
	return tripsByShare(l, before, now)
}

// tripsByShare is trips where the number of all is not what counts, but which of them have
// stayed as they were: of a few, all may change.
func tripsByShare(l config.GuardLimits, before, now int) bool {
	return l != config.GuardLimits{} && before-now >= l.MinMissing && now*100 < before*l.KeepPercent
}

// Measure is what the change guard counts of the resources of one type.
type Measure string

// The measures. Those of attributes are of the accounts that are still there.
const (
	Resources       Measure = "resources"
	Accounts        Measure = "accounts"
	Entitlements    Measure = "entitlements"
	Grants          Measure = "grants"
	IDs             Measure = "ids"
	EnabledAccounts Measure = "enabled accounts"
	Emails          Measure = "accounts with an e-mail address"
	Logins          Measure = "accounts with a login"
	Names           Measure = "accounts with a name"
)

// attributeMeasures are those of attributes, in the order of [syncfile.Attributes].
var attributeMeasures = []Measure{Emails, Logins, Names}

// GuardError says that too much has changed in a plugin's part of a sync.
type GuardError struct {
	Instance     string
	ResourceType string
	// Measure is what was counted; empty: resources.
	Measure Measure
	// Before is how many there were, and Now how many of them, or in their place, there are.
	Before, Now int
	// Since is when there were so many: of the baseline, or in the window of the guard.
	Since time.Time
	// Window is how long the window is, where the number is of an earlier sync than the
	// baseline.
	Window time.Duration
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("%s: so large a change at once looks like a fault of the app; if it is right, let it through once with --accept-deletions %s", e.change(), e.Instance)
}

// change is what has changed, in numbers.
func (e *GuardError) change() string {
	since := e.Since.UTC().Format(time.RFC3339)
	before := fmt.Sprintf("in the baseline (%s)", since)
	if e.Window > 0 {
		before = fmt.Sprintf("at the highest of the last %s (%s)", config.Shortly(e.Window), since)
	}
	measure := cmp.Or(e.Measure, Resources)
	switch measure {
	case IDs:
		return fmt.Sprintf("plugin %q no longer lists %d of the %d ids of type %q that are %s", e.Instance, e.Before-e.Now, e.Before, e.ResourceType, before)
	case EnabledAccounts:
		return fmt.Sprintf("plugin %q lists as disabled %d of the %d accounts of type %q that are enabled %s", e.Instance, e.Before-e.Now, e.Before, e.ResourceType, before)
	case Emails, Logins, Names:
		_, what, _ := strings.Cut(string(measure), " with ")
		return fmt.Sprintf("plugin %q lists without %s %d of the %d accounts of type %q that have one %s", e.Instance, what, e.Before-e.Now, e.Before, e.ResourceType, before)
	}
	now := measure.count(e.Now)
	if measure == Entitlements || measure == Grants {
		now += " of resources"
	}
	return fmt.Sprintf("plugin %q lists %s of type %q, but %d %s", e.Instance, now, e.ResourceType, e.Before, before)
}

// count is a number of what is measured, in words.
func (m Measure) count(n int) string {
	if n == 1 {
		return "1 " + strings.TrimSuffix(string(m), "s")
	}
	return fmt.Sprintf("%d %s", n, m)
}

// Plugin is the instance that the guard is of.
func (e *GuardError) Plugin() string { return e.Instance }

// Public is all of the error: it knows numbers only.
func (e *GuardError) Public() string { return e.Error() }

// accepted is what a sync reports that goes on all the same, as by lets it through.
func (e *GuardError) accepted(by string) string {
	return e.change() + ", as " + by + " lets through"
}

// warning is what a sync reports of accounts that lost an attribute, and goes on.
func (e *GuardError) warning() string {
	return e.change() + ": so many at once look like a fault of the app, or of what its credentials may read; to refuse that, set attributes: refuse in its change-guard"
}

// guarded is what the change guard compares of one plugin.
type guarded struct {
	plugin Plugin
	// mine reports which resource types are the plugin's.
	mine func(typeID string) bool
	// The baseline: what is missing in it is not known.
	before       syncfile.Counts
	beforeDigest syncfile.Digest
	unexpanded   bool
	since        time.Time
	window       []baseline.Numbers
	// The sync.
	now           syncfile.Counts
	nowDigest     syncfile.Digest
	nowUnexpanded bool
	started       time.Time
	// spared is how many entitlements and grants of a type the baseline has of resources
	// which this sync skips; nil: there are none.
	spared func(typeID string, measure Measure) int
}

// limits are those for a resource type; ok is false where it is not guarded. What an
// operator says of a type counts before what its connector does.
func (g *guarded) limits(typeID string) (l config.GuardLimits, ok bool) {
	return limitsOf(g.plugin, typeID, g.varies(typeID))
}

func limitsOf(p Plugin, typeID string, varies bool) (l config.GuardLimits, ok bool) {
	if p.Guard.Off {
		return config.GuardLimits{}, false
	}
	if l, ok := p.Guard.ByType[strings.TrimPrefix(typeID, prefixOf(p))]; ok {
		return l, l != config.GuardLimits{}
	}
	return p.Guard.Limits, !varies
}

// varies says that the connector marks a type as one whose numbers vary.
func (g *guarded) varies(typeID string) bool {
	if _, listed := g.now.Resources[typeID]; listed {
		return g.now.Varying[typeID]
	}
	return g.before.Varying[typeID]
}

// types are the plugin's resource types that there are or were, in order.
func (g *guarded) types() []string {
	types := map[string]bool{}
	for typeID := range g.before.Resources {
		types[typeID] = g.mine(typeID)
	}
	for _, one := range g.window {
		for typeID := range one.Resources {
			types[typeID] = g.mine(typeID)
		}
	}
	maps.DeleteFunc(types, func(_ string, mine bool) bool { return !mine })
	return slices.Sorted(maps.Keys(types))
}

// judge returns what has changed too much, and of what accounts lost an attribute if that
// is only warned of.
func (g *guarded) judge() (tripped, lost []*GuardError) {
	for _, typeID := range g.types() {
		limits, ok := g.limits(typeID)
		if !ok {
			continue
		}
		tripped = append(tripped, g.counts(typeID, limits)...)
		change := g.beforeDigest.Compare(g.nowDigest, typeID)
		share := func(measure Measure, before, now int) *GuardError {
			if !tripsByShare(limits, before, now) {
				return nil
			}
			return &GuardError{Instance: g.plugin.Instance, ResourceType: typeID, Measure: measure, Before: before, Now: now, Since: g.since}
		}
		if one := share(IDs, change.Before, change.Before-change.Gone); one != nil {
			tripped = append(tripped, one)
		}
		if one := share(EnabledAccounts, change.Enabled, change.Enabled-change.Disabled); one != nil {
			tripped = append(tripped, one)
		}
		for _, attribute := range syncfile.Attributes {
			one := share(attributeMeasures[attribute], change.Had[attribute], change.Had[attribute]-change.Lost[attribute])
			switch {
			case one == nil:
			case g.plugin.Guard.RefuseAttributes:
				tripped = append(tripped, one)
			default:
				lost = append(lost, one)
			}
		}
	}
	return tripped, lost
}

// counts compares the numbers of a type with the highest of the baseline and the window.
func (g *guarded) counts(typeID string, limits config.GuardLimits) (tripped []*GuardError) {
	for _, of := range []struct {
		measure     Measure
		before, now map[string]int
		numbers     func(baseline.Numbers) map[string]int
	}{
		{Accounts, g.before.Accounts, g.now.Accounts, func(n baseline.Numbers) map[string]int { return n.Accounts }},
		{Resources, g.before.Resources, g.now.Resources, func(n baseline.Numbers) map[string]int { return n.Resources }},
		{Entitlements, g.before.Entitlements, g.now.Entitlements, func(n baseline.Numbers) map[string]int { return n.Entitlements }},
		{Grants, g.before.Grants, g.now.Grants, func(n baseline.Numbers) map[string]int { return n.Grants }},
	} {
		one := &GuardError{Instance: g.plugin.Instance, ResourceType: typeID, Measure: of.measure, Now: of.now[typeID], Since: g.since}
		if of.measure != Grants || g.unexpanded == g.nowUnexpanded {
			one.Before = of.before[typeID]
		}
		for _, numbers := range g.window {
			old := g.started.Sub(numbers.At) > g.plugin.Guard.Window
			if old || of.measure == Grants && numbers.Unexpanded != g.nowUnexpanded {
				continue
			}
			if n := of.numbers(numbers)[typeID]; n > one.Before {
				one.Before, one.Since, one.Window = n, numbers.At, g.plugin.Guard.Window
			}
		}
		if !trips(limits, one.Before, one.Now) {
			continue
		}
		if g.spared != nil && !trips(limits, one.Before-g.spared(typeID, of.measure), one.Now) {
			continue
		}
		// The accounts of a type are its resources.
		if last := len(tripped) - 1; of.measure == Resources && last >= 0 {
			continue
		}
		tripped = append(tripped, one)
	}
	return tripped
}

// tripError is an error about what has changed too much: of each resource type the first,
// as its other numbers follow from that.
func tripError(tripped []*GuardError) error {
	var failed []error
	last := ""
	for _, one := range tripped {
		if one.ResourceType != last {
			failed = append(failed, one)
		}
		last = one.ResourceType
	}
	return errors.Join(failed...)
}

// numbersOf are the numbers of a plugin in a sync that a later one is compared with: of the
// types that are guarded.
func numbersOf(p Plugin, mine func(typeID string) bool, counts syncfile.Counts, at time.Time, unexpanded bool) baseline.Numbers {
	numbers := baseline.Numbers{At: at, Unexpanded: unexpanded}
	for _, of := range []struct {
		from map[string]int
		into *map[string]int
	}{
		{counts.Resources, &numbers.Resources},
		{counts.Accounts, &numbers.Accounts},
		{counts.Entitlements, &numbers.Entitlements},
		{counts.Grants, &numbers.Grants},
	} {
		for typeID, n := range of.from {
			if _, ok := limitsOf(p, typeID, counts.Varying[typeID]); n == 0 || !ok || !mine(typeID) {
				continue
			}
			if *of.into == nil {
				*of.into = map[string]int{}
			}
			(*of.into)[typeID] = n
		}
	}
	return numbers
}
