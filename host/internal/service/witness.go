package service

import (
	"context"
	"errors"
	"slices"
	"sync"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/tasks/c1api"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
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

	mu    sync.Mutex
	asked bool          // something was to be changed
	reply proto.Message // nil: it was not
}

// Invoke passes the call on.
func (w *witness) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := w.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if !policy.Changes(method) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = true
	if message, ok := reply.(proto.Message); ok && err == nil {
		w.reply = proto.Clone(message)
	}
	return err
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

// finishing is the SDK's log message for an error that a handler finishes its task with:
// its own verdict on the task, or what a plugin answered.
const finishing = "c1_api_task_manager.finishTask(): finishing task with error"

// verdict is the error that a handler finishes its task with. The handler reports it to
// C1 and to its log, and not to its caller.
type verdict struct {
	mu  sync.Mutex
	err error
}

// hear returns a context in whose log the verdict is heard, whatever the log's level.
func (v *verdict) hear(ctx context.Context) context.Context {
	log := ctxzap.Extract(ctx).WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return verdictCore{core, v} }))
	return ctxzap.ToContext(ctx, log)
}

// failure is why the task failed, nil if it did not or is not finished, and whether it
// need not be tried again.
func (v *verdict) failure() (permanent bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return errors.Is(v.err, c1api.ErrTaskNonRetryable), withoutMark(v.err)
}

// withoutMark is the error without the mark by which the SDK says that it is permanent.
func withoutMark(err error) error {
	joined, ok := err.(interface{ Unwrap() []error }) // The mark is joined outermost.
	if !ok {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(joined.Unwrap()), func(one error) bool { return one == c1api.ErrTaskNonRetryable }) //nolint:errorlint,err113 // It is the mark itself.
	if len(rest) == 1 {
		return rest[0]
	}
	return errors.Join(rest...)
}

// verdictCore is a log's core that notes a handler's verdict.
type verdictCore struct {
	zapcore.Core
	verdict *verdict
}

// Enabled also lets the level through at which the SDK logs the verdict.
func (c verdictCore) Enabled(level zapcore.Level) bool {
	return level == zapcore.ErrorLevel || c.Core.Enabled(level)
}

// With keeps listening.
func (c verdictCore) With(fields []zapcore.Field) zapcore.Core {
	return verdictCore{c.Core.With(fields), c.verdict}
}

// Check has the verdict noted by Write, and leaves the log to the core within.
func (c verdictCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Message == finishing {
		checked = checked.AddCore(entry, c)
	}
	return c.Core.Check(entry, checked)
}

// Write notes the verdict and writes nothing.
func (c verdictCore) Write(_ zapcore.Entry, fields []zapcore.Field) error {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			c.verdict.mu.Lock()
			c.verdict.err = err
			c.verdict.mu.Unlock()
		}
	}
	return nil
}
