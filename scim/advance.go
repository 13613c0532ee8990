package scim

import "google.golang.org/grpc/codes"

// advance says what follows from the page received at p: where to go on, or
// that the listing is complete, or that it cannot be completed. repeated means
// that the caller knows each id of the page already.
//
// Nothing a server says is believed alone. The position moves by what was
// received, never by count or itemsPerPage. The end is believed if two pages
// told the same total and it is reached, or if there is nothing after it; a
// total that is told once may be the number of users on that page.
func (c *Client) advance(p position, pg *page, repeated bool) (next position, complete bool, err error) {
	if pg.start.told && pg.start.value > 1 && p.Start > 1 && pg.start.value != p.Start {
		return p, false, failf(codes.FailedPrecondition,
			"%s was asked for users from startIndex %d on and answered with those from %d on. It cannot be read completely.",
			c.place(), p.Start, pg.start.value)
	}
	if len(pg.users) == 0 {
		return c.afterEmptyPage(p, pg)
	}
	if p.Start > 1 && (repeated || pg.digest == p.Previous || pg.digest == p.First) {
		return c.afterRepeatedPage(p, pg)
	}

	received := p.Start - 1 + len(pg.users)
	total, known := p.total()
	next = position{
		Version: p.Version, Pass: p.Pass, Start: received + 1,
		Total: p.Total, Endless: p.Endless, First: p.First, Previous: pg.digest,
	}
	if p.Start == 1 {
		next.First = pg.digest
	}

	switch {
	case p.Endless:
		return next, false, nil
	case !pg.total.told:
		next.Endless = !known // what an earlier page promised still holds
		return next, false, nil
	case known && pg.total.value < total && total >= received:
		return c.again(p, total, pg.total.value)
	case pg.total.value < received:
		next.Endless = true
		return next, false, nil
	}
	told := pg.total.value
	next.Total = &told
	if received < told {
		return next, false, nil
	}

	toldTwice := known && total == told
	sentAll := p.Start == 1 && len(pg.users) > pageSize // count is ignored, so there are no pages
	return next, toldTwice || sentAll, nil
}

// afterEmptyPage decides whether a page without users is the end.
func (c *Client) afterEmptyPage(p position, pg *page) (position, bool, error) {
	total, known := p.total()
	switch {
	case pg.total.told && pg.total.value >= p.Start:
		return p, false, failf(codes.DataLoss,
			"%s says that there are %d users but lists none from startIndex %d on. The list is incomplete, so it is not used.",
			c.place(), pg.total.value, p.Start)
	case p.Start == 1 && !pg.total.told:
		return p, false, failf(codes.FailedPrecondition,
			"%s lists no users and does not say that there are none (totalResults is missing). Is %s right?%s",
			c.place(), baseURLField, c.pathHint())
	case known && pg.total.told && pg.total.value < total && (pg.total.value > 0 || !p.probing()):
		return c.again(p, total, pg.total.value)
	case known && !p.probing():
		return p, false, failf(codes.DataLoss,
			"%s said that there are %d users but lists none from startIndex %d on. The list is incomplete, so it is not used.",
			c.place(), total, p.Start)
	}
	return p, true, nil
}

// afterRepeatedPage decides what it means that a page holds what was received
// already.
func (c *Client) afterRepeatedPage(p position, pg *page) (position, bool, error) {
	// Past the end some servers begin anew, or send the only page they know.
	if p.probing() {
		return p, true, nil
	}
	// More than was asked for: the server knows no pages and sent everyone.
	if _, known := p.total(); !known && len(pg.users) > pageSize {
		return p, true, nil
	}
	return p, false, failf(codes.FailedPrecondition,
		"%s was asked for users from startIndex %d on and sent again those it had sent before. It ignores startIndex, or begins anew at the end, so its list cannot be read completely.",
		c.place(), p.Start)
}

// again begins a new pass because users went away while the list was read: those
// behind them moved up, perhaps to where it was read already.
func (c *Client) again(p position, before, now int) (position, bool, error) {
	if p.Pass >= maxPasses {
		return p, false, failf(codes.Aborted,
			"the list of users of %s shrank while it was read, %d times in a row (now from %d to %d), so it may be incomplete and is not used. Run the sync again at a quieter time.",
			c.place(), maxPasses, before, now)
	}
	return beginning(p.Pass + 1), false, nil
}
