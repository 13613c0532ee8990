package plugintest

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// connection is the host's end of a plugin, wherever it runs.
type connection struct {
	client   *plugin.Client
	sessions *conformance.Sessions
}

func (c connection) Describe(ctx context.Context) (*pluginv1.Manifest, error) {
	response, err := c.client.Describe(ctx, &pluginv1.DescribeRequest{})
	return response.GetManifest(), err
}

func (c connection) Configure(ctx context.Context, request *pluginv1.ConfigureRequest) ([]*pluginv1.Diagnostic, error) {
	request, err := c.client.OfferSessions(ctx, request, c.sessions)
	if err != nil {
		return nil, err
	}
	response, err := c.client.Configure(ctx, request)
	return response.GetDiagnostics(), err
}

func (c connection) Conn() grpc.ClientConnInterface { return c.client.Conn }

// stop asks the plugin to stop.
func (c connection) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if _, err := c.client.Stop(ctx, &pluginv1.StopRequest{}); err != nil {
		return fmt.Errorf("Stop fails: %s", status.Convert(err).Message())
	}
	return nil
}
