package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	sdksync "github.com/conductorone/baton-sdk/pkg/sync"
	"github.com/conductorone/baton-sdk/pkg/tasks"
	tasktypes "github.com/conductorone/baton-sdk/pkg/types/tasks"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/host/syncfile"
)

// fullSync makes the sync that the task asks for, uploads it and says so.
func (s *service) fullSync(ctx context.Context, task *v1.Task, figures *syncrun.Figures) error {
	log := ctxzap.Extract(ctx)
	working, stop, err := s.heartbeats(ctx, task, log)
	switch {
	case errors.Is(err, errTaken):
		return err // There is nobody to tell.
	case err != nil:
		return s.failed(ctx, task, err)
	}
	defer stop()

	started := time.Now()
	scope := scopeOf(task)
	scope.Figures = figures
	result, err := s.config.Sync(working, scope)
	if err != nil {
		return s.failed(working, task, err)
	}
	s.config.Report(Event{Upload: s.config.Upload, Kind: Sending, ID: task.GetId(), Whole: result.Whole})
	sending := time.Now()
	size, err := s.upload(working, task, result.Draft.Path())
	if err != nil {
		result.Draft.Discard()
		return s.failed(working, task, err)
	}
	figures.Sent(time.Since(sending))
	s.config.Report(Event{
		Upload: s.config.Upload, Kind: Uploaded, ID: task.GetId(), Whole: result.Whole,
		Result: result, Bytes: size, Took: time.Since(started),
	})
	// C1 has it, whatever comes now.
	if err := s.config.Uploaded(context.WithoutCancel(ctx), result); err != nil {
		log.Sugar().Warnw("the sync was uploaded but cannot be kept as the last good one", "error", err)
	}
	if err := s.finish(ctx, task, outcome{}); err != nil {
		return fmt.Errorf("the sync was uploaded but C1 does not hear that it is finished: %w", err)
	}
	return nil
}

// failed tells C1 why the task failed, unless C1 has taken it back.
func (s *service) failed(ctx context.Context, task *v1.Task, err error) error {
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

// isWhole tells whether a task is a sync of everything.
func isWhole(task *v1.Task) bool {
	return tasks.GetType(task) == tasktypes.FullSyncType && scopeOf(task).Whole()
}

func scopeOf(task *v1.Task) Scope {
	asked := task.GetSyncFull()
	return Scope{
		Task: task.GetId(),
		Scope: syncfile.Scope{
			SkipEntitlementsAndGrants: asked.GetSkipEntitlementsAndGrants(),
			SkipGrants:                asked.GetSkipGrants(),
			DontExpandGrants:          asked.GetSkipExpandGrants(),
			ResourceTypes:             asked.GetSyncResourceTypeIds(),
			Resources:                 asked.GetTargetedSyncResources(),
		},
		Engine: c1zstore.Engine(asked.GetStorageEngine()),
	}
}
