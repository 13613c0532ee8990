package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// version is the form of requests and answers.
	version = 1

	socketName = "control.sock"
	tokenName  = "control.token"
	tokenBytes = 32

	// largestRequest is how many bytes a request may have, and its header as many again.
	largestRequest = 64 << 10
	// requestTimeout is how long a client may take to send its request.
	requestTimeout = 5 * time.Second
	// answerTimeout is how long a request may take from its first byte to the last one of
	// the answer, where the context of the client has no deadline.
	answerTimeout = time.Minute
	// longestAnswer is how long any request may take.
	longestAnswer = 15 * time.Minute
	// mostClients is how many are connected at a time; others wait.
	mostClients = 16
)

var errTooLarge = fmt.Errorf("the request is larger than %d KiB", largestRequest>>10)

// Endpoint answers the requests of one name. Its errors are shown to the client.
type Endpoint func(ctx context.Context, peer Peer, request json.RawMessage) (answer any, err error)

// For returns the endpoint of requests and answers of these types, which have a form in
// JSON. A member that the type of the request does not have is refused.
func For[Request, Answer any](do func(context.Context, Peer, Request) (Answer, error)) Endpoint {
	return func(ctx context.Context, peer Peer, data json.RawMessage) (any, error) {
		var request Request
		decoder := json.NewDecoder(strings.NewReader(string(data)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			return nil, &refusal{http.StatusBadRequest, fmt.Sprintf("the host does not understand the request (%s); use the baton-host command of the host's version", strings.TrimPrefix(err.Error(), "json: "))}
		}
		return do(ctx, peer, request)
	}
}

// Options are what a host serves.
type Options struct {
	// Dir is its state directory, which the caller has locked: a socket that is there
	// already is that of a dead host.
	Dir string
	// Version is the host's own, which clients see.
	Version string
	// Endpoints are what clients can ask for, by name.
	Endpoints map[string]Endpoint
}

// Server is the socket of a running host.
type Server struct {
	dir       string
	version   string
	endpoints map[string]Endpoint
	proof     [sha256.Size]byte // of what a client must send

	unproven unproven
	server   *http.Server
	answered sync.WaitGroup
}

// Listen opens the socket and answers until [Server.Close]. The error is a sentence; the
// host can do without.
func Listen(ctx context.Context, options Options) (*Server, error) {
	path := filepath.Join(options.Dir, socketName)
	if err := checkLength(path); err != nil {
		return nil, err
	}
	if err := removeSocket(path); err != nil {
		return nil, err
	}
	s := &Server{dir: options.Dir, version: options.Version, endpoints: options.Endpoints}
	if err := s.writeToken(); err != nil {
		return nil, fmt.Errorf("the token of the control socket cannot be written: %w", err)
	}
	var listening net.ListenConfig
	opened, err := listening.Listen(ctx, "unix", path)
	if err != nil {
		s.removeToken()
		return nil, fmt.Errorf("the control socket %s cannot be opened: %w", path, err)
	}
	// Until here the token alone keeps others out.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = opened.Close()
		s.removeToken()
		return nil, fmt.Errorf("the control socket %s cannot be made private: %w", path, err)
	}
	s.server = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      longestAnswer,
		MaxHeaderBytes:    largestRequest,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(conn))
		},
	}
	s.server.SetKeepAlivesEnabled(false)
	go func() { _ = s.server.Serve(&limited{Listener: opened, free: make(chan struct{}, mostClients)}) }() // It ends with Close.
	return s, nil
}

// Close removes the socket, breaks off connections and returns when no request is being
// answered any more.
func (s *Server) Close() {
	s.removeToken()
	_ = s.server.Close()
	s.answered.Wait()
}

// writeToken makes a new token, for the host's user alone.
func (s *Server) writeToken() error {
	s.removeToken()
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // It never fails.
	token := hex.EncodeToString(random)
	s.proof = sha256.Sum256([]byte(token))
	file, err := os.OpenFile(filepath.Join(s.dir, tokenName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(token)
	return errors.Join(err, file.Close())
}

func (s *Server) removeToken() { _ = os.Remove(filepath.Join(s.dir, tokenName)) }

// removeSocket removes the socket that a dead host left behind.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("the control socket cannot be opened: %w", err)
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("the control socket cannot be opened: %s is there and is no socket; move it away", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("the control socket of a host that has ended cannot be removed: %w", err)
	}
	return nil
}

// checkLength refuses a path that the system cannot open a socket at.
func checkLength(path string) error {
	if len(path) <= longestPath {
		return nil
	}
	return fmt.Errorf("%w: %s has %d bytes, and the system allows a socket %d; name a shorter directory with --state-dir", ErrPathTooLong, path, len(path), longestPath)
}

// request is what a client sends.
type request struct {
	Version int             `json:"version"`
	Request json.RawMessage `json:"request"`
}

// reply is what it gets.
type reply struct {
	Version int    `json:"version"`
	Host    string `json:"host"` // the version of the host
	// Answer is what was asked for; without it Error says why not.
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// refusal is an error whose HTTP status is known.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.answered.Add(1)
	defer s.answered.Done()
	answer, err := s.answer(w, r)
	said, status := reply{Version: version, Host: s.version}, http.StatusOK
	if err == nil {
		said.Answer, err = json.Marshal(answer)
	}
	if err != nil {
		said.Answer, said.Error, status = nil, err.Error(), http.StatusUnprocessableEntity
		if refused, ok := errors.AsType[*refusal](err); ok {
			status = refused.status
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(said) // Who has gone does not want it.
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	peer, _ := r.Context().Value(peerKey{}).(Peer)
	if !s.isProven(r) {
		s.unproven.warn(r.Context(), peer)
		return nil, &refusal{http.StatusUnauthorized, fmt.Sprintf("the host does not accept the token: read it from %s, which is new at each start of the host", filepath.Join(s.dir, tokenName))}
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	endpoint, ok := s.endpoints[name]
	if !ok {
		return nil, &refusal{http.StatusNotFound, fmt.Sprintf("this host (%s) does not know the request %q; use the baton-host command of its version, or update the host", s.version, name)}
	}
	if r.Method != http.MethodPost {
		return nil, &refusal{http.StatusMethodNotAllowed, "a request to the control socket must be a POST"}
	}
	var asked request
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestRequest)).Decode(&asked)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &refusal{http.StatusRequestEntityTooLarge, errTooLarge.Error()}
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "the request is no JSON, or was cut short"}
	}
	if asked.Version != version {
		return nil, &refusal{http.StatusBadRequest, fmt.Sprintf("the command speaks version %d of the control socket, and this host (%s) version %d; use the baton-host command of the host's version, or update the host", asked.Version, s.version, version)}
	}
	if asked.Request == nil {
		return nil, &refusal{http.StatusBadRequest, `the host does not understand the request (it has no member "request"); use the baton-host command of the host's version`}
	}
	return endpoint(r.Context(), peer, asked.Request)
}

// isProven reports whether a request has the token. What is compared are sums, so that the
// time says nothing about the length either.
func (s *Server) isProven(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.proof[:]) == 1 && ok
}

// limited accepts a number of connections at a time.
type limited struct {
	net.Listener
	free chan struct{} // has an element for each connection
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: conn, release: sync.OnceFunc(func() { <-l.free })}, nil
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// Peer is who is at the other end of a connection, as far as the system knows.
type Peer struct {
	// User is the name of the user, or its number; "unknown" where the system does not
	// report it.
	User string
	// PID is the process; 0 if it is not known.
	PID int
}

// Self returns the peer that this process is.
func Self() Peer {
	self := Peer{User: unknown, PID: os.Getpid()}
	if known, err := user.Current(); err == nil {
		self.User = known.Username
	}
	return self
}

// unknown is a user that the system does not report.
const unknown = "unknown"

// Fields are the peer in a line of the log.
func (p Peer) Fields() []zap.Field {
	fields := []zap.Field{zap.String("user", p.User)}
	if p.PID > 0 {
		fields = append(fields, zap.Int("pid", p.PID))
	}
	return fields
}

// String returns the peer in words.
func (p Peer) String() string {
	if p.PID == 0 {
		return p.User
	}
	return fmt.Sprintf("%s (process %d)", p.User, p.PID)
}

// peerKey is the key of a connection's Peer in its context.
type peerKey struct{}

// peerOf returns who is at the other end.
func peerOf(conn net.Conn) Peer {
	if wrapped, ok := conn.(*limitedConn); ok {
		conn = wrapped.Conn
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{User: unknown}
	}
	return credentials(unix)
}
