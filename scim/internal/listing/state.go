// Package listing decides how the list of a SCIM server is read to its end, and what
// that proves.
//
// The reader of package scim asks it after each answer: a State and the server's answer to
// its Request give the next State, an End with a grade, or a Problem. It must never send a
// request or keep anything itself, nor grade an end better than PROOF.md shows: retries,
// JSON and the ids that were read belong to the caller.
package listing

import "slices"

const (
	// PlainPasses is how often a list is read as the server orders it, until one
	// reading can be trusted.
	PlainPasses = 3
	// sortedPasses is how often it is read by each attribute of SortBy.
	sortedPasses = 2
	// MaxPasses is how often a list is read at most: what passes are stored in must
	// have room for it.
	MaxPasses = PlainPasses + 2*sortedPasses

	// maxBlank is how many pages in a row may come with a cursor and without users.
	maxBlank = 100
	// maxChanges is how often the total may change in one pass. A list that grows as
	// fast as it is read would not end.
	maxChanges = 1000
	// probeCount is how many users a sort probe asks for, if the server lets it.
	probeCount = 100
	// minCount is how far the count is halved where a server refuses it.
	minCount = 10
)

// RoundSizes are the sizes at which servers cut a list without a word. The count
// that was asked for is another one.
var RoundSizes = []int{10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10000}

// Rules are what a listing is read by.
type Rules struct {
	// Count is how many users a request asks for.
	Count int
	// Sizes are those at which a list may be cut, see RoundSizes.
	Sizes []int
	// SortBy are attributes by which a list is sorted that has no steady order. At
	// most two.
	SortBy []string
	// Hidden is how many of the users that the server counts it may leave out, in the same
	// way in two readings.
	Hidden int
	// Probes is how many requests of a listing may be probes.
	Probes int
	// Blind switches off what notices a list that changes while it is read. Only a
	// test sets it.
	Blind bool
}

// Ask is what the next request is for.
type Ask int

// The numbers are part of page tokens.
const (
	// AskPage asks for the next page, which is to begin with the last user of the
	// one before.
	AskPage Ask = iota
	// AskBare asks for the page behind the last user, because no page can begin with
	// it; AskRefused because such a page was refused; AskOdd because a page that was
	// to begin with it did not have it.
	AskBare
	AskRefused
	AskOdd
	// AskNarrow asks for the only page with a smaller count.
	AskNarrow
	// AskCursor asks for the first page with an empty cursor (RFC 9865).
	AskCursor

	// The probes: the users with the highest and with the lowest ids, the user at
	// index 0, and what is where a page that was too long should have ended.
	AskDown
	AskUp
	AskZero
	AskBeyond
	lastAsk = AskBeyond
)

// IsProbe reports whether a request is made only to learn more of a list that has
// been read.
func (a Ask) IsProbe() bool { return a >= AskDown }

// Worth is what the server's totals have shown themselves to be.
type Worth int

const (
	// WorthUnknown means that there was no total so far.
	WorthUnknown Worth = iota
	// WorthEqual means that each total was what had been received. It may count the page.
	WorthEqual
	// WorthAhead means that a total was more than had been received. It counts neither the page nor
	// what was sent.
	WorthAhead
	// WorthNone means that there is no total, or it was less than what had been received.
	WorthNone
)

// Signs are what makes a pass untrustworthy, as far as it is not in its numbers.
type Signs uint

const (
	// SignMoved means that a page did not continue the one before.
	SignMoved Signs = 1 << iota
	// SignTotal means that the total changed.
	SignTotal
	// SignApart means that pages cannot overlap, so nothing would show if users moved.
	SignApart
	// SignResumed means that the caller does not know which users the pass had before.
	SignResumed
	// SignCut means that the only page was cut to what was asked for.
	SignCut
	allSigns = SignMoved | SignTotal | SignApart | SignResumed | SignCut
)

// Traits are what is known of the server, from pass to pass.
type Traits uint

const (
	// TraitApart means that its pages cannot overlap.
	TraitApart Traits = 1 << iota
	// TraitCursor means that it pages by cursor.
	TraitCursor
	// TraitCursorTried means that the empty cursor was asked for.
	TraitCursorTried
	allTraits = TraitApart | TraitCursor | TraitCursorTried
)

// State is where a listing stands. It is all that another process needs to go on, but
// for the ids.
type State struct {
	// Pass counts the readings of the list, from 1.
	Pass int `json:"pass"`
	Ask  Ask `json:"ask,omitempty"`
	// At is how many resources this pass received, Users how many different ones.
	At    int `json:"at,omitempty"`
	Users int `json:"users,omitempty"`
	// Total is the last total that was worth something.
	Total int   `json:"total,omitempty"`
	Worth Worth `json:"worth,omitempty"`
	// Peak is the highest total of this pass.
	Peak    int `json:"peak,omitempty"`
	Changes int `json:"changes,omitempty"`
	// Head and Last are the digests of the first and the last id. Odd is the sequence
	// of a page that was to begin with the last one and did not have it.
	Head uint64 `json:"head,omitempty"`
	Last uint64 `json:"last,omitempty"`
	Odd  uint64 `json:"odd,omitempty"`
	// Sum is the sum of the digests of all ids of the pass, Before the fingerprint of
	// the pass before, 0 for none.
	Sum    uint64 `json:"sum,omitempty"`
	Before uint64 `json:"before,omitempty"`
	// Alike is how many readings in a row, up to the one before, had the same users.
	Alike int `json:"alike,omitempty"`
	// Unsure is the last pass that could not be trusted, 0 for none, and Why is the reason.
	Unsure int    `json:"unsure,omitempty"`
	Why    Why    `json:"why,omitempty"`
	Signs  Signs  `json:"signs,omitempty"`
	Traits Traits `json:"traits,omitempty"`
	// Cursor is that of the next page, Blank the number of pages without users before.
	Cursor string `json:"cursor,omitempty"`
	Blank  int    `json:"blank,omitempty"`
	// Count is how many users are asked for, where the server refuses Rules.Count.
	Count int `json:"count,omitempty"`
	// Beyond is the index at which a page that was too long should have ended.
	Beyond int `json:"beyond,omitempty"`
	// Doubts are why the end is unproven, Tried the probes of this pass, Probes the
	// number of all, Shown the probe that showed a user whom the list did not have.
	Doubts Doubts `json:"doubts,omitempty"`
	Tried  uint   `json:"tried,omitempty"`
	Probes int    `json:"probes,omitempty"`
	Shown  Ask    `json:"shown,omitempty"`
}

// Beginning is where a listing begins.
func Beginning() State { return State{Pass: 1} }

// Valid reports whether s can have come from this version of the package.
func (s State) Valid() bool {
	for _, n := range []int{s.At, s.Users, s.Total, s.Changes, s.Blank, s.Count, s.Beyond, s.Probes, s.Peak, s.Alike, s.Unsure, int(s.Why), int(s.Ask), int(s.Shown), int(s.Worth)} {
		if n < 0 {
			return false
		}
	}
	return s.Pass >= 1 && s.Pass <= MaxPasses && s.Ask <= lastAsk && s.Worth <= WorthNone && s.Shown <= lastAsk && s.Why <= WhyResumed &&
		s.Signs <= allSigns && s.Traits <= allTraits && s.Doubts <= allDoubts
}

// Request is what to ask the server for.
type Request struct {
	// Start is startIndex, unless ByCursor or FromTop is set.
	Start, Count      int
	ByCursor, FromTop bool
	Cursor            string
	// SortBy is empty for the server's order.
	SortBy     string
	Descending bool
}

// Request returns what to ask for in a state.
func (r Rules) Request(s State) Request {
	q := Request{Start: s.At + 1, Count: r.count(s), SortBy: r.sortBy(s.Pass)}
	switch {
	case s.Ask == AskDown || s.Ask == AskUp:
		return Request{FromTop: true, Count: min(probeCount, r.count(s)), SortBy: "id", Descending: s.Ask == AskDown}
	case s.Ask == AskZero:
		q.Start, q.Count = 0, 1
	case s.Ask == AskBeyond:
		q.Start = s.Beyond
	case s.Ask == AskNarrow:
		q.Start, q.Count = 1, max(1, min(q.Count, s.At)/2)
	// Each pass begins as the first one did: who names a cursor to a request for an index
	// may not know the empty one.
	case s.Ask == AskCursor || s.Traits&TraitCursor != 0 && (s.Cursor != "" || s.Traits&TraitCursorTried != 0):
		q.Start, q.ByCursor, q.Cursor = 0, true, s.Cursor
	case s.Overlaps():
		q.Start = s.At
	}
	return q
}

// Overlaps reports whether the next page is to begin with the last user received.
func (s State) Overlaps() bool {
	return s.At > 0 && s.Traits&TraitCursor == 0 && s.Ask == AskPage && s.Traits&TraitApart == 0
}

// Steady reports whether nothing speaks against paging by index so far, so that pages
// may be asked for before they are needed.
func (s State) Steady() bool {
	return s.Pass == 1 && s.Ask == AskPage && s.Signs&^SignResumed == 0 && s.Traits == 0 && s.Worth != WorthNone
}

// Later returns the state in which so many more users are received as expected.
func (s State) Later(more int) State {
	s.At += more
	return s
}

// Promised returns the total, if pages up to it may be asked for before they are
// needed.
func (s State) Promised() (total int, known bool) {
	return s.Total, s.Worth == WorthAhead && s.Overlaps()
}

// IsBegun reports whether the server has answered a request of this listing with a list.
func (s State) IsBegun() bool { return s.Pass > 1 || s.At > 0 || s.Cursor != "" || s.Probes > 0 }

// AtStart reports whether nothing of this pass is received yet.
func (s State) AtStart() bool { return s.At == 0 && s.Cursor == "" }

// Resumed returns the state for a caller that does not know which users this pass has
// had.
func (r Rules) Resumed(s State) State {
	if s.Ask.IsProbe() && s.Pass < r.lastPass() {
		s.Probes-- // It was not answered.
		return s.again()
	}
	s.Signs |= SignResumed
	return s
}

// Again returns where another reading of the list begins; false if there were enough.
func (r Rules) Again(s State) (State, bool) {
	return s.again(), s.Pass < PlainPasses
}

func (s State) again() State {
	return State{
		Pass: s.Pass + 1, Traits: s.Traits, Count: s.Count, Probes: s.Probes, Shown: s.Shown,
		Before: s.fingerprint(), Alike: s.Agreed(),
	}
}

// fingerprint is the same for passes that had the same users, and lacked as many of those
// that the server counts: a total that falls to what was received does not confirm a pass
// that had fewer than the total. It is not 0.
func (s State) fingerprint() uint64 {
	return max(1, s.Sum+uint64(s.Users)*0x9e3779b97f4a7c15+uint64(s.missing())*0xc2b2ae3d27d4eb4f) //nolint:gosec // numbers of users
}

// Counted returns the server's total, unless it has shown to be worth nothing.
func (s State) Counted() (total int, known bool) {
	return s.Total, s.Worth == WorthEqual || s.Worth == WorthAhead
}

// promised is how many users the server counts, at most, in this pass: a total that has fallen
// in the meantime does not take back what an earlier page of the same pass has promised.
func (s State) promised() int {
	if total, known := s.Counted(); known {
		return max(s.Peak, total)
	}
	return s.Peak
}

// missing is how many users the server counts that this pass does not have so far.
func (s State) missing() int {
	return max(0, s.promised()-s.Users)
}

func (r Rules) count(s State) int {
	if s.Count > 0 {
		return s.Count
	}
	return r.Count
}

func (r Rules) sortBy(pass int) string {
	if at := (pass - PlainPasses - 1) / sortedPasses; pass > PlainPasses && at < len(r.SortBy) {
		return r.SortBy[at]
	}
	return ""
}

func (r Rules) lastPass() int { return PlainPasses + sortedPasses*min(len(r.SortBy), 2) }

func (r Rules) isRound(s State) bool {
	return s.Users > 0 && (s.Users == r.Count || s.Users == s.Count || slices.Contains(r.Sizes, s.Users))
}
