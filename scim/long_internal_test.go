//go:build long

package scim

import "testing"

func TestLongChaos(t *testing.T) {
	t.Parallel()
	chaosOf(t, 800)
}
