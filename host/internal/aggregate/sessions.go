package aggregate

import (
	"context"

	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/conductorone/baton-sdk/pkg/types/sessions"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Sessions is the session store of the one sync that an aggregate is for.
type Sessions interface {
	// SetSessionStore takes the store of the sync's file from the SDK's syncer.
	sessions.SetSessionStore
	// Join lets a plugin use the store, under the sync's id; it may do so already.
	Join(instance, syncID string)
	// End clears the store and lets no plugin use it any more.
	End(ctx context.Context) error
}

// WithSessions gives the plugins a session store, for one sync. Without it the
// connectors that need one cannot be listed.
func WithSessions(s Sessions) Option {
	return func(a *Aggregate) { a.sessions = s }
}

// sessionClient is a client that hands the session store on.
type sessionClient struct {
	types.ConnectorClient
	to sessions.SetSessionStore
}

var _ sessions.SetSessionStore = (*sessionClient)(nil)

// SetSessionStore is called by the SDK's syncer once it has opened the sync's file.
func (c *sessionClient) SetSessionStore(ctx context.Context, store sessions.SessionStore) {
	c.to.SetSessionStore(ctx, store)
}

// join lets the plugin use the session store in a call of a sync.
func (p *plugin) join(request proto.Message) {
	of, ok := request.(interface{ GetActiveSyncId() string })
	if ok && of.GetActiveSyncId() != "" && p.aggregate.sessions != nil {
		p.aggregate.sessions.Join(p.Instance, of.GetActiveSyncId())
	}
}

// endSessions is for when the sync has ended and plugins have cleaned up, or
// should have. It is an error if what they noted stays in the sync's file.
func (a *Aggregate) endSessions(ctx context.Context) error {
	if a.sessions == nil {
		return nil
	}
	if err := a.sessions.End(ctx); err != nil {
		return status.Errorf(codes.Internal, "clearing what plugins noted during the sync: %v", err)
	}
	return nil
}
