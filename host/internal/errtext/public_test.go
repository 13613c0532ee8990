package errtext_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// own is an error with words of its own.
type own struct{ error }

func (own) Public() string { return "the app is out of order" }

// limited is an error with the description of a rate limit.
func limited(t *testing.T, message string) error {
	t.Helper()
	st, err := status.New(codes.Unavailable, message).WithDetails(v2.RateLimitDescription_builder{Status: v2.RateLimitDescription_STATUS_OVERLIMIT}.Build())
	require.NoError(t, err)
	return st.Err()
}

func TestOnlyTheHostsOwnWordsAreSaid(t *testing.T) {
	t.Parallel()
	const person = `Ada Lovelace (ada@example.com)`
	about := errors.New("no such user: " + person)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nothing":                        {nil, ""},
		"an unknown error":               {about, ""},
		"one that has words of its own":  {fmt.Errorf("sync of %s: %w", person, own{about}), "the app is out of order"},
		"an answer of HTTP":              {status.Error(codes.Unavailable, person+": app.example.com answered 503 Service Unavailable: "+person), "the answer was 503 Service Unavailable: what answers, or a proxy before it, is out of order"},
		"R4: a rate limit that is a 403": {limited(t, person+": app.example.com answered 403 Forbidden: "+person), "the answer was 403 Forbidden: its rate limit is reached"},
		"another spelling of it":         {errors.New("request failed with status code: 401 for " + person), "the answer was 401 Unauthorized: the credentials are refused"},
		"a number that is none":          {errors.New("error 499 for " + person), ""},
		"a number of a person":           {errors.New("no such user: 404"), ""},
		"a code of gRPC":                 {fmt.Errorf("%s: %w", person, status.Error(codes.Unauthenticated, person)), "the credentials are refused"},
		"a code that says nothing":       {status.Error(codes.Aborted, person), ""},
		"a known sign in its text":       {status.Error(codes.Unavailable, "dial "+person+": connect: connection refused"), "the connection is refused"},
		"an error of the system":         {&fs.PathError{Op: "write", Path: "/home/ada@example.com/state", Err: syscall.ENOSPC}, "no space left on device"},
		"H15: too many open files":       {&fs.PathError{Op: "open", Path: "/home/ada@example.com/state", Err: syscall.EMFILE}, "too many open files; a limit of open files is reached; if it is this machine's, raise it (ulimit -n, LimitNOFILE= in a systemd unit, --ulimit nofile= of a container)"},
		"H15: too many, of a plugin":     {status.Error(codes.Unavailable, "dial "+person+": socket: too many open files"), "a limit of open files is reached; if it is this machine's, raise it (ulimit -n, LimitNOFILE= in a systemd unit, --ulimit nofile= of a container)"},
		"H15: no more processes":         {&fs.PathError{Op: "fork/exec", Path: "/home/ada@example.com/baton-x", Err: syscall.EAGAIN}, "resource temporarily unavailable; " + errtext.LimitHint("fork/exec x: resource temporarily unavailable")},
		"no loopback network":            {&net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}, "cannot assign requested address; " + errtext.LimitHint("127.0.0.1:0: bind: cannot assign requested address")},
		"a name that is not found":       {fmt.Errorf("get: %w", &net.DNSError{Err: "no such host", Name: "ada@example.com"}), "the name of the server cannot be looked up"},
		"work that was stopped":          {fmt.Errorf("listing %s: %w", person, context.Canceled), "it was broken off"},
		"several":                        {errors.Join(own{about}, status.Error(codes.Internal, person)), "the app is out of order; it reports an internal error"},
		"several that are the same":      {errors.Join(own{about}, fmt.Errorf("again: %w", own{about})), "the app is out of order"},
		"several of which one says less": {errors.Join(about, own{about}), "the app is out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := errtext.Public(c.err)
			require.Equal(t, c.want, said)
			require.NotContains(t, strings.ToLower(said), "ada")
		})
	}
}

func TestManyFailuresAreNotAllTold(t *testing.T) {
	t.Parallel()
	var failures []error
	for _, code := range []codes.Code{codes.Internal, codes.NotFound, codes.DataLoss, codes.Unimplemented, codes.Unauthenticated} {
		failures = append(failures, status.Error(code, "x"))
	}
	require.Equal(t, "it reports an internal error; what was asked for is not there; data was lost; and 2 more", errtext.Public(errors.Join(failures...)))
}
