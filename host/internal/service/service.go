package service

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/tasks"
	"github.com/conductorone/baton-sdk/pkg/tasks/c1api"
	tasktypes "github.com/conductorone/baton-sdk/pkg/types/tasks"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/backoff"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/plugin/telemetry"
)

const (
	// slots is how many tasks are done at a time, as in the SDK.
	slots = 3

	// How long to wait before C1 is asked for a task again: what C1 says, within
	// limits. C1 may say 0, which must not become a busy loop.
	shortestPoll = 100 * time.Millisecond
	unsaidPoll   = time.Second
	longestPoll  = 5 * time.Minute

	// refusalsToStop is how often credentials that have never worked may be
	// refused before the upload is given up.
	refusalsToStop = 5
	// refusedPause is the pause between attempts with credentials that worked
	// once: C1 may be wrong about them, and nobody may be there to restart us.
	refusedPause = 5 * time.Minute

	// handBackTime is how long, after the grace, C1 is told that work was dropped.
	handBackTime = 10 * time.Second
)

// patience is how a C1 that does not answer is waited for.
var patience = waits{next: time.Second, most: time.Minute}

// errStopping is why work in hand ends when the host stops.
const errStopping = dropped("the host is stopping and has dropped this task; it can be given to another one")

// service is one upload in service mode.
type service struct {
	config Config
	client *client
	sdk    c1api.BootstrappingTaskManager
	log    *zap.Logger
	free   chan struct{} // holds one for each task that is being done or asked for

	told      atomic.Pointer[connectorv2.ConnectorMetadata] // at the last hello
	connected bool                                          // the last call for a task was answered
	proven    bool                                          // C1 has taken the credentials before
}

// RefusedError says that C1 does not take an upload's credentials.
type RefusedError struct {
	Upload string
	Cause  error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("upload %q: %v", e.Upload, e.Cause) }
func (e *RefusedError) Unwrap() error { return e.Cause }

// Serve takes tasks from C1 and does them until the context ends; then it lets
// the work in hand go on for Config.Grace, hands back what is not done by then,
// and returns nil.
//
// That C1 is away is no reason to return: it is reported, and tried again. The
// only errors are credentials that are none, and a [RefusedError] for
// credentials that C1 has refused from the beginning.
func Serve(ctx context.Context, config Config) error {
	if config.StallTimeout <= 0 {
		config.StallTimeout = DefaultStallTimeout
	}
	if config.Report == nil {
		config.Report = func(Event) {}
	}
	log := ctxzap.Extract(ctx).With(zap.String("upload", config.Upload))
	ctx = ctxzap.ToContext(ctx, log)
	client, err := newClient(config)
	if err != nil {
		return fmt.Errorf("upload %q: %w", config.Upload, err)
	}
	defer client.close()
	// For its handlers only; connections and host id are its own.
	sdk, err := c1api.NewC1TaskManager(ctx, config.ClientID, config.ClientSecret(), config.TempDir,
		false, "", "", nil, nil, nil, 0, "", slots, false)
	if err != nil {
		return fmt.Errorf("upload %q: %w", config.Upload, err)
	}
	s := &service{config: config, client: client, sdk: sdk, log: log, free: make(chan struct{}, slots)}
	return s.serve(ctx)
}

func (s *service) serve(ctx context.Context) error {
	// Work goes on beyond the end of ctx, for the grace.
	work, drop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer drop(nil)
	var working sync.WaitGroup
	var inHand atomic.Int32
	err := s.poll(ctx, func(task *v1.Task) {
		inHand.Add(1)
		working.Go(func() {
			defer inHand.Add(-1)
			defer func() { <-s.free }()
			s.do(work, task)
		})
	})

	done := make(chan struct{})
	go func() {
		defer close(done)
		working.Wait()
	}()
	if n := inHand.Load(); n > 0 {
		s.log.Info("stopping: waiting for the tasks in hand", zap.Int32("tasks", n), zap.Duration("grace", s.config.Grace))
	}
	grace := time.NewTimer(s.config.Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		drop(errStopping)
		<-done
	}
	return err
}

// poll asks for tasks and has them begun.
func (s *service) poll(ctx context.Context, begin func(*v1.Task)) error {
	if err := s.greet(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	pauses := patience
	for {
		// A task that cannot be begun at once is better left to another host.
		select {
		case s.free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		task, wait, err := s.next(ctx)
		switch {
		case ctx.Err() != nil && task == nil:
			return nil
		case err != nil:
			wait = s.lost(err, &pauses)
		default:
			s.found()
			pauses = patience
		}
		if task != nil {
			begin(task)
		} else {
			<-s.free
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// greet says hello until C1 has heard it.
func (s *service) greet(ctx context.Context) error {
	pauses := patience
	for refusals := 0; ; {
		err := s.hello(ctx, "")
		if err == nil {
			s.found()
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // That the host stops is no failure.
		}
		if !refused(err) {
			refusals = 0 // C1 has trouble of its own; what it said before may be part of it.
		} else if refusals++; refusals == refusalsToStop {
			s.config.Report(Event{Upload: s.config.Upload, Kind: Disconnected, Err: err})
			s.log.Error("C1 refuses the credentials; this upload is stopped", zap.Error(err))
			return &RefusedError{Upload: s.config.Upload, Cause: err}
		}
		if !sleep(ctx, s.lost(err, &pauses)) {
			return nil
		}
	}
}

// found and lost keep track of whether C1 can be talked to.
func (s *service) found() {
	s.proven = true
	if s.connected {
		return
	}
	s.connected = true
	s.config.Report(Event{Upload: s.config.Upload, Kind: Connected})
	s.log.Info("connected to C1")
}

// lost says why, and how long to wait.
func (s *service) lost(err error, pauses *waits) time.Duration {
	wait := pauses.pause()
	if s.proven && refused(err) {
		wait = max(wait, backoff.Jittered(refusedPause))
	}
	s.connected = false
	s.log.Warn("no connection to C1; trying again", zap.Error(err), zap.Duration("wait", wait.Round(time.Millisecond)))
	s.config.Report(Event{Upload: s.config.Upload, Kind: Disconnected, Err: err})
	return wait
}

// next asks C1 for a task; nil if there is none.
func (s *service) next(ctx context.Context) (*v1.Task, time.Duration, error) {
	response, err := call(ctx, s.client, v1.BatonServiceGetTaskRequest_builder{HostId: s.config.HostID}.Build(), v1.BatonServiceClient.GetTask)
	if err != nil {
		if code := status.Code(err); code == codes.FailedPrecondition || code == codes.NotFound {
			// C1 may have forgotten us.
			_ = s.hello(ctx, "")
		}
		return nil, 0, err
	}
	wait := response.GetNextPoll().AsDuration()
	task := response.GetTask()
	if task == nil || tasks.Is(task, tasktypes.NoneType) {
		task = nil
		if wait <= 0 {
			wait = unsaidPoll
		}
	}
	return task, min(max(wait, shortestPoll), longestPoll), nil
}

// do does one task and reports it to C1.
func (s *service) do(ctx context.Context, task *v1.Task) {
	name := tasks.GetType(task).String()
	log := s.log.With(zap.String("task", task.GetId()), zap.String("type", name))
	ctx, end := telemetry.Span(ctxzap.ToContext(ctx, log), "task "+name, map[string]string{"upload": s.config.Upload})
	begun, isSync := zap.InfoLevel, tasks.GetType(task) == tasktypes.FullSyncType
	if isSync {
		begun = zap.DebugLevel // Its one line is that of its end.
	}
	log.Log(begun, "task begun")
	event := Event{Upload: s.config.Upload, Task: name, ID: task.GetId(), Whole: isWhole(task)}
	event.Kind = TaskBegun
	s.config.Report(event)
	started := time.Now()
	var err error
	figures := &syncrun.Figures{}
	switch tasks.GetType(task) {
	case tasktypes.FullSyncType:
		if err = s.fullSync(ctx, task, figures); err == nil {
			if err := s.helloAgain(ctx); err != nil {
				log.Warn("C1 has not been told what is new", zap.Error(err))
			}
		}
	case tasktypes.HelloType:
		err = s.hello(ctx, task.GetId())
	default:
		err = s.other(ctx, task)
	}
	end(err)
	took := time.Since(started)
	// Before it is logged: who reads of it finds it in the metrics.
	event.Kind, event.Err, event.Took = TaskDone, err, took
	s.config.Report(event)
	switch {
	case isSync:
		figures.Log(log, err, Dropped(err), took)
	case err != nil:
		log.Error("task failed", zap.Error(err), zap.Duration("took", took))
	default:
		log.Info("task done", zap.Duration("took", took))
	}
}
