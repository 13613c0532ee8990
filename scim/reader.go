package scim

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

// What one batch holds at most. Large batches spare round trips to the host;
// stand-alone, a reply must stay below gRPC's 4 MiB.
const (
	maxBatchResources = 1000
	maxBatchBytes     = 2 << 20
	// maxBatchTime is how long pages are added to a batch, so that a slow app
	// shows progress.
	maxBatchTime = 20 * time.Second
)

// reader reads all entries of an endpoint in batches. The page token holds all
// that is needed to go on; what a session adds spares repeating work.
type reader struct {
	endpoint *endpoint
	journal  journal

	mu   sync.Mutex
	kept *session
}

// session is what one process knows of a listing besides the page token. Where
// it is lost (by a restart, by another sync of the same connector in between,
// or because the host repeats a token), the listing goes on at the token and
// is confirmed by another pass.
type session struct {
	// token is the page token that the session goes on at.
	token string
	seen  *idSet
	// whole means that seen has been kept from the listing's beginning.
	whole bool
	// ahead has the pages that were asked for already.
	ahead *readAhead
	// unused drops what is ahead, where no call goes on.
	unused *time.Timer
	// held is a page of which a part is delivered.
	held *heldPage
	// refusal is the error of the first of the last requests that were refused.
	refusal error
	// spans are the pages of the pass so far.
	spans spans
	// logged is how much of the journal is about it, in bytes; less than zero if
	// the journal could not be written.
	logged int64
}

// heldPage spares fetching a page again for each part of it.
type heldPage struct {
	page *page
	step listing.Step
}

// batch is what one call delivers.
type batch struct {
	resources []*v2.Resource
	// next is the page token to go on with; empty at the end.
	next string
	// header is the header of the last answer.
	header http.Header
	// end is how the listing ended; nil if it goes on.
	end *listing.End

	// seen are the ids of the entries of the listing so far; all of them, if whole
	// is true and next is empty. Otherwise another process has read some.
	seen  *idSet
	whole bool

	bytes int
	byID  map[string]int
	// entries are those that resources were made of, in any order.
	entries []entry
	// read are the entries of the batch and those passed over, for the journal.
	read []sighting
	// guessed are entries without active in a list in which none had it so far, by
	// their place in resources.
	guessed map[int]entry
	// unclear counts accounts whose active is neither true nor false, replaced
	// those that came twice and not the same, and silent, at the end of a listing,
	// those of it that lack active although others have it. masked counts resources of
	// which a text was masked.
	unclear, replaced, silent, masked int
	// lossy means that texts of the page that is added may have lost characters, and
	// garbled counts accounts of which they name the account.
	lossy   bool
	garbled int
}

// read delivers the batch at a page token, "" for the first.
//
// It returns with part of a batch rather than lose what was read, if the app
// fails in the middle in a way that may pass: the next call meets the failure
// again, or not.
func (l *reader) read(ctx context.Context, token string) (*batch, error) {
	p, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	s, ours := l.session(&p, token)
	b := &batch{byID: map[string]int{}, guessed: map[int]entry{}, seen: s.seen, whole: s.whole}
	defer b.report(ctx)
	pages, complete, err := l.fill(ctx, b, s, &p)
	switch {
	case err != nil:
		s.ahead.drop()
		if ours && pages == 0 {
			l.keep(s, token) // nothing is lost yet
		}
		return nil, err
	case complete:
		s.ahead.drop()
		l.journal.finish(p.Run)
		if p.Facts.has(factActive) {
			b.silent = p.Silent
		}
		if l.endpoint.rules.Probes > 0 {
			b.reportEnd(ctx, l.endpoint.kind)
		}
		return b, nil
	}
	return l.deliver(b, s, p), nil
}

// fill reads pages into a batch, until it is full, the listing is complete or the
// app fails. It moves p behind what it has read.
func (l *reader) fill(ctx context.Context, b *batch, s *session, p *position) (pages int, complete bool, err error) {
	for begin := time.Now(); ; pages++ {
		pass := p.pass()
		pg, next, err := l.page(ctx, s, p)
		switch {
		case err != nil && pages > 0 && ctx.Err() == nil && mayPass(err):
			return pages, false, nil
		case err != nil:
			return pages, false, err
		}
		if pg.header != nil {
			b.header = pg.header
		}
		b.lossy = pg.lossy
		if p.Facts.has(factActive) {
			if err := b.settle(); err != nil {
				return pages + 1, false, err
			}
		}

		for i := max(p.Skip, next.From); i < len(pg.entries); i++ {
			added, err := b.add(pg.entries[i], s.seen, p)
			if err != nil {
				return pages + 1, false, err
			}
			if !added {
				p.Skip, p.Current = i, pg.sequence
				s.held = &heldPage{page: pg, step: next}
				return pages + 1, false, nil
			}
		}
		if next.End != nil {
			if b.end, err = l.end(p, next.End); b.end != nil || err != nil {
				return pages + 1, err == nil, err
			}
		} else {
			*p = p.at(next.Next)
		}
		if begun := p.pass(); begun != pass {
			why := "one reading does not prove that it is complete"
			if p.Facts.has(factAgain) {
				why = "a user has the attribute active, and some without it were delivered before as enabled"
			}
			ctxzap.Extract(ctx).Info("scim: the list is read again", zap.String("list", l.endpoint.kind.many), zap.Int("pass", begun), zap.String("reason", why))
		}
		if b.full(len(pg.entries)) || time.Since(begin) > maxBatchTime {
			return pages + 1, false, nil
		}
	}
}

// end is how the listing at p ended, or nil if all users have to be delivered once more,
// for the status of some was a guess.
func (l *reader) end(p *position, end *listing.End) (*listing.End, error) {
	if err := l.endpoint.checkEnd(*p); err != nil {
		return nil, err
	}
	if !p.guessed() {
		return end, nil
	}
	next, enough := l.endpoint.rules.Again(end.State)
	if !enough {
		return nil, l.endpoint.movingList(end.State, whyActive)
	}
	*p = p.at(next)
	return nil, nil
}

// session is what is known of the listing at p: ours means that nothing of it was
// lost. A new listing gets a name.
func (l *reader) session(p *position, token string) (s *session, ours bool) {
	if s := l.take(token); s != nil {
		return s, true
	}
	if token == "" {
		p.Run = max(1, rand.Uint64()) //nolint:gosec // A name, not a secret.
		l.journal.begin()
		return &session{seen: newIDSet(), whole: true, ahead: newReadAhead(l.endpoint)}, false
	}
	if s := l.journal.restore(p.Run, token); s != nil {
		s.ahead = newReadAhead(l.endpoint)
		return s, true
	}
	if !p.State.AtStart() || p.Skip > 0 {
		p.resume(l.endpoint.rules)
	}
	return &session{token: token, seen: newIDSet(), ahead: newReadAhead(l.endpoint)}, false
}

// deliver hands a batch out, of a listing that goes on at p.
func (l *reader) deliver(b *batch, s *session, p position) *batch {
	if len(b.guessed) > 0 {
		p.Facts |= factGuessed
	}
	b.next = p.token()
	// A session that does not know the listing from its beginning on must not
	// make another process believe that it does.
	if s.whole && s.logged >= 0 {
		s.logged = l.journal.commit(p.Run, s.logged, b.read, b.next)
	}
	l.keep(s, b.next)
	return b
}

// page is the page at p and what follows from it. If a part of it is delivered
// already and it is not the same any more, p goes back to its first resource.
func (l *reader) page(ctx context.Context, s *session, p *position) (*page, listing.Step, error) {
	if held := s.held; held != nil {
		s.held = nil
		return held.page, held.step, nil
	}
	pg, err := s.ahead.page(ctx, p.State)
	if err != nil {
		refusal, refused := refusalOf(*p, err)
		if !refused {
			return nil, listing.Step{}, err
		}
		if s.refusal == nil {
			s.refusal = err
		}
		next, problem := l.endpoint.rules.Next(p.State, listing.Page{Refused: refusal, Holds: -1})
		return &page{}, next, l.problem(ctx, s, problem)
	}
	s.refusal = nil
	s.spans.add(l.endpoint.rules, p.State, pg)
	if p.Skip > 0 && pg.sequence != p.Current {
		p.Skip = 0
	}
	// Also what is not delivered shows what the app knows of its users.
	p.Facts |= pg.facts
	next, err := l.endpoint.rules.Next(p.State, s.observe(*p, pg))
	return pg, next, l.problem(ctx, s, err)
}

// take hands out the session that goes on at a token, nil if there is none.
func (l *reader) take(token string) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.kept
	if s == nil || token == "" || s.token != token {
		return nil
	}
	l.kept = nil
	s.unused.Stop()
	return s
}

// keep keeps a session until the token is handed in again, or another session
// takes its place.
func (l *reader) keep(s *session, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before := l.kept; before != nil && before != s {
		before.ahead.drop()
	}
	s.token = token
	l.kept = s
	// A sync that is broken off leaves its pages here, and the process may go on for
	// long without another.
	s.unused = time.AfterFunc(pageLife, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.kept == s {
			s.ahead.drop()
		}
	})
}

// add puts an entry of the page at p into the batch, unless the batch is full.
// Resources that are of another kind are passed over, and so are those that an earlier
// pass delivered, unless this one delivers them again. Of two with the same id in one
// pass the last counts.
func (b *batch) add(e entry, seen *idSet, p *position) (added bool, err error) {
	key := seenAs(e)
	before := seen.pass(key)
	isNew := before != p.pass()
	if e.foreign() || isNew && before != 0 && !p.Facts.has(factAgain) {
		if isNew {
			b.note(e, key, seen, p)
		}
		return true, nil
	}
	id := e.id()
	made, err := e.resource(p.Facts.has(factActive))
	if err != nil {
		return false, err
	}
	size := proto.Size(made)
	if at, known := b.byID[id]; known {
		if isNew { // It came in the pass before, in this batch.
			b.note(e, key, seen, p)
		}
		if !proto.Equal(b.resources[at], made) {
			b.replaced++
		}
		b.place(at, made, e, *p)
		return true, nil
	}
	if len(b.resources) > 0 && (len(b.resources) >= maxBatchResources || b.bytes+size > maxBatchBytes) {
		return false, nil
	}
	if isNew {
		b.note(e, key, seen, p)
	}
	b.byID[id] = len(b.resources)
	b.resources = append(b.resources, nil)
	b.place(len(b.resources)-1, made, e, *p)
	b.bytes += size
	if e.isMasked() {
		b.masked++
	}
	if e.unclear() {
		b.unclear++
	}
	if b.lossy && e.garbled() != "" {
		b.garbled++
	}
	return true, nil
}

// note notes that this pass has an entry.
func (b *batch) note(e entry, key string, seen *idSet, p *position) {
	seen.add(key, p.pass())
	b.read = append(b.read, sighting{key, p.pass()})
	if !e.foreign() && !e.hasActive() {
		p.Silent++
	}
}

// place puts what was made of an entry where it belongs in the batch, and notes
// whether its status is a guess.
func (b *batch) place(at int, made *v2.Resource, e entry, p position) {
	b.resources[at] = made
	b.entries = append(b.entries, e)
	delete(b.guessed, at)
	if !p.Facts.has(factActive) && !e.hasActive() {
		b.guessed[at] = e
	}
}

// settle makes what was guessed as it is in a list of which others have the attribute
// active.
func (b *batch) settle() error {
	for at, e := range b.guessed {
		made, err := e.resource(true)
		if err != nil {
			return err
		}
		b.resources[at] = made
	}
	clear(b.guessed)
	return nil
}

// full reports whether another page of that many entries is likely not to fit.
func (b *batch) full(entries int) bool {
	return len(b.resources)+entries > maxBatchResources || b.bytes >= maxBatchBytes
}

func (b *batch) report(ctx context.Context) {
	l := ctxzap.Extract(ctx)
	l.Debug("scim: batch read", zap.Int("resources", len(b.resources)), zap.Bool("last", b.next == ""))
	if b.unclear > 0 {
		l.Warn("scim: users whose attribute active is neither true nor false; their status is shown as unspecified",
			zap.Int("resources", b.unclear))
	}
	if b.silent > 0 {
		l.Warn("scim: users without the attribute active, in a list in which others have it; their status is shown as unspecified",
			zap.Int("resources", b.silent))
	}
	if b.garbled > 0 {
		l.Warn("scim: users whose user name, e-mail address, externalId or employeeNumber has the character U+FFFD in it: the app itself has lost what was there",
			zap.Int("resources", b.garbled))
	}
	if b.masked > 0 {
		l.Warn("scim: resources with control characters in their names or attributes, which are shown as U+FFFD", zap.Int("resources", b.masked))
	}
	if b.replaced > 0 {
		l.Warn("scim: resources listed twice with different attributes; the last counts", zap.Int("resources", b.replaced))
	}
}

func mayPass(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}
