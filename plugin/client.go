package plugin

import (
	"context"
	"errors"
	"sync"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Client is the host's end of the connection to one plugin process.
type Client struct {
	// PluginServiceClient describes, configures and stops the plugin.
	pluginv1.PluginServiceClient

	// Conn carries the c1.connector.v2 services too. It is bare: no retries, no
	// time limits, no knowledge of the process's state.
	Conn *grpc.ClientConn

	broker *goplugin.GRPCBroker

	mu     sync.Mutex
	stores []*grpc.Server // serve session stores
}

// HangUp ends the connection, and what is served to the plugin beside it, whose sockets
// go. The plugin's process is left alone.
func (c *Client) HangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, server := range c.stores {
		server.Stop()
	}
	c.stores = nil
	_ = c.Conn.Close()
}

// HostPlugins is the plugin set of the host's go-plugin client, by protocol
// version. What it dispenses under [Dispense] is a [*Client].
func HostPlugins() map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{ProtocolVersion: {setName: clientSide{}}}
}

// Dispense returns the host's end of a plugin that go-plugin has started.
func Dispense(protocol goplugin.ClientProtocol) (*Client, error) {
	raw, err := protocol.Dispense(setName)
	if err != nil {
		return nil, err
	}
	client, ok := raw.(*Client)
	if !ok {
		return nil, errors.New("the plugin set was not made by plugin.HostPlugins")
	}
	return client, nil
}

// DialOptions are the gRPC options of the host's end.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageBytes),
			grpc.MaxCallSendMsgSize(MaxMessageBytes),
		),
	}
}

// clientSide is the host's half of go-plugin's plugin interface.
type clientSide struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (clientSide) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host serves no plugin")
}

func (clientSide) GRPCClient(_ context.Context, broker *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &Client{PluginServiceClient: pluginv1.NewPluginServiceClient(conn), Conn: conn, broker: broker}, nil
}
