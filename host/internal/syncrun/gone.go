package syncrun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
)

// GoneError says that the baseline has accounts of a plugin that the upload no
// longer has. C1 deletes whatever an upload no longer has, so a plugin that was
// removed or renamed needs an approval as any other deletion does.
type GoneError struct {
	Upload string
	// Instance is the plugin's name in the baseline, and what
	// --accept-deletions takes.
	Instance string
	// Unnamed says that the baseline does not have the name: Instance is then the
	// resource type of its accounts.
	Unnamed bool
	// Present says that the upload has the plugin, but with another namespace.
	Present bool
	// Accounts is how many the baseline has of it; 0 needs no approval.
	Accounts int
	// Since is when the baseline was made.
	Since time.Time
	// New are the plugins of the upload that the baseline has nothing of: one of
	// them may be this plugin with another name.
	New []string
}

func (e *GoneError) Error() string {
	since := e.Since.UTC().Format(time.RFC3339)
	said := fmt.Sprintf("plugin %q is no longer in upload %q, but the baseline (of %s) has %s of it, which would all be deleted: put it back into the plugins of the upload",
		e.Instance, e.Upload, since, accounts(e.Accounts))
	switch {
	case e.Present:
		said = fmt.Sprintf("the namespace of plugin %q has changed: the %s that the baseline (of %s) of upload %q has of it would all be deleted, and created with other ids: give the plugin its old namespace back (add or remove `namespace: \"\"`, as it was)",
			e.Instance, accounts(e.Accounts), since, e.Upload)
	case e.Unnamed:
		said = fmt.Sprintf("a plugin without a namespace is no longer in upload %q, but the baseline (of %s) has %s of it (of type %q), which would all be deleted: put it back into the plugins of the upload",
			e.Upload, since, accounts(e.Accounts), e.Instance)
	}
	if len(e.New) > 0 && !e.Present {
		said += fmt.Sprintf("; if it was renamed (new in the upload: %s), give it its old name back", quoted(e.New))
	}
	return fmt.Sprintf("%s; if the deletions are right, let them through once with --accept-deletions %s", said, e.Instance)
}

// accepted is what a sync reports that goes on all the same, as by lets it through.
func (e *GoneError) accepted(by string) string {
	if e.Present {
		return fmt.Sprintf("the namespace of plugin %q has changed: the %s that the baseline has of it are deleted and created with other ids, as %s lets through",
			e.Instance, accounts(e.Accounts), by)
	}
	return fmt.Sprintf("plugin %q is no longer in the upload: the %s that the baseline has of it are deleted, as %s lets through", e.Instance, accounts(e.Accounts), by)
}

// Public is all of the error: it has numbers and names of the configuration only.
func (e *GoneError) Public() string { return e.Error() }

func accounts(n int) string {
	if n == 1 {
		return "1 account"
	}
	return fmt.Sprintf("%d accounts", n)
}

func resources(n int) string {
	if n == 1 {
		return "1 resource"
	}
	return fmt.Sprintf("%d resources", n)
}

func quoted(names []string) string {
	all := make([]string, 0, len(names))
	for _, name := range names {
		all = append(all, fmt.Sprintf("%q", name))
	}
	return strings.Join(all, ", ")
}

// Gone returns the plugins that the baseline of an upload knows and the upload no
// longer has, also those without accounts, sorted by name. It starts nothing:
// Instance and Namespace of the plugins are enough. owner is as in
// [aggregate.Aggregate.Owner]; where it is nil, resource types that a plugin without
// a namespace may have are left out. There is none where there is no baseline. The
// baseline is unpacked below tmpDir only if its record cannot rule out that there
// is one.
func Gone(ctx context.Context, keep *baseline.Store, tmpDir, upload string, plugins []Plugin, owner func(typeID string) string) (gone []*GoneError, err error) {
	if known := keep.Known(); !known.StartedAt.IsZero() && nothingGone(plugins, known, owner) {
		return nil, nil
	}
	last, err := keep.Open(ctx, tmpDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, last.Close(context.WithoutCancel(ctx))) }()
	return goneFrom(upload, plugins, last, owner), nil
}

// nothingGone says that all that a record knows is at home in the upload.
func nothingGone(plugins []Plugin, known baseline.Sync, owner func(string) string) bool {
	for instance, part := range known.Plugins {
		if !slices.ContainsFunc(plugins, func(p Plugin) bool { return p.Instance == instance }) {
			return false
		}
		for _, typeID := range part.ResourceTypes {
			if _, is := home(plugins, known, typeID, owner); is == away {
				return false
			}
		}
	}
	return true
}

// whereabouts is where a resource type of the baseline belongs.
type whereabouts int

const (
	here      whereabouts = iota // to a plugin of the upload
	away                         // to a plugin that the upload no longer has
	undecided                    // that depends on what the plugins without a namespace list
)

// home returns the plugin that a resource type of the baseline belongs to. What
// counts is what C1 sees: a type whose id a plugin of the upload still has is here,
// even if that plugin had another name.
func home(plugins []Plugin, known baseline.Sync, typeID string, owner func(string) string) (instance string, is whereabouts) {
	namespace, _, prefixed := strings.Cut(typeID, ".")
	var bare []string
	for _, p := range plugins {
		if p.Namespace == "" {
			bare = append(bare, p.Instance)
		} else if prefixed && p.Namespace == namespace {
			return p.Instance, here
		}
	}
	if owner != nil {
		if instance := owner(typeID); instance != "" {
			return instance, here
		}
	}
	recorded := recordedOwner(known, typeID)
	switch {
	case slices.Contains(bare, recorded) && namespace != recorded:
		return recorded, here
	case recorded == "" && !prefixed && len(bare) == 1:
		return bare[0], here
	case len(bare) > 0 && owner == nil:
		return "", undecided
	}
	return cmp.Or(recorded, namespace), away
}

// recordedOwner is the plugin that had a resource type when the baseline was made;
// "" if there is no record of it.
func recordedOwner(known baseline.Sync, typeID string) string {
	for _, instance := range slices.Sorted(maps.Keys(known.Plugins)) {
		if slices.Contains(known.Plugins[instance].ResourceTypes, typeID) {
			return instance
		}
	}
	return ""
}

func goneFrom(upload string, plugins []Plugin, last *baseline.Baseline, owner func(string) string) []*GoneError {
	gone := map[string]*GoneError{}
	missing := func(instance string) *GoneError {
		if gone[instance] == nil {
			present := slices.ContainsFunc(plugins, func(p Plugin) bool { return p.Instance == instance })
			gone[instance] = &GoneError{Upload: upload, Instance: instance, Present: present, Since: last.File.FinishedAt}
		}
		return gone[instance]
	}
	known := map[string]bool{}
	for _, typeID := range slices.Sorted(maps.Keys(last.Resources)) {
		instance, is := home(plugins, last.Sync, typeID, owner)
		known[instance] = true
		if is == away {
			one := missing(instance)
			one.Accounts += last.Accounts[typeID]
			one.Unnamed = instance == typeID && recordedOwner(last.Sync, typeID) == ""
		}
	}
	for instance, part := range last.Sync.Plugins {
		known[instance] = true
		if len(part.ResourceTypes) == 0 && !slices.ContainsFunc(plugins, func(p Plugin) bool { return p.Instance == instance }) {
			_ = missing(instance)
		}
	}
	var unheard []string
	for _, p := range plugins {
		if !known[p.Instance] {
			unheard = append(unheard, p.Instance)
		}
	}
	all := make([]*GoneError, 0, len(gone))
	for _, instance := range slices.Sorted(maps.Keys(gone)) {
		gone[instance].New = unheard
		all = append(all, gone[instance])
	}
	return all
}

// missing finds the plugins that the baseline has accounts of and the upload no longer has:
// nothing can be used in their place, as they are not configured any more. Before the sync a
// is nil, and what depends on the plugins' answers is left for later.
func (r *run) missing(a *aggregate.Aggregate) map[string]error {
	refused := map[string]error{}
	if r.last == nil || !r.Scope.Whole() {
		return refused
	}
	var owner func(string) string
	if a != nil {
		owner = a.Owner
	}
	r.gone = goneFrom(r.Upload.Name, r.Plugins, r.last, owner)
	for _, one := range r.gone {
		if one.Accounts > 0 && !r.isOff(one) {
			refused[one.Instance] = one
		}
	}
	return refused
}

// isOff says that the guard of a plugin which is there with another namespace is off. That
// of a plugin that is not configured any more cannot be.
func (r *run) isOff(gone *GoneError) bool {
	return slices.ContainsFunc(r.Plugins, func(p Plugin) bool { return p.Instance == gone.Instance && p.Guard.Off })
}

// report logs what an operator must see of a sync that was made, and returns the
// warnings.
func (r *run) report(log *zap.Logger, result *Result) (warnings []string) {
	for _, one := range r.gone {
		log.Warn("the upload no longer has this plugin; what the baseline has of it is deleted",
			zap.String("plugin", one.Instance), zap.Int("accounts", one.Accounts), zap.Time("baseline", one.Since))
	}
	defer func() { warnings = append(warnings, r.letThrough()...) }() // These have been logged.
	warnings = slices.Concat(result.withoutPlugins(r.Upload.Name), result.incomplete(), result.unproven())
	for _, one := range r.lost {
		warnings = append(warnings, one.warning())
	}
	for _, plugin := range slices.Sorted(maps.Keys(r.released)) {
		for _, one := range r.changed[plugin] {
			warnings = append(warnings, one.accepted(r.released[plugin].by()))
		}
	}
	if result.Whole {
		warnings = append(warnings, r.withoutAccounts(result)...)
	}
	for _, warning := range warnings {
		log.Warn(warning)
	}
	return warnings
}

// letThrough says what was refused and passes all the same.
func (r *run) letThrough() (warnings []string) {
	byPlugin := maps.Clone(r.released)
	for _, one := range r.gone {
		by := "its guard, which is off,"
		if through, ok := byPlugin[one.Instance]; ok {
			by = through.by()
			delete(byPlugin, one.Instance)
		}
		if one.Accounts > 0 {
			warnings = append(warnings, one.accepted(by))
		}
	}
	for _, plugin := range slices.Sorted(maps.Keys(byPlugin)) {
		warnings = append(warnings, byPlugin[plugin].warning())
	}
	return warnings
}

// withoutAccounts says where there is not a single account.
func (r *run) withoutAccounts(result *Result) (warnings []string) {
	var without []string
	for _, p := range r.Plugins {
		if result.Accounts[p.Instance] == 0 {
			without = append(without, p.Instance)
		}
	}
	if len(without) == len(r.Plugins) {
		return []string{fmt.Sprintf("upload %q has not a single account: none of its plugins (%s) lists any", r.Upload.Name, quoted(without))}
	}
	for _, instance := range without {
		warnings = append(warnings, fmt.Sprintf("plugin %q has not a single account", instance))
	}
	return warnings
}

// incomplete says of which plugins the sync lacks entitlements or grants of resources.
func (r *Result) incomplete() (warnings []string) {
	lacks := map[string]int{} // in what came from the baseline
	for instance, part := range r.Sync.Plugins {
		lacks[instance] = part.Skipped
	}
	for _, part := range r.Skipped {
		lacks[part.Instance] -= part.Resources
		warnings = append(warnings, fmt.Sprintf(
			"plugin %q no longer finds %s that it listed (%d gone, %d that cannot be looked up); what it had not listed yet of their entitlements or grants is skipped: for example the %s of %q of type %q",
			part.Instance, resources(part.Resources), part.Gone, part.Resources-part.Gone, part.First.Kind, part.First.ResourceID, part.First.ResourceTypeID))
	}
	for _, instance := range slices.Sorted(maps.Keys(lacks)) {
		if lacks[instance] > 0 {
			warnings = append(warnings, fmt.Sprintf("what the baseline has of plugin %q lacks entitlements or grants of %s, which were skipped when they were listed", instance, resources(lacks[instance])))
		}
	}
	return warnings
}

// firstSync is said of a sync without a baseline to compare it with.
const firstSync = "First sync: there is no baseline yet, so the change guard had nothing to compare."

// unguarded says which plugins the change guard had nothing to compare for, and why;
// "" if there is none.
func (r *run) unguarded(instances []string) string {
	instances = slices.DeleteFunc(instances, func(name string) bool {
		// It has another namespace now, which is reported in other words.
		return slices.ContainsFunc(r.gone, func(one *GoneError) bool { return one.Present && fmt.Sprintf("%q", one.Instance) == name })
	})
	switch {
	case len(instances) == 0:
		return ""
	case r.first:
		return firstSync
	case r.last != nil && len(instances) == 1:
		return fmt.Sprintf("Plugin %s is new in upload %q: the baseline has nothing of it, so the change guard had nothing to compare for it.", instances[0], r.Upload.Name)
	case r.last != nil:
		return fmt.Sprintf("The plugins %s are new in upload %q: the baseline has nothing of them, so the change guard had nothing to compare for them.", strings.Join(instances, ", "), r.Upload.Name)
	}
	return fmt.Sprintf("the number of accounts of plugin %s was compared with no baseline: %s", strings.Join(instances, ", "), r.noLast)
}

// unproven says of which listings nothing proves that they are complete.
func (r *Result) unproven() (warnings []string) {
	for _, instance := range slices.Sorted(maps.Keys(r.Sync.Plugins)) {
		for _, one := range r.Sync.Plugins[instance].Evidence {
			if one.Grade != baseline.Unproven {
				continue
			}
			of := ""
			if one.Kind != "" {
				of = string(one.Kind) + " of "
			}
			warnings = append(warnings, fmt.Sprintf("plugin %q: nothing proves that its list of %stype %q is complete: %s", instance, of, one.ResourceType, one.Reason))
		}
	}
	return warnings
}
