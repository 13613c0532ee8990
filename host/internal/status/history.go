package status

import (
	"maps"
	"slices"

	"github.com/batonhost/baton-host/host/internal/baseline"
)

// History is how the last syncs of everything went, by upload, the oldest first.
func (b *Board) History() map[string][]Sync {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := maps.Clone(b.past)
	for _, u := range b.uploads {
		all[u.name] = u.past()
	}
	return all
}

// Recall takes in the history from before the host was started, for the uploads that
// it serves; before anything else is taken in. What cannot be is left out.
func (b *Board) Recall(history map[string][]Sync) {
	b.change(func() {
		for _, u := range b.uploads {
			u.recall(slices.DeleteFunc(slices.Clone(history[u.name]), func(made Sync) bool { return made.At.After(b.host.StartedAt) }))
		}
	})
}

// recall takes in the history of an upload as far as it can be.
func (u *uploadState) recall(history []Sync) {
	for _, made := range history {
		known := made.State == Fresh || made.State == Incomplete || made.State == Stale || made.State == Failed
		if !slices.Contains(baseline.Grades, made.Evidence) {
			made.Evidence = ""
		}
		if known && !made.At.IsZero() && made.Accounts >= 0 {
			u.add(made)
		}
	}
	u.resume()
}

// resume has the upload be failed where its last sync was: a restart of the host brings
// nothing to C1.
func (u *uploadState) resume() {
	first := len(u.history)
	for first > 0 && u.history[first-1].State == Failed {
		first--
	}
	if first == len(u.history) {
		return
	}
	last := u.history[len(u.history)-1]
	if last.Why == "" { // An older version wrote it.
		last.Why = "the last sync before the host was started failed; the host's log says why"
	}
	u.failed(last, u.history[first].At)
}

// past is a copy of the history.
func (u *uploadState) past() []Sync {
	past := slices.Clone(u.history)
	for i, made := range past {
		past[i].ByPlugin, past[i].FailedPlugins = maps.Clone(made.ByPlugin), maps.Clone(made.FailedPlugins)
	}
	return past
}

// add puts a sync into the history, where it belongs by its time.
func (u *uploadState) add(made Sync) {
	u.history = append(u.history, made)
	slices.SortStableFunc(u.history, func(a, b Sync) int { return a.At.Compare(b.At) })
	if len(u.history) > mostSyncs {
		u.history = slices.Delete(u.history, 0, len(u.history)-mostSyncs)
	}
}

// recalls reports whether a sync that began then, and that C1 has taken, is in the history.
func (u *uploadState) recalls(began Sync) bool {
	return slices.ContainsFunc(u.history, func(made Sync) bool {
		return made.State != Failed && !made.At.Before(began.At.Add(-began.Took))
	})
}
