package c1

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"google.golang.org/grpc"
)

// streamWindow is how much of an upload the service takes ahead of what it has
// read. A fixed one keeps gRPC from enlarging it, so that a stalled upload stands
// still.
const streamWindow = 256 << 10

// A Server is a running stand-in. Its methods may be called at any time and by
// several goroutines.
type Server struct {
	opts  Options
	caPEM []byte
	front *front
	grpc  *grpc.Server
	web   *http.Server

	mu         sync.Mutex
	clients    map[string]*client // by client id
	tokens     map[string]*token  // by access token
	tasks      map[string]*task   // by id
	queue      []*task            // not finished, in the order they are given out
	faults     []*fault
	uploads    []Upload
	broken     int
	events     []Event
	violations []string
	changed    chan struct{} // closed at the next event
}

// client is who may ask for tokens.
type client struct {
	name     string
	key      ed25519.PublicKey
	disabled bool
	nonces   map[string]bool
	greeted  map[string]bool // host ids that sent Hello
}

// Start starts a server, which runs until Close.
func Start(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	listener, err := listen(opts.Listener)
	if err != nil {
		return nil, err
	}
	authority := opts.Authority
	if authority == nil {
		if authority, err = NewAuthority(); err != nil {
			_ = listener.Close()
			return nil, err
		}
	}
	s := &Server{
		opts:    opts,
		caPEM:   authority.caPEM,
		front:   newFront(listener, authority.leaf),
		clients: map[string]*client{},
		tokens:  map[string]*token{},
		tasks:   map[string]*task{},
		changed: make(chan struct{}),
	}
	s.grpc = grpc.NewServer(
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.UnaryInterceptor(s.interceptUnary),
		grpc.StreamInterceptor(s.interceptStream),
	)
	v1.RegisterBatonServiceServer(s.grpc, &service{server: s})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/v1/token", s.serveToken)
	s.web = &http.Server{Handler: s.dated(mux), ReadHeaderTimeout: handshakeTime}

	// Both end when the front closes, with nothing to report.
	go func() { _ = s.grpc.Serve(s.front.grpc) }()
	go func() { _ = s.web.Serve(s.front.web) }()
	return s, nil
}

func listen(listener net.Listener) (net.Listener, error) {
	if listener == nil {
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("listen on a free port of 127.0.0.1: %w", err)
		}
		return listener, nil
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		_ = listener.Close()
		return nil, fmt.Errorf("the address %s is not a loopback address; a sandbox listens on this machine only", listener.Addr())
	}
	return listener, nil
}

// Shutdown accepts nothing more and lets the calls that are under way end, until
// the context does. It then closes the server.
func (s *Server) Shutdown(ctx context.Context) {
	defer s.Close()
	s.front.deafen()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.grpc.GracefulStop()
		_ = s.web.Shutdown(ctx)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// Close ends the server and every connection.
func (s *Server) Close() {
	s.front.close()
	s.mu.Lock()
	for _, f := range s.faults {
		f.clear()
	}
	for _, t := range s.queue {
		t.stopLease()
	}
	s.mu.Unlock()
	s.grpc.Stop()
	_ = s.web.Close()
}

// Addr is where it listens, a host and a port.
func (s *Server) Addr() string { return s.front.address }

// CAPEM is the certificate that a client must trust, in PEM.
func (s *Server) CAPEM() []byte { return s.caPEM }

// Suspend makes the server unreachable: connections are refused and those there
// are break. Tasks, leases and tokens live on.
func (s *Server) Suspend() { s.front.suspend() }

// Resume makes a suspended server reachable again, on the same port.
func (s *Server) Resume() error {
	if err := s.front.resume(); err != nil {
		return fmt.Errorf("listen on %s again: %w", s.Addr(), err)
	}
	return nil
}

// pause waits for a while or until the context ends or the channel is closed.
func pause(ctx context.Context, d time.Duration, ended <-chan struct{}) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errNoClient = errors.New("there is no such client")
