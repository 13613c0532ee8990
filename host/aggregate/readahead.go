package aggregate

import (
	"context"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// DefaultReadAhead is how many pages are worth being asked for ahead of need:
	// the plugin works on one while the syncer writes another.
	DefaultReadAhead = 1
	// MostReadAhead is how many pages may be at most. Each is held in memory.
	MostReadAhead = 2
)

// readAhead asks a plugin for the next page of a listing while the syncer stores
// the one before. It holds a bounded number of pages for the whole plugin, asks for
// none behind an error, and hands an error over as what the first attempt of the
// call came to, so that the policy for retries stays in one place.
type readAhead struct {
	conn   grpc.ClientConnInterface
	policy RetryPolicy
	most   int

	running sync.WaitGroup
	mu      sync.Mutex
	closed  bool
	pages   map[string]*pageAhead // by what is going to be asked
}

// pageAhead is a page that was asked for ahead of need.
type pageAhead struct {
	method  string
	request proto.Message
	opts    []grpc.CallOption
	cancel  context.CancelFunc

	done chan struct{}
	// What follows is set when done is closed.
	reply proto.Message
	err   error
	took  time.Duration
}

func newReadAhead(conn grpc.ClientConnInterface, policy RetryPolicy, most int) *readAhead {
	return &readAhead{conn: conn, policy: policy, most: min(most, MostReadAhead), pages: map[string]*pageAhead{}}
}

// readsAhead are the listings that can be long. Resource types are read to their
// end at once.
func readsAhead(method string) bool {
	return listing(method) && method != v2.ResourceTypesService_ListResourceTypes_FullMethodName
}

// take hands out the page that was asked for by this request; nil if there is none.
func (a *readAhead) take(method string, request proto.Message) *pageAhead {
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

// wait puts the page into reply, which then shares the page's memory. It returns
// how long the plugin took for it.
func (p *pageAhead) wait(ctx context.Context, reply proto.Message) (time.Duration, error) {
	defer p.cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if p.err != nil {
		return p.took, p.err
	}
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

// next asks for the page behind this one, unless there are enough already. What it
// begins does not end with ctx but with close.
func (a *readAhead) next(ctx context.Context, method string, request, reply proto.Message, opts []grpc.CallOption) {
	if a.most < 1 || !readsAhead(method) {
		return
	}
	token := nextOf(reply)
	if token == "" {
		return
	}
	following := proto.Clone(request)
	paged, ok := following.(interface{ SetPageToken(token string) })
	if !ok {
		return
	}
	paged.SetPageToken(token)
	key, ok := keyOf(method, following)
	if !ok {
		return
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	if known := a.pages[key]; known != nil {
		// It goes on by itself, unless it had to stop for want of room.
		select {
		case <-known.done:
			a.running.Go(func() { a.follow(ctx, known) })
		default:
		}
		return
	}
	if len(a.pages) >= a.most {
		return
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	page := &pageAhead{method: method, request: following, opts: opts, cancel: cancel, done: make(chan struct{})}
	a.pages[key] = page
	answer := reply.ProtoReflect().New().Interface()
	a.running.Go(func() {
		begin := time.Now()
		page.err = a.policy.once(running, func(ctx context.Context) error {
			return a.conn.Invoke(ctx, method, following, answer, opts...)
		})
		page.reply, page.took = answer, time.Since(begin)
		close(page.done)
		a.follow(ctx, page)
	})
}

// follow goes on behind a page that has arrived, as far as there is room.
func (a *readAhead) follow(ctx context.Context, page *pageAhead) {
	if page.err == nil && a.most > 1 {
		a.next(ctx, page.method, page.request, page.reply, page.opts)
	}
}

// stop drops what was asked for, and nothing is asked ahead any more.
func (a *readAhead) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, page := range a.pages {
		page.cancel()
	}
	clear(a.pages)
}

// close is stop, and waits until nothing is in flight. Nobody may be waiting for a
// page any more.
func (a *readAhead) close() {
	a.stop()
	a.running.Wait()
}

// keyOf tells requests apart.
func keyOf(method string, request proto.Message) (string, bool) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	return method + "\x00" + string(raw), err == nil
}
