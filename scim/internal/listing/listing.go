package listing

// Number is a number that the server may have sent.
type Number struct {
	Value int
	Known bool
}

// Refusal is how a server refused a request.
type Refusal int

const (
	// Accepted means that it did not.
	Accepted Refusal = iota
	// RefusedRange means that what was asked for is not there (204, 404, 416).
	RefusedRange
	// RefusedRequest means that the request is not understood, or its index or count is not
	// accepted (400, and 501 for the first one).
	RefusedRequest
)

// Page is the server's answer to a request, as far as the proof needs to know it.
type Page struct {
	Refused Refusal
	// Len is how many resources it has. First and Last are the digests of its first and
	// last id, Sequence of all in their order.
	Len         int
	First, Last uint64
	Sequence    uint64
	// Holds is where in the page the user stands that ended the one before; -1 if it is
	// not there.
	Holds int
	// New is how many of its ids were not in this pass before, Sum the sum of their
	// digests. For a probe, they were in no pass. The user that ended the page before is
	// never new.
	New int
	Sum uint64
	// Total is totalResults, Start startIndex, Cursor nextCursor.
	Total, Start Number
	Cursor       string
}

// Step is what follows from a page.
type Step struct {
	// From is the number of resources at the page's beginning that are not delivered.
	From int
	// Next is where to go on, or where the listing ended.
	Next State
	// End is set where it ended.
	End *End
}

// Next returns what follows from the answer to the request of s. Its error is a
// *Problem.
//
// Nothing a server reports is believed alone. The position moves by what was received,
// never by count or itemsPerPage. Each page is to begin with the user that ended the one
// before: as long as the server keeps its users in some order, everyone who was there
// throughout was before or behind that user all the time.
func (r Rules) Next(s State, p Page) (Step, error) {
	bare := !s.Overlaps() && s.At > 0
	holdsLast := p.Holds >= 0 && p.Holds == p.Len-1
	if p.Refused == Accepted && !s.Ask.IsProbe() && p.Total.Known {
		s.Peak = max(s.Peak, p.Total.Value)
	}
	switch {
	case p.Refused != Accepted:
		return r.afterRefusal(s, p)
	case s.Ask.IsProbe():
		return r.afterProbe(s, p)
	case s.Ask == AskNarrow:
		return r.afterNarrow(s, p)
	case s.Ask == AskCursor:
		return r.afterCursor(s, p)
	case s.Traits&TraitCursor != 0 || p.Cursor != "":
		return r.follow(s, p)
	case p.Len == 0:
		return r.afterEmpty(s, p)
	case s.At == 0:
		return r.progress(s, p, 0)
	case p.New > 0 && holdsLast && s.Signs&SignResumed != 0 && p.Len == s.At: // They are not known to the caller any more.
		p.New, p.Sum = 0, 0
		return r.Next(s, p)
	case p.New > 0 && holdsLast: // Users were added between those that were received, and none behind.
		s.Signs |= SignMoved
		s.Users += p.New
		s.Sum += p.Sum
		p.New, p.Sum = 0, 0
		step, err := r.Next(s, p)
		step.From = 0
		return step, err

	// The page was to begin with the last user.
	case !bare && p.New > 0 && p.Holds == 0:
		return r.progress(s, p, 1)
	case !bare && p.New > 0 && p.Holds > 0: // It proves as much, but something has moved, or is counted and not shown.
		s.Signs |= SignMoved
		return r.progress(s, p, p.Holds+1)
	case !bare && p.New > 0:
		s.Odd = p.Sequence
		return ask(s, p, AskOdd), nil
	case !bare && holdsLast && p.Len == 1 && r.complete(s) && (s.Worth == WorthAhead || r.isRound(s)) && (!p.Total.Known || p.Total.Value == s.Total):
		return r.endPass(s, p.Len)
	case !bare && r.complete(s) && !holdsLast:
		return r.repeatsAtEnd(s, p)
	case !bare:
		if s.Odd = 0; p.Holds > 0 {
			s.Odd = p.Sequence
		}
		if p.Holds > 0 && p.First != s.Head {
			s.Signs |= SignMoved
		}
		switch {
		case !p.Total.Known || p.Total.Value == s.Total:
		case s.Worth == WorthEqual && p.Total.Value < s.Total: // It counts the page.
			s.Worth = WorthNone
		case s.Worth != WorthNone:
			s.Signs |= SignTotal
			s.Worth, s.Total = WorthAhead, p.Total.Value
		}
		return ask(s, p, AskBare), nil

	// The page was to begin behind the last user.
	case p.New > 0 && r.isElsewhere(s, p):
		return Step{}, r.problem(s, Problem{Kind: Elsewhere, Start: p.Start.Value})
	case p.New > 0:
		switch {
		case p.Holds >= 0, s.Ask == AskOdd && p.Sequence != s.Odd:
			s.Signs |= SignMoved
		case s.Ask != AskPage: // one page for two indexes, or no index that overlaps
			s.Traits |= TraitApart
		}
		return r.progress(s, p, p.Holds+1)
	case s.Ask == AskOdd: // The page before was another one, so startIndex is not ignored.
		s.Signs |= SignMoved
		return r.reread(s, p.Len)
	case r.complete(s):
		return r.repeatsAtEnd(s, p)
	case holdsLast && s.Worth == WorthAhead && p.Len < s.At && (p.First != s.Head && p.Len < r.count(s) || r.Request(s).Start+p.Len > s.Total):
		s.Signs |= SignMoved // The last user stands behind its index, so some are counted and not shown.
		return r.endPass(s, p.Len)
	}
	return r.stuck(s, p)
}

// complete reports whether all users the server promised are received.
func (r Rules) complete(s State) bool {
	return (s.Worth == WorthEqual || s.Worth == WorthAhead) && s.At >= s.Total
}

// isElsewhere reports whether a page declares that it begins at another index than the
// one asked for. One less is how some number their users, and 0 and 1 mean nothing.
func (r Rules) isElsewhere(s State, p Page) bool {
	asked := r.Request(s).Start
	return p.Start.Known && p.Start.Value > 1 && p.Start.Value != asked && p.Start.Value != asked-1
}

// ask is a step that delivers nothing of a page and asks for something else.
func ask(s State, p Page, what Ask) Step {
	s.Ask = what
	return Step{From: p.Len, Next: s}
}

// progress takes the users of a page, from the one on that is not overlap.
func (r Rules) progress(s State, p Page, from int) (Step, error) {
	request := r.Request(s)
	if p.Len > request.Count && s.Beyond == 0 {
		s.Beyond = request.Start + request.Count
	}
	if s.Traits&TraitApart != 0 && s.At > 0 {
		s.Signs |= SignApart
	}
	s = s.add(p, from)
	s.Ask, s.Odd = AskPage, 0
	switch total := p.Total.Value; {
	case s.Worth == WorthNone:
	case !p.Total.Known && s.Worth == WorthUnknown, p.Total.Known && total < s.At:
		s.Worth = WorthNone
	case !p.Total.Known: // What an earlier page promised still holds.
	default:
		if s.Worth != WorthUnknown && total != s.Total && s.Total >= s.At {
			s.Signs |= SignTotal
			if s.Changes++; s.Changes > maxChanges {
				return Step{}, r.problem(s, Problem{Kind: Growing})
			}
		}
		s.Total = total
		switch {
		case total > s.At:
			s.Worth = WorthAhead
		case s.Worth == WorthUnknown:
			s.Worth = WorthEqual
		case s.Worth == WorthEqual: // It grows with what was sent.
			s.Worth = WorthNone
		}
	}
	if from > 1 {
		from = 0 // Who stands before the last user may be new.
	}
	return Step{From: from, Next: s}, nil
}

// add is s behind the users of a page.
func (s State) add(p Page, from int) State {
	if s.At == 0 {
		s.Head = p.First
	}
	s.At += p.Len - from
	s.Users += p.New
	s.Sum += p.Sum
	if p.Len > 0 {
		s.Last = p.Last
	}
	return s
}

// follow takes a page of a server that names the next one (RFC 9865).
func (r Rules) follow(s State, p Page) (Step, error) {
	switch {
	case p.Cursor != "" && p.Cursor == s.Cursor:
		return Step{}, r.problem(s, Problem{Kind: Circle})
	case p.Cursor != "" && s.Cursor != "" && p.Len > 0 && p.New == 0 && s.Pass >= PlainPasses:
		return Step{}, r.problem(s, Problem{Kind: Loop})
	case p.Cursor != "" && s.Cursor != "" && p.Len > 0 && p.New == 0: // A circle, or the list has moved.
		s.Signs |= SignMoved
		return r.reread(s, p.Len)
	case p.Cursor != "" && p.Len == 0 && s.Blank+1 >= maxBlank:
		return Step{}, r.problem(s, Problem{Kind: Blank})
	case p.Cursor == "" && s.At+p.Len == 0 && !p.Total.Known:
		return Step{}, r.problem(s, Problem{Kind: Nothing})
	}
	from := 0
	if s.Overlaps() && p.Holds == 0 {
		from = 1
	}
	s = s.add(p, from)
	s.Ask = AskPage
	if s.Blank++; p.Len > 0 {
		s.Blank = 0
	}
	if p.Total.Known {
		if s.Worth != WorthUnknown && p.Total.Value != s.Total {
			s.Signs |= SignTotal
		}
		s.Worth, s.Total = WorthEqual, p.Total.Value
	}
	several := s.Cursor != ""
	s.Cursor = p.Cursor
	s.Traits |= TraitCursor
	if p.Cursor != "" {
		return Step{From: from, Next: s}, nil
	}
	if several && (s.Worth == WorthUnknown || s.Users > s.Total) {
		s.Doubts |= DoubtCursor
	}
	switch {
	case s.Users > s.Total:
		s.Worth = WorthNone
	case several: // One who goes and one who comes leave the total as it is, and no overlap shows them.
		s.Signs |= SignApart
	}
	return r.endPass(s, from)
}

// afterEmpty decides whether a page without users is the end.
func (r Rules) afterEmpty(s State, p Page) (Step, error) {
	switch known := s.Worth == WorthEqual || s.Worth == WorthAhead; {
	case s.Overlaps(): // The list has become shorter.
		return ask(s, p, AskOdd), nil
	case s.At == 0 && !p.Total.Known:
		return Step{}, r.problem(s, Problem{Kind: Nothing})
	case p.Total.Known && p.Total.Value > s.At:
		if known && p.Total.Value != s.Total {
			s.Signs |= SignTotal
		}
		s.Worth, s.Total = WorthAhead, p.Total.Value
	case known && p.Total.Known && p.Total.Value == 0 && r.complete(s):
		// It counts the page, which is empty. Only an overlap shows now that no user has
		// moved up to the last one's place.
		s.Worth = WorthNone
	case known && p.Total.Known && p.Total.Value < s.Total:
		s.Signs |= SignTotal
		s.Total = p.Total.Value
	}
	if s.Ask == AskOdd && (s.Worth == WorthNone || s.At >= s.Total) {
		s.Signs |= SignMoved
	}
	return r.endPass(s, 0)
}

// afterRefusal decides what a refusal means: some servers refuse what is past the end,
// pages that begin where none of theirs does, a large count, or every index.
func (r Rules) afterRefusal(s State, p Page) (Step, error) {
	switch {
	case s.Ask.IsProbe(): // It shows nothing.
		return r.nextProbe(s)
	case s.AtStart() && r.sortBy(s.Pass) != "":
		next := s.again()
		next.Before, next.Alike = s.Before, s.Alike
		next.Unsure, next.Why = s.Unsure, s.Why
		if next.Pass = PlainPasses + 1 + ((s.Pass-PlainPasses-1)/sortedPasses+1)*sortedPasses; next.Pass > r.lastPass() {
			s.Pass = max(s.Unsure, PlainPasses) // This one has not been made.
			return Step{}, r.problem(s, Problem{Kind: Moving, Why: s.Why})
		}
		return Step{Next: next}, nil
	case s.AtStart() && s.Pass == 1 && p.Refused == RefusedRequest && r.count(s) > minCount:
		s.Count = max(r.count(s)/2, minCount)
		return ask(s, p, AskPage), nil
	case s.AtStart() && s.Pass == 1 && p.Refused == RefusedRequest && s.Traits == 0:
		s.Count = 0
		s.Traits |= TraitCursor | TraitCursorTried
		return ask(s, p, AskPage), nil
	case s.Ask == AskCursor:
		return r.afterCursor(s, Page{})
	case s.Ask == AskNarrow:
		s.Doubts |= DoubtIgnores
		return r.endPass(s, 0)
	case s.Ask == AskRefused && r.complete(s) && s.Pass >= PlainPasses:
		return Step{}, r.problem(s, Problem{Kind: RefusedLast})
	case s.Overlaps():
		return ask(s, p, AskRefused), nil
	case s.Ask == AskOdd: // The list has become shorter.
		s.Signs |= SignMoved
		return r.endPass(s, 0)
	case s.At > 0 && s.Traits&TraitCursor == 0 && (r.complete(s) || s.Worth == WorthNone) && s.Ask != AskRefused:
		return r.endPass(s, 0) // past the end
	case s.At > 0 && s.Traits&TraitCursor == 0 && s.Pass < PlainPasses: // It may have become shorter.
		s.Signs |= SignTotal
		return r.reread(s, 0)
	}
	return Step{}, r.problem(s, Problem{Kind: Refused})
}

// repeatsAtEnd ends a pass at a page that was received before. If it is all that was
// received, the server may know no other.
func (r Rules) repeatsAtEnd(s State, p Page) (Step, error) {
	isFirst, isLast := p.First == s.Head, p.Holds == p.Len-1
	if p.Len == s.At && !(isFirst && isLast) || p.Len < s.At && s.Worth == WorthEqual || !isFirst && !isLast {
		s.Signs |= SignMoved
		return r.endPass(s, p.Len)
	}
	if p.Len == s.At && s.At > 1 {
		return ask(s, p, AskNarrow), nil
	}
	if p.Len == s.At { // One user: there is no smaller count.
		s.Doubts |= DoubtIgnores
	}
	return r.endPass(s, p.Len)
}

// stuck decides about a page that was received before, with more users to come.
func (r Rules) stuck(s State, p Page) (Step, error) {
	switch {
	case s.Worth == WorthAhead && p.Total.Known && p.Total.Value != s.Total && s.Pass < PlainPasses:
		s.Signs |= SignTotal
		return r.reread(s, p.Len)
	case p.Len == s.At && s.At > 1 && s.Worth == WorthNone && s.Ask != AskNarrow:
		return ask(s, p, AskNarrow), nil
	case s.Traits&TraitCursorTried == 0:
		s.Traits |= TraitCursorTried
		return ask(s, p, AskCursor), nil
	}
	return r.afterCursor(s, Page{})
}

// afterNarrow decides whether the only page that the server sends is everyone.
func (r Rules) afterNarrow(s State, p Page) (Step, error) {
	switch isCut := p.Len < s.At; {
	case p.New > 0 && s.Signs&SignResumed == 0, p.First != s.Head:
		s.Signs |= SignMoved
	case p.Cursor != "":
		s.Worth, s.Total = WorthEqual, s.At // Where more follows, it names a cursor.
	case isCut && p.Total.Known && p.Total.Value == s.At: // It honors count, and counts more than it sends.
	case isCut && s.At >= r.count(s):
		s.Signs |= SignCut
		return r.stuck(s, p)
	case !isCut && s.Worth == WorthNone && s.At <= r.count(s):
		return r.stuck(s, p)
	case isCut || s.Worth == WorthNone:
		s.Doubts |= DoubtIgnores
	}
	return r.endPass(s, p.Len)
}

// afterCursor begins to read by cursor, if the server names one.
func (r Rules) afterCursor(s State, p Page) (Step, error) {
	if p.Cursor != "" && s.Pass < PlainPasses {
		next := s.again()
		next.Traits |= TraitCursor
		return Step{From: p.Len, Next: next}, nil
	}
	changed := p.Total.Known && s.Worth != WorthUnknown && p.Total.Value != s.Total
	if p.New > 0 || p.Len > 0 && (p.First != s.Head || changed) { // It is not the first page any more.
		s.Signs |= SignMoved
	}
	if (s.Before != s.fingerprint() || s.Signs&(SignMoved|SignTotal) != 0) && s.Pass < PlainPasses { // Only what comes again is refused.
		return Step{From: p.Len, Next: s.again()}, nil
	}
	switch {
	case s.Signs&SignCut != 0:
		return Step{}, r.problem(s, Problem{Kind: Cut})
	case s.At == 1 && s.Worth == WorthNone && s.Signs == 0: // One user: there is no smaller count.
		s.Doubts |= DoubtIgnores
		return r.endPass(s, p.Len)
	}
	return Step{}, r.problem(s, Problem{Kind: Repeats})
}

// endPass ends a pass. A pass in which nothing moved is the proof that no user is
// missing before its end. Where users certainly moved, only another pass can be. Where
// nothing would have noticed, two passes that found the same users have to do.
//
// A pass is read to its end also if it proves nothing any more: changes come in bursts,
// and the next pass is the more likely to be quiet.
func (r Rules) endPass(s State, from int) (Step, error) {
	if s.Ask == AskBare && s.Odd != 0 && s.Worth != WorthAhead { // The end was asked for without overlap.
		s.Signs |= SignApart
	}
	known := s.Worth == WorthEqual || s.Worth == WorthAhead
	same := s.Before == s.fingerprint()
	twice := s.At > s.Users
	missing := s.missing()
	if same && missing > 0 { // The total has fallen to what was received, in each of these passes.
		s.Worth, s.Total = WorthAhead, s.promised()
	}
	// Who is on two pages may have displaced another, whom a sorted list has.
	hidden := missing > 0 && missing <= r.Hidden && s.Users > 0 && !twice
	switch {
	case s.Shown != 0 && same && s.Probes >= r.Probes:
		return Step{}, r.problem(s, Problem{Kind: Unlisted, Probe: s.Shown})
	case r.Blind, s.Signs == 0 && !twice && missing == 0, same && missing == 0 && !twice, same && known && s.Users == s.Total && missing == 0:
		return r.accept(s, from)
	case same && (hidden || missing == 0):
		if s.Doubts |= DoubtHidden; missing == 0 {
			s.Doubts = s.Doubts&^DoubtHidden | DoubtTwice
		}
		return r.accept(s, from)
	case same && missing > 0 && (s.Pass >= PlainPasses && !twice || s.Pass >= r.lastPass()):
		return Step{}, r.problem(s, Problem{Kind: Short})
	case s.Pass >= PlainPasses && s.Traits&TraitCursor != 0 && s.Signs == SignApart && !twice && missing == 0 && s.Shown == 0:
		// Users come and go all the time. That is no reason to refuse what came by a cursor,
		// and whom a probe would show may have come in the meantime.
		s.Doubts |= DoubtCursor
		s.Ask = AskPage
		return Step{From: from, Next: s, End: &End{Doubts: s.Doubts, State: s}}, nil
	}
	return r.reread(s, from)
}

// reread reads the list once more. After as many readings as that may have been enough, one
// that has no steady order is sorted.
func (r Rules) reread(s State, from int) (Step, error) {
	sorting := s.Signs&(SignMoved|SignApart) != 0 || s.At > s.Users
	if s.Pass >= r.lastPass() || s.Pass >= PlainPasses && !sorting {
		return Step{}, r.problem(s, Problem{Kind: Moving, Why: r.why(s)})
	}
	next := s.again()
	next.Unsure, next.Why = s.Pass, r.why(s)
	return Step{From: from, Next: next}, nil
}

// accept ends a listing, unless a probe may prove more.
func (r Rules) accept(s State, from int) (Step, error) {
	byIndex := s.Traits&TraitCursor == 0
	if r.isRound(s) {
		s.Doubts |= DoubtRound
	}
	// The total of one user may as well count the page, or what was sent.
	isWorthless := s.Worth == WorthUnknown || s.Worth == WorthNone || s.Worth == WorthEqual && s.Users <= 1
	// Whom it counts and does not list may be the first one: it may count from 0.
	if byIndex && (isWorthless || s.Doubts&DoubtHidden != 0) && s.Doubts&DoubtIgnores == 0 {
		s.Doubts |= DoubtTotal
	}
	if byIndex && s.Beyond > 0 {
		s.Doubts |= DoubtLong
	}
	if byIndex && s.Worth == WorthNone && s.Traits&TraitApart != 0 {
		s.Doubts |= DoubtApart
	}
	for _, one := range probes { // What showed a user whom the list did not have is asked for again.
		if s.Shown == one.probe || s.Shown == AskUp && one.probe == AskDown {
			s.Doubts |= one.doubt
		}
	}
	step, err := r.nextProbe(s)
	step.From = from
	return step, err
}

// probes are those that may remove a doubt, in the order in which they are made.
var probes = []struct {
	doubt Doubts
	probe Ask
}{{DoubtLong, AskBeyond}, {DoubtTotal, AskZero}, {DoubtRound, AskDown}}

// nextProbe asks for what may remove a doubt, or ends the listing.
func (r Rules) nextProbe(s State) (Step, error) {
	// Who does not know all users cannot find one that was not seen.
	able := s.Probes < r.Probes && s.Signs&SignResumed == 0 && !r.Blind
	if able && s.Shown != 0 && s.Tried&(1<<s.Shown) == 0 { // What showed a user comes first.
		return r.probe(s, s.Shown), nil
	}
	for _, one := range probes {
		if able && s.Doubts&one.doubt != 0 && s.Tried&(1<<one.probe) == 0 {
			return r.probe(s, one.probe), nil
		}
	}
	s.Ask = AskPage
	return Step{Next: s, End: &End{Doubts: s.Doubts, State: s}}, nil
}

func (r Rules) probe(s State, what Ask) Step {
	s.Ask = what
	s.Probes++
	s.Tried |= 1 << what
	return Step{Next: s}
}

// afterProbe decides what a probe shows.
func (r Rules) afterProbe(s State, p Page) (Step, error) {
	switch {
	case p.New > 0 && s.Pass < r.lastPass() && s.Shown == 0: // It may have been added in the meantime.
		s.Shown = s.Ask
		return Step{From: p.Len, Next: s.again()}, nil
	case p.New > 0:
		return Step{}, r.problem(s, Problem{Kind: Unlisted, Probe: s.Ask})
	case s.Ask == s.Shown:
		s.Shown = 0
	}
	switch {
	case s.Ask == AskBeyond:
		s.Doubts &^= DoubtLong
	case s.Ask == AskZero && (p.Len > 0 && p.First == s.Head || s.Users == 0):
		s.Doubts &^= DoubtTotal
	case (s.Ask == AskDown || s.Ask == AskUp) && p.Len > 0 && p.First != s.Head:
		s.Doubts &^= DoubtRound
	case s.Ask == AskDown && p.Len > 0 && s.Probes < r.Probes: // It may list them in this order anyway.
		step := r.probe(s, AskUp)
		step.From = p.Len
		return step, nil
	}
	step, err := r.nextProbe(s)
	step.From = p.Len
	return step, err
}
