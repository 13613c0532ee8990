package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"time"

	"github.com/dustin/go-humanize"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/plugin"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// Conn is the plugin's connection. A call that fails because the process has
// gone fails with an [*ExitError].
func (p *Process) Conn() grpc.ClientConnInterface { return connection{p} }

type connection struct{ process *Process }

func (c connection) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	p := c.process
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.limitCall(method, cancel).Stop()
	err := p.conn.Invoke(limited, method, request, reply, options...)
	if isTooLarge(err) {
		return p.tooLarge(request, err)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		// A caller that is cancelled now is no sign that the process cannot be killed.
		if exit := p.waitExit(context.WithoutCancel(ctx), killAfter); exit != nil {
			return exit
		}
		return &ExitError{Instance: p.spec.Instance, Reason: "hangs and cannot even be killed", ExitCode: -1}
	}
	if err == nil {
		p.blankEvidence(reply)
	}
	return p.explainCall(ctx, err)
}

// blankEvidence blanks the values of secrets in what a page says of its listing for people
// to read.
func (p *Process) blankEvidence(reply any) {
	page, ok := reply.(interface{ GetAnnotations() []*anypb.Any })
	if !ok {
		return
	}
	for _, annotation := range page.GetAnnotations() {
		evidence := &pluginv1.Evidence{}
		if !annotation.MessageIs(evidence) || annotation.UnmarshalTo(evidence) != nil {
			continue
		}
		evidence.Reason = p.logs.Blank(evidence.GetReason())
		_ = annotation.MarshalFrom(evidence) // It has just been unmarshaled.
	}
}

// limitCall ends the process, and then the call, if the timer that it returns is
// not stopped within the call timeout. It is no deadline: that would travel with
// the call, and the plugin's end of the connection may keep it first, with an error
// that says nothing.
func (p *Process) limitCall(method string, cancel context.CancelFunc) *time.Timer {
	return time.AfterFunc(p.spec.CallTimeout, func() {
		p.condemn(fmt.Sprintf("did not answer %s within its call-timeout of %s", path.Base(method), p.spec.CallTimeout))
		if cancel != nil {
			cancel()
		}
	})
}

// messageTooLarge is what gRPC itself says of a message beyond a limit, whichever
// side notices.
var messageTooLarge = regexp.MustCompile(`^(grpc: )?(trying to send message|(received )?message( after decompression)?) larger than max( length allowed on current machine)? (\(\d+ vs\. \d+\)|\d+)$`)

func isTooLarge(err error) bool {
	return status.Code(err) == codes.ResourceExhausted && messageTooLarge.MatchString(status.Convert(err).Message())
}

// tooLarge says of which message gRPC's error speaks: both sides have a limit for
// both directions.
func (p *Process) tooLarge(request any, err error) error {
	if message, ok := request.(proto.Message); ok && proto.Size(message) > plugin.MaxMessageBytes {
		return status.Errorf(codes.ResourceExhausted, "the request is larger than the %s that a plugin takes", humanize.IBytes(plugin.MaxMessageBytes))
	}
	return status.Errorf(codes.ResourceExhausted, "an answer of the plugin is larger than its max-page-size of %s allows; have the connector make smaller pages: %s",
		humanize.IBytes(uint64(p.spec.MaxAnswer)), status.Convert(err).Message()) //nolint:gosec // It is more than 0.
}

func (c connection) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.process.conn.NewStream(ctx, desc, method, options...)
	if err != nil {
		return nil, c.process.explainCall(ctx, err)
	}
	return explainedStream{
		ClientStream: stream, process: c.process, method: method,
		explain: func(err error) error { return c.process.explainStream(ctx, err) },
	}, nil
}

// disconnected says that there is no connection to the process, whatever a plugin
// answers.
func (p *Process) disconnected() bool {
	conn, ok := p.conn.(interface{ GetState() connectivity.State })
	return ok && conn.GetState() != connectivity.Ready
}

// explainCall replaces the bare end of a connection by the end of the process,
// where that is the reason, and blanks the values of secrets that a careless
// connector repeats in its errors. Code and kinds of details stay.
func (p *Process) explainCall(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	switch status.Code(err) {
	case codes.Unavailable:
		broken := p.disconnected()
		if exit := p.waitExit(ctx, exitNotice); exit != nil {
			return exit
		}
		// The connection may have learned a moment after the call that it is broken.
		if !broken && !p.disconnected() {
			break
		}
		if exit := p.waitExit(ctx, brokenNotice); exit != nil {
			return exit
		}
	case codes.Canceled:
		// A call that comes after the connection was closed, which it is once the
		// process is gone. A caller that gave up itself does not care.
		if p.gone() {
			return p.exit()
		}
	}
	return p.denied.explain(p.logs.BlankError(err))
}

// explainStream is explainCall for a stream, whose end is no failure.
func (p *Process) explainStream(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return p.explainCall(ctx, err)
}

// explainedStream explains the errors of a stream as those of other calls.
type explainedStream struct {
	grpc.ClientStream
	process *Process
	method  string
	// explain knows the context of who opened the stream: the stream's own ends with it.
	explain func(error) error
}

// RecvMsg ends the process if the next message does not come within the call
// timeout. The whole stream has none: a caller may leave it half-read, which is not
// the plugin's fault.
func (s explainedStream) RecvMsg(message any) error {
	defer s.process.limitCall(s.method, nil).Stop()
	return s.explain(s.ClientStream.RecvMsg(message))
}

func (s explainedStream) SendMsg(message any) error {
	return s.explain(s.ClientStream.SendMsg(message))
}
