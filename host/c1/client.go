package c1

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/sdk"
	"github.com/conductorone/baton-sdk/pkg/ugrpc"
	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

const (
	// callTimeout bounds every call but uploads.
	callTimeout = 45 * time.Second
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 30 * time.Second
	// apiHostEnv is the SDK's: another host for the API and the token.
	apiHostEnv = "BATON_C1_API_HOST"
)

// client is the connection to C1. It is one connection for all calls, made anew
// where that may help.
type client struct {
	id, secret string
	hostID     string
	version    string

	mu     sync.Mutex
	conn   *grpc.ClientConn
	creds  *bounded
	name   string // of the client id
	target string // for gRPC
	addr   string // for people
}

func newClient(config Config) (*client, error) {
	c := &client{id: config.ClientID, secret: config.ClientSecret, hostID: config.HostID, version: config.Version}
	return c, c.renew()
}

// renew drops the token and the connection for new ones. Calls on the old
// connection fail.
func (c *client) renew() error {
	// The provider keeps this context, and logs to its logger what it does.
	ctx := ctxzap.ToContext(context.Background(), zap.NewNop())
	ctx = context.WithValue(ctx, uhttp.ContextHTTPTimeoutKey, tokenTimeout)
	provider, name, host, err := ugrpc.NewC1CredentialProvider(ctx, c.id, c.secret)
	if err != nil {
		return fmt.Errorf("the client id or secret is not one of C1: %w", err)
	}
	if other, set := os.LookupEnv(apiHostEnv); set {
		host = other
	}
	addr := ugrpc.HostPort(host, "443")
	if name, port, err := net.SplitHostPort(host); err == nil {
		addr = ugrpc.HostPort(name, port)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name, c.target, c.addr = name, addr, strings.TrimPrefix(addr, "dns:///")
	c.creds = &bounded{PerRPCCredentials: provider}
	return c.connect()
}

// reconnect drops the connection for a new one, with the same token.
func (c *client) reconnect() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connect()
}

// connect is called with the lock held. Nothing is sent before the first call.
func (c *client) connect() error {
	conn, err := grpc.NewClient(c.target,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})),
		grpc.WithPerRPCCredentials(c.creds),
		grpc.WithUserAgent(fmt.Sprintf("%s baton-sdk/%s baton-host/%s", c.name, sdk.Version, c.version)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 30 * time.Second},
			MinConnectTimeout: 20 * time.Second,
		}),
	)
	if err != nil {
		return fmt.Errorf("prepare the connection to C1 at %s: %w", c.addr, err)
	}
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn = conn
	return nil
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.Close()
}

func (c *client) current() (*grpc.ClientConn, *bounded, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn, c.creds, c.addr
}

// call makes one call on the connection, within its time. A token that C1 does
// not take any more is replaced, once, and a connection on which nothing comes
// back is dropped.
func call[Request, Response any](ctx context.Context, c *client, request Request,
	method func(v1.BatonServiceClient, context.Context, Request, ...grpc.CallOption) (Response, error),
) (Response, error) {
	response, err := once(ctx, c, request, method)
	switch status.Code(err) {
	case codes.Unauthenticated:
		if _, creds, _ := c.current(); creds.refused() != nil {
			return response, c.explain(err)
		}
		if renewErr := c.renew(); renewErr != nil {
			return response, renewErr
		}
		response, err = once(ctx, c, request, method)
	case codes.DeadlineExceeded:
		if ctx.Err() == nil {
			_ = c.reconnect()
		}
	}
	return response, c.explain(err)
}

func once[Request, Response any](ctx context.Context, c *client, request Request,
	method func(v1.BatonServiceClient, context.Context, Request, ...grpc.CallOption) (Response, error),
) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, _, _ := c.current()
	// Otherwise a call would get the error of the last attempt to connect, which
	// may be long ago.
	conn.ResetConnectBackoff()
	return method(v1.NewBatonServiceClient(conn), ctx, request)
}

// callError is a failed call of C1 in words, with its gRPC code.
type callError struct {
	words string
	cause error
}

func (e *callError) Error() string              { return e.words }
func (e *callError) Unwrap() error              { return e.cause }
func (e *callError) GRPCStatus() *status.Status { return status.New(status.Code(e.cause), e.words) }

// explain says what an operator can do about an error of a call.
func (c *client) explain(err error) error {
	if err == nil {
		return nil
	}
	if done, ok := errors.AsType[*callError](err); ok {
		return done
	}
	_, creds, addr := c.current()
	message := status.Convert(err).Message()
	words := fmt.Sprintf("C1 at %s answers %s: %s", addr, status.Code(err), message)
	switch code := status.Code(err); {
	case creds.refused() != nil:
		words = status.Convert(creds.refused()).Message()
	case strings.Contains(message, "x509:"), strings.Contains(message, "tls:"):
		words = fmt.Sprintf("C1 at %s is not trusted: %s; if a proxy or a private authority stands in between, point SSL_CERT_FILE at its certificates", addr, message)
	case code == codes.Unavailable:
		words = fmt.Sprintf("C1 at %s cannot be reached: %s", addr, message)
	case code == codes.DeadlineExceeded:
		words = fmt.Sprintf("C1 at %s does not answer", addr)
	}
	return &callError{words: words, cause: err}
}

// isRefused says that C1 refused the credentials themselves.
func (c *client) isRefused() bool {
	_, creds, _ := c.current()
	return creds.refused() != nil
}
