//go:build unix

package supervise_test

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/session"
	"github.com/batonhost/baton-host/host/supervise"
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

func TestAPluginThatCannotTakeASessionStoreIsConfiguredWithoutOne(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"good", "foreign", "brokerless"} {
		ctx, _ := logged(t)
		spec := spec(role)
		spec.Sessions = (&session.Stores{}).Plugin("test")
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
