package scim

import (
	"context"
	"errors"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

// gap is where a list lacks a user that the app counts: one of these indexes. The zero value
// is not known.
type gap struct{ from, to int }

// spans are the pages by index of one pass, in their order.
type spans struct {
	pass  int
	pages []span
}

// span is a page as it was asked for, and how many entries came.
type span struct{ start, count, length int }

// add adds the answer to the request of a state. A page by cursor, a sorted one, and what is
// asked for only to prove something has no place in the list.
func (s *spans) add(rules listing.Rules, at listing.State, pg *page) {
	asked := rules.Request(at)
	if at.Pass != s.pass {
		*s = spans{pass: at.Pass}
	}
	if !asked.ByCursor && !asked.FromTop && asked.SortBy == "" && (at.Ask == listing.AskPage || at.Ask == listing.AskBare) {
		s.pages = append(s.pages, span{asked.Start, asked.Count, len(pg.entries)})
	}
}

// gap returns the first page that is shorter than it should be. It is certain where others
// are longer, or the app counts more behind its beginning than came; where all are shorter
// than what was asked for, the app may send no longer ones.
func (s *spans) gap(total int) (at gap, certain bool) {
	longest := 0
	for _, one := range s.pages {
		longest = max(longest, one.length)
		if one.start == 1 && one.count >= total {
			longest = total
		}
	}
	for _, certain := range []bool{true, false} {
		for _, one := range s.pages {
			should := min(one.count, total-one.start+1)
			if certain {
				should = min(longest, should)
			}
			if one.length < should {
				return gap{one.start, one.start + should - 1}, certain
			}
		}
	}
	return gap{}, false
}

// maxNarrow is how many requests narrow a gap at most: a page of 100 needs eight.
const maxNarrow = 8

// narrow halves a gap until it is one index, and makes sure of it. Where the app does not
// answer as that needs, the gap stays as it was.
func (c *endpoint) narrow(ctx context.Context, whole gap) (at gap, found bool) {
	at = whole
	for range maxNarrow {
		middle := at.from + (at.to-at.from)/2
		asked := listing.Request{Start: at.from, Count: middle - at.from + 1}
		pg, err := c.list(ctx, asked, true)
		switch {
		case err != nil || len(pg.entries) > asked.Count:
			return whole, false
		case at.from == at.to:
			return at, len(pg.entries) == 0
		case len(pg.entries) < asked.Count:
			at.to = middle
		default:
			at.from = middle + 1
		}
	}
	return whole, false
}

// missingAt is where a list lacks a user, the zero value if that is not known.
func (l *reader) missingAt(ctx context.Context, s *session, total int) gap {
	s.ahead.drop()
	whole, certain := s.spans.gap(total)
	if whole == (gap{}) {
		return whole
	}
	at, found := l.endpoint.narrow(ctx, whole)
	switch {
	case found:
		return at
	case certain:
		return whole
	}
	return gap{}
}

// countsFromZero reports whether a list that lacks one user at its end has another one at
// index 0.
func (l *reader) countsFromZero(ctx context.Context, s *session, at listing.State) bool {
	if at.Total-at.Users != 1 || !s.whole {
		return false
	}
	s.ahead.drop()
	pg, err := l.endpoint.list(ctx, listing.Request{Start: 0, Count: 1}, true)
	return err == nil && len(pg.entries) > 0 && s.seen.pass(seenAs(pg.entries[0])) == 0
}

// problem is the error for a list that cannot be read. Where it lacks users that the app
// counts, the operator needs to know which.
func (l *reader) problem(ctx context.Context, s *session, err error) error {
	problem, ok := errors.AsType[*listing.Problem](err)
	if ok && problem.Kind == listing.Short && l.endpoint.isCutOff(problem.State) && l.countsFromZero(ctx, s, problem.State) {
		problem.Kind, problem.Probe = listing.Unlisted, listing.AskZero
	}
	if ok && problem.Kind == listing.Short && problem.State.Users == problem.State.At && !l.endpoint.isCutOff(problem.State) {
		return l.endpoint.shortList(problem.State, l.missingAt(ctx, s, problem.State.Total))
	}
	return l.endpoint.contradiction(err, s.refusal)
}
