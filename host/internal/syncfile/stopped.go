package syncfile

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// withoutStopped leaves out, of several errors, those that only say that a worker
// of the syncer was stopped because of another: they would bury the reason.
func withoutStopped(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var reasons []error
	for _, one := range joined.Unwrap() {
		if !errors.Is(one, context.Canceled) && status.Code(one) != codes.Canceled {
			reasons = append(reasons, one)
		}
	}
	if len(reasons) == 0 {
		return err
	}
	return errors.Join(reasons...)
}
