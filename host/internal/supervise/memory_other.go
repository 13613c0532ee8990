//go:build !linux

package supervise

import "errors"

// Memory fails: it is known on Linux only.
func (*runner) Memory() (uint64, error) {
	return 0, errors.New("this system has no /proc")
}
