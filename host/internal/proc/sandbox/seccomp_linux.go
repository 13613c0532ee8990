package sandbox

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in what a filter of seccomp is given (struct seccomp_data). Arguments of 32 bits
// are read by their lower half alone, as the kernel does not look at the upper one either.
const (
	offsetNumber       = 0
	offsetArchitecture = 4
	offsetArguments    = 16
	sizeOfArgument     = 8
	sizeOfWord         = 4
)

// x32Calls is where the calls of a second interface of amd64 begin.
const x32Calls = 0x40000000

// Protocols and families of sockets.
const (
	protocolMPTCP = 262 // Landlock limits TCP alone, and this reaches the same ports.
	protocolSCTP  = 132
)

// families are those of sockets that connectors need. The others reach the machine, its
// other processes, or an interface of the kernel that Landlock does not limit.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// newNamespaces are flags of clone that make a namespace, in which a program would have
// every capability, or that give a child to the host.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_PARENT

// refusedCalls fail with EPERM, whatever their arguments.
var refusedCalls = []uint32{
	// Other processes: their memory, descriptors and system calls.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_PROCESS_MADVISE,
	// What is mounted where.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	// Interfaces of the kernel by which others are watched, or which have had many faults.
	// io_uring makes sockets beside this filter.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_FANOTIFY_INIT, unix.SYS_SYSLOG, unix.SYS_ACCT,
	// The keyrings of the user.
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	// The kernel itself.
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
	// Namespaces.
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	// A session or a group of its own: by its group the host ends a plugin's children.
	unix.SYS_SETSID, unix.SYS_SETPGID,
}

// filter is the filter of seccomp in the form of the kernel; empty on a processor for which
// there is none.
func filter() []byte {
	if architecture == 0 {
		return nil
	}
	return encode(instructions())
}

// encode is a filter in the form of the kernel.
func encode(program []bpf.Instruction) []byte {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil // A test fails.
	}
	encoded := make([]byte, 0, 8*len(raw))
	for _, one := range raw {
		encoded = binary.NativeEndian.AppendUint16(encoded, one.Op)
		encoded = append(encoded, one.Jt, one.Jf)
		encoded = binary.NativeEndian.AppendUint32(encoded, one.K)
	}
	return encoded
}

// instructions refuse what is named above and allow everything else: a list of what is
// allowed would have to follow every runtime of every language.
func instructions() []bpf.Instruction {
	program := []bpf.Instruction{
		load(offsetArchitecture),
		// Calls of another interface have other numbers, also those of 32 bits (int 0x80).
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: architecture, SkipTrue: 1},
		fail(unix.ENOSYS),
		load(offsetNumber),
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32Calls, SkipTrue: 1},
		fail(unix.ENOSYS),
	}
	for _, number := range append(refusedCalls, refusedHere...) {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: 1}, fail(unix.EPERM))
	}
	program = append(program, onCall(unix.SYS_CLONE3, fail(unix.ENOSYS))...) // Its flags are in memory; libraries then use clone.
	program = append(program, onCall(unix.SYS_CLONE,
		loadArgument(0), bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: newNamespaces, SkipTrue: 1}, fail(unix.EPERM))...)
	// The limits of another process, the host's above all.
	program = append(program, onCall(unix.SYS_PRLIMIT64,
		loadArgument(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 5},
		// A null pointer, by both of its halves, changes nothing.
		loadArgument(2), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
		load(offsetArguments+2*sizeOfArgument+sizeOfWord), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, fail(unix.EPERM))...)
	program = append(program, otherProcesses()...)
	program = append(program, onCall(unix.SYS_SOCKET, sockets()...)...)
	return append(program, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
}

// sockets are the instructions on a call that makes a socket.
func sockets() []bpf.Instruction {
	program := []bpf.Instruction{loadArgument(0)}
	for i, family := range families {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: family, SkipTrue: uint8(len(families) - i)}) //nolint:gosec // There are four.
	}
	program = append(program, fail(unix.EAFNOSUPPORT), loadArgument(2))
	for _, protocol := range []uint32{protocolMPTCP, protocolSCTP} {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocol, SkipTrue: 1}, fail(unix.EPROTONOSUPPORT))
	}
	return program
}

// onCall runs instructions for one call, and allows it where they do not return.
func onCall(number uint32, do ...bpf.Instruction) []bpf.Instruction {
	do = append(do, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: uint8(len(do))}}, do...) //nolint:gosec // They are few.
}

func load(offset uint32) bpf.Instruction {
	return bpf.LoadAbsolute{Off: offset, Size: sizeOfWord}
}

// loadArgument loads the lower half of an argument; both processors are little-endian.
func loadArgument(n uint32) bpf.Instruction { return load(offsetArguments + n*sizeOfArgument) }

func fail(with unix.Errno) bpf.Instruction {
	return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(with)} //nolint:gosec // Errors are small numbers.
}
