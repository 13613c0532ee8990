//go:build !linux

package proc

import "errors"

// Memory fails: it is known on Linux only.
func (*Process) Memory() (uint64, error) {
	return 0, errors.New("this system has no /proc")
}
