package scim

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIDSet: it knows every id and its pass, at 16 bytes an id at most.
func TestIDSet(t *testing.T) {
	t.Parallel()
	s := newIDSet()
	const ids = 100_000
	for i := range ids {
		id := fmt.Sprintf("id-%d", i)
		require.Zero(t, s.pass(id))
		s.add(id, 1)
		if i%2 == 0 {
			s.add(id, 3)
		}
		if i < 10_000 {
			continue
		}
		if i%10_000 == 0 {
			slots := 0
			for _, shard := range s.shards {
				slots += len(shard.slots)
			}
			require.LessOrEqual(t, 8*slots, 16*s.ids)
		}
	}
	require.Equal(t, ids, s.ids)
	for i := range ids {
		require.Equal(t, 1+(i+1)%2*2, s.pass(fmt.Sprintf("id-%d", i)))
	}
}
