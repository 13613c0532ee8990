package errtext_test

import (
	"errors"
	"fmt"
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
