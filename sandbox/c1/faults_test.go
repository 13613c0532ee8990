package c1_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/c1"
)

func TestFault_OfACall(t *testing.T) {
	t.Parallel()
	calls := map[c1.Call]func(r *remote, ctx context.Context, task string) error{
		c1.HelloCall:       func(r *remote, ctx context.Context, _ string) error { return r.hello(ctx, "") },
		c1.GetTaskCall:     func(r *remote, ctx context.Context, _ string) error { _, err := r.getTask(ctx); return err },
		c1.HeartbeatCall:   func(r *remote, ctx context.Context, task string) error { _, err := r.heartbeat(ctx, task); return err },
		c1.UploadAssetCall: func(r *remote, ctx context.Context, task string) error { return r.upload(ctx, task, []byte("content")) },
		c1.FinishTaskCall:  func(r *remote, ctx context.Context, task string) error { return r.fail(ctx, task, true) },
	}
	faults := map[string]struct {
		fault c1.Fault
		want  codes.Code
	}{
		"an error":      {c1.Fault{Code: codes.ResourceExhausted, Message: "slow down"}, codes.ResourceExhausted},
		"a lost answer": {c1.Fault{Code: codes.Internal, AfterEffect: true}, codes.Internal},
		"a drop":        {c1.Fault{Drop: true}, codes.Unavailable},
		"a late error":  {c1.Fault{Code: codes.Aborted, Delay: time.Nanosecond}, codes.Aborted},
	}
	for call, act := range calls {
		for name, c := range faults {
			t.Run(string(call)+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := start(t, c1.Options{})
				r, other := newRemote(t, server, "app"), newRemote(t, server, "other")
				ctx, others := r.authorized(), other.authorized()
				task, foreign := r.lease(ctx), other.lease(others)

				c.fault.Call, c.fault.Client, c.fault.Times = call, "app", 1
				defer server.Inject(c.fault)()
				require.NoError(t, act(other, others, foreign), "the fault is not this client's")
				err := act(r, ctx, task)
				requireCode(t, c.want, err)
				if c.fault.Drop {
					require.NotContains(t, err.Error(), "broken off", "there is no answer, not even that")
				}
				outcome, _ := server.Result(task)
				switch call {
				case c1.FinishTaskCall:
					require.Equal(t, c.fault.AfterEffect, outcome.Done)
				case c1.UploadAssetCall:
					require.Equal(t, c.fault.AfterEffect, len(outcome.Uploads) == 1)
				}
				if call != c1.FinishTaskCall || !c.fault.AfterEffect {
					require.NoError(t, act(r, ctx, task), "the fault was for once")
				}
				require.Empty(t, server.Violations())
			})
		}
	}
}

func TestFault_OfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	end := server.Inject(c1.Fault{Call: c1.TokenCall, HTTPStatus: http.StatusTooManyRequests})
	for range 3 {
		code, _, err := r.post(r.form(r.assertion().sign(t)))
		require.NoError(t, err)
		require.Equal(t, http.StatusTooManyRequests, code)
	}
	end()
	r.authorized()

	server.Inject(c1.Fault{Call: c1.TokenCall, Drop: true, Times: 1})
	_, _, err := r.post(r.form(r.assertion().sign(t)))
	require.Error(t, err)
	r.authorized()
	require.Empty(t, server.Violations())
}

// TestFault_StallsAnUpload sends more than every buffer on the way holds.
func TestFault_StallsAnUpload(t *testing.T) {
	t.Parallel()
	const size, through = 20 << 20, 2 << 20
	content := make([]byte, size)
	_, err := rand.Read(content)
	require.NoError(t, err)
	for name, released := range map[string]bool{"until the client gives up": false, "until it is cleared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, c1.Options{})
			r := newRemote(t, server, "app")
			ctx, cancel := context.WithCancel(r.authorized())
			defer cancel()
			task := r.lease(ctx)
			end := server.Inject(c1.Fault{Call: c1.UploadAssetCall, Times: 1, Stall: true, AfterBytes: through})

			stream, err := r.rpc.UploadAsset(ctx)
			require.NoError(t, err)
			require.NoError(t, stream.Send(r.metadata(task)))
			sent := make(chan int, size/(512<<10))
			result := make(chan error, 1)
			go func() {
				defer close(sent)
				for i := 0; i < size; i += 512 << 10 {
					if stream.Send(data(content[i:i+512<<10])) != nil {
						break // The answer holds the reason.
					}
					sent <- i
				}
				_ = stream.Send(eof(sum(content)))
				_, err := stream.CloseAndRecv()
				result <- err
			}()
			_, err = server.WaitFor(r.ctx, func(e c1.Event) bool { return e.Kind == c1.UploadStalled })
			require.NoError(t, err)
			// The heartbeats of the same task go on, for longer than the rest would
			// take to be sent.
			for range 200 {
				_, err = r.heartbeat(ctx, task)
				require.NoError(t, err)
			}
			select {
			case err := <-result:
				require.Fail(t, "the upload went through", "%v", err)
			default:
			}

			if released {
				end()
				require.NoError(t, <-result)
				require.Len(t, server.Uploads("app"), 1)
				return
			}
			cancel()
			requireCode(t, codes.Canceled, <-result)
			broken, err := server.WaitFor(r.ctx, func(e c1.Event) bool { return e.Kind == c1.UploadBroken })
			require.NoError(t, err)
			require.Contains(t, broken.Detail, "after 2097152 bytes")
			require.Less(t, len(sent), 8, "the client could not send on")
			require.Equal(t, 1, server.BrokenUploads())
			require.Empty(t, server.Uploads("app"))
		})
	}
}

func TestFault_FailsAnUploadInTheMiddleAndAtItsEnd(t *testing.T) {
	t.Parallel()
	content := make([]byte, 3<<20)
	for name, fault := range map[string]c1.Fault{
		"in the middle": {AfterBytes: 1 << 20, Code: codes.Unavailable},
		"broken off":    {AfterBytes: 1 << 20, Drop: true},
		"at the end":    {AtEOF: true, Code: codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, c1.Options{Dir: t.TempDir()})
			r := newRemote(t, server, "app")
			ctx := r.authorized()
			task := r.lease(ctx)
			fault.Call, fault.Times = c1.UploadAssetCall, 2
			server.Inject(fault)
			for range 2 {
				requireCode(t, codes.Unavailable, r.upload(ctx, task, content))
			}
			require.NoError(t, r.upload(ctx, task, content))
			require.Equal(t, 2, server.BrokenUploads())
			require.Len(t, server.Uploads("app"), 1)
			require.NoError(t, r.finish(ctx, task))
			require.Empty(t, server.Violations())
		})
	}
}

func TestSuspend_MakesTheServerUnreachable(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	task := r.lease(ctx)
	server.Suspend()
	var dialer net.Dialer
	_, err := dialer.DialContext(r.ctx, "tcp", server.Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = r.heartbeat(ctx, task)
	requireCode(t, codes.Unavailable, err)

	require.NoError(t, server.Resume())
	require.NoError(t, server.Resume(), "it is resumed already")
	r.connect() // The old connection waits before it tries again.
	_, err = r.heartbeat(ctx, task)
	require.NoError(t, err, "the lease and the token lived on")
}

func TestServer_ListensOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "0.0.0.0:0")
	require.NoError(t, err)
	_, err = c1.Start(c1.Options{Listener: listener})
	require.ErrorContains(t, err, "not a loopback address")
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestWait_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := server.WaitFor(ctx, func(c1.Event) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
	_, err = server.WaitFinished(t.Context(), "none")
	require.ErrorContains(t, err, "no such task")
}
