package unmodified

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
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

func TestExplainLoopback(t *testing.T) {
	t.Parallel()
	failed := func(op, call string, cause error) error {
		if errno, ok := cause.(syscall.Errno); ok { //nolint:errorlint // As it is given below.
			cause = os.NewSyscallError(call, errno)
		}
		return &net.OpError{Op: op, Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}, Err: cause}
	}
	for name, c := range map[string]struct {
		err  error
		want string // what it is explained by; "" if it is left as it is
	}{
		"lo is down, to listen":        {failed("listen", "bind", syscall.EADDRNOTAVAIL), "bind: cannot assign requested address"},
		"lo is down, to connect":       {failed("dial", "connect", syscall.ENETUNREACH), "connect: network is unreachable"},
		"no family of addresses":       {failed("listen", "socket", syscall.EAFNOSUPPORT), "socket: address family not supported"},
		"a unit that may not connect":  {failed("dial", "connect", syscall.EPERM), "connect: operation not permitted"},
		"a firewall that refuses":      {failed("dial", "connect", syscall.ECONNREFUSED), "connect: connection refused"},
		"a firewall that is silent":    {failed("dial", "", context.DeadlineExceeded), "deadline exceeded"},
		"too many open files":          {failed("listen", "socket", syscall.EMFILE), ""},
		"no memory":                    {failed("listen", "socket", syscall.ENOMEM), ""},
		"an error of another program":  {errors.New("connection refused"), ""},
		"an error that is wrapped too": {fmt.Errorf("reach: %w", failed("dial", "connect", syscall.EACCES)), "connect: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			explained := explainLoopback(c.err)
			if c.want == "" {
				require.Equal(t, c.err, explained)
				return
			}
			require.ErrorContains(t, explained, c.want)
			for _, text := range []string{"an unmodified connector is reached over the loopback network (127.0.0.1)", "ip link set lo up"} {
				require.ErrorContains(t, explained, text)
				require.Contains(t, errtext.Public(explained), text)
			}
			require.Equal(t, explained.Error(), errtext.Plain(explained.Error()), "the remedy is named once")
		})
	}
}

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
		err = (&Connector{process: proc.Attached(1)}).await(ctx, conn, nil)
		require.Equal(t, codes.Canceled, status.Code(err))
		require.NotEmpty(t, errtext.LimitHint(err.Error()), "%v", err)
	})
}

func TestBeginning_IsBounded(t *testing.T) {
	t.Parallel()
	kept := beginning{spoken: make(chan struct{})}
	n, err := io.Copy(&kept, io.LimitReader(endless{}, mostPrinted+1000))
	require.NoError(t, err)
	require.Equal(t, int64(mostPrinted+1000), n, "all of it is read")
	require.Equal(t, mostPrinted, kept.kept.Len())
}

// endless is a text without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
