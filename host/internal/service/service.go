package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	grpcstatus "google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate/policy"
	"github.com/batonhost/baton-host/host/internal/backoff"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/status/history"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/internal/telemetry"
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
	// once: C1 may be wrong about them, and there may be no operator to restart the host.
	refusedPause = 5 * time.Minute

	// handBackTime is how long, after the grace, dropped work is reported to C1.
	handBackTime = 10 * time.Second

	// The pauses while C1 does not answer.
	firstPause = time.Second
	lastPause  = time.Minute
)

// errStopping is why work in hand ends when the host stops.
const errStopping = dropError("the host is stopping and has dropped this task; it can be given to another one")

// DefaultStallTimeout is for a C1 that is merely slow.
const DefaultStallTimeout = 5 * time.Minute

// Options say how uploads are served; they are the same for all uploads of a host.
type Options struct {
	// Version is the host's own.
	Version string
	// Config is the configuration whose references are resolved again; nil without one.
	Config *config.Config
	// Clients are those of all services of the host.
	Clients *Clients
	// StateDir is a directory which this host alone uses.
	StateDir string
	// State is where the baselines are.
	State *state.Places
	// TempDir is a private directory for temporary files.
	TempDir string
	// Accept are the plugins whose deletions are accepted once, by instance name.
	Accept []string
	Retry  policy.Retries
	// Grace is how long work in hand may go on once the context has ended.
	Grace time.Duration
	// StallTimeout is how long C1 may neither take more of a sync file nor, once it has
	// all, answer, before the file is sent again from its beginning. 0 is
	// [DefaultStallTimeout].
	StallTimeout time.Duration
	// ReviewCommand shows the refused sync of an upload.
	ReviewCommand review.Command
}

// Service is one upload in service mode.
type Service struct {
	upload   *config.Upload
	origin   *origin
	plugins  []*fleet.Plugin
	fleet    *fleet.Fleet
	sessions *broker.Stores
	state    state.Place
	board    *status.Board
	history  *history.File
	options  Options
	hostID   string

	client *client
	log    *zap.Logger
	free   chan struct{} // holds one for each task that is being done or asked for

	announced atomic.Pointer[connectorv2.ConnectorMetadata] // at the last hello
	connected bool                                          // the last call for a task was answered
	proven    bool                                          // C1 has taken the credentials before
	retire    sync.Once
	retired   chan struct{} // closed by Retire

	mu       sync.Mutex
	sdk      c1api.BootstrappingTaskManager            // for its handlers only; see manager
	sdkFor   *config.Upload                            // the credentials that it has
	accept   map[string]bool                           // whose deletions are accepted once
	metadata map[string]*connectorv2.ConnectorMetadata // what plugins report of themselves
}

// New returns the service of an upload whose plugins are in the fleet.
func New(upload *config.Upload, plugins *fleet.Fleet, board *status.Board, past *history.File, options Options) *Service {
	if options.StallTimeout <= 0 {
		options.StallTimeout = DefaultStallTimeout
	}
	s := &Service{
		upload: upload, origin: &origin{upload: upload, config: options.Config},
		plugins: plugins.Of(upload), fleet: plugins, sessions: plugins.Sessions(), board: board, history: past, options: options,
		state: options.State.Of(upload), hostID: HostID(), free: make(chan struct{}, slots),
		retired: make(chan struct{}), accept: map[string]bool{}, metadata: map[string]*connectorv2.ConnectorMetadata{},
	}
	for _, name := range options.Accept {
		s.accept[name] = true
	}
	return s
}

// remember gives the board what the upload's baseline knows.
func (s *Service) remember(ctx context.Context) {
	var known baseline.Sync
	err := s.state.Read(ctx, func(view state.View) error {
		known = view.Baseline.Known()
		return nil
	})
	if err != nil && ctx.Err() == nil {
		s.log.Warn("what is known of the upload cannot be read", zap.Error(err))
	}
	s.board.Remember(s.upload.Name, known)
	s.mu.Lock()
	defer s.mu.Unlock()
	for instance, part := range known.Plugins {
		if part.Metadata != nil && s.metadata[instance] == nil {
			s.metadata[instance] = part.Metadata.ConnectorMetadata
			s.board.Name(instance, s.metadata[instance].GetDisplayName())
		}
	}
}

// HostID is BATON_HOST_ID, else the name of the machine, as in the SDK.
func HostID() string {
	id, set := os.LookupEnv("BATON_HOST_ID")
	if !set {
		id, _ = os.Hostname()
	}
	if id == "" {
		return "baton-host"
	}
	return id
}

// RefusedError says that C1 does not take an upload's credentials.
type RefusedError struct {
	Upload string
	Cause  error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("upload %q: %v", e.Upload, e.Cause) }
func (e *RefusedError) Unwrap() error { return e.Cause }

// Serve waits for the upload's plugins, takes tasks from C1 and does them until the
// context ends; then it lets the work in hand go on for Options.Grace, hands back what
// is not done by then, and returns nil.
//
// After [Service.Retire] it returns nil once the work in hand is done.
//
// That C1 is away is no reason to return: it is reported, and tried again. The only
// errors are problems of the plugins' configuration, credentials that are none,
// and a [RefusedError] for credentials that C1 has refused from the beginning.
func (s *Service) Serve(ctx context.Context) error {
	s.log = ctxzap.Extract(ctx).With(zap.String("upload", s.upload.Name))
	ctx = ctxzap.ToContext(ctx, s.log)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-s.retired:
			stop()
		case <-waiting.Done():
		}
	}()
	s.board.Begun(s.upload.Name)
	s.remember(ctx)
	s.bindAccepted(ctx)
	defer func() { _ = os.RemoveAll(s.temp()) }()
	defer s.options.Clients.release(s.upload.Name)
	err := s.prepare(ctx, waiting)
	if waiting.Err() != nil {
		err = nil
	}
	if s.client != nil {
		defer s.client.close()
	}
	if err == nil && waiting.Err() == nil {
		err = s.serve(ctx, waiting)
	}
	s.board.Ended(s.upload.Name, err)
	return err
}

// Move takes in that the file now has the same upload elsewhere: later problems with its
// credentials are at their new place.
func (s *Service) Move(upload *config.Upload, from *config.Config) { s.origin.move(upload, from) }

// Retire has Serve take no more tasks, from the next one on, and end once those in hand are
// done, however long they take. Until Serve has returned, no other service may serve the upload:
// a task that C1 gives out at this moment is still done here.
func (s *Service) Retire() { s.retire.Do(func() { close(s.retired) }) }

// prepare makes everything ready that is needed for tasks. Plugins and credentials are waited
// for until waiting ends.
func (s *Service) prepare(ctx, waiting context.Context) error {
	if err := fleet.Await(waiting, s.plugins); err != nil {
		return err
	}
	if err := fleet.SchemaErr(s.plugins); err != nil {
		return err
	}
	if err := os.Mkdir(s.temp(), 0o700); err != nil {
		return fmt.Errorf("upload %q needs a directory for temporary files: %w; make room there, or set TMPDIR", s.upload.Name, err)
	}
	resolved, err := s.awaitCredentials(waiting)
	if err != nil {
		return err
	}
	client, err := newClient(newSecrets(resolved, s.origin, s.options.Clients, s.board, s.log), s.options.Version)
	if err != nil {
		return fmt.Errorf("upload %q: %w", s.upload.Name, err)
	}
	s.client = client
	_, err = s.manager(ctx)
	return err // Serve closes the client.
}

// temp is the upload's own directory for temporary files.
func (s *Service) temp() string { return filepath.Join(s.options.TempDir, s.upload.Name) }

// awaitCredentials returns the upload with its credentials, for which it waits as long as
// they cannot be resolved, or are those of another upload.
func (s *Service) awaitCredentials(ctx context.Context) (*config.Upload, error) {
	pauses := backoff.Doubling(firstPause, lastPause)
	for resolved := s.upload; ; {
		var problems settings.Problems
		written, from := s.origin.get()
		if from != nil && (resolved == nil || resolved.ClientID == "") {
			resolved, problems = written.Resolve(ctx, from.Round())
		}
		what := "the credentials for C1 cannot be resolved; trying again"
		if len(problems) == 0 {
			other := s.options.Clients.claim(s.upload.Name, resolved.ClientID)
			if other == "" {
				return resolved, nil
			}
			what, problems = "the credentials for C1 cannot be used; trying again", settings.Problems{resolved.SharedWith(other)}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if from != nil {
			resolved = nil // They may be others by then.
		}
		wait := pauses.NextBackOff()
		s.log.Warn(what, zap.Error(problems), zap.Duration("wait", wait.Round(time.Millisecond)))
		s.report(ctx, status.Event{Kind: status.Disconnected, Err: problems})
		s.board.Credentials("", s.upload.Name, secret.WithProblems(nil, problems.ByReference()))
		if !sleep(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}

// manager returns the SDK's task manager with the newest credentials. Its connections and its
// host id are its own.
func (s *Service) manager(ctx context.Context) (c1api.BootstrappingTaskManager, error) {
	upload := s.client.creds.secrets.upload()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sdk != nil && s.sdkFor.ClientID == upload.ClientID && s.sdkFor.ClientSecret.Reveal() == upload.ClientSecret.Reveal() {
		return s.sdk, nil
	}
	manager, err := c1api.NewC1TaskManager(ctx, upload.ClientID, upload.ClientSecret.Reveal(), s.temp(),
		false, "", "", nil, nil, nil, 0, "", slots, false)
	if err != nil {
		return nil, fmt.Errorf("upload %q: %w", s.upload.Name, err)
	}
	s.sdk, s.sdkFor = manager, upload
	return manager, nil
}

// newest returns the upload with the newest credentials.
func (s *Service) newest() *config.Upload { return s.client.creds.secrets.upload() }

// report puts an event on the board, and keeps the history where it changes that.
func (s *Service) report(ctx context.Context, event status.Event) {
	event.Upload = s.upload.Name
	s.board.Report(event)
	if !event.Ends() {
		return
	}
	if err := s.history.Write(s.board); err != nil {
		ctxzap.Extract(ctx).Warn("the history of the syncs cannot be kept", zap.Error(err))
	}
}

// serve does tasks. waiting ends with ctx, and earlier where the service retires.
func (s *Service) serve(ctx, waiting context.Context) error {
	// Work goes on beyond the end of ctx, for the grace.
	work, drop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer drop(nil)
	var working sync.WaitGroup
	var inHand atomic.Int32
	err := s.poll(ctx, waiting, func(task *v1.Task) {
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
	if n := inHand.Load(); n > 0 && ctx.Err() == nil {
		s.log.Info("the upload has changed: waiting for the tasks in hand", zap.Int32("tasks", n))
	}
	select {
	case <-done:
		return err
	case <-ctx.Done():
	}
	if n := inHand.Load(); n > 0 {
		s.log.Info("stopping: waiting for the tasks in hand", zap.Int32("tasks", n), zap.Duration("grace", s.options.Grace))
	}
	grace := time.NewTimer(s.options.Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		drop(errStopping)
		<-done
	}
	return err
}

// poll asks for tasks and has them begun, until waiting ends. The calls themselves end with
// ctx alone: a task that C1 gives out to a service that retires would be lost.
func (s *Service) poll(ctx, waiting context.Context, begin func(*v1.Task)) error {
	if err := s.greet(ctx, waiting); err != nil || waiting.Err() != nil {
		return err
	}
	pauses := backoff.Doubling(firstPause, lastPause)
	for {
		// A task that cannot be begun at once is better left to another host.
		select {
		case s.free <- struct{}{}:
		case <-waiting.Done():
			return nil
		}
		if waiting.Err() != nil {
			return nil //nolint:nilerr // That the upload is not served any more is no failure.
		}
		task, wait, err := s.next(ctx)
		switch {
		case ctx.Err() != nil && task == nil:
			return nil
		case err != nil:
			wait = s.lost(ctx, err, pauses.NextBackOff())
		default:
			s.found(ctx)
			pauses.Reset()
		}
		if task != nil {
			begin(task)
		} else {
			<-s.free
		}
		if _, ended := s.sleep(waiting, wait, refused(err)); ended {
			return nil
		}
	}
}

// greet says hello until C1 has heard it, or waiting ends.
func (s *Service) greet(ctx, waiting context.Context) error {
	pauses := backoff.Doubling(firstPause, lastPause)
	for refusals := 0; ; {
		err := s.hello(ctx, "")
		if err == nil {
			s.found(ctx)
			return nil
		}
		if waiting.Err() != nil {
			return nil //nolint:nilerr // That the host stops, or the upload changes, is no failure.
		}
		if !refused(err) {
			refusals = 0 // C1 has trouble of its own; what it said before may be part of it.
		} else if !s.client.creds.secrets.areNewest() {
			refusals = 0 // They may be right, and cannot be known.
		} else if refusals++; refusals == refusalsToStop {
			s.report(ctx, status.Event{Kind: status.Disconnected, Err: err})
			s.log.Error("C1 refuses the credentials; this upload is stopped", zap.Error(err))
			return &RefusedError{Upload: s.upload.Name, Cause: err}
		}
		rotated, ended := s.sleep(waiting, s.lost(ctx, err, pauses.NextBackOff()), refused(err))
		if ended {
			return nil
		}
		if rotated {
			refusals = 0
		}
	}
}

// rotationPause is how long the host waits between two looks for newer credentials while C1
// refuses those in use.
const rotationPause = 10 * time.Second

// sleep waits, while C1 refuses the credentials only until there are newer ones.
func (s *Service) sleep(ctx context.Context, wait time.Duration, isRefused bool) (rotated, ended bool) {
	until := time.Now().Add(wait)
	for isRefused && s.client.creds.secrets.mayRotate() && time.Until(until) > rotationPause {
		if !sleep(ctx, rotationPause) {
			return false, true
		}
		if changed, err := s.client.creds.refresh(ctx); changed && err == nil {
			return true, false
		}
	}
	return false, !sleep(ctx, time.Until(until))
}

// found and lost keep track of whether C1 can be talked to.
func (s *Service) found(ctx context.Context) {
	s.proven = true
	if s.connected {
		return
	}
	s.connected = true
	s.report(ctx, status.Event{Kind: status.Connected})
	s.log.Info("connected to C1")
}

// lost says why, and how long to wait.
func (s *Service) lost(ctx context.Context, err error, wait time.Duration) time.Duration {
	if s.proven && refused(err) {
		wait = max(wait, backoff.Jittered(refusedPause))
	}
	s.connected = false
	s.log.Warn("no connection to C1; trying again", zap.Error(err), zap.Duration("wait", wait.Round(time.Millisecond)))
	s.report(ctx, status.Event{Kind: status.Disconnected, Err: err})
	return wait
}

// next asks C1 for a task; nil if there is none.
func (s *Service) next(ctx context.Context) (*v1.Task, time.Duration, error) {
	response, err := call(ctx, s.client, v1.BatonServiceGetTaskRequest_builder{HostId: s.hostID}.Build(), v1.BatonServiceClient.GetTask)
	if err != nil {
		if code := grpcstatus.Code(err); code == codes.FailedPrecondition || code == codes.NotFound {
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
func (s *Service) do(ctx context.Context, task *v1.Task) {
	name := tasks.GetType(task).String()
	log := s.log.With(zap.String("task", task.GetId()), zap.String("type", name))
	ctx, end := telemetry.Span(ctxzap.ToContext(ctx, log), "task "+name, map[string]string{"upload": s.upload.Name})
	begun, isSync := zap.InfoLevel, tasks.GetType(task) == tasktypes.FullSyncType
	if isSync {
		begun = zap.DebugLevel // Its one line is that of its end.
	}
	log.Log(begun, "task begun")
	event := status.Event{Task: name, ID: task.GetId(), Whole: isWhole(task)}
	event.Kind = status.TaskBegun
	s.report(ctx, event)
	started := time.Now()
	var err error
	figures := &syncrun.Figures{}
	switch tasks.GetType(task) {
	case tasktypes.FullSyncType:
		if err = s.fullSync(ctx, task, figures); err == nil {
			if err := s.helloAgain(ctx); err != nil {
				log.Warn("C1 has not received what is new", zap.Error(err))
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
	event.Kind, event.Err, event.Dropped, event.Took = status.TaskDone, err, isDropped(err), took
	s.report(ctx, event)
	switch {
	case isSync:
		figures.Log(log, err, event.Dropped, took)
	case event.Dropped:
		log.Warn("task dropped", zap.Error(err), zap.Duration("took", took))
	case err != nil:
		log.Error("task failed", zap.Error(err), zap.Duration("took", took))
	default:
		log.Info("task done", zap.Duration("took", took))
	}
}
