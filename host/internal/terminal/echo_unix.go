//go:build linux || darwin

package terminal

import "golang.org/x/sys/unix"

// hideTyping switches the echo of a terminal off. term.ReadPassword does so too, but
// only when the prompt has been seen and a person may have begun to type.
func hideTyping(fd int) error {
	state, err := unix.IoctlGetTermios(fd, readTerminal)
	if err != nil {
		return err
	}
	state.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, writeTerminal, state)
}
