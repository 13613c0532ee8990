package aggregate

import (
	"time"

	"github.com/batonhost/baton-host/host/internal/baseline"
)

// Stale is a plugin that failed in a sync, which has its part of the baseline.
type Stale struct {
	Instance string
	// AsOf is when the app was last read completely: how old that part is.
	AsOf time.Time
	// Accounts is how many accounts came from the baseline. The
	// others of the plugin were listed before it failed.
	Accounts int
	// Err is why the plugin counts as failed.
	Err error
	// Contradicted says that a listing of the plugin was rejected as wrong, by its own
	// reader or by a check here, after the plugin had listed something. What it had
	// listed is in this sync and must not be used: the sync file is to be made again with
	// nothing but the baseline of this plugin.
	Contradicted bool
	// Missing says that the plugin has no baseline, and the rest of the sync nothing of it.
	// What it had listed before it failed (Listed) is in this sync and must not be used
	// either: the sync file is to be made again without the plugin.
	Missing bool
	// Listed says that a plugin that is missing had listed something, at least its types.
	Listed bool
}

// Stale returns every plugin that was fallen back for so far, in the order of the
// plugins.
func (a *Aggregate) Stale() []Stale {
	var stale []Stale
	for _, p := range a.plugins {
		if p.fallback == nil {
			continue
		}
		if failure, failed := p.fallback.Failure(); failed {
			stale = append(stale, Stale{
				Instance: p.Instance, AsOf: p.fallback.AsOf(), Accounts: failure.Accounts, Err: failure.Err, Contradicted: failure.Contradicted, Missing: p.isMissing(), Listed: p.answered.Load(),
			})
		}
	}
	return stale
}

// Facts returns what a later sync needs to know of a plugin's part in this one, whether
// it was asked or fell back. Call it after the sync.
func (a *Aggregate) Facts(instance string) baseline.Facts {
	for _, p := range a.plugins {
		if p.Instance == instance {
			return p.recorder.Facts(p.types.IDs(), p.fallback)
		}
	}
	return baseline.Facts{}
}
