//go:build long

package host_test

import "testing"

func TestLongServeGuardsAnEmptyListBeforeEachFailure(t *testing.T) {
	t.Parallel()
	guardsAnEmptyList(t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
}
