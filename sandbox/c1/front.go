package c1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// handshakeTime bounds how long a client may take over its TLS handshake.
const handshakeTime = 10 * time.Second

// A front accepts the connections of one port and gives each to the HTTP/1.1
// server or to the gRPC server, by what its TLS handshake agreed on. A gRPC
// client offers HTTP/2 only; everything else that asks for a token offers
// HTTP/1.1 too and is given it. So a real gRPC server does the streaming: net/http's
// would take an upload into memory however little of it the service reads.
type front struct {
	tls       *tls.Config
	grpc, web *inbox

	mu       sync.Mutex
	address  string
	listener net.Listener // nil while suspended
	conns    map[string]net.Conn
}

func newFront(listener net.Listener, leaf tls.Certificate) *front {
	f := &front{
		// In the order of the server's preference.
		tls:     &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{leaf}, NextProtos: []string{"http/1.1", "h2"}},
		grpc:    newInbox(listener.Addr()),
		web:     newInbox(listener.Addr()),
		address: listener.Addr().String(),
		conns:   map[string]net.Conn{},
	}
	f.accept(listener)
	return f
}

// accept takes connections until the listener is closed.
func (f *front) accept(listener net.Listener) {
	f.mu.Lock()
	f.listener = listener
	f.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go f.greet(listener, conn)
		}
	}()
}

func (f *front) greet(listener net.Listener, conn net.Conn) {
	tracked := &trackedConn{Conn: tls.Server(conn, f.tls), front: f}
	f.mu.Lock()
	if f.listener != listener {
		f.mu.Unlock()
		_ = conn.Close()
		return
	}
	f.conns[conn.RemoteAddr().String()] = conn
	f.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	secure := tracked.Conn
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = tracked.Close()
		return
	}
	to := f.web
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		to = f.grpc
	}
	to.put(tracked)
}

// breakOff closes the connection from that address without a word.
func (f *front) breakOff(remote string) {
	f.mu.Lock()
	conn := f.conns[remote]
	f.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

// deafen refuses connections from now on.
func (f *front) deafen() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		_ = f.listener.Close()
		f.listener = nil
	}
}

// suspend refuses connections from now on and breaks off those there are.
func (f *front) suspend() {
	f.deafen()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
}

// resume listens again where it listened before.
func (f *front) resume() error {
	f.mu.Lock()
	listening := f.listener != nil
	f.mu.Unlock()
	if listening {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", f.address)
	if err != nil {
		return err
	}
	f.accept(listener)
	return nil
}

func (f *front) close() {
	f.suspend()
	_ = f.grpc.Close()
	_ = f.web.Close()
}

// trackedConn leaves the front's list when it is closed.
type trackedConn struct {
	*tls.Conn
	front *front
}

func (c *trackedConn) Close() error {
	c.front.mu.Lock()
	// Another connection may come from the same port by now.
	if remote := c.RemoteAddr().String(); c.front.conns[remote] == c.NetConn() {
		delete(c.front.conns, remote)
	}
	c.front.mu.Unlock()
	return c.Conn.Close()
}

// An inbox is the listener of one of the two servers.
type inbox struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

var errClosed = errors.New("the stand-in for ConductorOne is closed")

func newInbox(addr net.Addr) *inbox {
	return &inbox{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

func (i *inbox) put(conn net.Conn) {
	select {
	case i.conns <- conn:
	case <-i.done:
		_ = conn.Close()
	}
}

func (i *inbox) Accept() (net.Conn, error) {
	select {
	case conn := <-i.conns:
		return conn, nil
	case <-i.done:
		return nil, errClosed
	}
}

func (i *inbox) Close() error {
	i.once.Do(func() { close(i.done) })
	return nil
}

func (i *inbox) Addr() net.Addr { return i.addr }
