//go:build unix

package supervise_test

import (
	"context"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/supervise"
	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// brokerless is the server of a plugin that does not know go-plugin's broker, as
// one in another language may not.
func brokerless(options []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if strings.HasPrefix(info.FullMethod, "/plugin.GRPCBroker/") {
			return status.Errorf(codes.Unimplemented, "no %s here", path.Base(info.FullMethod))
		}
		return handler(srv, stream)
	}))...)
}

func TestSessions_AreNotOfferedWithoutABroker(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"good", "foreign", "brokerless"} {
		ctx, _ := logged(t)
		spec := spec(role)
		spec.Sessions = (&broker.Stores{}).Plugin("test")
		process, err := supervise.Start(ctx, spec)
		require.NoError(t, err, role)
		t.Cleanup(func() { process.Stop(ctx) })
		request := &pluginv1.ConfigureRequest{}
		diagnostics, err := process.Configure(ctx, request)
		require.NoError(t, err, role)
		require.Empty(t, diagnostics, role)
		require.Nil(t, request.GetHost(), "the caller's request stays as it is")
	}
}

// TestAttached_LeavesNoSocket: that of the session store is where go-plugin
// puts it, among the temporary files.
func TestAttached_LeavesNoSocket(t *testing.T) {
	sockets := shortDir(t)
	t.Setenv("TMPDIR", sockets)
	ctx, _ := logged(t)
	reattach, _, err := plugin.InProcess(ctx, "baton-test", "v1.0.0", testSchema,
		func(_ context.Context, v *viper.Viper, _ *cli.ConnectorOpts) (connectorbuilder.ConnectorBuilderV2, []connectorbuilder.Opt, error) {
			return &testConnector{token: v.GetString("token"), role: "good"}, nil, nil
		})
	require.NoError(t, err)
	own := entriesOf(t, sockets)
	attached := supervise.Spec{Instance: "test", Sessions: (&broker.Stores{}).Plugin("test"), Attach: &plugin.Attachment{
		Protocol: reattach.Protocol, ProtocolVersion: reattach.ProtocolVersion, PID: reattach.Pid,
		Addr: plugin.Address{Network: reattach.Addr.Network(), Text: reattach.Addr.String()},
	}}
	process := started(t, ctx, attached)
	require.Greater(t, len(entriesOf(t, sockets)), len(own), "no session store is served, so this shows nothing")
	process.Stop(ctx)
	require.Equal(t, own, entriesOf(t, sockets))
}

func entriesOf(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
