//go:build long

package scim_test

import "testing"

func TestLongActiveOfSome(t *testing.T) {
	t.Parallel()
	activeOfSome(t, func(int, int) bool { return true })
}

func TestLongRandomServers(t *testing.T) {
	t.Parallel()
	randomServers(t, 3000)
}
