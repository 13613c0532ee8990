package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	"github.com/batonhost/baton-host/scim/internal/listing"
)

// This file is between the requests of a listing and package listing, which decides what
// their answers prove.

// observe returns what the page at p shows.
func (s *session) observe(p position, pg *page) listing.Page {
	seen := listing.Page{
		Len: len(pg.entries), Sequence: pg.sequence, Holds: -1,
		Total: listing.Number{Value: pg.total.value, Known: pg.total.known},
		Start: listing.Number{Value: pg.start.value, Known: pg.start.known}, Cursor: pg.cursor,
	}
	for i, e := range pg.entries {
		digest := pg.digests[i]
		if isLast := p.State.At > 0 && digest == p.State.Last; isLast {
			seen.Holds = i
		} else if i < p.Skip { // It was delivered from this page.
			seen.New++
			seen.Sum += digest
		} else if pass := s.seen.pass(seenAs(e)); pass == 0 || pass != p.pass() && !p.State.Ask.IsProbe() {
			seen.New++
			seen.Sum += digest
		}
		if i == 0 {
			seen.First = digest
		}
		seen.Last = digest
	}
	return seen
}

// seenAs is the text by which an entry is known again. That of one of another kind
// is no id.
func seenAs(e entry) string {
	if e.foreign() {
		return "\x00" + e.id()
	}
	return e.id()
}

// refusalOf returns what an error means for the listing at p, if it is more than an error:
// it may be about the index or the count that was asked for. Whatever becomes of a probe,
// but a limit of the app's rate or a broken connection, shows nothing.
func refusalOf(p position, err error) (listing.Refusal, bool) {
	switch {
	case errors.Is(err, context.Canceled), answered(err, http.StatusTooManyRequests):
	case answered(err, 400, 422):
		return listing.RefusedRequest, true
	case answered(err, 204, 404, 410, 416):
		return listing.RefusedRange, true
	case p.State.AtStart() && p.State.Pass > listing.PlainPasses && answered(err, 500, 501): // It cannot sort.
		return listing.RefusedRequest, true
	case p.State.Ask.IsProbe() && (!mayPass(err) || answered(err)):
		return listing.RefusedRange, true
	}
	return listing.Accepted, false
}

// contradiction is the error for a list that contradicts itself. refusal is the error of
// the last request, if it failed.
func (c *endpoint) contradiction(err error, refusal error) error {
	problem, ok := errors.AsType[*listing.Problem](err)
	if !ok {
		return err
	}
	s := problem.State
	switch problem.Kind {
	case listing.Refused:
		return c.refused(s, refusal)
	case listing.RefusedLast:
		f := c.failf(codes.DataLoss,
			"%s reports %d {users} and refuses to go on from there, even to repeat the last of them, so there may be more. The list is not used. Ask the app's support whether SCIM shows all of its {users}.",
			c.place(), s.At)
		if last, ok := errors.AsType[*failure](refusal); ok && last.answer != "" {
			f = f.with("It answered: " + last.answer)
		}
		return f
	case listing.Elsewhere:
		return c.failf(codes.FailedPrecondition,
			"%s was asked for {users} from startIndex %d on and answered with those from %d on. It cannot be read completely.",
			c.place(), problem.Asked, problem.Start)
	case listing.Repeats:
		f := c.failf(codes.FailedPrecondition,
			"%s was asked for {users} from startIndex %d on and sent again those it had sent before. It ignores startIndex, or starts again at the end, so its list cannot be read completely.",
			c.place(), s.At+1)
		if total, known := s.Counted(); known && total > s.Users {
			f = f.with(c.kind.words(fmt.Sprintf("It reports %d {users} and has listed %d of them.", total, s.Users)))
		}
		return f
	case listing.Cut:
		return c.failf(codes.FailedPrecondition,
			"%s ignores startIndex: it sends the first %d {users} again and again, cut to the number that is asked for. Whether there are more cannot be found out, so its list is not used. Ask the app's support.",
			c.place(), s.At)
	case listing.Nothing:
		if s.IsBegun() {
			return c.failf(codes.DataLoss,
				"%s has listed {users} before, and now lists none and does not report how many there are (totalResults is missing). The list is not used. Run the sync again; if it happens again, ask the app's support.",
				c.place())
		}
		return c.failf(codes.FailedPrecondition,
			"%s lists no {users} and does not report how many there are (totalResults is missing). Is %s right?%s",
			c.place(), baseURLField, c.pathHint())
	case listing.Short:
		return c.shortList(s, gap{})
	case listing.Loop:
		return c.failf(codes.FailedPrecondition,
			"%s sent, behind %d {users} and by a cursor that it had named, {users} that it had sent before, and named another cursor. Its cursors go round in a circle, so its list cannot be read completely.",
			c.place(), s.At)
	case listing.Circle:
		return c.failf(codes.FailedPrecondition,
			"%s named, as the cursor of the next page, one it had named before, after %d {users}. Following it would go round in a circle, so its list cannot be read completely.",
			c.place(), s.At)
	case listing.Blank:
		return c.failf(codes.FailedPrecondition,
			"%s sent %d pages without {users} one after the other, each with the cursor of another. Its list does not end, so it cannot be read completely.",
			c.place(), s.Blank+1)
	case listing.Growing:
		return c.failf(codes.Aborted,
			"the number of {users} that %s reports changed %d times while they were read, so the list may never end and is not used. Run the sync again at a quieter time.",
			c.place(), s.Changes)
	case listing.Unlisted:
		return c.failf(codes.DataLoss,
			"%s lists %d {users}, and shows others when it is asked for %s, so its list is incomplete and is not used. Ask the app's support why SCIM does not list all of its {users}.",
			c.place(), s.Users, probeWords(problem.Probe))
	}
	return c.movingList(s, problem.Why)
}

// refused is the error for a list whose server refuses a request that it needs.
func (c *endpoint) refused(s listing.State, refusal error) error {
	f, ok := errors.AsType[*failure](refusal)
	if !ok || s.At == 0 {
		return refusal
	}
	if total, known := s.Counted(); known && total > s.Users {
		return f.with(c.kind.words(fmt.Sprintf("It reports %d {users} and has listed %d of them, so the list is incomplete and is not used.", total, s.Users)))
	}
	return f.with(c.kind.words(fmt.Sprintf("It has listed %d {users} until then, and there may be more, so the list is not used.", s.Users)))
}

// shortList is the error for a list that has fewer entries than the app counts, the same in
// several readings. at is where it lacks one.
func (c *endpoint) shortList(s listing.State, at gap) error {
	missing := s.Total - s.Users
	if s.At > s.Users {
		return c.failf(codes.Aborted,
			"%s has %d of its {users} on two pages and lacks %d of the %d that it counts, the same in %d readings: its list has no steady order, changes with each page, or gives two {users} the same id. It is incomplete, so it is not used. Run the sync again at a quieter time; if it happens again, ask the app's support.",
			c.place(), s.At-s.Users, missing, s.Total, s.Agreed())
	}
	f := c.failf(codes.DataLoss,
		"%s reports %d {users} and lists %d of them, the same in %d readings. The list is incomplete, so it is not used.",
		c.place(), s.Total, s.Users, s.Agreed())
	switch {
	case c.isCutOff(s):
		f = c.failf(codes.DataLoss,
			"%s reports %d {users} but lists none from startIndex %d on: it lists %d, the same in %d readings. The list is incomplete, so it is not used.",
			c.place(), s.Total, s.At+1, s.Users, s.Agreed())
	case at.from > 0 && at.from == at.to && missing > 1:
		f = f.with(fmt.Sprintf("The first one is missing at startIndex %d: asked for it alone, the app sends none.", at.from))
	case at.from > 0 && at.from == at.to:
		f = f.with(fmt.Sprintf("The missing one is at startIndex %d: asked for it alone, the app sends none.", at.from))
	case at.from > 0:
		f = f.with(fmt.Sprintf("One is missing between startIndex %d and %d: that page is shorter than it should be.", at.from, at.to))
	}
	f = f.with(c.kind.words("Ask the app's support why it counts {users} that it does not list."))
	switch {
	case !c.kind.mayBeHidden || missing >= s.Users: // It is cut short.
	case c.rules.Hidden > 0:
		f = f.with(fmt.Sprintf("%s accepts %d, and %d are missing.", hiddenField, c.rules.Hidden, missing))
	default:
		f = f.with(c.kind.words(fmt.Sprintf("If it is right that it never lists %d of its {users}, put %d into %s.", missing, missing, hiddenField)))
	}
	return f
}

// isCutOff reports whether a list by index that lacks entries lacks them at its end.
func (c *endpoint) isCutOff(s listing.State) bool {
	return s.Signs&listing.SignMoved == 0 && s.Traits&listing.TraitCursor == 0
}

// movingList is the error for a list of which no reading can be trusted.
func (c *endpoint) movingList(s listing.State, why listing.Why) error {
	sorted := ""
	if s.Pass > listing.PlainPasses {
		sorted = ", and also when it was sorted"
	}
	if why == listing.WhyResumed {
		return c.failf(codes.Aborted,
			"reading the list of {users} of %s was interrupted, and no two of %d readings found the same {users}, so it may be incomplete and is not used. Run the sync again.",
			c.place(), s.Pass)
	}
	return c.failf(codes.Aborted,
		"the list of {users} of %s changed while it was read, %d times in a row%s (the last time: %s), so it may be incomplete and is not used. Run the sync again at a quieter time.",
		c.place(), min(s.Pass, listing.PlainPasses), sorted, c.kind.words(whyWords(why)))
}

func probeWords(probe listing.Ask) string {
	switch probe {
	case listing.AskZero:
		return "startIndex 0: it counts from 0, although SCIM counts from 1"
	case listing.AskBeyond:
		return "what follows where a page should have ended that was longer than asked for"
	default:
		return "them sorted by id"
	}
}

// whyActive is a reason that only this package knows.
const whyActive listing.Why = 0

// whyWords has {user} and {users} in it, for kind.words.
func whyWords(why listing.Why) string {
	switch why {
	case listing.WhyMoved:
		return "a page did not begin where the one before ended"
	case listing.WhyTwice:
		return "a {user} was on two pages"
	case listing.WhyShort:
		return "the list ended early"
	case listing.WhyTotal:
		return "the number of {users} changed"
	case listing.WhyApart:
		return "the app's pages cannot overlap, and no two readings found the same {users}"
	default:
		return "the attribute active came up, which no {user} had before"
	}
}

// reportEnd logs what proves that the list is complete, or that nothing does.
func (b *batch) reportEnd(ctx context.Context, of *kind) {
	l := ctxzap.Extract(ctx).With(zap.String("list", of.many), zap.Int("resources", b.end.State.Users), zap.String("evidence", b.end.Grade().String()))
	if b.end.Grade() == listing.Proven {
		l.Info("scim: the list is complete")
		return
	}
	l = l.With(zap.String("reason", of.words(b.end.Reason())))
	if b.end.Doubts&listing.DoubtHidden != 0 {
		l.Warn("scim: the app counts users that it does not list, no more than scim-hidden-users accepts; they are missing",
			zap.Int("counted", b.end.State.Total), zap.Int("missing", b.end.State.Total-b.end.State.Users))
		return
	}
	l.Warn("scim: nothing contradicts that the list is complete, and nothing proves it")
}

// annotations are those of the answer with a batch: the app's rate limit, and on the last
// batch the evidence that the list is complete.
func (b *batch) annotations(of *kind) annotations.Annotations {
	annos := rateLimitOf(b.header)
	if b.end == nil {
		return annos
	}
	evidence := &pluginv1.Evidence{Grade: pluginv1.EvidenceGrade_EVIDENCE_GRADE_PROVEN, Resources: int64(b.end.State.Users)}
	if b.end.Grade() != listing.Proven {
		evidence.Grade, evidence.Reason = pluginv1.EvidenceGrade_EVIDENCE_GRADE_UNPROVEN, of.words(b.end.Reason())
	}
	annos.Append(evidence)
	return annos
}

// checkEnd makes sure that what was read to its end is a list of what was asked for, and
// that accounts can be matched with people.
func (c *endpoint) checkEnd(p position) error {
	switch received := p.State.At; {
	case received > 0 && !p.Facts.has(factOwn):
		return c.failf(codes.FailedPrecondition,
			"%s lists %d resources as its {users}, and all of them are {groups}. Is %s right?%s",
			c.place(), received, baseURLField, c.pathHint())
	case received > 0 && !p.Facts.has(factLogin):
		return c.failf(codes.FailedPrecondition,
			"%s lists {users} (%d), and none of them has a userName, so no {account} could be matched with a person. The list is not used. Let the app send userName over SCIM; if its {users} sign in with another attribute, put that into %s, where the connector has this field.",
			c.place(), received, loginField)
	}
	return nil
}
