package sandbox

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// observedCalls are those whose arguments say whether the sandbox denies them.
var observedCalls = []uint32{
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_CONNECT, unix.SYS_BIND,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_TRUNCATE,
}

// observing is a filter of seccomp in the form of the kernel that refuses nothing. It shows
// the host what [filter] refuses, and the calls that Landlock may deny.
func observing() []byte { return encode(observingInstructions()) }

func observingInstructions() []bpf.Instruction {
	shown := bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
	program := instructions()
	for i, one := range program {
		refusal, ok := one.(bpf.RetConstant)
		switch {
		case !ok || refusal.Val == unix.SECCOMP_RET_ALLOW:
		case slices.Contains([]bpf.Instruction{fail(unix.ENOSYS), fail(unix.EPROTONOSUPPORT)}, one):
			// Programs do it in another way then. To those of another interface of the
			// kernel, none of this applies.
			program[i] = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
		default:
			program[i] = shown
		}
	}
	program = slices.Delete(program, len(program)-1, len(program))
	for _, number := range slices.Concat(observedCalls, observedHere) {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: 1}, shown)
	}
	return append(program, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
}

// callNames are names of refused calls; others are reported by their numbers.
var callNames = map[uint32]string{
	unix.SYS_PTRACE: "ptrace", unix.SYS_PROCESS_VM_READV: "process_vm_readv", unix.SYS_PROCESS_VM_WRITEV: "process_vm_writev", unix.SYS_PIDFD_GETFD: "pidfd_getfd",
	unix.SYS_KCMP: "kcmp", unix.SYS_PROCESS_MADVISE: "process_madvise",
	unix.SYS_MOUNT: "mount", unix.SYS_UMOUNT2: "umount2", unix.SYS_PIVOT_ROOT: "pivot_root", unix.SYS_CHROOT: "chroot", unix.SYS_OPEN_BY_HANDLE_AT: "open_by_handle_at",
	unix.SYS_BPF: "bpf", unix.SYS_PERF_EVENT_OPEN: "perf_event_open", unix.SYS_USERFAULTFD: "userfaultfd", unix.SYS_IO_URING_SETUP: "io_uring_setup",
	unix.SYS_FANOTIFY_INIT: "fanotify_init", unix.SYS_SYSLOG: "syslog", unix.SYS_ADD_KEY: "add_key", unix.SYS_REQUEST_KEY: "request_key", unix.SYS_KEYCTL: "keyctl",
	unix.SYS_UNSHARE: "unshare", unix.SYS_SETNS: "setns", unix.SYS_SETSID: "setsid", unix.SYS_SETPGID: "setpgid",
	unix.SYS_SCHED_SETAFFINITY: "sched_setaffinity, of another process", unix.SYS_SCHED_SETSCHEDULER: "sched_setscheduler, of another process",
	unix.SYS_SCHED_SETPARAM: "sched_setparam, of another process", unix.SYS_SCHED_SETATTR: "sched_setattr, of another process",
	unix.SYS_SETPRIORITY: "setpriority, of another process", unix.SYS_IOPRIO_SET: "ioprio_set, of another process",
	unix.SYS_CLONE: "clone, with a namespace of its own", unix.SYS_PRLIMIT64: "prlimit64, of another process",
}

func nameOf(call uint32) string {
	if name, ok := callNames[call]; ok {
		return name
	}
	return fmt.Sprintf("number %d", call)
}

// awayCalls give a program another root or other mounts, or may.
var awayCalls = []uint32{unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CLONE}

// Unobservable returns why the kernel cannot show what programs do; empty: it can.
var Unobservable = sync.OnceValue(func() string {
	if architecture == 0 {
		return "this host observes programs on amd64 and arm64 only"
	}
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))) //nolint:gosec // The kernel reads it.
	var name unix.Utsname
	if errno != 0 || unix.Uname(&name) != nil || !isRecent(unix.ByteSliceToString(name.Release[:])) {
		return "that needs Linux 5.9 with seccomp"
	}
	return ""
})

// isRecent reports whether a release of the kernel reports that nothing is left to be
// observed, without which an observer would never end.
func isRecent(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || major == 5 && minor >= 9
}
