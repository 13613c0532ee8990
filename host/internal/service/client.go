package service

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
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
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

const (
	// callTimeout bounds every call but uploads.
	callTimeout = 45 * time.Second
	// tokenTimeout bounds one request for a token.
	tokenTimeout = 30 * time.Second
	// apiHostEnv is the SDK's: another host for the API and the token.
	apiHostEnv = "BATON_C1_API_HOST"
)

// client is the connection to C1. It is one connection for all calls, made again
// where that may help; each upload has a separate one, so that nothing that
// happens to the others breaks it off.
type client struct {
	version string
	creds   *callCredentials
	name    string // of the client id
	target  string // for gRPC
	addr    string // for people
	// proxyOf returns the proxy on the way of a request; nil: there is none.
	proxyOf func(*http.Request) (*url.URL, error)

	mu     sync.Mutex
	conn   *grpc.ClientConn
	closed bool
}

func newClient(secrets *secrets, version string) (*client, error) {
	c := &client{version: version, proxyOf: http.ProxyFromEnvironment}
	// The provider keeps this context, and logs to its logger what it does.
	ctx := ctxzap.ToContext(context.Background(), zap.NewNop())
	ctx = context.WithValue(ctx, uhttp.ContextHTTPTimeoutKey, tokenTimeout)
	upload := secrets.upload()
	provider, name, host, err := ugrpc.NewC1CredentialProvider(ctx, upload.ClientID, upload.ClientSecret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("the client id or secret is not one of C1: %w", err)
	}
	c.creds = &callCredentials{
		secrets: secrets, provider: provider, isFresh: true, renewing: semaphore.NewWeighted(1), search: secret.NewSearch(),
		make: func(upload *config.Upload) (credentials.PerRPCCredentials, error) {
			provider, _, _, err := ugrpc.NewC1CredentialProvider(ctx, upload.ClientID, upload.ClientSecret.Reveal())
			return provider, err
		},
	}
	if other, set := os.LookupEnv(apiHostEnv); set {
		host = other
	}
	c.name, c.target = name, ugrpc.HostPort(host, "443")
	if name, port, err := net.SplitHostPort(host); err == nil {
		c.target = ugrpc.HostPort(name, port)
	}
	c.addr = strings.TrimPrefix(c.target, "dns:///")
	return c, c.reconnect()
}

// dial makes a connection. Nothing is sent before the first call.
func (c *client) dial() (*grpc.ClientConn, error) {
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
		return nil, fmt.Errorf("prepare the connection to C1 at %s: %w", c.addr, err)
	}
	return conn, nil
}

// reconnect drops the connection for a new one. Calls on the old one fail.
func (c *client) reconnect() error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return conn.Close()
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
	c.closed = true
	_ = c.conn.Close()
}

func (c *client) connection() *grpc.ClientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// call makes one call on the connection, within its time. A token that C1 does
// not take any more is replaced, once, and a connection on which nothing comes
// back is dropped.
func call[Request, Response any](ctx context.Context, c *client, request Request,
	method func(v1.BatonServiceClient, context.Context, Request, ...grpc.CallOption) (Response, error),
) (Response, error) {
	seen := c.creds.Version()
	response, err := once(ctx, c, request, method)
	switch status.Code(err) {
	case codes.Unauthenticated:
		if c.isRefused() {
			break
		}
		if renewErr := c.creds.renew(ctx, seen); renewErr != nil {
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
	conn := c.connection()
	// Otherwise a call would get the error of the last attempt to connect, which
	// may be long ago.
	conn.ResetConnectBackoff()
	return method(v1.NewBatonServiceClient(conn), ctx, request)
}

// callError is a failed call of C1 in words, with its gRPC code.
type callError struct {
	words   string
	public  string // the words without C1's own, "" if they are the host's
	cause   error
	refused bool // C1 refused the credentials themselves
}

func (e *callError) Error() string              { return e.words }
func (e *callError) Unwrap() error              { return e.cause }
func (e *callError) GRPCStatus() *status.Status { return status.New(status.Code(e.cause), e.words) }

// Public is the error without C1's own words.
func (e *callError) Public() string { return cmp.Or(e.public, e.words) }

// explain says what an operator can do about an error of a call.
func (c *client) explain(err error) error {
	if err == nil {
		return nil
	}
	if done, ok := errors.AsType[*callError](err); ok {
		return done
	}
	addr := c.addr
	message := status.Convert(err).Message()
	words, said := fmt.Sprintf("C1 at %s answers %s: %s", addr, status.Code(err), message), fmt.Sprintf("C1 at %s answers %s", addr, status.Code(err))
	refused := status.Code(err) == codes.Unauthenticated && c.isRefused()
	switch code := status.Code(err); {
	case refused:
		words, said = status.Convert(c.creds.refused()).Message(), ""
	case strings.Contains(message, "x509:"), strings.Contains(message, "tls: failed to verify"):
		const remedy = "if a proxy or a private authority stands in between, point SSL_CERT_FILE at its certificates"
		words, said = fmt.Sprintf("C1 at %s is not trusted: %s; %s", addr, message, remedy), fmt.Sprintf("C1 at %s is not trusted; %s", addr, remedy)
	case code == codes.Unavailable:
		// What the SDK's client reports may have several lines.
		words, said = fmt.Sprintf("C1 at %s cannot be reached: %s", addr, strings.ReplaceAll(message, "\n", ": ")), fmt.Sprintf("C1 at %s cannot be reached", addr)
		if why := errtext.Public(errors.New(message)); why != "" {
			said += ": " + why
		}
		if proxy := c.proxy(); proxy != "" {
			words += fmt.Sprintf("; it is asked by the proxy %s: if that is none, or does not let this through, correct HTTPS_PROXY and NO_PROXY", proxy)
			said += "; it is asked by a proxy: see HTTPS_PROXY and NO_PROXY"
		}
	case code == codes.DeadlineExceeded:
		words, said = fmt.Sprintf("C1 at %s does not answer", addr), ""
	}
	return &callError{words: words, public: said, cause: err, refused: refused}
}

// proxy returns the host and port of the proxy on the way to C1; empty: there is none.
func (c *client) proxy() string {
	proxy, err := c.proxyOf(&http.Request{URL: &url.URL{Scheme: "https", Host: c.addr}})
	if err != nil || proxy == nil {
		return ""
	}
	return proxy.Host
}

// isRefused says that C1 refused the credentials when it was last asked for a
// token. It may have been away since.
func (c *client) isRefused() bool { return c.creds.refused() != nil }

// refused says that this is what a call failed of.
func refused(err error) bool {
	failed, ok := errors.AsType[*callError](err)
	return ok && failed.refused
}
