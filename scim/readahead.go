package scim

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/scim/internal/listing"
)

const (
	// defaultReadAhead is how many pages may be in flight unless Options set it
	// otherwise, maxReadAhead how many may be at most.
	defaultReadAhead = 16
	maxReadAhead     = 32
	// A listing begins with so many in flight, and with another one for every
	// openEvery answers that came about as fast as the fastest: within openFactor
	// times its time, or within openAnswer.
	openWindow = 4
	openEvery  = 2
	openFactor = 2
	openAnswer = 50 * time.Millisecond
	// An answer is slow if it takes this many times as long as the fastest so
	// far, and this long at least.
	slowFactor = 4
	slowAnswer = time.Second
	// recovery is how many good answers in a row let one more page be in flight,
	// after the app was slow or refused.
	recovery = 16
)

// pace is how many pages of a listing may be in flight. It outlives a batch.
type pace struct {
	// limit is how many may be at most, window how many may be now.
	limit, window int
	good          int
	fastest       time.Duration
	// strained means that the app was slow or refused, costly that more in flight take
	// more connections.
	strained, costly bool
	// length is how many entries the last page had; 0 if there was none.
	length int
}

func newPace(limit int) pace { return pace{limit: limit, window: min(openWindow, limit)} }

// answered narrows the window after a refusal or a slow answer and widens it after
// good ones: slowly, once there was one of the former.
func (p *pace) answered(took time.Duration, err error) {
	if err != nil {
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
			p.window, p.good, p.strained = 1, 0, true
		}
		return
	}
	if p.fastest == 0 || took < p.fastest {
		p.fastest = took
	}
	if took > slowAnswer && took > slowFactor*p.fastest {
		p.window, p.good, p.strained = max(1, p.window/2), 0, true
		return
	}
	enough := recovery
	if !p.strained {
		if p.costly || took > openAnswer && took > openFactor*p.fastest {
			return
		}
		enough = openEvery
	}
	if p.good++; p.good >= enough {
		p.window, p.good = min(p.limit, p.window+1), 0
	}
}

// sequential ends reading ahead for the rest of the listing.
func (p *pace) sequential() { p.limit, p.window = 1, 1 }

// pageLife is how long a page may have been waiting when it is needed: what the
// host asks for after a long pause, the app is asked for again.
const pageLife = time.Minute

// readAhead fetches the pages of one listing, some of them before they are needed:
// also those of the next batch, while the host stores this one. It holds no more
// pages than may be in flight. It belongs to a session, so it is used by one
// goroutine at a time.
type readAhead struct {
	endpoint *endpoint
	pace     pace
	wait     sync.WaitGroup
	// ahead are the pages in flight, or arrived and not needed yet, by index.
	ahead map[int]*flight
}

// flight is a page that was asked for.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
	// What follows is set when done is closed.
	page    *page
	err     error
	took    time.Duration
	arrived time.Time
}

func newReadAhead(endpoint *endpoint) *readAhead {
	return &readAhead{endpoint: endpoint, pace: newPace(endpoint.readAhead), ahead: map[int]*flight{}}
}

// drop ends the requests in flight and waits for their goroutines.
func (r *readAhead) drop() {
	for _, f := range r.ahead {
		f.cancel()
	}
	r.wait.Wait()
	clear(r.ahead)
}

// page is the page at s. If it fails, or ctx ends, nothing stays in flight.
//
// Any sign that paging by index is not to be relied on ends reading ahead, and
// so does a page that is not as long as the one before.
func (r *readAhead) page(ctx context.Context, s listing.State) (*page, error) {
	asked := r.endpoint.rules.Request(s)
	if !s.Steady() {
		r.drop()
		r.pace.sequential()
	}
	f := r.ahead[asked.Start]
	switch {
	case f == nil && len(r.ahead) > 0:
		r.drop()
		r.pace.sequential()
	case f != nil && f.old():
		r.drop()
		f = nil
	}
	if f == nil {
		f = r.fetch(ctx, asked, s.IsBegun())
		r.ahead[asked.Start] = f
	}
	r.launch(ctx, s)
	select {
	case <-f.done:
	case <-ctx.Done():
		r.drop()
		return nil, r.endpoint.requestFailure(ctx, request{isList: true}, ctx.Err())
	}
	f.cancel()
	delete(r.ahead, asked.Start)

	r.pace.costly = r.endpoint.dials.Load()
	r.pace.answered(f.took, f.err)
	if f.err != nil {
		r.drop()
		return nil, f.err
	}
	r.pace.length = len(f.page.entries)
	return f.page, nil
}

// launch asks for the pages behind the one at s, as many as the pace allows.
func (r *readAhead) launch(ctx context.Context, s listing.State) {
	total, known := s.Promised()
	if !known || r.pace.length < 2 {
		return
	}
	for k := 1; k < r.pace.window; k++ {
		next := s.Later(k * (r.pace.length - 1))
		// The last page ends at the total. What makes sure that nothing follows begins
		// with its last user, wherever that page began.
		atEnd := next.At >= total
		if atEnd {
			next = s.Later(total - s.At)
		}
		if next.At <= s.At {
			return // More came than the total.
		}
		if asked := r.endpoint.rules.Request(next); r.ahead[asked.Start] == nil {
			r.ahead[asked.Start] = r.fetch(ctx, asked, true)
		}
		if atEnd {
			return
		}
	}
}

// fetch asks for a page, which may be for another call than this one: it goes on
// when ctx ends, until it is dropped. isLater means that the app has answered a request for
// the list before.
func (r *readAhead) fetch(ctx context.Context, asked listing.Request, isLater bool) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{cancel: cancel, done: make(chan struct{})}
	r.wait.Go(func() {
		defer close(f.done)
		begin := time.Now()
		f.page, f.err = r.endpoint.list(ctx, asked, isLater)
		f.arrived = time.Now()
		f.took = f.arrived.Sub(begin)
	})
	return f
}

// old reports whether the page arrived too long ago.
func (f *flight) old() bool {
	select {
	case <-f.done:
		return time.Since(f.arrived) > pageLife
	default:
		return false
	}
}
