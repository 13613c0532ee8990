package terminal_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/terminal"
)

func TestIsClosedOutput_HidesNoOtherError(t *testing.T) {
	t.Parallel()
	closed := fmt.Errorf("the summary could not be written: %w", &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE})
	other := errors.New("the app is out of order")
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                      {nil, false},
		"another error":                 {other, false},
		"a closed output":               {closed, true},
		"a closed output, joined":       {fmt.Errorf("sync: %w", errors.Join(closed, nil)), true},
		"beside another error":          {errors.Join(other, closed), false},
		"beside another one, wrapped":   {fmt.Errorf("%w; %w", closed, other), false},
		"a full disk":                   {&fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.ENOSPC}, false},
		"the pipe of something else":    {&fs.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, false},
		"a connection that was cut off": {&os.SyscallError{Syscall: "write", Err: syscall.EPIPE}, false},
	} {
		require.Equal(t, c.want, terminal.IsClosedOutput(c.err), name)
	}
}
