package supervise

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// TestPluginBeginListing: exactly as many listings of a plugin go on at the same time
// as the operator says, else as the plugin declares, else one.
func TestPluginBeginListing(t *testing.T) {
	t.Parallel()
	type limit struct {
		configured int
		declared   uint32
		want       int
	}
	limits := []limit{{0, 0, 1}, {0, 1, 1}, {0, 4, 4}, {1, 4, 1}, {8, 0, 8}, {0, 1 << 20, 64}}
	for n := 1; n <= 64; n++ {
		limits = append(limits, limit{configured: n, want: n})
	}
	for _, tc := range limits {
		t.Run(fmt.Sprintf("H2: configured %d, declared %d", tc.configured, tc.declared), func(t *testing.T) {
			t.Parallel()
			p := New(t.Context(), Settings{Concurrency: tc.configured})
			p.manifest = &pluginv1.Manifest{ListingConcurrency: tc.declared}
			var ends []func()
			for range tc.want {
				end, err := p.BeginListing(t.Context())
				require.NoError(t, err)
				ends = append(ends, end)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := p.BeginListing(ended)
			require.ErrorIs(t, err, context.Canceled, "one more has to wait")

			begun := make(chan error, 1)
			go func() {
				end, err := p.BeginListing(t.Context())
				if err == nil {
					end()
				}
				begun <- err
			}()
			ends[0]()
			require.NoError(t, <-begun)
			for _, end := range ends[1:] {
				end()
			}
		})
	}
}
