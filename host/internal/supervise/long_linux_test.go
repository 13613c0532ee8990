//go:build long

package supervise_test

import "testing"

func TestLongNoProcessOutlivesAHostThatIsKilled(t *testing.T) {
	t.Parallel()
	killHosts(t, 50)
}
