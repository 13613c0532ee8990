package secret

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// searchLimit bounds a search: a process may have to start and to be validated.
	searchLimit = 2 * time.Minute
	// vainFor is how long a search that found nothing is not repeated at length.
	vainFor = 30 * time.Second
)

// looks are the pauses before each look of a search: a file may arrive some moments after the
// rotation, and who refused the old values may take some to accept the new ones.
var looks = []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}

// errUnchanged says that a search found nothing newer.
var errUnchanged = errors.New("its secrets were resolved again and have not changed")

// Renewable is values of references of which newer ones may come into use.
type Renewable interface {
	// Version returns another number once newer values are in use.
	Version() uint64
	// Look resolves the references once more, and has newer values come into use. It reports
	// whether it has tried others than were tried last; the error says why they do not work.
	Look(ctx context.Context) (others bool, err error)
}

// Search looks for newer values than those that an app or C1 has refused. Those who search at
// the same time wait for one another, and find what the first one has found.
type Search struct {
	searching *semaphore.Weighted // of one: who searches holds it, and what follows
	vain      uint64              // the version than which a search has found no newer values
	ended     time.Time           // when that was; zero: there was none
	pauses    []time.Duration
}

// NewSearch returns a search for newer values of the same references, time and again.
func NewSearch() *Search { return &Search{searching: semaphore.NewWeighted(1), pauses: looks} }

// Find looks for newer values than those of a version, for about ten seconds, and once where
// it is not to be at length or has just been in vain. Once it returns nil, newer ones are in
// use; otherwise the error says why there are none.
func (s *Search) Find(ctx context.Context, values Renewable, refused uint64, atLength bool) error {
	if err := s.searching.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.searching.Release(1)
	pauses := s.pauses
	if !atLength || s.vain == refused && time.Since(s.ended) < vainFor {
		pauses = pauses[:1]
	}
	limited, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	failure := errUnchanged
	for i := 0; i < len(pauses); i++ {
		timer := time.NewTimer(pauses[i])
		select {
		case <-timer.C:
		case <-limited.Done():
		}
		timer.Stop()
		if values.Version() != refused {
			return nil
		}
		others, err := values.Look(limited)
		if values.Version() != refused {
			return nil
		}
		if failure = err; err == nil {
			failure = errUnchanged
		}
		if ctx.Err() != nil {
			return failure // That says nothing about the values.
		}
		if limited.Err() != nil {
			break
		}
		if i > 0 && others {
			i = 0 // They have changed again: the search is not over.
		}
	}
	if len(pauses) > 1 {
		s.vain, s.ended = refused, time.Now()
	}
	return failure
}
