//go:build !linux

package supervise

import "errors"

// groupMemory is known on Linux only.
func groupMemory(int) (uint64, error) {
	return 0, errors.New("this system has no /proc")
}
