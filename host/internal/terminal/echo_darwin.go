package terminal

import "golang.org/x/sys/unix"

const readTerminal, writeTerminal = unix.TIOCGETA, unix.TIOCSETA
