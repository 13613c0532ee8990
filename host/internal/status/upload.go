package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

// uploadState is what is known of an upload.
type uploadState struct {
	name     string
	maxStale time.Duration
	plugins  []string

	connection Connection
	met        bool   // C1 has answered since the host was started
	refusal    string // why it is not served any more, "" if it is
	syncs      []*progress
	history    []Sync
	last       *Sync
	began      time.Time // when the last sync did
	parts      map[string]*Part
	failure    *failure // the last sync of everything failed
	refused    *Refused // by the change guard

	credentials []secret.Credential
}

// failure is why a sync of everything failed, and since when they do.
type failure struct {
	why   string
	since time.Time
}

// serve takes in how the upload is served from now on, and returns the plugins that it no
// longer has. What the last sync had of them stays known: C1 has it until the next one.
func (u *uploadState) serve(served Served) (removed []string) {
	before, parts := u.plugins, map[string]*Part{}
	u.maxStale, u.plugins = served.MaxStale, served.Plugins
	for name, part := range u.parts {
		if u.has(name) || part.isOfSync() {
			parts[name] = part
		}
	}
	for _, name := range u.plugins {
		if parts[name] == nil {
			parts[name] = &Part{Plugin: name, State: Waiting}
		}
	}
	for _, name := range before {
		if !u.has(name) {
			removed = append(removed, name)
		}
	}
	u.parts = parts
	return removed
}

// has reports whether the upload has the plugin as it is served now.
func (u *uploadState) has(plugin string) bool { return slices.Contains(u.plugins, plugin) }

// isOfSync reports whether the last sync that C1 has is of the plugin, or went without it.
func (p *Part) isOfSync() bool { return !p.AsOf.IsZero() || p.missing != "" }

// remember takes in a sync of everything that C1 has, but for the history, and returns the
// plugins that it does not have and the one before may have had. why has the reasons of the
// plugins that are stale or missing. What counts are the plugins that were in the sync: those
// of the upload may be others by now.
func (u *uploadState) remember(made Sync, known baseline.Sync, why map[string]string, staleAccounts map[string]int) (gone []string) {
	made.State, made.Accounts, made.ByPlugin, made.SkippedResources = Fresh, 0, map[string]int{}, 0
	var grades []baseline.Grade
	var stale []string
	before := u.parts
	u.began, u.parts = known.StartedAt, map[string]*Part{}
	for name, part := range known.Plugins {
		is := Part{Plugin: name, AsOf: part.AsOf, Accounts: part.Accounts, StaleAccounts: staleAccounts[name], SkippedResources: part.Skipped}
		evidence := baseline.EvidenceOfAll(part.Evidence)
		is.Evidence, is.EvidenceReason = evidence.Grade, shownReason(evidence.Reason)
		grades = append(grades, is.Evidence)
		u.settle(&is, why[name])
		if is.State == Stale || is.State == Incomplete && made.State == Fresh {
			made.State = is.State
		}
		if is.State == Stale && why[name] != "" {
			stale = append(stale, about(name, why[name]))
		}
		made.SkippedResources += part.Skipped
		u.parts[name] = &is
		made.Accounts += part.Accounts
		made.ByPlugin[name] = part.Accounts
	}
	for _, name := range known.Missing {
		if u.parts[name] == nil {
			u.parts[name] = &Part{Plugin: name, missing: missing(why[name])}
			u.settle(u.parts[name], "")
			made.Missing = append(made.Missing, name)
		}
	}
	if len(made.Missing) > 0 && made.State == Fresh {
		made.State = Incomplete
	}
	for _, name := range u.plugins {
		if u.parts[name] == nil {
			u.parts[name] = &Part{Plugin: name, State: Waiting}
		}
	}
	for name := range before {
		if part := u.parts[name]; part == nil || part.AsOf.IsZero() {
			gone = append(gone, name)
		}
	}
	slices.Sort(stale)
	made.Evidence, made.Why = baseline.WorstGrade(grades...), strings.Join(stale, "; ")
	u.last, u.failure = &made, nil
	return gone
}

// settle is how a part is as far as C1 has it, and why it is not fresh.
func (u *uploadState) settle(part *Part, why string) {
	switch {
	case part.missing != "":
		part.State, part.Why = Incomplete, part.missing
	case part.AsOf.IsZero():
		part.State, part.Why = Waiting, ""
	case part.AsOf.Before(u.began):
		part.State, part.Why, part.stale = Stale, why, why
		if part.SkippedResources > 0 {
			part.Why += "; " + lacking(part.SkippedResources)
		}
	case part.SkippedResources > 0:
		part.State, part.Why, part.stale = Incomplete, lacking(part.SkippedResources), ""
	default:
		part.State, part.Why, part.stale = Fresh, "", ""
		if part.Accounts == 0 {
			part.Why = "it has not a single account"
		}
	}
}

// fail takes in a sync of everything that failed because of these plugins.
func (u *uploadState) fail(made Sync, plugins map[string]string) {
	made.State, made.FailedPlugins = Failed, plugins
	u.add(made)
	since := made.At
	if u.failure != nil {
		since = u.failure.since
	}
	u.failed(made, since)
}

// failed has the upload be as a failed sync leaves it; since is when syncs began to fail.
func (u *uploadState) failed(made Sync, since time.Time) {
	u.failure = &failure{why: made.Why, since: since}
	for name, part := range u.parts {
		u.settle(part, part.stale)
		if why, ok := made.FailedPlugins[name]; ok && u.has(name) {
			part.State, part.Why = Failed, why
		}
	}
}

// refuse takes in an error of the last sync, if the change guard refused a part of it. It is
// replaced, never changed: snapshots have it.
func (u *uploadState) refuse(err error) {
	plugins := syncrun.RefusedPlugins(err)
	if len(plugins) == 0 {
		return
	}
	if u.refused != nil {
		plugins = append(plugins, u.refused.Plugins...)
	}
	slices.Sort(plugins)
	u.refused = &Refused{At: time.Now(), Plugins: slices.Compact(plugins)}
}

// sync is the sync that a task asks for, or nil.
func (u *uploadState) sync(task string) *progress {
	for _, p := range u.syncs {
		if p.Task == task {
			return p
		}
	}
	return nil
}

func (u *uploadState) snapshot(now time.Time) Upload {
	s := Upload{Name: u.name, Connection: u.connection, History: u.past(), Syncing: []Progress{}, Parts: []Part{}, Refused: u.refused, Credentials: u.credentials}
	if u.last != nil {
		last := *u.last
		last.ByPlugin = maps.Clone(last.ByPlugin)
		s.Last = &last
	}
	for _, name := range u.plugins {
		s.Parts = append(s.Parts, *u.parts[name])
	}
	for _, p := range u.syncs {
		s.Syncing = append(s.Syncing, p.snapshot())
	}
	s.State, s.Since, s.Why = u.state(now)
	if s.State == Stale {
		s.Until = u.until()
	}
	return s
}

// state is the worst that is true.
func (u *uploadState) state(now time.Time) (state State, since time.Time, why string) {
	switch {
	case u.refusal != "":
		return Stopped, u.connection.Since, u.refusal
	case u.failure != nil:
		return Failed, u.failure.since, u.failure.why
	case u.last == nil && len(u.syncs) > 0:
		return Waiting, time.Time{}, "the first sync is under way"
	case u.last == nil:
		return Waiting, time.Time{}, "C1 has asked for no sync yet"
	case u.last.State == Stale:
		since = now
		for _, name := range slices.Sorted(maps.Keys(u.parts)) {
			if part := u.parts[name]; part.State == Stale && part.AsOf.Before(since) {
				since, why = part.AsOf, part.stale
				if !u.has(name) {
					why = ofRemoved(name, why)
				}
			}
		}
		return Stale, since, why
	case u.maxStale > 0 && now.Sub(u.last.At) > u.maxStale:
		return Stale, u.last.At, fmt.Sprintf("C1 has asked for no sync for longer than max-stale (%s)", u.maxStale)
	case u.last.State == Incomplete || len(u.unread()) > 0:
		return Incomplete, u.last.At, u.incomplete()
	default:
		return Fresh, u.last.At, ""
	}
}

// until returns when the first of the parts that are stale is too old to fall back to.
func (u *uploadState) until() time.Time {
	var until time.Time
	for _, name := range u.plugins {
		part := u.parts[name]
		if part.State != Stale || u.maxStale == 0 {
			continue
		}
		if end := part.AsOf.Add(u.maxStale); until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return until
}

// unread returns the plugins of which C1 has nothing, although it has a sync of the upload:
// they joined after it, or a baseline of before does not have them.
func (u *uploadState) unread() []string {
	var names []string
	for _, name := range u.plugins {
		if u.parts[name].State == Waiting {
			names = append(names, name)
		}
	}
	return names
}

// incomplete is what the last sync lacks.
func (u *uploadState) incomplete() string {
	var all []string
	for _, name := range u.unread() {
		all = append(all, about(name, "C1 has nothing of it yet: it joins with the next sync"))
	}
	for _, name := range u.last.Missing {
		why := u.parts[name].missing
		if !u.has(name) {
			why = ofRemoved(name, why)
		} else if len(u.last.Missing) > 1 || u.last.SkippedResources > 0 {
			why = about(name, why)
		}
		all = append(all, why)
	}
	switch {
	case u.last.SkippedResources == 0:
	case len(all) == 0:
		all = append(all, lacking(u.last.SkippedResources))
	default: // The others are about other plugins.
		for _, name := range slices.Sorted(maps.Keys(u.parts)) {
			if skipped := u.parts[name].SkippedResources; skipped > 0 {
				all = append(all, about(name, lacking(skipped)))
			}
		}
	}
	return strings.Join(all, "; ")
}

// about names the plugin that a reason is about.
func about(plugin, why string) string { return fmt.Sprintf("plugin %q: %s", plugin, why) }

// ofRemoved names the plugin that a reason is about where no row of the upload does.
func ofRemoved(plugin, why string) string {
	return strings.TrimSuffix(fmt.Sprintf("plugin %q, which the upload no longer has: %s", plugin, why), ": ")
}

// missing says that the sync went without a plugin, and why.
func missing(why string) string {
	const said = "it is new and failed, so C1 has nothing of it yet; it joins when it can be read"
	if why == "" {
		return said
	}
	return said + ": " + why
}

// shownReason returns the reason of a plugin for its evidence, unless it has an e-mail address:
// the page is for more people than the log.
func shownReason(reason string) string {
	if strings.Contains(reason, "@") {
		return "the host's log says why"
	}
	return reason
}

// lacking says that entitlements or grants of resources were skipped.
func lacking(resources int) string {
	if resources == 1 {
		return "it lacks entitlements or grants of 1 resource that was not found any more; the host's log names it"
	}
	return fmt.Sprintf("it lacks entitlements or grants of %d resources that were not found any more; the host's log names them", resources)
}

// sentence is an error without anything that came from outside; otherwise is for
// one of which nothing can be said.
func sentence(err error, otherwise string) string {
	if err == nil {
		return ""
	}
	if said := errtext.Public(err); said != "" {
		return said
	}
	return otherwise + "; the host's log says why"
}
