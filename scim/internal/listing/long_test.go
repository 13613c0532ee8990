//go:build long

package listing

import "testing"

func TestLongModel(t *testing.T) {
	t.Parallel()
	for name, m := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m.explore(t, 1)
		})
	}
}
