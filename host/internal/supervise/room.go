package supervise

import (
	"context"
	"slices"
	"sync"
	"time"
)

// leastQuiet is how long a plugin is left alone after a call while others wait for its
// place: its caller may be about to make the next one.
const leastQuiet = 50 * time.Millisecond

// lookEvery is how often places are looked for that a plugin waits for.
const lookEvery = time.Second

// Room bounds how many processes of plugins run at the same time. Plugins get a place in the
// order in which they begin to wait for one. If all places are taken, the plugin that has had
// nothing to do for longest ends its process for the first that waits; a plugin that has
// something to do keeps its place. A place is held for no other plugin's sake, so those that
// wait go on once any work ends.
type Room struct {
	mu      sync.Mutex
	most    int
	placed  map[*Plugin]bool // true: it has been asked to end its process
	waiting []*seat          // in order
	again   *time.Timer      // looks again for a plugin that has been quiet for too short a time
}

// seat is a plugin that waits for a place.
type seat struct {
	plugin *Plugin
	given  chan struct{} // closed once it has one
}

// NewRoom returns a room for so many processes, at least one.
func NewRoom(most int) *Room {
	return &Room{most: max(most, 1), placed: map[*Plugin]bool{}}
}

// Resize changes how many processes may run, at least one. If more do, those that have
// nothing to do end.
func (r *Room) Resize(most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.most = max(most, 1)
	r.assign()
}

// Size returns how many processes may run.
func (r *Room) Size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// enter waits for a place of the plugin, which has none.
func (r *Room) enter(ctx context.Context, p *Plugin) error {
	mine := &seat{plugin: p, given: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, mine)
	r.assign()
	r.mu.Unlock()
	select {
	case <-mine.given:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.waiting)
	if r.waiting = slices.DeleteFunc(r.waiting, func(one *seat) bool { return one == mine }); len(r.waiting) == before {
		delete(r.placed, p) // It has been given one meanwhile.
		r.assign()
	}
	return ctx.Err()
}

// leave returns the place of a plugin whose process has ended.
func (r *Room) leave(p *Plugin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.placed, p)
	r.assign()
}

// look takes in that a plugin has nothing to do any more.
func (r *Room) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.assign()
}

// assign gives free places to those that wait, and has as many plugins that have nothing to
// do end their processes as places are missing. The caller holds mu.
func (r *Room) assign() {
	for len(r.waiting) > 0 && len(r.placed) < r.most {
		first := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.placed[first.plugin] = false
		close(first.given)
	}
	missing := len(r.placed) + len(r.waiting) - r.most
	for _, isEnding := range r.placed {
		if isEnding {
			missing--
		}
	}
	if missing <= 0 {
		return
	}
	type candidate struct {
		plugin *Plugin
		since  time.Time
	}
	var quiet []candidate
	for p, isEnding := range r.placed {
		if since, ok := p.quietSince(); ok && !isEnding {
			quiet = append(quiet, candidate{p, since})
		}
	}
	slices.SortFunc(quiet, func(one, other candidate) int { return one.since.Compare(other.since) })
	for _, one := range quiet {
		if missing == 0 {
			return
		}
		if wait := leastQuiet - time.Since(one.since); wait > 0 {
			r.lookAfter(wait)
			return // The others have been quiet for a shorter time.
		}
		if one.plugin.rest(leastQuiet) {
			r.placed[one.plugin] = true
			missing--
		}
	}
	if missing > 0 {
		r.lookAfter(lookEvery) // What keeps a process beyond its calls ends without a word.
	}
}

// lookAfter looks again after a while. The caller holds mu.
func (r *Room) lookAfter(wait time.Duration) {
	if r.again == nil {
		r.again = time.AfterFunc(wait, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.again = nil
			r.assign()
		})
	}
}

// isWaitedFor reports whether a plugin waits for a place.
func (r *Room) isWaitedFor() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) > 0
}
