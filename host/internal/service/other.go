package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
	"github.com/conductorone/baton-sdk/pkg/tasks"
	tasktypes "github.com/conductorone/baton-sdk/pkg/types/tasks"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/fleet"
)

// changes are the tasks that change something in an app.
var changes = map[tasktypes.TaskType]bool{
	tasktypes.GrantType: true, tasktypes.RevokeType: true, tasktypes.CreateAccountType: true,
	tasktypes.CreateResourceType: true, tasktypes.DeleteResourceType: true,
	tasktypes.RotateCredentialsType: true, tasktypes.IssueCredentialType: true,
	tasktypes.CreateTicketType: true, tasktypes.BulkCreateTicketsType: true, tasktypes.ActionInvokeType: true,
}

// other has the SDK's own handler do a task, and returns why it failed. The handler
// reports to C1 the result itself, once, and some report no failure at all. So if the
// handler returns an error, C1 has not heard of the task's end and gets it here: the
// handler's verdict, or else a success if the plugin has done what was asked, so that
// nothing is done twice.
func (s *Service) other(ctx context.Context, task *v1.Task) error {
	if changes[tasks.GetType(task)] {
		// Such a task is not repeated, and may have a password that is encrypted for the
		// newest credentials.
		s.fleet.RefreshFirst(ctx, s.plugins)
		_, _ = s.client.creds.refresh(ctx) // It is logged.
	}
	manager, err := s.manager(ctx)
	if err != nil {
		return errors.Join(err, s.finish(ctx, task, outcome{err: err}))
	}
	connector, err := s.connector(ctx)
	if err != nil {
		return errors.Join(err, s.finish(ctx, task, outcome{err: err}))
	}
	seen, heard := &witness{ClientConnInterface: connector}, &verdict{}
	err = manager.Process(heard.hear(ctx), task, connectorclient.NewConnectorClient(ctx, seen))
	permanent, failure := heard.failure()
	if err == nil {
		return failure
	}
	cause := context.Cause(ctx)
	result := seen.outcome(cmp.Or(cause, err))
	if cause == nil && failure != nil {
		result.err, result.permanent = failure, permanent
	}
	if err := s.finish(ctx, task, result); err != nil {
		return fmt.Errorf("C1 does not hear how the task ended: %w", errors.Join(err, result.err))
	}
	return result.err
}

// connector is the upload's plugins as one connector, for tasks that are no full sync.
// It is not closed, so it must leave nothing behind: no page that was read ahead, and
// no listing that holds its place.
func (s *Service) connector(ctx context.Context) (*aggregate.Aggregate, error) {
	plugins := fleet.Aggregate(ctx, s.plugins, s.newest())
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
