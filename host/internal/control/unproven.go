package control

import (
	"context"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
)

// warnEvery is how often clients without the token are logged: a plugin, of which the kernel
// keeps nothing from the socket, must not fill the log.
const warnEvery = time.Minute

// unproven logs clients that have not proven that they can read the token.
type unproven struct {
	mu   sync.Mutex
	last time.Time
	more int // since then
}

func (u *unproven) warn(ctx context.Context, peer Peer) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Since(u.last) < warnEvery {
		u.more++
		return
	}
	fields := peer.Fields()
	if u.more > 0 {
		fields = append(fields, zap.Int("more_since_the_last_warning", u.more))
	}
	u.last, u.more = time.Now(), 0
	ctxzap.Extract(ctx).Warn("a client of the control socket did not prove that it can read the token", fields...)
}
