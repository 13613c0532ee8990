package plugin_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func TestServe_RefusesEveryServiceUntilConfigured(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	services := []grpc.ServiceDesc{
		connectorv2.AccountManagerService_ServiceDesc, connectorv2.ActionService_ServiceDesc,
		connectorv2.AssetService_ServiceDesc, connectorv2.ConnectorService_ServiceDesc,
		connectorv2.CredentialManagerService_ServiceDesc, connectorv2.EntitlementsService_ServiceDesc,
		connectorv2.EventService_ServiceDesc, connectorv2.GrantManagerService_ServiceDesc,
		connectorv2.GrantsService_ServiceDesc, connectorv2.ResourceDeleterService_ServiceDesc,
		connectorv2.ResourceGetterService_ServiceDesc, connectorv2.ResourceManagerService_ServiceDesc,
		connectorv2.ResourceTypesService_ServiceDesc, connectorv2.ResourcesService_ServiceDesc,
		connectorv2.TicketsService_ServiceDesc,
	}
	require.Len(t, services, 15)
	for _, service := range services {
		for _, method := range service.Methods {
			name := "/" + service.ServiceName + "/" + method.MethodName
			err := client.Conn.Invoke(t.Context(), name, &emptypb.Empty{}, &emptypb.Empty{})
			require.Equal(t, codes.FailedPrecondition, status.Code(err), "%s: %v", name, err)
		}
		for _, stream := range service.Streams {
			name := "/" + service.ServiceName + "/" + stream.StreamName
			call, err := client.Conn.NewStream(t.Context(), &stream, name)
			require.NoError(t, err)
			require.NoError(t, call.SendMsg(&emptypb.Empty{}))
			require.NoError(t, call.CloseSend())
			require.Equal(t, codes.FailedPrecondition, status.Code(call.RecvMsg(&emptypb.Empty{})), name)
		}
	}
}

func TestServe_FailsOnlyTheCallThatPanics(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	require.Empty(t, configure(t, client, goodRequest()))
	_, err := listUsers(t, client, "panic")
	require.Equal(t, codes.Internal, status.Code(err))
	_, err = listUsers(t, client, "")
	require.NoError(t, err)
}

func TestServe_LeavesRetriesToTheHost(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	require.Empty(t, configure(t, client, &pluginv1.ConfigureRequest{Values: map[string]*pluginv1.Value{"base-url": text(awayURL)}}))
	for _, want := range []string{"the app is away at call 1", "the app is away at call 2"} {
		_, err := connectorv2.NewConnectorServiceClient(client.Conn).Validate(t.Context(), &connectorv2.ConnectorServiceValidateRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.Equal(t, want, status.Convert(err).Message())
	}
}

// hang begins a listing that does not end by itself, and returns when the
// connector is at it. What came of it is sent when the context ends.
func hang(ctx context.Context, t *testing.T, client *plugin.Client) <-chan error {
	t.Helper()
	sign := filepath.Join(t.TempDir(), "sign")
	ended := make(chan error, 1)
	go func() {
		_, err := connectorv2.NewResourcesServiceClient(client.Conn).ListResources(ctx,
			connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user", PageToken: "hang:" + sign}.Build())
		ended <- err
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(sign)
		return err == nil
	}, time.Minute, time.Millisecond)
	return ended
}

func TestStop_WaitsForRunningCallsAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	require.Empty(t, configure(t, client, goodRequest()))
	callContext, cancelCall := context.WithCancel(t.Context())
	defer cancelCall()
	ended := hang(callContext, t, client)

	stopped := make(chan error, 1)
	go func() {
		_, err := client.Stop(t.Context(), &pluginv1.StopRequest{})
		stopped <- err
	}()
	// The stop has begun once a call is refused.
	require.Eventually(t, func() bool {
		_, err := listUsers(t, client, "")
		return status.Code(err) == codes.Unavailable
	}, time.Minute, time.Millisecond)
	require.Empty(t, stopped, "a call is still running")

	cancelCall()
	require.Equal(t, codes.Canceled, status.Code(<-ended))
	require.NoError(t, <-stopped)

	_, err := client.Stop(t.Context(), &pluginv1.StopRequest{})
	require.NoError(t, err, "Stop may come more than once")
}

func TestStop_ReturnsAtItsDeadline(t *testing.T) {
	t.Parallel()
	client := start(t, "plain")
	require.Empty(t, configure(t, client, goodRequest()))
	hang(t.Context(), t, client)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	go func() {
		_, _ = client.Stop(ctx, &pluginv1.StopRequest{})
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("Stop ignored its deadline")
	}
}

func TestLifeline_EndsThePluginWithItsHost(t *testing.T) {
	t.Parallel()
	theirs, ours, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0]) //nolint:gosec,noctx // The test's own binary, ended by the test.
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = []string{plugin.LifelineEnv + "=3", "GORACE=" + os.Getenv("GORACE")}
	_, host := startCommand(t, "plain", cmd)
	require.NoError(t, theirs.Close())
	require.False(t, host.Exited())

	require.NoError(t, ours.Close(), "as the kernel does when the host is killed")
	require.Eventually(t, host.Exited, time.Minute, time.Millisecond)
}

func TestRun_IsTheSDKsCommandLineWithoutAHost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"help":         {[]string{"--help"}, "--base-url"},
		"config":       {[]string{"config"}, `"name": "base-url"`},
		"capabilities": {[]string{"capabilities"}, "CAPABILITY_SYNC"},
		"version":      {[]string{"--version"}, "v1.2.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], test.args...) //nolint:gosec // The test's own binary.
			cmd.Env = []string{roleVariable + "=plain", "HOME=" + t.TempDir(), "GORACE=" + os.Getenv("GORACE")}
			cmd.Dir = t.TempDir()
			var out bytes.Buffer
			cmd.Stdout = &out
			require.NoError(t, cmd.Run())
			require.Contains(t, out.String(), test.want)
		})
	}
}
