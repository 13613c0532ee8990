package service

import (
	"context"
	"sync"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
)

// witness sees what the plugin answers in a task that changes something, so that
// it can be reported even if the SDK's handler could not.
type witness struct {
	grpc.ClientConnInterface

	mu      sync.Mutex
	failure error         // of the last call
	asked   bool          // something was to be changed
	reply   proto.Message // nil: it was not
}

// Invoke passes the call on.
func (w *witness) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := w.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure = err
	if !policy.Changes(method) {
		return err
	}
	w.asked = true
	if message, ok := reply.(proto.Message); ok && err == nil {
		w.reply = proto.Clone(message)
	}
	return err
}

// failed is why the plugin did not do what the task asked for, which the SDK's
// handlers report to C1 and not their caller.
func (w *witness) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// outcome is how a task ended whose handler failed with err without C1 having
// heard of it.
func (w *witness) outcome(err error) outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reply == nil {
		// What was asked and failed is not to be tried again, as the SDK has it:
		// it is unknown how far it went.
		return outcome{err: err, permanent: w.asked}
	}
	response, wrapErr := anypb.New(w.reply)
	if wrapErr != nil {
		return outcome{err: wrapErr, permanent: true}
	}
	result := outcome{response: response}
	if annotated, ok := w.reply.(interface{ GetAnnotations() []*anypb.Any }); ok {
		result.annotations = annotated.GetAnnotations()
	}
	if run, ok := w.reply.(*connectorv2.InvokeActionResponse); ok && run.GetStatus() == connectorv2.BatonActionStatus_BATON_ACTION_STATUS_FAILED {
		result.err = status.Error(codes.Unknown, "action failed")
	}
	return result
}
