//go:build unix

package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/batonhost/baton-host/host/internal/hostlog"
)

// leaveNoCore keeps this process and its plugins from leaving their memory, with
// every secret in it, in a file when they crash. No plugin can take it back.
func leaveNoCore() {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: warning: a process that crashes may leave its memory in a file: %s\n", err)
	}
}
