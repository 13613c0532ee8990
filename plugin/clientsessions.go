package plugin

import (
	"context"
	"errors"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"google.golang.org/grpc"
)

// ServeSessions serves a session store to the plugin, and to nobody else, until the
// connection ends. It returns what Host.session_store_broker_id is to be. The
// plugin has five seconds to dial it, so Configure is to be called at once. What
// is served logs to the context's logger; the context bounds the call only.
func (c *Client) ServeSessions(ctx context.Context, store v1.BatonSessionServiceServer) (uint32, error) {
	id := c.broker.NextId()
	serving, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		// As the SDK serves it to the connector's process, limits and all.
		c.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			options = append(options, grpc.ChainUnaryInterceptor(ugrpc.UnaryServerInterceptor(ctx)...))
			server := grpc.NewServer(options...)
			v1.RegisterBatonSessionServiceServer(server, store)
			close(serving)
			return server
		})
	}()
	select {
	case <-serving:
		return id, nil
	case <-done:
		return 0, errors.New("the plugin's go-plugin broker does not take part")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
