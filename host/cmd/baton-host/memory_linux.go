package main

import (
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/hostlog"
)

// keepDescriptors has no plugin inherit what this process has inherited: what a shell or a
// supervisor left open is not for them.
func keepDescriptors() {
	const first = 3 // Behind the standard ones.
	if err := unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err == nil {
		return
	}
	open, _ := os.ReadDir("/proc/self/fd") // Before Linux 5.11.
	for _, one := range open {
		if fd, err := strconv.Atoi(one.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
}

// hideMemory keeps other processes of the same user, plugins in no sandbox among them, from
// reading the memory, the environment and the descriptors of this one. Those of root can.
func hideMemory() {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: warning: other processes of this user can read the memory of this one: %s\n", err)
	}
}
