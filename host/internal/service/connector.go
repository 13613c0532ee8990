package service

import (
	"context"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/fleet"
)

// connector is the upload's plugins as one connector, for tasks that are no full sync.
// It is not closed, so it must leave nothing behind: no page that was read ahead, and
// no listing that holds its place.
func (s *Service) connector(ctx context.Context) (*aggregate.Aggregate, error) {
	plugins := fleet.Aggregate(ctx, s.plugins, s.upload)
	for i := range plugins {
		plugins[i].ReadAhead, plugins[i].Listings = 0, nil
		s.board.Name(plugins[i].Instance, plugins[i].DisplayName)
	}
	return aggregate.New(plugins, aggregate.WithRetry(s.options.Retry), aggregate.WithMetadataMemory(s),
		aggregate.WithObserver(s.board.Sync(s.upload.Name, "")))
}

// Remember keeps what a plugin reports of itself for when it does not answer; see
// [aggregate.WithMetadataMemory].
func (s *Service) Remember(instance string, metadata *connectorv2.ConnectorMetadata) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metadata[instance] = metadata
}

// Recall returns what was remembered, in this run or with the baseline.
func (s *Service) Recall(instance string) *connectorv2.ConnectorMetadata {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.metadata[instance]
}
