package unmodified

import (
	"context"
	"fmt"
	"net"

	batonv1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	tlsv1 "github.com/conductorone/baton-sdk/pb/c1/utls/v1"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/conductorone/baton-sdk/pkg/utls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// serveSessions serves a session store to the connector and to nobody else, as the
// SDK's own parent process does, and returns the port. What is served logs to the
// context's logger.
func (s *Service) serveSessions(ctx context.Context, store batonv1.BatonSessionServiceServer, credential *tlsv1.Credential) (uint32, error) {
	config, err := utls.ListenerConfig(ctx, credential)
	if err != nil {
		return 0, fmt.Errorf("make certificates for the session store: %w", err)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, fmt.Errorf("make a listener for the session store: %w", err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		_ = listener.Close()
		return 0, fmt.Errorf("make a listener for the session store: its address is %s", listener.Addr())
	}
	s.sessions = grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.ChainUnaryInterceptor(ugrpc.UnaryServerInterceptor(ctx)...))
	batonv1.RegisterBatonSessionServiceServer(s.sessions, store)
	// It returns when EndSessions is called.
	go func() { _ = s.sessions.Serve(listener) }()
	return uint32(address.Port), nil //nolint:gosec // A port has 16 bits.
}

// EndSessions ends the session store that is served to the connector. Call it when
// its process has ended.
func (s *Service) EndSessions() {
	if s.sessions != nil {
		s.sessions.Stop()
	}
}
