package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	sdksync "github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/tasks"
	tasktypes "github.com/conductorone/baton-sdk/pkg/types/tasks"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

// keepFor is how long an accepted sync may take on its way into the state that hosts share; then
// the next one tries again.
const keepFor = 5 * time.Minute

// fullSync makes the sync that the task asks for, uploads it and says so.
func (s *Service) fullSync(ctx context.Context, task *v1.Task, figures *syncrun.Figures) error {
	log := ctxzap.Extract(ctx)
	working, stop, err := s.heartbeats(ctx, task, log)
	switch {
	case errors.Is(err, errTaken):
		return err // C1 does not expect a report.
	case err != nil:
		return s.failed(ctx, task, err)
	}
	defer stop()

	started := time.Now()
	result, mark, err := s.sync(working, task, figures)
	if err != nil {
		return s.failed(working, task, err)
	}
	if result.Whole {
		if err := s.state.Confirm(working, mark); err != nil {
			result.Draft.Discard()
			return s.failed(working, task, &taskError{err, codes.Aborted})
		}
	}
	s.report(ctx, status.Event{Kind: status.Sending, ID: task.GetId(), Whole: result.Whole})
	sending := time.Now()
	size, err := s.deliver(working, task, result.Draft.Path())
	if err != nil {
		result.Draft.Discard()
		return s.failed(working, task, err)
	}
	figures.Sent(time.Since(sending))
	s.report(ctx, status.Event{
		Kind: status.Uploaded, ID: task.GetId(), Whole: result.Whole,
		Result: result, Bytes: size, Took: time.Since(started),
	})
	// C1 has it, whatever comes now.
	if used, notUsed, err := s.advance(ctx, result, mark); err != nil {
		log.Sugar().Warnw("the sync was uploaded but cannot be kept as the baseline", "error", err)
	} else if err := result.Settled(ctx, used, notUsed); err != nil {
		log.Warn(err.Error())
	}
	if err := s.finish(ctx, task, outcome{}); err != nil {
		return fmt.Errorf("the sync was uploaded but C1 does not hear that it is finished: %w", err)
	}
	return nil
}

// failed reports to C1 why the task failed, unless C1 has taken it back.
func (s *Service) failed(ctx context.Context, task *v1.Task, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case errors.Is(err, errTaken):
		return err
	case errors.Is(err, errCancelled):
		err = &taskError{err, codes.Canceled}
	case errors.Is(err, errStopping):
		err = &taskError{err, codes.Aborted}
	}
	// The verdict on the data of a plugin: it would be the same again.
	permanent := errors.Is(err, sdksync.ErrIngestInvariantViolated)
	return errors.Join(err, s.finish(ctx, task, outcome{err: err, permanent: permanent}))
}

// sync reads the plugins as the task asks. mark is that of the baseline which it was compared
// with.
func (s *Service) sync(ctx context.Context, task *v1.Task, figures *syncrun.Figures) (result *syncrun.Result, mark string, err error) {
	s.fleet.RefreshFirst(ctx, s.plugins)
	plugins := syncrun.Of(ctx, s.plugins, s.newest())
	for _, p := range plugins {
		s.board.Name(p.Instance, p.DisplayName)
	}
	err = s.state.Read(ctx, func(view state.View) error {
		mark = view.Mark
		result, err = syncrun.Run(ctx, syncrun.Spec{
			Upload:   s.upload,
			Plugins:  plugins,
			Accept:   s.acceptedNow(),
			Keep:     view.Baseline,
			Review:   state.Refusals{Place: s.state},
			Dir:      s.options.StateDir,
			Scope:    scopeOf(task),
			Engine:   c1zstore.Engine(task.GetSyncFull().GetStorageEngine()),
			Retry:    s.options.Retry,
			Sessions: s.sessions,
			Observer: s.board.Sync(s.upload.Name, task.GetId()),
			Figures:  figures,

			ReviewCommand: s.options.ReviewCommand,
		})
		return err
	})
	return result, mark, err
}

// advance makes a sync that C1 has the baseline, if it is of everything, and uses up what was
// approved of it.
func (s *Service) advance(ctx context.Context, result *syncrun.Result, mark string) (used []review.Approved, notUsed, err error) {
	if !result.Whole {
		result.Draft.Discard()
		return nil, nil, nil
	}
	s.mu.Lock()
	for instance := range s.accept {
		isStale := func(one aggregate.Stale) bool { return one.Instance == instance }
		if !slices.ContainsFunc(result.Stale, isStale) && !slices.ContainsFunc(result.Missing, isStale) {
			s.accept[instance] = false
		}
	}
	for instance, part := range result.Sync.Plugins {
		if metadata := s.metadata[instance]; metadata != nil {
			part.Metadata = &baseline.Metadata{ConnectorMetadata: metadata}
			result.Sync.Plugins[instance] = part
		}
	}
	s.mu.Unlock()

	result.Sync.UploadedAt = time.Now()
	if size, err := result.Draft.Size(); err == nil {
		result.Sync.Bytes = size
	}
	// C1 has it: that is kept also while the host stops.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepFor)
	defer cancel()
	used, notUsed, err = s.state.Advance(ctx, state.Accepted{Draft: result.Draft, Sync: result.Sync, Fresh: result.Fresh(), Mark: mark})
	if err != nil {
		result.Draft.Discard()
	}
	return used, notUsed, err
}

// bindAccepted has names whose deletions are accepted mean what was refused of them, if such
// a sync is kept: that alone has been seen.
func (s *Service) bindAccepted(ctx context.Context) {
	if len(s.options.Accept) == 0 {
		return
	}
	var approved []review.Approved
	err := s.state.Change(ctx, func(view state.View) (err error) {
		approved, err = view.Review.Accept(ctx, s.options.Accept, review.ByFlag())
		return err
	})
	if err != nil {
		s.log.Warn("what --accept-deletions accepts of the refused sync that is kept cannot be approved; approve it with baton-host approve", zap.Error(err))
		approved = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range approved {
		delete(s.accept, one.Plugin)
		s.log.Info("approved", zap.String("plugin", one.Plugin), zap.String("id", one.ID), zap.String("by", one.By), zap.Int("approved", one.Keys))
	}
}

// acceptedNow are the plugins whose deletions are accepted for the next sync.
func (s *Service) acceptedNow() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.accept)
}

// isWhole reports whether a task is a sync of everything.
func isWhole(task *v1.Task) bool {
	return tasks.GetType(task) == tasktypes.FullSyncType && scopeOf(task).Whole()
}

func scopeOf(task *v1.Task) syncfile.Scope {
	asked := task.GetSyncFull()
	return syncfile.Scope{
		SkipEntitlementsAndGrants: asked.GetSkipEntitlementsAndGrants(),
		SkipGrants:                asked.GetSkipGrants(),
		DontExpandGrants:          asked.GetSkipExpandGrants(),
		ResourceTypes:             asked.GetSyncResourceTypeIds(),
		Resources:                 asked.GetTargetedSyncResources(),
	}
}
