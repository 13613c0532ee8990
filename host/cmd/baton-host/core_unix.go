//go:build unix

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// leaveNoCore keeps this process and its plugins from leaving their memory, with
// every secret in it, in a file when they crash. No plugin can take it back.
func leaveNoCore() {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		fmt.Fprintf(os.Stderr, "baton-host: warning: a process that crashes may leave its memory in a file: %s\n", err)
	}
}
