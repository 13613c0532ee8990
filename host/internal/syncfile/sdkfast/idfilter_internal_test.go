package sdkfast

import (
	"fmt"
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"
)

// TestIDFilter_DeniesNothingThatWasAdded: that would make the syncer take a resource
// that is there for one that is not.
func TestIDFilter_DeniesNothingThatWasAdded(t *testing.T) {
	t.Parallel()
	id := func(n int) *connectorv2.ResourceId {
		return connectorv2.ResourceId_builder{ResourceType: "user", Resource: fmt.Sprint("u", n)}.Build()
	}
	const many = 100_000
	filter := newIDFilter()
	require.False(t, filter.mayHave(id(1)))
	for n := range many {
		filter.add(id(n))
	}
	wrong := 0
	for n := range many {
		require.True(t, filter.mayHave(id(n)))
		if filter.mayHave(id(many + n)) {
			wrong++
		}
	}
	require.Less(t, wrong, many/100, "it would spare nothing")
}
