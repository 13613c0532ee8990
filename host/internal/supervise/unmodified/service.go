package unmodified

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	wrapperv1 "github.com/conductorone/baton-sdk/pb/c1/connector_wrapper/v1"
	batonv1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	tlsv1 "github.com/conductorone/baton-sdk/pb/c1/utls/v1"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/conductorone/baton-sdk/pkg/utls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// ServiceCommand is the SDK's own, hidden command of every connector that serves
// the connector services to its parent process.
const ServiceCommand = "_connector-service"

// ListenerEnv is the SDK's variable with the number of the descriptor on which the
// connector is to listen.
const ListenerEnv = "BATON_CONNECTOR_SERVICE_LISTENER_FD"

// Service is one start of a connector: where it will listen, the certificates of
// both ends and its configuration on the way.
type Service struct {
	// Handover is the configuration.
	Handover *Handover
	// Inherited are the files that the connector has to have from FirstDescriptor
	// on: first what it listens on, then what its configuration refers to. They are
	// to be closed here once it has them.
	Inherited []*os.File
	// Input is the line for the connector's standard input. What follows must stay
	// open: the connector ends when it does.
	Input []byte

	address string
	tls     *tls.Config

	sessions    *grpc.Server // nil: no session store is served
	sessionPort uint16       // where the connector connects to it
}

// FirstDescriptor is the number that the first of the inherited files has in the
// connector.
const FirstDescriptor = 3

// Prepare makes a start with a configuration in which Check finds nothing. dir is a
// directory that no other user can enter, and that is there for as long as the
// connector runs; sessions is served to the connector, if it is not nil. The caller
// discards the handover and closes the files, whatever happens, and ends the sessions
// with the process.
func (r Receiver) Prepare(ctx context.Context, dir string, request *pluginv1.ConfigureRequest, sessions batonv1.BatonSessionServiceServer) (*Service, error) {
	client, server, err := utls.GenerateClientServerCredentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	config, err := utls.ClientConfig(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	service := &Service{Handover: &Handover{dir: dir}, tls: config}
	if err := service.prepare(ctx, r, request, sessions, server); err != nil {
		service.EndSessions()
		_ = service.Handover.Discard()
		for _, file := range service.Inherited {
			_ = file.Close()
		}
		return nil, err
	}
	return service, nil
}

func (s *Service) prepare(ctx context.Context, to Receiver, request *pluginv1.ConfigureRequest, sessions batonv1.BatonSessionServiceServer, server *tlsv1.Credential) error {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return fmt.Errorf("make a listener for the connector: %w", explainLoopback(err))
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("make a listener for the connector: its address is %s", listener.Addr())
	}
	s.address = address.String()
	if err := checkLoopback(ctx, listener); err != nil {
		return err
	}

	if sessions != nil {
		if err := s.serveSessions(ctx, sessions, server); err != nil {
			return err
		}
	}
	line, err := proto.Marshal(wrapperv1.ServerConfig_builder{
		Credential:             server,
		ListenPort:             uint32(address.Port), //nolint:gosec // A port has 16 bits.
		SessionStoreListenPort: uint32(s.sessionPort),
	}.Build())
	if err != nil {
		return fmt.Errorf("encode the connector's server configuration: %w", err)
	}
	s.Input = []byte(base64.StdEncoding.EncodeToString(line) + "\n")

	inherited, err := listener.File()
	if err != nil {
		return fmt.Errorf("make a listener for the connector: %w", err)
	}
	s.Inherited = append(s.Inherited, inherited)
	config, err := to.configuration(request, s.keepFile)
	if err != nil {
		return err
	}
	return s.Handover.add(config)
}

// loopbackTime bounds how long the loopback network may take for a connection, which
// needs no more than the system's own work.
const loopbackTime = 5 * time.Second

// checkLoopback connects to where this process listens. A connector that cannot be
// reached there would be waited for in vain.
func checkLoopback(ctx context.Context, listener *net.TCPListener) error {
	end := time.Now().Add(loopbackTime)
	conn, err := (&net.Dialer{Deadline: end}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return fmt.Errorf("reach the connector: %w", explainLoopback(err))
	}
	defer func() { _ = conn.Close() }()
	// The connector must not find it.
	if err := listener.SetDeadline(end); err != nil {
		return fmt.Errorf("reach the connector: %w", err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		return fmt.Errorf("reach the connector: %w", explainLoopback(err))
	}
	_ = accepted.Close()
	if err := listener.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("reach the connector: %w", err)
	}
	return nil
}

// loopbackFaults are what a system reports that has no loopback network, or lets this
// process not use it.
var loopbackFaults = []error{
	syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH,
	syscall.ECONNREFUSED, syscall.EPERM, syscall.EACCES, context.DeadlineExceeded, os.ErrDeadlineExceeded,
}

// loopbackError says that the loopback network is missing.
type loopbackError struct{ cause error }

func (e *loopbackError) Unwrap() error { return e.cause }

func (e *loopbackError) Error() string {
	return fmt.Sprintf("an unmodified connector is reached over the loopback network (127.0.0.1), which does not work here: %v; "+
		"bring the interface lo up (ip link set lo up), or let the sandbox or the firewall allow connections to 127.0.0.1", e.cause)
}

// Public is all of the error.
func (e *loopbackError) Public() string { return e.Error() }

// explainLoopback names the loopback network where an error in its use says that it is
// missing.
func explainLoopback(err error) error {
	failed, ok := errors.AsType[*net.OpError](err)
	if !ok || !slices.ContainsFunc(loopbackFaults, func(fault error) bool { return errors.Is(err, fault) }) {
		return err
	}
	return &loopbackError{failed.Err} // The address is ours, and says nothing.
}

// keepFile keeps the content of a file field where the connector can read it, when
// and as often as it wants: connectors differ.
func (s *Service) keepFile(content []byte) (path string, err error) {
	number := FirstDescriptor + len(s.Inherited)
	kept, path, err := keep(s.Handover.dir, number, content)
	if err != nil {
		return "", fmt.Errorf("keep the content of a file for the connector: %w", err)
	}
	if kept != nil {
		s.Inherited = append(s.Inherited, kept)
	}
	return path, nil
}

// Dial reaches the connector, which need not serve yet.
func (s *Service) Dial(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+s.address, append(options, grpc.WithTransportCredentials(credentials.NewTLS(s.tls)))...)
}

// serveSessions serves a session store to the connector alone, as the
// SDK's own parent process does, and notes the port. What is served logs to the
// context's logger.
func (s *Service) serveSessions(ctx context.Context, store batonv1.BatonSessionServiceServer, credential *tlsv1.Credential) error {
	config, err := utls.ListenerConfig(ctx, credential)
	if err != nil {
		return fmt.Errorf("make certificates for the session store: %w", err)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return fmt.Errorf("make a listener for the session store: %w", explainLoopback(err))
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		_ = listener.Close()
		return fmt.Errorf("make a listener for the session store: its address is %s", listener.Addr())
	}
	s.sessions = grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.ChainUnaryInterceptor(ugrpc.UnaryServerInterceptor(ctx)...))
	batonv1.RegisterBatonSessionServiceServer(s.sessions, store)
	// It returns when EndSessions is called.
	go func() { _ = s.sessions.Serve(listener) }()
	s.sessionPort = uint16(address.Port) //nolint:gosec // A port has 16 bits.
	return nil
}

// reachable returns a policy that lets the connector reach its session store too: the port
// is another one at each start, so that an operator cannot name it.
func (s *Service) reachable(policy *sandbox.Policy) *sandbox.Policy {
	if policy == nil || len(policy.Connect) == 0 || s.sessionPort == 0 {
		return policy
	}
	wider := *policy
	wider.Connect = append(slices.Clone(policy.Connect), s.sessionPort)
	return &wider
}

// EndSessions ends the session store that is served to the connector. Call it when
// its process has ended.
func (s *Service) EndSessions() {
	if s.sessions != nil {
		s.sessions.Stop()
	}
}
