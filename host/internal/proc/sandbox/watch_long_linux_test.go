//go:build long

package sandbox

import (
	"strconv"
	"testing"
)

// TestLongWarn_AgreesWithOlderKernels: each of them denies less, but for moves to other
// directories, which the first one denies altogether.
func TestLongWarn_AgreesWithOlderKernels(t *testing.T) {
	t.Parallel()
	if Unobservable() != "" {
		t.Skip(Unobservable())
	}
	for version := 1; version < Kernel().Landlock; version++ {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			t.Parallel()
			agrees(t, version)
		})
	}
}
