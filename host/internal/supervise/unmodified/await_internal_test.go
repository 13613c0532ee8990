package unmodified

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/proc"
)

func TestConnector_NamesTheLimitThatKeepsItFromBeingReached(t *testing.T) {
	t.Parallel()
	t.Run("H15: too many open files, where the connector is dialed", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var attempts atomic.Int32
		conn, err := grpc.NewClient("passthrough:///connector", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond}}),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				// By the third attempt gRPC knows what the first one failed of.
				if attempts.Add(1) == 3 {
					cancel()
				}
				return nil, syscall.EMFILE
			}))
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		err = (&Connector{process: proc.Attached(1)}).await(ctx, conn)
		require.Equal(t, codes.Canceled, status.Code(err))
		require.NotEmpty(t, errtext.LimitHint(err.Error()), "%v", err)
	})
}
