package supervise_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/supervise"
)

// refusals are how a system can keep memory from being executed, each with the
// namespaces that it takes to make it so.
var refusals = []struct {
	name       string
	namespaces uintptr
	refuse     func() error
}{
	{"vm.memfd_noexec=1 executes what says so", container, func() error { return memfdNoexec("1") }},
	{"vm.memfd_noexec=2 refuses memory that is executed", container, func() error { return memfdNoexec("2") }},
	{"there is no /proc to execute memory from", container, func() error {
		return syscall.Mount("none", "/proc", "tmpfs", 0, "")
	}},
	{"seccomp: memfd_create fails with ENOSYS", 0, func() error { return refuseMemory(unix.ENOSYS) }},
	{"seccomp: memfd_create fails with EPERM", 0, func() error { return refuseMemory(unix.EPERM) }},
	{"seccomp: memfd_create fails with EACCES", 0, func() error { return refuseMemory(unix.EACCES) }},
	{"seccomp: memfd_create fails with EINVAL", 0, func() error { return refuseMemory(unix.EINVAL) }},
}

func init() {
	for _, r := range refusals {
		aloneIn[r.name] = func() error {
			if err := r.refuse(); err != nil {
				return fmt.Errorf("%w: %w", errNotHere, err)
			}
			return errors.Join(runsPinned(spec("good")), runsPinned(unmodifiedSpec("good")))
		}
	}
}

// TestPin_RunsWhereMemoryIsNotExecuted makes the system refuse, in a process
// that it does so for.
func TestPin_RunsWhereMemoryIsNotExecuted(t *testing.T) {
	t.Parallel()
	for _, r := range refusals {
		t.Run("H12: "+r.name, func(t *testing.T) {
			t.Parallel()
			doAlone(t, r.name, r.namespaces)
		})
	}
}

// runsPinned starts a pinned plugin, and looks at what is executed where that can be
// looked at.
func runsPinned(s supervise.Spec) error {
	ctx := context.Background()
	var err error
	if s.Pin, err = pin.Measure(s.Path, s.Args); err != nil {
		return err
	}
	process, err := supervise.Start(ctx, s)
	if err != nil {
		return err
	}
	defer process.Stop(ctx)
	if _, err := configure(ctx, process); err != nil {
		return err
	}
	if err := validate(ctx, process); err != nil {
		return err
	}
	executed, err := pin.Measure(fmt.Sprintf("/proc/%d/exe", process.PID()), nil)
	if err == nil && executed.Executable != s.Pin.Executable {
		return fmt.Errorf("what is executed is not what is pinned: %s", executed.Executable)
	}
	return nil
}

// memfdNoexec sets what the processes of this container may do.
func memfdNoexec(value string) error {
	if err := mountProc(); err != nil {
		return err
	}
	const setting = "/proc/sys/vm/memfd_noexec"
	if err := os.WriteFile(setting, []byte(value), 0); err != nil {
		return err
	}
	now, err := os.ReadFile(setting)
	if strings.TrimSpace(string(now)) != value {
		return fmt.Errorf("it is %s: %w", now, err)
	}
	return nil
}

// refuseMemory has the kernel fail memfd_create with this error from now on.
func refuseMemory(errno syscall.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // The number of the call.
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_MEMFD_CREATE},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}, //nolint:gosec // It is small.
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]} //nolint:gosec // There are four.
	// One thread makes both calls, and TSYNC gives what it has to all of them.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))) //nolint:gosec // The kernel reads it.
	if failed != 0 {
		return failed
	}
	if fd, err := unix.MemfdCreate("test", 0); !errors.Is(err, errno) {
		return fmt.Errorf("memfd_create returns %d, %w", fd, err)
	}
	return nil
}
