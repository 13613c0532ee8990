package plugin

import (
	"context"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// connectorServices are the services that together are types.ConnectorServer.
var connectorServices = []grpc.ServiceDesc{
	connectorv2.AccountManagerService_ServiceDesc,
	connectorv2.ActionService_ServiceDesc,
	connectorv2.AssetService_ServiceDesc,
	connectorv2.ConnectorService_ServiceDesc,
	connectorv2.CredentialManagerService_ServiceDesc,
	connectorv2.EntitlementsService_ServiceDesc,
	connectorv2.EventService_ServiceDesc,
	connectorv2.GrantManagerService_ServiceDesc,
	connectorv2.GrantsService_ServiceDesc,
	connectorv2.ResourceDeleterService_ServiceDesc,
	connectorv2.ResourceGetterService_ServiceDesc,
	connectorv2.ResourceManagerService_ServiceDesc,
	connectorv2.ResourceTypesService_ServiceDesc,
	connectorv2.ResourcesService_ServiceDesc,
	connectorv2.TicketsService_ServiceDesc,
}

// gate is in front of the connector, which exists only once the plugin is
// configured, while gRPC wants every service registered before it serves. It
// also counts the calls inside, so that a stop can wait for them, and gives memory
// back where a listing has ended and nothing follows it for a while.
type gate struct {
	afterListing *time.Timer

	mu        sync.Mutex
	listed    bool      // a listing has ended, and memory was not given back since
	rested    time.Time // when it was, last
	connector types.ConnectorServer
	stopped   bool
	inside    int
	empty     chan struct{} // closed when stopped and inside is 0
}

// newGate has rest called where a listing has ended and nothing follows it. It logs
// whether it did something, which it then does again after a while at the earliest.
func newGate(rest func() bool) *gate {
	g := &gate{empty: make(chan struct{})}
	g.afterListing = time.AfterFunc(idleAfter, func() {
		did := rest()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.listed = false
		if did {
			g.rested = time.Now()
		}
	})
	g.afterListing.Stop()
	return g
}

// open lets calls through to the connector. It reports false where the gate
// has been stopped in the meantime.
func (g *gate) open(connector types.ConnectorServer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return false
	}
	g.connector = connector
	return true
}

// stop refuses further calls and waits until those inside have returned or ctx
// ends.
func (g *gate) stop(ctx context.Context) {
	g.mu.Lock()
	if !g.stopped {
		g.stopped = true
		if g.inside == 0 {
			close(g.empty)
		}
	}
	empty := g.empty
	g.mu.Unlock()

	select {
	case <-empty:
	case <-ctx.Done():
	}
}

// reset makes the gate as if it had never been opened or stopped. Calls inside go on.
func (g *gate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.connector, g.stopped, g.empty = nil, false, make(chan struct{})
}

func (g *gate) enter() (types.ConnectorServer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return nil, status.Error(codes.Unavailable, "the plugin is stopping")
	}
	if g.connector == nil {
		return nil, status.Error(codes.FailedPrecondition, "the plugin is not configured: call PluginService.Configure first")
	}
	g.inside++
	g.afterListing.Stop()
	return g.connector, nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	switch {
	case g.inside > 0:
	case g.stopped:
		close(g.empty)
	case g.listed:
		g.afterListing.Reset(max(idleAfter, restEvery-time.Since(g.rested)))
	}
}

// answered notes the last page of a listing, and that another has begun.
func (g *gate) answered(answer any) {
	page, isPage := answer.(interface{ GetNextPageToken() string })
	if !isPage {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listed = page.GetNextPageToken() == ""
}

// register serves the connector services through the gate.
func (g *gate) register(registrar grpc.ServiceRegistrar) {
	for _, desc := range connectorServices {
		registrar.RegisterService(g.guarded(desc), nil)
	}
}

// guarded is the service with each method's implementation looked up at the
// time of the call. The generated handlers take the implementation as their
// first argument, so they serve unchanged.
func (g *gate) guarded(desc grpc.ServiceDesc) *grpc.ServiceDesc {
	methods := make([]grpc.MethodDesc, len(desc.Methods))
	for i, method := range desc.Methods {
		handle := method.Handler
		method.Handler = func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			connector, err := g.enter()
			if err != nil {
				return nil, err
			}
			defer g.leave()
			answer, err := handle(connector, ctx, decode, interceptor)
			if err == nil {
				g.answered(answer)
			}
			return answer, err
		}
		methods[i] = method
	}

	streams := make([]grpc.StreamDesc, len(desc.Streams))
	for i, stream := range desc.Streams {
		handle := stream.Handler
		stream.Handler = func(_ any, serverStream grpc.ServerStream) error {
			connector, err := g.enter()
			if err != nil {
				return err
			}
			defer g.leave()
			return handle(connector, serverStream)
		}
		streams[i] = stream
	}

	desc.Methods = methods
	desc.Streams = streams
	return &desc
}
