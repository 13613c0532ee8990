package scim

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// What one batch holds at most. Large batches spare round trips to the host;
// stand-alone, a reply must stay below gRPC's 4 MiB.
const (
	maxBatchAccounts = 1000
	maxBatchBytes    = 2 << 20
	// maxBatchTime is how long pages are added to a batch, so that a slow app
	// shows progress.
	maxBatchTime = 20 * time.Second
)

// listing reads all users of an app in batches. All of its state is in the page
// token, except for a page that was too large for one batch.
type listing struct {
	client *Client

	mu   sync.Mutex
	held *heldPage
}

// heldPage is a page of which a part is delivered. It spares fetching it again
// for each part; after a restart it is fetched.
type heldPage struct {
	start int
	page  *page
}

// batch is what one call delivers.
type batch struct {
	accounts []*v2.Resource
	// next is the page token to go on with; empty at the end.
	next string
	// header is the header of the last answer.
	header http.Header

	bytes int
	byID  map[string]int
	// unclear counts accounts whose active is neither true nor false, replaced
	// those that came twice and not the same.
	unclear, replaced int
}

// read delivers the batch at a page token, "" for the first.
//
// It returns with part of a batch rather than lose what was read, if the app
// fails in the middle in a way that may pass: the next call meets the failure
// again, or not.
func (l *listing) read(ctx context.Context, token string) (*batch, error) {
	p, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	b := &batch{byID: map[string]int{}}
	defer b.report(ctx)

	for pages := 0; ; pages++ {
		pg, err := l.page(ctx, &p)
		switch {
		case err != nil && p.probing() && isBeyondEnd(err):
			return b, nil
		case err != nil && pages > 0 && ctx.Err() == nil && mayPass(err):
			b.next = p.token()
			return b, nil
		case err != nil:
			return nil, err
		}
		b.header = pg.header

		next, complete, err := l.client.advance(p, pg, b.holdsAll(pg))
		if err != nil {
			return nil, err
		}
		for i := p.Skip; i < len(pg.users); i++ {
			added, err := b.add(&pg.users[i])
			if err != nil {
				return nil, err
			}
			if !added {
				p.Skip, p.Current = i, pg.sequence
				l.hold(p.Start, pg)
				b.next = p.token()
				return b, nil
			}
		}
		if complete {
			return b, nil
		}
		newPass := next.Pass != p.Pass
		p = next
		if newPass || b.full(len(pg.users)) || time.Since(begin) > maxBatchTime {
			b.next = p.token()
			return b, nil
		}
	}
}

// page is the page at p. If a part of it is delivered already and it is not the
// same any more, p goes back to its first resource.
func (l *listing) page(ctx context.Context, p *position) (*page, error) {
	if pg := l.release(p.Start); pg != nil && p.Skip > 0 && pg.sequence == p.Current {
		return pg, nil
	}
	pg, err := l.client.users(ctx, p.Start)
	if err != nil {
		return nil, err
	}
	if p.Skip > 0 && pg.sequence != p.Current {
		p.Skip = 0
	}
	return pg, nil
}

func (l *listing) hold(start int, pg *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = &heldPage{start: start, page: pg}
}

func (l *listing) release(start int) *page {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.held
	l.held = nil
	if held == nil || held.start != start {
		return nil
	}
	return held.page
}

// add puts a user into the batch, unless the batch is full. Resources that are
// no users are passed over. Of two with the same id the last counts.
func (b *batch) add(u *user) (added bool, err error) {
	if !u.isUser() {
		return true, nil
	}
	account, err := u.account()
	if err != nil {
		return false, err
	}
	size := proto.Size(account)
	if at, known := b.byID[string(u.ID)]; known {
		if !proto.Equal(b.accounts[at], account) {
			b.replaced++
		}
		b.accounts[at] = account
		return true, nil
	}
	if len(b.accounts) > 0 && (len(b.accounts) >= maxBatchAccounts || b.bytes+size > maxBatchBytes) {
		return false, nil
	}
	b.byID[string(u.ID)] = len(b.accounts)
	b.accounts = append(b.accounts, account)
	b.bytes += size
	if u.Active == flagUnclear {
		b.unclear++
	}
	return true, nil
}

// full says whether another page of that many users is likely not to fit.
func (b *batch) full(users int) bool {
	return len(b.accounts)+users > maxBatchAccounts || b.bytes >= maxBatchBytes
}

// holdsAll says whether the batch holds every resource of a page already.
func (b *batch) holdsAll(pg *page) bool {
	for i := range pg.users {
		if _, known := b.byID[string(pg.users[i].ID)]; !known {
			return false
		}
	}
	return len(pg.users) > 0
}

func (b *batch) report(ctx context.Context) {
	l := ctxzap.Extract(ctx)
	l.Debug("scim: users read", zap.Int("accounts", len(b.accounts)), zap.Bool("last", b.next == ""))
	if b.unclear > 0 {
		l.Warn("scim: users whose attribute active is neither true nor false; their status is shown as unspecified",
			zap.Int("accounts", b.unclear))
	}
	if b.replaced > 0 {
		l.Warn("scim: users listed twice with different attributes; the last counts", zap.Int("accounts", b.replaced))
	}
}

// isBeyondEnd says whether the app refused a page that is past the end: some
// answer so instead of with an empty list.
func isBeyondEnd(err error) bool {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return false
	}
	switch f.httpStatus {
	case http.StatusNoContent, http.StatusBadRequest, http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return false
}

func mayPass(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}
