package syncrun

import (
	"context"
	"sync"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// skippedResources are those of which a sync skips entitlements or grants: what the
// baseline has of them was not read, and does not count as gone. The zero value is ready;
// its methods may be called concurrently.
type skippedResources struct {
	mu  sync.Mutex
	all []aggregate.Skipped
}

func (s *skippedResources) add(one aggregate.Skipped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

func (s *skippedResources) any(instance string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.Instance == instance {
			return true
		}
	}
	return false
}

// before returns how many entitlements or grants a sync file has of those resources of a
// type; 0 for other measures. What cannot be read is none.
func (s *skippedResources) before(ctx context.Context, file *syncfile.File, instance, typeID string, measure Measure) (total int) {
	if measure != Entitlements && measure != Grants {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.Instance != instance || one.ResourceTypeID != typeID {
			continue
		}
		of := connectorv2.Resource_builder{Id: connectorv2.ResourceId_builder{ResourceType: typeID, Resource: one.ResourceID}.Build()}.Build()
		token := ""
		for {
			n, next, err := countPage(ctx, file, of, measure, token)
			if err != nil {
				return total
			}
			if total += n; next == "" {
				break
			}
			token = next
		}
	}
	return total
}

func countPage(ctx context.Context, file *syncfile.File, of *connectorv2.Resource, measure Measure, token string) (n int, next string, err error) {
	if measure == Entitlements {
		page, err := file.ListEntitlements(ctx, connectorv2.EntitlementsServiceListEntitlementsRequest_builder{Resource: of, PageToken: token}.Build())
		return len(page.GetList()), page.GetNextPageToken(), err
	}
	page, err := file.ListGrants(ctx, connectorv2.GrantsServiceListGrantsRequest_builder{Resource: of, PageToken: token}.Build())
	return len(page.GetList()), page.GetNextPageToken(), err
}
