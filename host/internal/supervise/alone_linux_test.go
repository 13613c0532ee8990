package supervise_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// aloneTime bounds what a process does that a test has for itself.
const aloneTime = 2 * time.Minute

// aloneIn is what such a process may do, by name.
var aloneIn = map[string]func() error{}

func init() {
	alone = func(name string) {
		time.AfterFunc(aloneTime, func() { panic("it takes too long") })
		switch err := aloneIn[name](); {
		case errors.Is(err, errNotHere):
			fmt.Println(err)
		case err != nil:
			fmt.Println(err)
			os.Exit(1)
		default:
			fmt.Println("all is well")
		}
	}
}

// errNotHere says that the system does not let the process make what it is to try.
var errNotHere = errors.New("not possible here")

// container are the namespaces of a container: for its user, its mounts and its
// processes.
const container = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID

// doAlone does one of aloneIn in a process of its kind. One with namespaces, of which
// one is for its user, is made only where the system lets this user make them.
func doAlone(t *testing.T, name string, namespaces uintptr) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0], "role-alone") //nolint:gosec // The test's own binary.
	process.Env = append(os.Environ(), aloneVariable+"="+name, "TMPDIR="+shortDir(t))
	if namespaces != 0 {
		process.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  namespaces,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	said, err := process.CombinedOutput()
	if namespaces != 0 && process.Process == nil {
		t.Skipf("this user may not make namespaces here: %v", err)
	}
	require.NoError(t, err, "%s", said)
	if bytes.Contains(said, []byte(errNotHere.Error())) {
		t.Skip(string(said))
	}
	require.Contains(t, string(said), "all is well")
}

// mountProc gives a container its own view of processes.
func mountProc() error {
	return syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
}
