package service

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/connectorclient"
)

// other has the SDK's own handler do a task. The handler tells C1 the result
// itself, once, and some tell it no failure at all. So if the handler returns an
// error, C1 has not heard of the task's end and is told it here: a success if
// the plugin has done what was asked, so that nothing is done twice.
func (s *Service) other(ctx context.Context, task *v1.Task) error {
	connector, err := s.connector(ctx)
	if err != nil {
		return errors.Join(err, s.finish(ctx, task, outcome{err: err}))
	}
	seen := &witness{ClientConnInterface: connector}
	err = s.sdk.Process(ctx, task, connectorclient.NewConnectorClient(ctx, seen))
	if err == nil {
		return seen.failed()
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	result := seen.outcome(err)
	if err := s.finish(ctx, task, result); err != nil {
		return fmt.Errorf("C1 does not hear how the task ended: %w", errors.Join(err, result.err))
	}
	return result.err
}
