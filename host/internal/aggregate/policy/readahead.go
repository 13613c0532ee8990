package policy

import (
	"context"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MostReadAhead is how many pages may be asked for ahead of need, at most. Each is kept
// in memory; one has the plugin work while the syncer writes another.
const MostReadAhead = 2

// ReadAhead asks a plugin for the next page of a listing while the syncer stores
// the one before. It keeps a bounded number of pages for the whole plugin, asks for
// none behind an error, and returns an error as what the first attempt of the
// call came to, so that the policy for retries stays in one place. It is safe for
// concurrent use.
type ReadAhead struct {
	conn    grpc.ClientConnInterface
	retries Retries
	most    int

	running sync.WaitGroup
	mu      sync.Mutex
	closed  bool
	pages   map[string]*PageAhead // by what is going to be asked
	kept    map[string]*PageAhead // the same for Keep
}

// PageAhead is a page that was asked for ahead of need.
type PageAhead struct {
	ctx     context.Context //nolint:containedctx // Of the call, which ends with cancel.
	method  string
	request proto.Message
	opts    []grpc.CallOption
	cancel  context.CancelFunc

	done chan struct{}
	// What follows is set when done is closed.
	reply   proto.Message
	err     error
	took    time.Duration
	arrived time.Time
}

// forgotten is how long a page waits for the syncer before another may have its
// place: a listing that is left in the middle leaves one behind.
const forgotten = time.Minute

// NewReadAhead returns one that keeps so many pages at most; 0 asks for none.
func NewReadAhead(conn grpc.ClientConnInterface, retries Retries, most int) *ReadAhead {
	return &ReadAhead{conn: conn, retries: retries, most: min(most, MostReadAhead), pages: map[string]*PageAhead{}, kept: map[string]*PageAhead{}}
}

// readsAhead are the listings that can be long. Resource types are read to their
// end at once.
func readsAhead(method string) bool {
	return IsListing(method) && method != v2.ResourceTypesService_ListResourceTypes_FullMethodName
}

// Take returns the page that was asked for by this request; nil if there is none.
func (a *ReadAhead) Take(method string, request proto.Message) *PageAhead {
	if a.most < 1 || !readsAhead(method) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pages) == 0 {
		return nil
	}
	key, ok := keyOf(method, request)
	if !ok {
		return nil
	}
	page := a.pages[key]
	delete(a.pages, key)
	return page
}

// Wait puts the page into reply, which then shares the page's memory. It returns
// how long the plugin took for it.
func (p *PageAhead) Wait(ctx context.Context, reply proto.Message) (time.Duration, error) {
	defer p.cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if p.err != nil {
		return p.took, p.err
	}
	proto.Reset(reply) // An attempt before this one may have left something.
	move(reply.ProtoReflect(), p.reply.ProtoReflect())
	return p.took, nil
}

// move puts the fields of one message into another, without copying what they hold.
func move(to, from protoreflect.Message) {
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		to.Set(field, value)
		return true
	})
	to.SetUnknown(from.GetUnknown())
}

// Next asks for the page behind this one, unless there are enough already. What it
// begins does not end with ctx but with Close.
func (a *ReadAhead) Next(ctx context.Context, method string, after *NextPage, kind proto.Message, opts []grpc.CallOption) {
	if a.most < 1 || !readsAhead(method) || after == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ask(ctx, method, after, kind, opts)
}

// ask asks for a page, unless there are enough already. The caller has locked mu.
func (a *ReadAhead) ask(ctx context.Context, method string, of *NextPage, kind proto.Message, opts []grpc.CallOption) {
	if a.closed {
		return
	}
	key, request := of.key, of.request
	if known := a.pages[key]; known != nil {
		// It goes on by itself, unless it had to stop for want of room.
		if known.isDone() {
			a.running.Go(func() { a.follow(ctx, key, known) })
		}
		return
	}
	a.makeRoom()
	if len(a.pages) >= a.most {
		return
	}
	page := newPageAhead(ctx, method, request, opts)
	a.pages[key] = page
	answer := kind.ProtoReflect().New().Interface()
	a.running.Go(func() {
		a.fetch(page, answer)
		a.follow(ctx, key, page)
	})
}

// newPageAhead returns a page that does not end with ctx.
func newPageAhead(ctx context.Context, method string, request proto.Message, opts []grpc.CallOption) *PageAhead {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return &PageAhead{ctx: running, method: method, request: request, opts: opts, cancel: cancel, done: make(chan struct{})}
}

// fetch makes the call for a page.
func (a *ReadAhead) fetch(page *PageAhead, answer proto.Message) {
	begin := time.Now()
	page.err = a.retries.once(page.ctx, func(ctx context.Context) error {
		return a.conn.Invoke(ctx, page.method, page.request, answer, page.opts...)
	})
	page.arrived = time.Now()
	page.reply, page.took = answer, page.arrived.Sub(begin)
	close(page.done)
}

// Keep asks for the first page of a listing that is asked for later, whatever else is kept, and
// puts the answer into reply. TakeKept returns it.
func (a *ReadAhead) Keep(ctx context.Context, method string, request, reply proto.Message) {
	key, ok := keyOf(method, request)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ok || a.closed || a.kept[key] != nil {
		return
	}
	page := newPageAhead(ctx, method, request, nil)
	a.kept[key] = page
	a.running.Go(func() { a.fetch(page, reply) })
}

// TakeKept returns the page that Keep has asked for by this request; nil if there is none.
func (a *ReadAhead) TakeKept(method string, request proto.Message) *PageAhead {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.kept) == 0 {
		return nil
	}
	key, ok := keyOf(method, request)
	if !ok {
		return nil
	}
	page := a.kept[key]
	delete(a.kept, key)
	return page
}

// makeRoom drops pages that were not taken. The caller has locked mu.
func (a *ReadAhead) makeRoom() {
	for key, page := range a.pages {
		if page.isDone() && time.Since(page.arrived) > forgotten {
			page.cancel()
			delete(a.pages, key)
		}
	}
}

func (p *PageAhead) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// follow goes on behind a page that has arrived and is still waiting, as far as there
// is room. Behind one that was taken the caller of Take goes on.
func (a *ReadAhead) follow(ctx context.Context, key string, page *PageAhead) {
	if page.err != nil || a.most < 2 {
		return
	}
	after := behind(page.method, page.request, nextOf(page.reply))
	if after == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pages[key] == page {
		a.ask(ctx, page.method, after, page.reply, page.opts)
	}
}

// Stop drops what was asked for, and nothing is asked ahead any more.
func (a *ReadAhead) Stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, pages := range []map[string]*PageAhead{a.pages, a.kept} {
		for _, page := range pages {
			page.cancel()
		}
		clear(pages)
	}
}

// Close is Stop, and waits until nothing is in flight. No caller may be waiting for a
// page any more.
func (a *ReadAhead) Close() {
	a.Stop()
	a.running.Wait()
}
