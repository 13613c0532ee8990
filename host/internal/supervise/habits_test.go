//go:build unix

package supervise_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

func metadata(ctx context.Context, process *supervise.Process) (*connectorv2.ConnectorMetadata, error) {
	response, err := connectorv2.NewConnectorServiceClient(process.Conn()).GetMetadata(ctx, &connectorv2.ConnectorServiceGetMetadataRequest{})
	return response.GetMetadata(), err
}

func TestProcess_HasNoInputOfTheHost(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	// The role reads its standard input to its end before it answers.
	require.NoError(t, validate(ctx, started(t, ctx, spec("reads-input"))))
}

func TestConn_TooLargeMessageFailsItsCallOnly(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	// To make 100 MB takes a busy machine longer than a health check may.
	const patient = 5 * time.Minute
	small := spec("large")
	small.MaxAnswer = 64 << 10
	for name, c := range map[string]struct {
		spec supervise.Spec
		want string
	}{
		"beyond the plugin's limit": {small, "max-page-size of 64 KiB"},
		"beyond what is ever sent":  {spec("huge"), "max-page-size of 32 MiB"},
	} {
		c.spec.HealthTimeout = patient
		process := started(t, ctx, c.spec)
		_, err := metadata(ctx, process)
		require.Equal(t, codes.ResourceExhausted, status.Code(err), name)
		require.ErrorContains(t, err, "an answer of the plugin is larger than its "+c.want, name)
		require.NoError(t, validate(ctx, process), name)
	}

	slow := spec("huge")
	slow.HealthTimeout = patient
	huge := started(t, ctx, slow)
	err := page(ctx, huge.Conn())
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "max-page-size of 32 MiB")
	require.NoError(t, validate(ctx, huge), "a page of 100 MB")

	process := started(t, ctx, spec("good"))
	require.NoError(t, page(ctx, process.Conn()))
	_, err = connectorv2.NewActionServiceClient(process.Conn()).GetActionSchema(ctx,
		connectorv2.GetActionSchemaRequest_builder{Name: strings.Repeat("x", 33<<20)}.Build())
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "the request is larger than the 32 MiB that a plugin takes")
	require.NoError(t, validate(ctx, process))
}

// TestConn_KeepsTheAppsErrorAboutASize: it is no message of gRPC's, and may
// hold a secret like any other.
func TestConn_KeepsTheAppsErrorAboutASize(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	err := validate(ctx, started(t, ctx, spec("leaky-size")))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "a file larger than max (allowed for (secret))")
	require.NotContains(t, err.Error(), secretToken)
	require.NotContains(t, err.Error(), "max-page-size")
	require.Len(t, status.Convert(err).Details(), 1, "the aggregate reads rate limits there")
}

func TestSpec_ServesManyStartsAtOnce(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	same := spec("good")
	var starting sync.WaitGroup
	for range 6 {
		starting.Go(func() {
			process, err := supervise.Start(ctx, same)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := configure(ctx, process); err != nil {
				t.Error(err)
			}
			if err := validate(ctx, process); err != nil {
				t.Error(err)
			}
			process.Stop(ctx)
		})
	}
	starting.Wait()
}

func TestSocket_ServesTheHostOnly(t *testing.T) {
	ctx, _ := logged(t)
	dir := shortDir(t)
	t.Setenv("TMPDIR", dir)
	started(t, ctx, spec("good"))
	var socket string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type() == fs.ModeSocket {
			socket = path
		}
		return err
	}))
	require.NotEmpty(t, socket)
	for name, transport := range map[string]credentials.TransportCredentials{
		"without TLS":           insecure.NewCredentials(),
		"without a certificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}), //nolint:gosec // The plugin is who must not trust.
	} {
		conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(transport))
		require.NoError(t, err)
		_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: "plugin"})
		require.Equal(t, codes.Unavailable, status.Code(err), name)
		require.NoError(t, conn.Close())
	}
}

func TestStart_FailsOnALineWithoutEnd(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	long := spec("long-line")
	long.StartTimeout = time.Minute
	_, err := supervise.Start(ctx, long)
	require.ErrorContains(t, err, `start plugin "test"`)
}

func TestDescribe_FailsForAStoppedProcess(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	slow := spec("good")
	slow.StartTimeout = 3 * time.Second
	process, err := supervise.Start(ctx, slow)
	require.NoError(t, err)
	defer process.Stop(ctx)
	require.NoError(t, syscall.Kill(process.PID(), syscall.SIGSTOP))
	for err == nil { // A process takes a moment to stop.
		_, err = process.Describe(ctx)
	}
	require.ErrorContains(t, err, `plugin "test" does not describe itself`)
}

func TestDescribe_EndsAPluginThatHangs(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	p := made(t, ctx, settings("hangs-in-describe"))
	require.EqualError(t, p.Start(ctx), `plugin "test" does not describe itself within its start-timeout of 10s`)
	pid, ok := awaitLine(t, logs, "plugin started").ContextMap()["pid"].(int64)
	require.True(t, ok)
	require.ErrorIs(t, syscall.Kill(int(pid), 0), syscall.ESRCH, "it does not stay behind")
}

func TestConn_HangingAssetEndsTheProcess(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	s := spec("foreign")
	s.CallTimeout = 300 * time.Millisecond
	stream, err := connectorv2.NewAssetServiceClient(started(t, ctx, s).Conn()).GetAsset(ctx,
		&connectorv2.AssetServiceGetAssetRequest{Asset: &connectorv2.AssetRef{Id: "hangs"}})
	require.NoError(t, err)
	_, err = stream.Recv()
	exit, ok := errors.AsType[*supervise.ExitError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "did not answer GetAsset within its call-timeout of 300ms", exit.Reason)
}

// TestAggregate_RefusesResourcesOfAnotherPlugin is about one without a namespace:
// what the others list bears their names.
func TestAggregate_RefusesResourcesOfAnotherPlugin(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	a, err := aggregate.New([]aggregate.Plugin{
		{Instance: "a", Namespace: "a", Conn: started(t, ctx, spec("good")).Conn()},
		{Instance: "x", Conn: started(t, ctx, spec("intrudes")).Conn()},
	})
	require.NoError(t, err)
	list := func(typeID string) error {
		_, err := a.Client(ctx).ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: typeID}.Build())
		return err
	}
	require.NoError(t, list("a.user"))
	require.ErrorContains(t, list("user"), `the resource "1" is of type "a.user", which the plugin does not list among its resource types`)
}

func TestStop_EndsAPluginThatHangs(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("hangs-in-stop"))
	stopsInTime(t, ctx, process)
	select {
	case <-process.Exited():
	default:
		t.Fatal("the process is still there")
	}
}
