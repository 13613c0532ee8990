package errtext_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

func TestLimitHint(t *testing.T) {
	t.Parallel()
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}
	opened := &os.PathError{Op: "open", Path: "sync.c1z", Err: syscall.EMFILE}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"H15: a file":                     {opened, "LimitNOFILE="},
		"H15: a pipe":                     {os.NewSyscallError("pipe2", syscall.EMFILE), "ulimit -n"},
		"H15: wrapped":                    {fmt.Errorf("sync of upload %q: %w", "workforce", opened), "--ulimit nofile="},
		"H15: one of several":             {errors.Join(errors.New("no"), opened), "LimitNOFILE="},
		"H15: of a plugin's process":      {status.Error(codes.Unknown, "dial tcp: lookup app.example.com: socket: too many open files"), "LimitNOFILE="},
		"H15: the limit of the machine":   {fmt.Errorf("start: %w", os.NewSyscallError("pipe2", syscall.ENFILE)), "fs.file-max"},
		"H15: a process":                  {&os.PathError{Op: "fork/exec", Path: "/opt/baton-x", Err: syscall.EAGAIN}, "TasksMax="},
		"H15: a process, wrapped":         {fmt.Errorf("start plugin %q (/opt/a: b): %w", "x", &os.PathError{Op: "fork/exec", Path: "/opt/a: b", Err: syscall.EAGAIN}), "ulimit -u"},
		"H15: a process of a shell":       {errors.New("bash: fork: retry: Resource temporarily unavailable"), "pids.max"},
		"H15: a process of Node":          {errors.New("Error: spawn /usr/bin/git EAGAIN"), "pids.max"},
		"H15: an EAGAIN of Python":        {errors.New("BlockingIOError: [Errno 11] Resource temporarily unavailable"), ""},
		"H15: a thread of Python":         {errors.New("RuntimeError: can't start new thread"), "pids.max"},
		"H15: a thread of Go":             {errors.New("runtime: failed to create new OS thread (have 5 already; errno=11)"), "pids.max"},
		"H15: a thread of C":              {errors.New("pthread_create failed: Resource temporarily unavailable"), "pids.max"},
		"H15: another EAGAIN":             {os.NewSyscallError("read", syscall.EAGAIN), ""},
		"H15: an EAGAIN of Node":          {errors.New("Error: EAGAIN: resource temporarily unavailable, read"), ""},
		"no loopback to listen on":        {&net.OpError{Op: "listen", Net: "tcp", Addr: loopback, Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}, "ip link set lo up"},
		"no loopback to dial":             {status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:40000: connect: network is unreachable"`), "ip link set lo up"},
		"a loopback that is not allowed":  {&net.OpError{Op: "dial", Net: "tcp", Addr: loopback, Err: os.NewSyscallError("connect", syscall.EPERM)}, "allow connections to 127.0.0.1"},
		"a loopback port in use":          {&net.OpError{Op: "listen", Net: "tcp", Addr: loopback, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}, ""},
		"a loopback port without a use":   {&net.OpError{Op: "dial", Net: "tcp", Addr: loopback, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, ""},
		"another network that is away":    {&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 443}, Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, ""},
		"H15: another fault has no hint":  {&os.PathError{Op: "open", Path: "sync.c1z", Err: syscall.ENOENT}, ""},
		"H15: a full disk has no hint":    {syscall.ENOSPC, ""},
		"H15: a hint that has been given": {errors.New(errtext.WithLimitHint(opened.Error())), "LimitNOFILE="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := errtext.WithLimitHint(c.err.Error())
			if c.want == "" {
				require.Equal(t, c.err.Error(), text)
				return
			}
			require.True(t, strings.HasPrefix(text, c.err.Error()), text)
			require.Contains(t, text, c.want)
			require.Equal(t, 1, strings.Count(text, c.want))
			require.Equal(t, text, errtext.WithLimitHint(text))
		})
	}
}

func TestPlain_NamesWhatToDoAboutALimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"H15: a sync file":    {"open sync.c1z: too many open files", "LimitNOFILE="},
		"H15: a call":         {"rpc error: code = Unavailable desc = dial unix: socket: too many open files", "LimitNOFILE="},
		"H15: a process":      {"rpc error: code = Unknown desc = fork/exec /usr/bin/git: resource temporarily unavailable", "ulimit -u"},
		"H15: of the machine": {"pipe2: too many open files in system", "fs.file-max"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := errtext.Plain(c.text)
			require.Contains(t, plain, c.want)
			require.NotContains(t, plain, "rpc error")
			require.Equal(t, plain, errtext.Plain(plain), "it is said once")
		})
	}
}
