package service

import "errors"

// dropped is why a task ends about which nothing is decided: C1 does not want it
// any more, or may give it to another host.
type dropped string

func (d dropped) Error() string { return string(d) }

// Public is all of the error.
func (d dropped) Public() string { return string(d) }

// isDropped reports whether a task was dropped rather than failed: C1 has cancelled it
// or taken it back, or the host is stopping.
func isDropped(err error) bool {
	_, ok := errors.AsType[dropped](err)
	return ok
}
