//go:build long

package supervise_test

import "testing"

func TestLongProcess_EndsWithAKilledHost(t *testing.T) {
	t.Parallel()
	killHosts(t, 50)
}
