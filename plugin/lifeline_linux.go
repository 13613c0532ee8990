package plugin

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// The host has the kernel kill its plugins when it dies, for those that do not
// follow the lifeline. One that does takes its children with it, if it is let: so
// it changes the signal to one that it can see.
//
// This must run before main: the setting belongs to the process's first thread,
// which is sure to be this one only during initialization.
func init() {
	if startedByHost() {
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0)
	}
}
