//go:build long

package registry

import "testing"

func TestLongInstall_LeavesNoHalfBinaryWhenKilled(t *testing.T) {
	t.Parallel()
	killed(t, 50)
}
