package syncrun

import (
	"fmt"
	"slices"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/config"
)

// mayBeMissing reports whether the sync may go without a plugin, as nothing can be taken
// away by that: the baseline has nothing of it, under no name. Where an upload loses
// another plugin's accounts this one may be that plugin, renamed, so it has to be there.
func (r *run) mayBeMissing(p Plugin) bool {
	if !r.fallsBack() || r.Upload.NewPlugin != config.JoinWhenReady || len(r.Scope.ResourceTypes) > 0 {
		return false
	}
	if r.last == nil {
		return r.first
	}
	known := r.last.Sync
	if _, is := known.Plugins[p.Instance]; is || known.StartedAt.IsZero() {
		return false // Without a record nothing is known of any plugin.
	}
	for typeID := range r.last.Resources {
		instance, is := home(r.Plugins, known, typeID, nil)
		if instance == p.Instance || is == undecided {
			return false
		}
	}
	return !slices.ContainsFunc(goneFrom(r.Upload.Name, r.Plugins, r.last, nil), func(one *GoneError) bool { return one.Accounts > 0 })
}

// without takes the plugins that are missing out of the run, and returns them apart from
// those that fell back.
func (r *run) without(failed []aggregate.Stale) (stale, missing []aggregate.Stale) {
	for _, one := range failed {
		if one.Missing {
			missing = append(missing, one)
		} else {
			stale = append(stale, one)
		}
	}
	if len(missing) > 0 {
		r.Plugins = slices.DeleteFunc(slices.Clone(r.Plugins), func(p Plugin) bool { return isOf(missing, p.Instance) })
	}
	return stale, missing
}

func isOf(missing []aggregate.Stale, instance string) bool {
	return slices.ContainsFunc(missing, func(one aggregate.Stale) bool { return one.Instance == instance })
}

// withoutPlugins warns of the plugins that are missing.
func (r *Result) withoutPlugins(upload string) (warnings []string) {
	for _, one := range r.Missing {
		warnings = append(warnings, fmt.Sprintf(
			"plugin %q has no baseline in upload %q and failed, so the sync goes without it; it joins when it can be read: %s", one.Instance, upload, one.Err))
	}
	return warnings
}
