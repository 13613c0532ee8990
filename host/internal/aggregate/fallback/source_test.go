package fallback

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/aggregate/pagecheck"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/rename"
)

// TestSource_DoesNotOverlookARejectedListingBesideALostCall: with several listings at once the
// first failure may be the lesser.
func TestSource_DoesNotOverlookARejectedListingBesideALostCall(t *testing.T) {
	t.Parallel()
	s := NewSource(&baseline.Plugin{}, &rename.Names{Instance: "a"}, &pagecheck.Types{}, nil, nil)
	asking, done := s.BeginCall(t.Context())
	require.NoError(t, asking.Err())
	lost, rejected := errors.New("lost"), errors.New("rejected")
	require.True(t, s.Fail(lost, false))
	<-asking.Done() // The other listing is called off.
	require.False(t, s.Fail(rejected, true), "it is no news that the plugin has failed")
	require.False(t, s.Fail(lost, false))
	done()
	s.flight.Wait()
	failure, failed := s.Failure()
	require.True(t, failed)
	require.True(t, failure.Contradicted)
	require.Equal(t, rejected, failure.Err)
	again, _ := s.BeginCall(t.Context())
	require.Nil(t, again, "no further listing is asked for")
}
