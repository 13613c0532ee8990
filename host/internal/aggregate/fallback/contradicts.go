package fallback

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// Contradicts says of why a call of a plugin failed whether it means that the listing
// itself is wrong: that the plugin's own reader, or a check of the host, rejected
// what the app had listed. The rows that came before the error are then no better
// than the listing, and the baseline alone is used.
//
// It is false for a plugin that could not be reached any more, for which the fresh
// rows are right as far as they go. What is neither counts as contradicted: in doubt
// the baseline is consistent.
func Contradicts(cause error) bool {
	if own, ok := errors.AsType[*policy.Refusal](cause); ok {
		// A listing without rows is one that stands still; the rows before are right.
		return own.Code != codes.Aborted
	}
	if lost(cause) || errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return false
	}
	switch status.Code(cause) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted,
		codes.Unauthenticated, codes.PermissionDenied:
		return false
	default:
		return true
	}
}

// lost says whether the call reached no process, or the process ended under it: the
// connection says so (supervise.ExitError and those around it), with a code that a
// plugin may send as well.
func lost(err error) bool {
	if _, ended := errors.AsType[interface {
		error
		Replaced() bool
	}](err); ended {
		return true
	}
	_, unreached := errors.AsType[interface {
		error
		Unreached()
	}](err)
	return unreached
}
