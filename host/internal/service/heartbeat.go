package service

import (
	"context"
	"errors"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The limits of the time between heartbeats, as in the SDK.
const (
	unsaidHeartbeat   = 30 * time.Second
	shortestHeartbeat = time.Second
	longestHeartbeat  = 5 * time.Minute
	// firstHeartbeatFor is how long the first heartbeat is tried. Without one, C1
	// may have given the task to another host.
	firstHeartbeatFor = 30 * time.Second
)

var (
	// errCancelled is why work ends that C1 does not want any more.
	errCancelled error = dropError("C1 has cancelled the task")
	// errTaken is why work ends that C1 has given up on or given to another host.
	errTaken error = dropError("C1 has taken the task back")
)

// heartbeats says to C1 that the task is being worked on, at once and from then
// on until stop is called. The returned context ends, with errCancelled or
// errTaken for its cause, when C1 does not want the work any more.
//
// That C1 cannot be reached ends nothing: the work may be done by the time it
// can.
func (s *Service) heartbeats(ctx context.Context, task *v1.Task, log *zap.Logger) (working context.Context, stop func(), err error) {
	var interval time.Duration
	err = persistently(ctx, firstHeartbeatFor,
		func(err error, wait time.Duration) {
			log.Warn("the first heartbeat failed; trying again", zap.Error(err), zap.Duration("wait", wait))
		},
		func(ctx context.Context) error {
			interval, err = s.beat(ctx, task)
			return err
		})
	if err != nil {
		return nil, nil, err
	}
	working, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for sleep(working, interval) {
			next, err := s.beat(working, task)
			switch {
			case err == nil:
				interval = next
			case errors.Is(err, errCancelled), errors.Is(err, errTaken):
				cancel(err)
			case working.Err() == nil:
				log.Warn("a heartbeat failed", zap.Error(err))
			}
		}
	}()
	return working, func() {
		cancel(nil)
		<-ended
	}, nil
}

// beat sends one heartbeat and returns the time until the next.
func (s *Service) beat(ctx context.Context, task *v1.Task) (time.Duration, error) {
	response, err := call(ctx, s.client, v1.BatonServiceHeartbeatRequest_builder{
		HostId: s.hostID, TaskId: task.GetId(),
	}.Build(), v1.BatonServiceClient.Heartbeat)
	switch {
	case status.Code(err) == codes.NotFound:
		return 0, errTaken
	case err != nil:
		return 0, err
	case response.GetCancelled():
		return 0, errCancelled
	}
	interval := response.GetNextHeartbeat().AsDuration()
	if interval <= 0 {
		interval = unsaidHeartbeat
	}
	return min(max(interval, shortestHeartbeat), longestHeartbeat), nil
}
