package plugin

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/stretchr/testify/require"
)

// TestGate_ReleasesMemoryAfterAListing: memory is given back where nothing follows the last
// page, and not in the middle of a listing, which would slow it down.
func TestGate_ReleasesMemoryAfterAListing(t *testing.T) {
	t.Parallel()
	page := func(next string) *connectorv2.ResourcesServiceListResourcesResponse {
		return connectorv2.ResourcesServiceListResourcesResponse_builder{NextPageToken: next}.Build()
	}
	for name, one := range map[string]struct {
		answers []any
		pause   time.Duration
		nothing bool // to give back
		rests   int
	}{
		"a page in the middle":     {answers: []any{page("2")}, pause: time.Hour},
		"no page at all":           {answers: []any{&connectorv2.ConnectorServiceValidateResponse{}}, pause: time.Hour},
		"an error":                 {answers: []any{nil}, pause: time.Hour},
		"the last page":            {answers: []any{page("2"), page("")}, pause: time.Hour, rests: 1},
		"two listings, one by one": {answers: []any{page(""), page("")}, pause: idleAfter / 2, rests: 1},
		"two listings, far apart":  {answers: []any{page(""), page("")}, pause: 2 * idleAfter, rests: 2},
		"many listings":            {answers: slices.Repeat([]any{page("")}, 50), pause: 2 * idleAfter, rests: 2},
		"a call that lists nothing after a listing": {
			answers: []any{page(""), &connectorv2.ConnectorServiceCleanupResponse{}}, pause: idleAfter / 2, rests: 1,
		},
		"a listing soon after another, and then a call that lists nothing": {
			answers: []any{page(""), page(""), &connectorv2.ConnectorServiceCleanupResponse{}}, pause: restEvery / 3, rests: 2,
		},
		"nothing to give back":   {answers: []any{page(""), page("")}, pause: 2 * idleAfter, nothing: true, rests: 2},
		"a listing that goes on": {answers: []any{page(""), page("2")}, pause: idleAfter / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var rests atomic.Int32
				g := newGate(func() bool { rests.Add(1); return !one.nothing })
				require.True(t, g.open(struct{ types.ConnectorServer }{}))
				for _, answer := range one.answers {
					_, err := g.enter()
					require.NoError(t, err)
					g.answered(answer)
					g.leave()
					time.Sleep(one.pause) // of the test's own clock
				}
				time.Sleep(2 * restEvery)
				synctest.Wait()
				require.EqualValues(t, one.rests, rests.Load())
			})
		})
	}
}

// TestGate_WaitsForOtherCallsAfterTheLastPage: that is waited for.
func TestGate_WaitsForOtherCallsAfterTheLastPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rests atomic.Int32
		g := newGate(func() bool { rests.Add(1); return true })
		require.True(t, g.open(struct{ types.ConnectorServer }{}))
		for range 2 {
			_, err := g.enter()
			require.NoError(t, err)
		}
		g.answered(&connectorv2.ResourcesServiceListResourcesResponse{})
		g.leave()
		time.Sleep(time.Hour)
		require.Zero(t, rests.Load())
		g.leave()
		time.Sleep(2 * idleAfter)
		synctest.Wait()
		require.EqualValues(t, 1, rests.Load())
	})
}

// TestHeap_IsMeasured: a name that this version of Go does not know would panic.
func TestHeap_IsMeasured(t *testing.T) {
	t.Parallel()
	require.Greater(t, heapBytes(), uint64(100<<10))
}
