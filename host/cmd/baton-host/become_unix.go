//go:build unix

package main

import (
	"os"
	"slices"
	"syscall"
)

// become makes this process run another program: signals, terminal and exit status are
// that one's. It returns only if that is not possible.
func become(path string, args ...string) error {
	return syscall.Exec(path, slices.Concat([]string{path}, args), os.Environ()) //nolint:gosec // Of the same release.
}
