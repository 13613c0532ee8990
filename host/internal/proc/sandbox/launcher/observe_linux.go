package launcher

import (
	"syscall"
	"unsafe"
)

// Flags of seccomp for a filter whose calls another process sees.
const (
	newListener  = 8  // SECCOMP_FILTER_FLAG_NEW_LISTENER
	waitKillable = 32 // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: no signal interrupts a call that has been seen.
)

// observe sends the listener of the observed calls to the host, or the number of the error
// by which the kernel refuses one: the program is executed nevertheless then. It fails only
// where the listener exists and the host cannot have it, as nothing would answer.
func observe(r Request, socket int) syscall.Errno {
	listener, refusal := listen(r)
	var rights []byte
	if refusal == 0 {
		rights = syscall.UnixRights(listener)
	}
	message := appendNumber(nil, uint32(refusal)) //nolint:gosec // Errors are small numbers.
	err := syscall.Sendmsg(socket, message, rights, nil, 0)
	for err == syscall.EINTR {
		err = syscall.Sendmsg(socket, message, rights, nil, 0)
	}
	_ = syscall.Close(socket)
	if refusal != 0 {
		return 0
	}
	_ = syscall.Close(listener)
	errno, _ := err.(syscall.Errno) //nolint:errorlint // Package errors is not for a launcher; Sendmsg returns nothing else.
	return errno
}

// listen applies the filter. Privileges by executing files are given up only where the
// kernel demands it, which is for a user who is not root.
func listen(r Request) (listener int, refusal syscall.Errno) {
	flags := uintptr(newListener | allowSpeculation | waitKillable)
	listener, refusal = filter(r, flags)
	if refusal == syscall.EINVAL { // Linux 5.18 and older.
		flags &^= waitKillable
		listener, refusal = filter(r, flags)
	}
	if refusal == syscall.EACCES {
		if refusal = prctl(noNewPrivileges, 1, 0); refusal == 0 {
			listener, refusal = filter(r, flags)
		}
	}
	return listener, refusal
}

func filter(r Request, flags uintptr) (listener int, errno syscall.Errno) {
	program := struct {
		length  uint16
		filters *byte
	}{uint16(len(r.Observed) / 8), &r.Observed[0]} //nolint:gosec // The kernel takes 4096 instructions.
	fd, _, errno := syscall.RawSyscall(uintptr(r.SeccompCall), modeFilter, flags, uintptr(unsafe.Pointer(&program))) //nolint:gosec // The kernel reads it.
	return int(fd), errno
}

// DecodeRefusal reads what a launcher sends with the listener: 0, or the number of the
// error by which there is none.
func DecodeRefusal(from []byte) (errno uint32, ok bool) {
	d := decoder{rest: from}
	errno = d.number()
	return errno, !d.broken
}
