package service

import (
	"context"
	"errors"
	"strings"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

const (
	// finishFor is how long a result is reported to a C1 that does not answer.
	finishFor = 5 * time.Minute
	// longestMessage is how much of an error is reported to C1, in bytes.
	longestMessage = 8 << 10
	// longestStatus is how large an error may be for its details to be reported too, in
	// bytes: an error that C1 refuses for its size would never be heard.
	longestStatus = 64 << 10
)

// outcome is how a task ended.
type outcome struct {
	err         error
	permanent   bool // C1 need not try again
	response    *anypb.Any
	annotations []*anypb.Any
}

// finish reports to C1 how a task ended, until it is heard. A C1 that does not know
// the task has heard it before, or has given the task to another host.
func (s *Service) finish(ctx context.Context, task *v1.Task, result outcome) error {
	log := ctxzap.Extract(ctx)
	within := finishFor
	if errors.Is(context.Cause(ctx), errStopping) {
		within = handBackTime
	}
	// Also, and above all, if the work was broken off. But not for longer than the
	// host may take to stop.
	reporting, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	release := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), errStopping) {
			time.AfterFunc(handBackTime, cancel)
		}
	})
	defer release()
	request := v1.BatonServiceFinishTaskRequest_builder{HostId: s.hostID, TaskId: task.GetId()}
	if result.err == nil {
		request.Success = v1.BatonServiceFinishTaskRequest_Success_builder{Response: result.response, Annotations: result.annotations}.Build()
	} else {
		request.Status = statusOf(result.err)
		request.Error = v1.BatonServiceFinishTaskRequest_Error_builder{
			NonRetryable: result.permanent, Response: result.response, Annotations: result.annotations,
		}.Build()
	}
	err := persistently(reporting, within,
		func(err error, wait time.Duration) {
			log.Warn("C1 has not heard how the task ended; reporting it again", zap.Error(err), zap.Duration("wait", wait))
		},
		func(ctx context.Context) error {
			_, err := call(ctx, s.client, request.Build(), v1.BatonServiceClient.FinishTask)
			return err
		})
	if status.Code(err) == codes.NotFound {
		log.Warn("C1 does not know the task any more: it has heard of its end before, or has taken it back")
		return nil
	}
	return err
}

// taskError is an error with a code.
type taskError struct {
	error
	code codes.Code
}

func (e *taskError) Unwrap() error              { return e.error }
func (e *taskError) GRPCStatus() *status.Status { return status.New(e.code, e.Error()) }

// statusOf is an error as it is reported to C1. Codes and details stay.
func statusOf(err error) *spb.Status {
	code := status.Code(err)
	switch {
	case errors.Is(err, context.Canceled) && code == codes.Unknown:
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded) && code == codes.Unknown:
		code = codes.DeadlineExceeded
	}
	message := errtext.Plain(err.Error())
	if len(message) > longestMessage {
		message = strings.ToValidUTF8(message[:longestMessage], "") + "…"
	}
	reported := &spb.Status{Code: int32(code), Message: strings.ToValidUTF8(message, "�")}
	if converted, ok := status.FromError(err); ok && proto.Size(converted.Proto()) <= longestStatus {
		reported.Details = converted.Proto().GetDetails()
	}
	return reported
}

// dropError is why a task ends about which nothing is decided: C1 does not want it
// any more, or may give it to another host.
type dropError string

func (d dropError) Error() string { return string(d) }

// Public is all of the error.
func (d dropError) Public() string { return string(d) }

// isDropped reports whether a task was dropped rather than failed: C1 has cancelled it
// or taken it back, or the host is stopping.
func isDropped(err error) bool {
	_, ok := errors.AsType[dropError](err)
	return ok
}
