package plugin

import (
	"context"
	"sync"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// service is PluginService over one author's connector.
type service struct {
	pluginv1.UnimplementedPluginServiceServer

	// base outlives every call: the connector keeps what it is built with.
	base   context.Context
	author connectorAuthor
	gate   *gate
	dial   dialer
	// again lets one process serve host after host, each with a configuration of
	// its own: for a debugger.
	again bool

	mu       sync.Mutex
	instance *instance
}

func newService(base context.Context, author connectorAuthor) *service {
	return &service{base: base, author: author, gate: newGate(giveMemoryBack)}
}

func (s *service) Describe(ctx context.Context, _ *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	manifest, err := s.author.manifest(ctx)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "describe the connector: %v", err)
	}
	return &pluginv1.DescribeResponse{Manifest: manifest}, nil
}

func (s *service) Configure(_ context.Context, request *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again {
		s.forget(s.base)
	}
	if s.instance != nil {
		return nil, status.Error(codes.FailedPrecondition, "the plugin is configured already: a process takes one configuration")
	}

	built, diagnostics := s.author.configure(s.base, request, s.dial)
	response := &pluginv1.ConfigureResponse{Diagnostics: diagnostics}
	if built == nil {
		return response, nil
	}
	if !s.gate.open(built.connector) {
		s.closeConnector(s.base, built)
		return nil, status.Error(codes.Unavailable, "the plugin is stopping")
	}
	s.instance = built
	return response, nil
}

// Stop waits for running calls until the host's deadline and closes the
// connector. A listing that the host no longer wants has been cancelled by the
// host already; a grant in flight gets its chance to finish.
func (s *service) Stop(ctx context.Context, _ *pluginv1.StopRequest) (*pluginv1.StopResponse, error) {
	s.release(ctx)
	if s.again {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(ctx)
	}
	return &pluginv1.StopResponse{}, nil
}

// release waits for running calls and closes the connector.
func (s *service) release(ctx context.Context) {
	s.gate.stop(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance != nil {
		s.closeConnector(ctx, s.instance)
	}
}

// forget makes the service as if it had never been configured. The caller holds
// the lock.
func (s *service) forget(ctx context.Context) {
	if s.instance != nil {
		s.closeConnector(ctx, s.instance)
		s.instance = nil
	}
	s.gate.reset()
}

func (s *service) closeConnector(ctx context.Context, connector *instance) {
	if err := connector.close(ctx); err != nil {
		ctxzap.Extract(s.base).Warn("closing the connector", zap.Error(err))
	}
}
