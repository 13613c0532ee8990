package policy

import (
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

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

func TestIsLastPage(t *testing.T) {
	t.Parallel()
	page := func(next string, enqueued ...string) proto.Message {
		built := v2.GrantsServiceListGrantsResponse_builder{NextPageToken: next}.Build()
		if len(enqueued) > 0 {
			built.SetAnnotations(annotations.New(v2.EnqueuePageTokens_builder{PageTokens: enqueued}.Build()))
		}
		return built
	}
	for name, c := range map[string]struct {
		page proto.Message
		want bool
	}{
		"nothing follows":            {page(""), true},
		"another follows":            {page("2"), false},
		"others are read beside it":  {page("", "a", "b"), false},
		"and another follows":        {page("2", "a"), false},
		"it is no page of a listing": {&v2.ResourceGetterServiceGetResourceResponse{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, IsLastPage(c.page))
		})
	}
}
