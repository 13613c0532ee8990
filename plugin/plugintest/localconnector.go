package plugintest

import (
	"context"
	"fmt"
	"time"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/field"
	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	pluginrunner "github.com/hashicorp/go-plugin/runner"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
)

// stopTimeout is how long a plugin may take to answer Stop.
const stopTimeout = 10 * time.Second

// localConnector is a connector that is served from this process.
type localConnector struct {
	connection
	end  context.CancelFunc
	gone <-chan struct{}
}

func serveHere[T field.Configurable](
	ctx context.Context,
	sessions *conformance.Sessions,
	connectorName string,
	version string,
	schema field.Configuration,
	newConnector cli.NewConnector[T],
	options ...connectorrunner.Option,
) (*localConnector, error) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	reattach, gone, err := plugin.InProcess(ctx, connectorName, version, schema, newConnector, options...)
	if err != nil {
		end()
		return nil, err
	}
	// It is not by its process that this plugin is known to be there.
	reattach.ReattachFunc = func() (pluginrunner.AttachedRunner, error) { return attachedRunner{gone}, nil }
	protocol, err := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake,
		// Nothing is negotiated where a client attaches.
		Plugins:          plugin.HostPlugins()[reattach.ProtocolVersion],
		Reattach:         reattach,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  plugin.DialOptions(),
		Logger:           hclog.NewNullLogger(),
	}).Client()
	if err != nil {
		end()
		return nil, fmt.Errorf("attach to the plugin in this process: %w", err)
	}
	client, err := plugin.Dispense(protocol)
	if err != nil {
		end()
		return nil, err
	}
	return &localConnector{connection: connection{client, sessions}, end: end, gone: gone}, nil
}

// Stop asks, and ends the serving.
func (c *localConnector) Stop(ctx context.Context) error {
	err := c.stop(ctx)
	c.client.HangUp()
	c.end()
	<-c.gone
	return err
}

// Kill is for processes.
func (c *localConnector) Kill() { c.end() }

// Exited is closed when nothing is served any more.
func (c *localConnector) Exited() <-chan struct{} { return c.gone }

// attachedRunner is what is served here, as go-plugin knows a process.
type attachedRunner struct{ gone <-chan struct{} }

func (a attachedRunner) Wait(context.Context) error { <-a.gone; return nil }
func (attachedRunner) Kill(context.Context) error   { return nil }
func (attachedRunner) ID() string                   { return "in process" }
func (attachedRunner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (attachedRunner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
