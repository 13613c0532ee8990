package scim

import "google.golang.org/grpc/codes"

const (
	// maxBlank is how many pages in a row may come with a cursor and without users.
	maxBlank = 100
	// maxChanges is how often the number of users may change in one pass. A list
	// that grows as fast as it is read would not end.
	maxChanges = 1000
)

// acquaintance is what the caller knows of the users of a page from other pages
// of the same pass, the overlap apart.
type acquaintance struct {
	// some and all are whether some and all of them were on other pages. Both are false for
	// a page without users besides the overlap.
	some, all bool
}

// step is what follows from a page.
type step struct {
	// from is the number of resources at the page's beginning that are not
	// delivered, besides those that are already.
	from int
	// next is where to go on, or where the listing ended if it is complete.
	next     position
	complete bool
}

// advance returns what follows from the page received at p, or that the listing
// cannot be completed.
//
// Nothing a server reports is believed alone. The position moves by what was
// received, never by count or itemsPerPage. The total is not the end: totals
// count the page, or stop counting at some limit. Once as many users are received
// as were promised, the next page is asked for too, and only if it has nothing
// new has the list ended. Since it begins with the last user, it exists, and a
// server has no reason to refuse it.
//
// Each page begins with the user that ended the one before. As long as the app
// keeps its users in some order, that proves that none is lost between two
// pages: every user who was there throughout was before or behind that user all the
// time, and it was at the same place both times. It holds whichever page is read
// first, so pages may be read ahead. Apps without an order show by users that
// are on two pages.
func (c *endpoint) advance(p position, pg *page, known acquaintance) (step, error) {
	if p.Narrow {
		return c.afterNarrow(p, pg)
	}
	if p.Cursor != "" || pg.cursor != "" {
		return c.advanceCursor(p, pg, known)
	}
	if p.overlaps() {
		return c.advanceOverlap(p, pg, known)
	}
	// Past the end, servers that round startIndex are elsewhere, with nothing new.
	nothingNew := len(pg.entries) == 0 || pg.repeats(p, known)
	if pg.elsewhere(p.index()) && !(p.probing() && nothingNew) {
		return step{}, c.failf(codes.FailedPrecondition,
			"%s was asked for {users} from startIndex %d on and answered with those from %d on. It cannot be read completely.",
			c.place(), p.Start, pg.start.value)
	}
	if len(pg.entries) == 0 {
		return c.afterEmptyPage(p, pg)
	}
	if p.Start > 1 && pg.repeats(p, known) {
		if !isEnd(p, pg) {
			return step{}, c.failf(codes.FailedPrecondition,
				"%s was asked for {users} from startIndex %d on and sent again those it had sent before. It ignores startIndex, or starts again at the end, so its list cannot be read completely.",
				c.place(), p.Start)
		}
		return c.finishRepeated(p, pg)
	}

	switch p.Bare {
	case fallbackNone:
	case fallbackOdd:
		if pg.sequence != p.Odd {
			p = p.signed(signBoundary)
			break
		}
		fallthrough // one page for two indexes: the server rounds
	case fallbackShort, fallbackElsewhere, fallbackRefused:
		p.NoOverlap = true
	}
	if p.NoOverlap && p.Start > 1 {
		p = p.signed(signNoOverlap)
	}
	return c.progress(p, pg, known, 0)
}

// advanceOverlap is advance for a page that is to begin with the last user of
// the one before. Where it does not, it is asked for once more without overlap:
// what comes then separates a list that moved from a server that cannot overlap.
func (c *endpoint) advanceOverlap(p position, pg *page, known acquaintance) (step, error) {
	nothing := func(why fallback) (step, error) {
		return step{from: len(pg.entries), next: p.bare(why, pg.sequence)}, nil
	}
	switch matches := len(pg.entries) > 0 && digestOf(pg.entries[0].id()) == p.Last; {
	case pg.elsewhere(p.index()):
		return nothing(fallbackElsewhere)
	case len(pg.entries) == 0:
		return nothing(fallbackOdd)
	case matches && len(pg.entries) == 1:
		if total, _ := p.total(); p.probing() && (!pg.total.known || pg.total.value == total) {
			return c.finish(p, 1)
		}
		return nothing(fallbackShort)
	case pg.repeats(p, known):
		if isEnd(p, pg) {
			return c.finishRepeated(p, pg)
		}
		return nothing(fallbackElsewhere)
	case !matches:
		return nothing(fallbackOdd)
	}
	return c.progress(p, pg, known, 1)
}

// progress takes the users of a page, from the one on that is not overlap.
func (c *endpoint) progress(p position, pg *page, known acquaintance, overlap int) (step, error) {
	received := p.Start - 1 + len(pg.entries) - overlap
	total, knownTotal := p.total()
	if known.some {
		p = p.signed(signTwice)
	}

	next := p.past(pg, overlap)
	sent := pg.total.value
	switch {
	case p.Endless:
		return step{from: overlap, next: next}, nil
	case !pg.total.known:
		next.Endless = !knownTotal // what an earlier page promised still holds
		return step{from: overlap, next: next}, nil
	case knownTotal && total != sent && total >= received:
		next = next.signed(signTotal)
		next.Changes++
		if next.Changes > maxChanges {
			return step{}, c.failf(codes.Aborted,
				"the number of {users} that %s reports changed %d times while they were read, so the list may never end and is not used. Run the sync again at a quieter time.",
				c.place(), next.Changes)
		}
	}
	if sent < received {
		next.Endless = true
		return step{from: overlap, next: next}, nil
	}
	next.Total = &sent
	return step{from: overlap, next: next}, nil
}

// past is the position behind the users of a page.
func (p position) past(pg *page, overlap int) position {
	if p.atStart() {
		p.First = pg.digest
	}
	p.Sum += pg.digest
	if overlap > 0 {
		p.Sum -= p.Last
	}
	p.Start += len(pg.entries) - overlap
	for i := overlap; i < len(pg.entries); i++ {
		switch e := pg.entries[i]; {
		case e.foreign():
			p.Others++
		case !e.hasActive():
			p.Silent++
		}
	}
	p.Previous = pg.digest
	if len(pg.entries) > 0 {
		p.Last = digestOf(pg.entries[len(pg.entries)-1].id())
	}
	p.Skip, p.Current = 0, 0
	return p.bare(fallbackNone, 0)
}

// advanceCursor is advance for pages that name the next one (RFC 9865).
func (c *endpoint) advanceCursor(p position, pg *page, known acquaintance) (step, error) {
	switch {
	case pg.cursor != "" && pg.cursor == p.Cursor,
		pg.cursor != "" && p.Cursor != "" && known.all:
		return step{}, c.failf(codes.FailedPrecondition,
			"%s named, as the cursor of the next page, one it had named before, after %d {users}. Following it would go round in a circle, so its list cannot be read completely.",
			c.place(), p.Start-1)
	case pg.cursor != "" && len(pg.entries) == 0 && p.Blank+1 >= maxBlank:
		return step{}, c.failf(codes.FailedPrecondition,
			"%s sent %d pages without {users} one after the other, each with the cursor of another. Its list does not end, so it cannot be read completely.",
			c.place(), maxBlank)
	}
	overlap := 0
	if p.overlaps() && len(pg.entries) > 0 && digestOf(pg.entries[0].id()) == p.Last {
		overlap = 1
	}
	if known.some {
		p = p.signed(signTwice)
	}
	blank := p.Blank + 1
	if len(pg.entries) > 0 {
		blank = 0
	}
	p = p.past(pg, overlap)
	p.Cursor, p.Blank = pg.cursor, blank
	if pg.total.known {
		p.Total = &pg.total.value
	}
	if p.Cursor != "" {
		return step{from: overlap, next: p}, nil
	}
	if p.Total != nil && p.Start-1 < *p.Total {
		p = p.signed(signShort)
	}
	return c.finish(p, overlap)
}

// elsewhere reports whether a page reports that it begins at another index than the
// one asked for. Whether the first page is 0 or 1, and a 1 on every page, mean
// nothing.
func (pg *page) elsewhere(index int) bool {
	return pg.start.known && pg.start.value > 1 && index > 1 && pg.start.value != index
}

// repeats reports whether a page holds what was received already.
func (pg *page) repeats(p position, known acquaintance) bool {
	return known.all || pg.digest == p.Previous || pg.digest == p.First
}

// isEnd reports whether a page that repeats others is what the server answers past
// the end: some start again, or send the only page they know. One that is larger
// than was asked for, and has no total, is from a server that knows no pages and
// sent everyone.
func isEnd(p position, pg *page) bool {
	_, known := p.total()
	return p.probing() || !known && len(pg.entries) > pageSize
}

// finishRepeated ends a pass at a page that was received before. If it is the only
// one that the server knows, fewer are asked for: a server that sends as many again
// ignores paging and sends everyone.
func (c *endpoint) finishRepeated(p position, pg *page) (step, error) {
	if pg.digest == p.First && p.Start-1 == len(pg.entries) && len(pg.entries) > 1 {
		next := p.bare(fallbackNone, 0)
		next.Narrow = true
		return step{from: len(pg.entries), next: next}, nil
	}
	return c.finish(p, len(pg.entries))
}

// afterNarrow decides whether the only page that the server sends is everyone. If
// it is cut to what was asked for, it was cut before.
func (c *endpoint) afterNarrow(p position, pg *page) (step, error) {
	if len(pg.entries) < p.Start-1 {
		return step{}, c.failf(codes.FailedPrecondition,
			"%s ignores startIndex: it sends the first %d {users} again and again, cut to the number that is asked for. Whether there are more cannot be found out, so its list is not used. Ask the app's support.",
			c.place(), p.Start-1)
	}
	if pg.digest != p.First {
		p = p.signed(signBoundary)
	}
	return c.finish(p, len(pg.entries))
}

// afterRefusal decides what the refusal of the page at p means, if anything but
// an error: some servers refuse what is past the end, and some refuse pages that
// begin where none of theirs does.
func (c *endpoint) afterRefusal(p position, refusal error) (step, error) {
	switch {
	case !isRangeRefusal(refusal):
		return step{}, refusal
	case p.overlaps():
		return step{next: p.bare(fallbackRefused, 0)}, nil
	case p.probing() && p.Bare == fallbackRefused:
		return step{}, c.failf(codes.DataLoss,
			"%s reports %d {users} and refuses to go on from there, even to repeat the last of them, so there may be more. The list is not used. Ask the app's support whether SCIM shows all of its {users}.",
			c.place(), p.Start-1)
	case p.probing():
		return c.finish(p, 0)
	}
	return step{}, refusal
}

// afterEmptyPage decides whether a page without users is the end.
func (c *endpoint) afterEmptyPage(p position, pg *page) (step, error) {
	total, known := p.total()
	switch {
	case pg.total.known && pg.total.value >= p.Start:
		return step{}, c.failf(codes.DataLoss,
			"%s reports %d {users} but lists none from startIndex %d on. The list is incomplete, so it is not used.",
			c.place(), pg.total.value, p.Start)
	case p.Start == 1 && !pg.total.known:
		return step{}, c.failf(codes.FailedPrecondition,
			"%s lists no {users} and does not report how many there are (totalResults is missing). Is %s right?%s",
			c.place(), baseURLField, c.pathHint())
	case known && pg.total.known && pg.total.value < total && (pg.total.value > 0 || !p.probing()):
		p = p.signed(signShort)
	case known && !p.probing():
		return step{}, c.failf(codes.DataLoss,
			"%s reported %d {users} but lists none from startIndex %d on. The list is incomplete, so it is not used.",
			c.place(), total, p.Start)
	}
	return c.finish(p, 0)
}

// finish ends a pass. A pass without signs is the proof that the list is
// complete. Where users certainly moved, only another pass can be. Where nothing
// would have noticed, two passes that found the same users have to do.
//
// Where users were delivered as enabled because no user had the attribute active so
// far, and then one had it, another pass delivers all users as they are in such a
// list.
//
// A pass with signs is read to its end before the next begins, although it
// proves nothing any more: changes come in bursts, and the next pass is the more
// likely to be quiet.
func (c *endpoint) finish(p position, from int) (step, error) {
	if p.Start > 1 && p.Others == p.Start-1 {
		return step{}, c.failf(codes.FailedPrecondition,
			"%s lists %d resources as its {users}, and all of them are {groups}. Is %s right?%s",
			c.place(), p.Others, baseURLField, c.pathHint())
	}
	if p.Start > 1 && !p.Facts.has(factLogin) {
		return step{}, c.failf(codes.FailedPrecondition,
			"%s lists {users} (%d), and none of them has a userName, so no {account} could be matched with a person. The list is not used. Let the app send userName over SCIM; if its {users} sign in with another attribute, put that into %s, where the connector has this field.",
			c.place(), p.Start-1-p.Others, loginField)
	}
	same := p.Pass > 1 && p.Sum == p.SumBefore && p.Start-1 == p.CountBefore
	guessed := p.Facts.has(factActive) && p.Facts.has(factGuessed)
	if (p.Sign == signNone || !p.Sign.shifted() && same || c.blind) && !guessed {
		return step{from: from, next: p, complete: true}, nil
	}
	if p.Pass >= maxPasses {
		why := p.Sign.String()
		if guessed {
			why = "the attribute active came up, which no {user} had before"
		}
		return step{}, c.failf(codes.Aborted,
			"the list of {users} of %s changed while it was read, %d times in a row (the last time: %s), so it may be incomplete and is not used. Run the sync again at a quieter time.",
			c.place(), maxPasses, c.kind.words(why))
	}
	next := beginning()
	next.Run = p.Run
	next.Pass = p.Pass + 1
	next.NoOverlap = p.NoOverlap
	next.SumBefore, next.CountBefore = p.Sum, p.Start-1
	next.Facts = p.Facts &^ factAgain
	if guessed {
		next.Facts = next.Facts&^factGuessed | factAgain
	}
	return step{from: from, next: next}, nil
}
