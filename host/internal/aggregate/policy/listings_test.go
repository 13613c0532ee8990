package policy

import (
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

// TestListings_AbandonedOneLeavesItsPlace: if it did not, no other listing of
// the plugin could begin before the end of the sync, which might wait for one.
func TestListings_AbandonedOneLeavesItsPlace(t *testing.T) {
	t.Parallel()
	const method = v2.ResourcesService_ListResources_FullMethodName
	request := func(typeID string) *v2.ResourcesServiceListResourcesRequest {
		return v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: typeID}.Build()
	}
	open := NewListings("a", supervise.New(t.Context(), supervise.Settings{}), 0, 0)
	left, err := open.Begin(t.Context(), method, request("user"))
	require.NoError(t, err)
	page := v2.ResourcesServiceListResourcesResponse_builder{NextPageToken: "2"}.Build()
	_, refusal := open.Page(left, method, request("user"), page, 0)
	require.Nil(t, refusal)

	begun := make(chan error, 1)
	go func() {
		_, err := open.Begin(t.Context(), method, request("group"))
		begun <- err
	}()
	open.dropAbandoned(time.Now().Add(-abandoned))
	select {
	case <-begun:
		require.Fail(t, "H2: it has not been left for long")
	default:
	}
	open.dropAbandoned(time.Now().Add(time.Second))
	require.NoError(t, <-begun)
}
