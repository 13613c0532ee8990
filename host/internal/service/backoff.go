package service

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/backoff"
)

// sleep waits, and returns false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// persistently makes a call until it succeeds, fails in a way that another attempt
// does not fix, or the time is over.
func persistently(ctx context.Context, within time.Duration, retrying func(error, time.Duration), attempt func(context.Context) error) error {
	deadline := time.Now().Add(within)
	pauses := backoff.Doubling(time.Second, 30*time.Second)
	for {
		err := attempt(ctx)
		if err == nil || ctx.Err() != nil || final(err) {
			return err
		}
		wait := pauses.NextBackOff()
		if time.Now().Add(wait).After(deadline) {
			return err
		}
		retrying(err, wait)
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// final says that C1 has answered and would answer the same again.
func final(err error) bool {
	if errors.Is(err, errTaken) || errors.Is(err, errCancelled) {
		return true
	}
	switch status.Code(err) {
	case codes.NotFound, codes.PermissionDenied, codes.InvalidArgument, codes.Unimplemented,
		codes.FailedPrecondition, codes.AlreadyExists, codes.OutOfRange:
		return true
	}
	return false
}
