package policy

import (
	"context"
	"slices"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	// DefaultIdleTimeout is how long a listing may go on without a row where a
	// Plugin does not say.
	DefaultIdleTimeout = 30 * time.Minute
	// DefaultMaxRows is how many rows a listing may have where a Plugin does not say.
	DefaultMaxRows = 20_000_000
)

// ListingLimit limits how many listings of a plugin go on at the same time, over all
// syncs. *supervise.Plugin is one.
type ListingLimit interface {
	// BeginListing waits until a listing may begin. end is called once, when it has
	// ended.
	BeginListing(ctx context.Context) (end func(), err error)
}

// Listings are the listings of one plugin in one sync that have begun and not
// ended yet: each is the pages of one request, from the first to the last. They keep
// their place in the plugin's limit from page to page, and they are where a listing that never ends
// is noticed. They are safe for concurrent use.
type Listings struct {
	instance string       // of the plugin
	limit    ListingLimit // nil: none
	// idle is how long a listing may go on without a row: a plugin that goes on
	// returning page tokens and no rows would keep a sync from its end for ever.
	idle    time.Duration
	maxRows int64

	mu     sync.Mutex
	closed bool
	next   map[string][]*Listing // by the request for the page that goes on with it
}

// abandoned is how long the syncer may leave a listing between two pages while another
// waits for its place. It asks for the next page as soon as it has stored the last, so
// one that it has not asked for by then it will not ask for any more.
const abandoned = time.Minute

// Listing is one of them. Only the call for its current page uses it.
type Listing struct {
	end      func()    // gives its place back; nil: it has none
	progress *progress // also of the cursors that its pages enqueued
	since    time.Time // when it was last given back a page

	// A token that comes again is a circle. These find one of any period after at
	// most three times as many pages, in constant memory (Brent's algorithm).
	mark         string
	steps, power int
}

// progress is how far a listing has come, with all cursors that its pages enqueued.
type progress struct {
	mu   sync.Mutex
	rows int64
	idle time.Duration // what the calls since the last row took
}

// Rows is how many rows the listing has had, with those of the cursors that its pages
// enqueued.
func (l *Listing) Rows() int64 {
	l.progress.mu.Lock()
	defer l.progress.mu.Unlock()
	return l.progress.rows
}

// add counts a page and returns what there is now.
func (p *progress) add(rows int, took time.Duration) (all int64, idle time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows += int64(rows)
	p.idle += took
	if rows > 0 {
		p.idle = 0
	}
	return p.rows, p.idle
}

// NewListings returns the listings of a plugin; no limit is nil, and an idle time or a
// number of rows of zero or less has its default.
func NewListings(instance string, limit ListingLimit, idle time.Duration, maxRows int64) *Listings {
	o := &Listings{instance: instance, limit: limit, idle: idle, maxRows: maxRows, next: map[string][]*Listing{}}
	if o.idle <= 0 {
		o.idle = DefaultIdleTimeout
	}
	if o.maxRows <= 0 {
		o.maxRows = DefaultMaxRows
	}
	return o
}

// Begin returns the listing that this request goes on with or begins. One that begins
// waits for its place. The caller passes it to Page or Drop.
func (o *Listings) Begin(ctx context.Context, method string, request proto.Message) (*Listing, error) {
	listing := o.take(method, request)
	if listing == nil {
		listing = &Listing{progress: &progress{}, power: 1, mark: tokenOf(request)}
	}
	if listing.end == nil && o.limit != nil {
		stop := o.whileWaiting(ctx)
		end, err := o.limit.BeginListing(ctx)
		stop()
		if err != nil {
			return nil, err
		}
		listing.end = end
	}
	return listing, nil
}

// whileWaiting logs, every minute, that a listing waits for its place, and ends those of
// this sync that keep it from others although nothing goes on with them. stop must be
// called.
func (o *Listings) whileWaiting(ctx context.Context) (stop func()) {
	ticker := time.NewTicker(abandoned)
	done := make(chan struct{})
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				ctxzap.Extract(ctx).Info("a listing waits until another one of the plugin has ended", zap.String("plugin", o.instance))
				o.dropAbandoned(now.Add(-abandoned))
			}
		}
	}()
	return func() { close(done) }
}

// dropAbandoned ends the listings whose last page was given back before a time.
func (o *Listings) dropAbandoned(before time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, waiting := range o.next {
		o.next[key] = slices.DeleteFunc(waiting, func(listing *Listing) bool {
			stale := listing.end != nil && listing.since.Before(before)
			if stale {
				o.Drop(listing)
			}
			return stale
		})
		if len(o.next[key]) == 0 {
			delete(o.next, key)
		}
	}
}

func (o *Listings) take(method string, request proto.Message) *Listing {
	if tokenOf(request) == "" {
		return nil
	}
	key, ok := keyOf(method, request)
	if !ok {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	waiting := o.next[key]
	if len(waiting) == 0 {
		return nil
	}
	if len(waiting) == 1 {
		delete(o.next, key)
	} else {
		o.next[key] = waiting[1:]
	}
	return waiting[0]
}

// Page takes a page of the listing in, for which the plugin was called for that long:
// waits between calls, such as for an app's rate limit, do not count. It returns the
// request for the page behind it, nil where there is none and the listing has ended; or
// why the listing must not go on, and then it has ended too.
func (o *Listings) Page(listing *Listing, method string, request, reply proto.Message, took time.Duration) (*NextPage, *Refusal) {
	if refusal := o.refusal(listing, reply, took); refusal != nil {
		o.Drop(listing)
		return nil, refusal
	}
	for _, token := range enqueued(reply) {
		// It is read beside this one, and counted with it.
		if sibling := behind(method, request, token); sibling != nil {
			o.add(sibling.key, &Listing{progress: listing.progress, power: 1, mark: token})
		}
	}
	after := behind(method, request, nextOf(reply))
	if after == nil || !o.add(after.key, listing) {
		o.Drop(listing)
	}
	return after, nil
}

// add returns false if nothing may be left open any more.
func (o *Listings) add(key string, listing *Listing) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	listing.since = time.Now()
	if !o.closed {
		o.next[key] = append(o.next[key], listing)
	}
	return !o.closed
}

// refusal returns why a listing would never end; nil if nothing shows that.
func (o *Listings) refusal(listing *Listing, reply proto.Message, took time.Duration) *Refusal {
	token := nextOf(reply)
	rows, idle := listing.progress.add(rowsIn(reply), took)
	if rows > o.maxRows {
		return &Refusal{
			Code:   codes.Internal,
			Format: "it lists more than %d rows, so it is taken for a listing that never ends; if the app has so many, raise max-rows of the plugin's entry",
			Args:   []any{o.maxRows},
		}
	}
	if token == "" && len(enqueued(reply)) == 0 {
		return nil
	}
	if listing.comesRound(token) {
		return &Refusal{Code: codes.Internal, Format: "its page tokens come round in a circle, so the listing would never end; this is a fault of the connector"}
	}
	if idle > o.idle {
		return &Refusal{
			Code:   codes.Aborted,
			Format: "it has given no row for %s of its time, only page tokens; if the app needs that long, raise its idle-timeout",
			Args:   []any{o.idle},
		}
	}
	return nil
}

func (l *Listing) comesRound(token string) bool {
	if token == "" {
		return false
	}
	if token == l.mark {
		return true
	}
	l.steps++
	if l.steps == l.power {
		l.mark, l.steps, l.power = token, 0, 2*l.power
	}
	return false
}

// Drop ends a listing that does not go on.
func (o *Listings) Drop(listing *Listing) {
	if listing.end != nil {
		listing.end()
		listing.end = nil
	}
}

// Close ends the listings that are between two pages, and leaves none open any more.
func (o *Listings) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, waiting := range o.next {
		for _, listing := range waiting {
			o.Drop(listing)
		}
	}
	clear(o.next)
}

// IsLastPage says whether a page of a listing is its last one, or the last one of a cursor
// that the pages of a listing enqueued.
func IsLastPage(reply proto.Message) bool {
	paged, ok := reply.(interface{ GetNextPageToken() string })
	return ok && paged.GetNextPageToken() == "" && len(enqueued(reply)) == 0
}

// NextPage is the request for the page behind another, and its key.
type NextPage struct {
	request proto.Message
	key     string
}

// behind returns the request for the page of the same listing at a token; nil where
// there is none.
func behind(method string, request proto.Message, token string) *NextPage {
	if token == "" {
		return nil
	}
	after := proto.Clone(request)
	paged, ok := after.(interface{ SetPageToken(token string) })
	if !ok {
		return nil
	}
	paged.SetPageToken(token)
	key, ok := keyOf(method, after)
	if !ok {
		return nil
	}
	return &NextPage{request: after, key: key}
}

// keyOf distinguishes requests.
func keyOf(method string, request proto.Message) (string, bool) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	return method + "\x00" + string(raw), err == nil
}

// enqueued are the tokens of the cursors that a page has the syncer read beside this
// one (the SDK's EnqueuePageTokens).
func enqueued(reply proto.Message) []string {
	page, ok := reply.(interface{ GetAnnotations() []*anypb.Any })
	if !ok {
		return nil
	}
	more := &v2.EnqueuePageTokens{}
	annos := annotations.Annotations(page.GetAnnotations())
	if found, err := annos.Pick(more); err != nil || !found {
		return nil // The syncer refuses one that cannot be decoded.
	}
	return more.GetPageTokens()
}

func tokenOf(request proto.Message) string {
	page, ok := request.(interface{ GetPageToken() string })
	if !ok {
		return ""
	}
	return page.GetPageToken()
}

func nextOf(reply proto.Message) string {
	page, ok := reply.(interface{ GetNextPageToken() string })
	if !ok {
		return ""
	}
	return page.GetNextPageToken()
}

// rowsIn is how many rows a page of any listing has: they are all called list.
func rowsIn(reply proto.Message) int {
	message := reply.ProtoReflect()
	list := message.Descriptor().Fields().ByName("list")
	if list == nil || !list.IsList() {
		return 0
	}
	return message.Get(list).List().Len()
}
