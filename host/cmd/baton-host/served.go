package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/service"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/host/lastgood"
	"github.com/batonhost/baton-host/host/status"
)

// served is one upload in service mode: what C1 asks for, done with the host's
// plugins.
type served struct {
	upload   *config.Upload
	plugins  []*fleet.Plugin
	sessions func() aggregate.Sessions
	keep     *lastgood.Keep
	stateDir string
	options  *runOptions
	board    *status.Board

	mu     sync.Mutex
	accept map[string]bool                           // whose deletions are let through once
	said   map[string]*connectorv2.ConnectorMetadata // what plugins say of themselves
}

func newServed(upload *config.Upload, started *fleet.Fleet, stateDir string, options *runOptions, board *status.Board) *served {
	s := &served{
		upload: upload, plugins: started.Of(upload), sessions: started.Sessions, stateDir: stateDir, options: options, board: board,
		keep:   lastgood.At(filepath.Join(stateDir, upload.Name+".c1z")),
		accept: map[string]bool{}, said: map[string]*connectorv2.ConnectorMetadata{},
	}
	known := s.keep.Known()
	board.Remember(upload.Name, known)
	for instance, part := range known.Plugins {
		if part.Metadata != nil {
			s.said[instance] = part.Metadata.ConnectorMetadata
			board.Name(instance, s.said[instance].GetDisplayName())
		}
	}
	for _, name := range options.accept {
		s.accept[name] = true
	}
	return s
}

func (s *served) config(tempDir string) service.Config {
	return service.Config{
		Upload:       s.upload.Name,
		ClientID:     s.upload.ClientID,
		ClientSecret: s.upload.ClientSecret.Reveal,
		HostID:       service.HostID(),
		Version:      version,
		TempDir:      tempDir,
		Connector:    s.connector,
		Sync:         s.sync,
		Uploaded:     s.uploaded,
		Grace:        s.options.grace,
		StallTimeout: s.options.stallTimeout,
	}
}

// behind is the upload's plugins as they are now.
func (s *served) behind(ctx context.Context) []aggregate.Plugin {
	plugins := make([]aggregate.Plugin, len(s.plugins))
	var naming sync.WaitGroup
	for i, p := range s.plugins {
		naming.Go(func() {
			plugins[i] = p.AggregateFor(ctx, s.upload)
			s.board.Name(p.Name, plugins[i].DisplayName)
		})
	}
	naming.Wait()
	return plugins
}

// connector is the upload for tasks that are no full sync. It is not closed, so it must
// leave nothing behind: no page that was read ahead, and no listing that holds its place.
func (s *served) connector(ctx context.Context) (grpc.ClientConnInterface, error) {
	plugins := s.behind(ctx)
	for i := range plugins {
		plugins[i].ReadAhead, plugins[i].Listings = 0, nil
	}
	return aggregate.New(plugins, aggregate.WithRetry(retryPolicy(s.options.retryFor)), aggregate.WithMetadataMemory(s),
		aggregate.WithObserver(s.board.Sync(s.upload.Name, "")))
}

// Remember keeps what a plugin says of itself for when it cannot be asked.
func (s *served) Remember(instance string, metadata *connectorv2.ConnectorMetadata) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[instance] = metadata
}

// Recall returns what was remembered, in this run or with the last good sync.
func (s *served) Recall(instance string) *connectorv2.ConnectorMetadata {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said[instance]
}

// sync makes a sync of the upload.
func (s *served) sync(ctx context.Context, scope service.Scope) (*syncrun.Result, error) {
	plugins := make([]syncrun.Plugin, 0, len(s.plugins))
	behind := s.behind(ctx)
	s.mu.Lock()
	for i, p := range s.plugins {
		plugins = append(plugins, uploadPlugin(p, behind[i], s.accept))
	}
	accepted := maps.Clone(s.accept)
	s.mu.Unlock()
	return syncrun.Make(quieter(ctx), syncrun.Spec{
		Upload:   s.upload.Name,
		Plugins:  plugins,
		Accepted: accepted,
		FallBack: s.upload.LastGood,
		MaxStale: s.upload.MaxStale,
		Keep:     s.keep,
		Dir:      s.stateDir,
		Scope:    scope.Scope,
		Engine:   scope.Engine,
		Retry:    retryPolicy(s.options.retryFor),
		Sessions: s.sessions,
		Observer: s.board.Sync(s.upload.Name, scope.Task),
		Figures:  scope.Figures,
	})
}

// quieter leaves the SDK's running commentary on a sync to those who debug.
func quieter(ctx context.Context) context.Context {
	log := ctxzap.Extract(ctx)
	if log.Core().Enabled(zap.DebugLevel) || !log.Core().Enabled(zap.InfoLevel) {
		return ctx
	}
	return ctxzap.ToContext(ctx, log.WithOptions(zap.IncreaseLevel(zap.WarnLevel)))
}

// uploaded keeps a sync that C1 has as the last good one, if it is of everything.
func (s *served) uploaded(_ context.Context, result *syncrun.Result) error {
	if !result.Whole {
		result.Draft.Discard()
		return nil
	}
	s.mu.Lock()
	for instance := range s.accept {
		answeredFor := func(one aggregate.Stale) bool { return one.Instance == instance }
		if !slices.ContainsFunc(result.Stale, answeredFor) {
			s.accept[instance] = false
		}
	}
	for instance, part := range result.Sync.Plugins {
		if metadata := s.said[instance]; metadata != nil {
			part.Metadata = &lastgood.Metadata{ConnectorMetadata: metadata}
			result.Sync.Plugins[instance] = part
		}
	}
	s.mu.Unlock()

	result.Sync.UploadedAt = time.Now()
	if size, err := result.Draft.Size(); err == nil {
		result.Sync.Bytes = size
	}
	if err := s.keep.Advance(result.Draft, result.Sync); err != nil {
		result.Draft.Discard()
		return err
	}
	return nil
}
