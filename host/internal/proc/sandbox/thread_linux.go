package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// thread is a thread of an observed program, which waits in a call. What is read of it may
// be anything: the program can change it meanwhile.
type thread int

// directory is the directory that a name is seen from, as a path without links.
func (t thread) directory(dirfd int32) (path string, ok bool) {
	link := fmt.Sprintf("/proc/%d/fd/%d", t, dirfd)
	if dirfd == unix.AT_FDCWD {
		link = fmt.Sprintf("/proc/%d/cwd", t)
	}
	path, err := os.Readlink(link)
	return path, err == nil
}

// follow is what a link leads to for the thread. A direct one is no name, but a way of the
// kernel's to something open.
func (t thread) follow(link string) (target string, isDirect, ok bool) {
	switch link {
	case "/proc/self":
		return strconv.Itoa(t.process()), false, true
	case "/proc/thread-self":
		return fmt.Sprintf("%d/task/%d", t.process(), t), false, true
	}
	target, err := os.Readlink(link)
	return target, isOfProcess(link), err == nil
}

// process is the number of the process of the thread; 0 if it is not known.
func (t thread) process() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	number, _ := strconv.Atoi(strings.TrimSpace(line)) // 0 also if there is none.
	return number
}

// read reads memory of the thread.
func (t thread) read(address uint64, into []byte) bool {
	local := []unix.Iovec{{Base: &into[0]}}
	local[0].SetLen(len(into))
	n, err := unix.ProcessVMReadv(int(t), local, []unix.RemoteIovec{{Base: uintptr(address), Len: len(into)}}, 0)
	return err == nil && n == len(into)
}

// text reads a name in the memory of the thread, page by page: what lies behind it may not
// be there.
func (t thread) text(address uint64) (text string, ok bool) {
	const page = 4096
	var buffer [longest]byte
	for have := 0; have < longest; {
		part := buffer[have:min(longest, have+page-int((address+uint64(have))%page))]
		if !t.read(address+uint64(have), part) {
			return "", false
		}
		if end := bytes.IndexByte(part, 0); end >= 0 {
			return string(buffer[:have+end]), true
		}
		have += len(part)
	}
	return "", false // The kernel takes no longer one.
}

// isTCP reports whether a descriptor is a socket of TCP.
func (t thread) isTCP(fd int32) bool {
	process, err := unix.PidfdOpen(t.process(), 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(process) }()
	socket, err := unix.PidfdGetfd(process, int(fd), 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(socket) }()
	protocol, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == unix.IPPROTO_TCP
}

// address is the address of a socket in the memory of a thread.
type address struct {
	family   uint16
	port     uint16 // of IP
	path     string // of a unix socket
	abstract string // the same, in no directory, with @ before it
}

// address reads the address of a socket.
func (t thread) address(at, size uint64) (a address, ok bool) {
	const least, most = 2, unix.SizeofSockaddrUnix
	if size < least {
		return a, false
	}
	raw := make([]byte, min(size, most))
	if !t.read(at, raw) {
		return a, false
	}
	a.family = binary.NativeEndian.Uint16(raw)
	switch rest := raw[least:]; a.family {
	case unix.AF_INET, unix.AF_INET6:
		if len(rest) < 2 {
			return a, false
		}
		a.port = binary.BigEndian.Uint16(rest)
	case unix.AF_UNIX:
		switch {
		case len(rest) == 0: // The system chooses a name.
		case rest[0] == 0:
			a.abstract = "@" + string(rest[1:])
		default:
			path, _, _ := bytes.Cut(rest, []byte{0})
			a.path = string(path)
		}
	}
	return a, true
}
