package sandbox

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ownOnly are calls that change how a process is scheduled. Landlock does not keep a program
// from those of its user, the host among them, so it can make them for itself alone: for the
// number 0, as a filter does not know its own.
var ownOnly = []uint32{unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR}

// ownOnlyOfKind are such calls whose first argument says what the second one is the number
// of: here of a process.
var ownOnlyOfKind = map[uint32]uint32{unix.SYS_SETPRIORITY: unix.PRIO_PROCESS, unix.SYS_IOPRIO_SET: ioprioProcess}

// ioprioProcess is IOPRIO_WHO_PROCESS.
const ioprioProcess = 1

// otherProcesses are the instructions on calls that could change other processes.
func otherProcesses() []bpf.Instruction {
	var program []bpf.Instruction
	for _, number := range ownOnly {
		program = append(program, onCall(number,
			loadArgument(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, fail(unix.EPERM))...)
	}
	for number, kind := range ownOnlyOfKind {
		program = append(program, onCall(number,
			loadArgument(0), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: kind, SkipTrue: 2},
			loadArgument(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 1}, fail(unix.EPERM))...)
	}
	return program
}
