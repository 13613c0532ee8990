package plugin

import (
	"context"
	"errors"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// OfferSessions serves a session store to the plugin, and to no other, until the
// connection ends. It returns the request with where the store is
// (Host.session_store_broker_id). The plugin has five seconds to dial it, so call
// Configure with it at once. What is served logs to the context's logger; the
// context bounds the call only.
func (c *Client) OfferSessions(ctx context.Context, request *pluginv1.ConfigureRequest, store v1.BatonSessionServiceServer) (*pluginv1.ConfigureRequest, error) {
	id, err := c.serveSessions(ctx, store)
	if err != nil {
		return nil, err
	}
	host := &pluginv1.Host{}
	if request.GetHost() != nil {
		host = proto.CloneOf(request.GetHost())
	}
	host.SessionStoreBrokerId = id
	return &pluginv1.ConfigureRequest{Values: request.GetValues(), Secrets: request.GetSecrets(), Host: host}, nil
}

func (c *Client) serveSessions(ctx context.Context, store v1.BatonSessionServiceServer) (uint32, error) {
	id := c.broker.NextId()
	serving, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		// As the SDK serves it to the connector's process, limits and all.
		c.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			options = append(options, grpc.ChainUnaryInterceptor(ugrpc.UnaryServerInterceptor(ctx)...))
			server := grpc.NewServer(options...)
			v1.RegisterBatonSessionServiceServer(server, store)
			c.mu.Lock()
			c.stores = append(c.stores, server)
			c.mu.Unlock()
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
