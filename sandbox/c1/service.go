package c1

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// service answers the calls whose caller and message were checked.
type service struct {
	v1.UnimplementedBatonServiceServer
	server *Server
}

type clientKey struct{}

// caller is the client that interceptUnary or interceptStream found.
func caller(ctx context.Context) *client {
	c, _ := ctx.Value(clientKey{}).(*client)
	return c
}

// authenticate finds whose token a call carries.
func (s *Server) authenticate(ctx context.Context, method string) (*client, error) {
	carried := metadata.ValueFromIncomingContext(ctx, "authorization")
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(violation bool, name, why string) (*client, error) {
		e := Event{Kind: Refused, Client: name, Detail: method + ": " + why}
		if violation {
			s.violated(e)
		} else {
			s.note(e)
		}
		return nil, status.Error(codes.Unauthenticated, why)
	}
	if len(carried) != 1 {
		return refuse(true, "", fmt.Sprintf("the call carries %d authorizations, not one", len(carried)))
	}
	scheme, access, _ := strings.Cut(carried[0], " ")
	t := s.tokens[access]
	switch {
	case scheme != tokenType || t == nil:
		return refuse(true, "", "the access token is not one that was issued")
	case !t.expires.After(time.Now()):
		return refuse(false, t.client.name, "the access token has expired")
	}
	return t.client, nil
}

// hostIDs is what every message but an upload's has.
type hostIDs interface{ GetHostId() string }

// validator is what protoc-gen-validate gives each message.
type validator interface{ ValidateAll() error }

func (s *Server) interceptUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	c, err := s.authenticate(ctx, method)
	if err != nil {
		return nil, err
	}
	var host string
	if of, ok := request.(hostIDs); ok {
		host = of.GetHostId()
	}
	if message, ok := request.(validator); ok {
		if err := message.ValidateAll(); err != nil {
			return nil, s.breach(codes.InvalidArgument, c.name, host, "", method+": "+err.Error())
		}
	}
	call := Call(method)
	if method == "GetTasks" {
		call = GetTaskCall
	}
	f := s.takeFault(call, c.name, host)
	if f != nil {
		if err := pause(ctx, f.Delay, f.cleared); err != nil {
			return nil, status.FromContextError(err).Err()
		}
		if f.answers() && !f.AfterEffect {
			return nil, s.answerRPC(ctx, f)
		}
	}
	answer, err := handle(context.WithValue(ctx, clientKey{}, c), request)
	if f != nil && f.answers() && err == nil {
		return nil, s.answerRPC(ctx, f)
	}
	return answer, err
}

// clientStream is a stream whose client is known.
type clientStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (c *clientStream) Context() context.Context { return c.ctx }

func (s *Server) interceptStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c, err := s.authenticate(stream.Context(), path.Base(info.FullMethod))
	if err != nil {
		return err
	}
	return handle(srv, &clientStream{ServerStream: stream, ctx: context.WithValue(stream.Context(), clientKey{}, c)})
}

// breach notes a violation and returns the error to answer with.
func (s *Server) breach(code codes.Code, client, host, taskID, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.breachLocked(code, client, host, taskID, why)
}

func (s *Server) breachLocked(code codes.Code, client, host, taskID, why string) error {
	s.violated(Event{Kind: Refused, Client: client, HostID: host, TaskID: taskID, Detail: why})
	return status.Error(code, why)
}

// leasedTask returns the task if the client and the host hold its lease. s.mu is held.
func (s *Server) leasedTask(method, client, host, taskID string) (*task, error) {
	t := s.tasks[taskID]
	if t == nil || t.outcome.Client != client || !t.given[host] {
		return nil, s.breachLocked(codes.NotFound, client, host, taskID, method+": the task was never given to this client and host")
	}
	if !t.leased || t.host != host {
		const why = "the task is not leased to this host any more"
		s.note(Event{Kind: Refused, Client: client, HostID: host, TaskID: taskID, Detail: method + ": " + why})
		return nil, status.Error(codes.NotFound, why)
	}
	return t, nil
}

// Hello's own pattern in baton.proto, ^[a-zA-Z0-9]{27}|$, matches every string.
var taskID = regexp.MustCompile(`\A(?:[a-zA-Z0-9]{27})?\z`)

func (v *service) Hello(ctx context.Context, request *v1.BatonServiceHelloRequest) (*v1.BatonServiceHelloResponse, error) {
	s, c, host := v.server, caller(ctx), request.GetHostId()
	s.mu.Lock()
	defer s.mu.Unlock()
	id := request.GetTaskId()
	if !taskID.MatchString(id) {
		return nil, s.breachLocked(codes.InvalidArgument, c.name, host, id, "Hello: the task id is not 27 letters and digits")
	}
	if id != "" {
		t, err := s.leasedTask("Hello", c.name, host, id)
		if err != nil {
			return nil, err
		}
		if !t.message.HasHello() {
			return nil, s.breachLocked(codes.FailedPrecondition, c.name, host, id, "Hello: the task does not ask for a hello")
		}
		t.outcome.Succeeded = true
		s.endTask(t, TaskFinished, "hello")
	}
	c.greeted[host] = true
	build := request.GetBuildInfo()
	s.note(Event{
		Kind: Hello, Client: c.name, HostID: host, TaskID: id,
		Detail: fmt.Sprintf("%s (%s %s)", request.GetConnectorMetadata().GetDisplayName(), build.GetPackage(), build.GetPackageVersion()),
	})
	return &v1.BatonServiceHelloResponse{}, nil
}

// greeted checks that the host sent Hello before it asks for work.
func (s *Server) greeted(method string, c *client, host string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.greeted[host] {
		return nil
	}
	return s.breachLocked(codes.FailedPrecondition, c.name, host, "", method+": the host did not send Hello first")
}

func (v *service) GetTask(ctx context.Context, request *v1.BatonServiceGetTaskRequest) (*v1.BatonServiceGetTaskResponse, error) {
	s, c := v.server, caller(ctx)
	if err := s.greeted("GetTask", c, request.GetHostId()); err != nil {
		return nil, err
	}
	answer := v1.BatonServiceGetTaskResponse_builder{
		NextPoll:      durationpb.New(s.opts.NextPoll),
		NextHeartbeat: durationpb.New(s.opts.NextHeartbeat),
	}
	if given := s.giveTasks(c.name, request.GetHostId(), 1, nil); len(given) > 0 {
		answer.Task = given[0]
	}
	return answer.Build(), nil
}

func (v *service) GetTasks(ctx context.Context, request *v1.BatonServiceGetTasksRequest) (*v1.BatonServiceGetTasksResponse, error) {
	s, c := v.server, caller(ctx)
	if err := s.greeted("GetTasks", c, request.GetHostId()); err != nil {
		return nil, err
	}
	return v1.BatonServiceGetTasksResponse_builder{
		Tasks:         s.giveTasks(c.name, request.GetHostId(), int(request.GetPageSize()), request.GetKnownTaskIds()),
		NextPoll:      durationpb.New(s.opts.NextPoll),
		NextHeartbeat: durationpb.New(s.opts.NextHeartbeat),
	}.Build(), nil
}

func (v *service) Heartbeat(ctx context.Context, request *v1.BatonServiceHeartbeatRequest) (*v1.BatonServiceHeartbeatResponse, error) {
	s, c, host := v.server, caller(ctx), request.GetHostId()
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := v1.BatonServiceHeartbeatResponse_builder{NextHeartbeat: durationpb.New(s.opts.NextHeartbeat)}
	for _, id := range append([]string{request.GetTaskId()}, request.GetTaskIds()...) {
		t, err := s.leasedTask("Heartbeat", c.name, host, id)
		if err != nil {
			return nil, err
		}
		s.renew(t)
		if t.outcome.Cancelled {
			answer.CancelledTaskIds = append(answer.CancelledTaskIds, id)
			answer.Cancelled = answer.Cancelled || id == request.GetTaskId()
		}
		s.note(Event{Kind: Heartbeat, Client: c.name, HostID: host, TaskID: id})
	}
	return answer.Build(), nil
}

func (v *service) FinishTask(ctx context.Context, request *v1.BatonServiceFinishTaskRequest) (*v1.BatonServiceFinishTaskResponse, error) {
	s, c, host, id := v.server, caller(ctx), request.GetHostId(), request.GetTaskId()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.leasedTask("FinishTask", c.name, host, id)
	if err != nil {
		return nil, err
	}
	if t.message.HasHello() {
		return nil, s.breachLocked(codes.FailedPrecondition, c.name, host, id, "FinishTask: a hello task is answered by Hello")
	}
	if request.HasSuccess() {
		if t.message.HasSyncFull() && t.uploaded == 0 {
			return nil, s.breachLocked(codes.FailedPrecondition, c.name, host, id, "FinishTask: a full sync cannot succeed without a complete upload")
		}
		if code := request.GetStatus().GetCode(); code != int32(codes.OK) {
			return nil, s.breachLocked(codes.InvalidArgument, c.name, host, id, fmt.Sprintf("FinishTask: success has the status code %d", code))
		}
		t.outcome.Succeeded, t.outcome.NonRetryable = true, false
		t.outcome.Status, t.outcome.Response = request.GetStatus(), request.GetSuccess().GetResponse()
		s.endTask(t, TaskFinished, "")
		return &v1.BatonServiceFinishTaskResponse{}, nil
	}

	t.failed++
	t.outcome.NonRetryable = request.GetError().GetNonRetryable()
	t.outcome.Status, t.outcome.Response = request.GetStatus(), request.GetError().GetResponse()
	detail := request.GetStatus().GetMessage()
	if t.outcome.NonRetryable || t.outcome.Cancelled || t.failed >= s.opts.MaxAttempts {
		s.endTask(t, TaskFailed, detail)
		return &v1.BatonServiceFinishTaskResponse{}, nil
	}
	t.stopLease()
	s.requeue(t)
	s.note(Event{Kind: TaskRetried, Client: c.name, HostID: host, TaskID: id, Detail: detail})
	return &v1.BatonServiceFinishTaskResponse{}, nil
}
