package explore

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/conductorone/baton-sdk/pkg/baton/explorer"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	"github.com/gin-gonic/gin"
)

// Server is an explorer of one sync file that listens.
type Server struct {
	listener net.Listener
	handler  http.Handler
	entry    string // the key in the address, which opens once
}

// Listen makes an explorer of an open sync file that listens on a port of the loopback
// address; 0 is any free one. It is closed by the end of Serve.
func Listen(ctx context.Context, store c1zstore.Store, port int) (*Server, error) {
	// Its log would repeat the ids of people, on standard output.
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultWriter, gin.DefaultErrorWriter = io.Discard, io.Discard

	pages, err := servePages(ctx)
	if err != nil {
		return nil, err
	}
	data, err := explorer.NewController(ctx, store, "", "", false)
	if err != nil {
		return nil, err
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("the explorer cannot listen: %w; give it another port with --port", err)
	}
	s := &Server{listener: listener, entry: rand.Text()}
	s.handler = s.guard(api(&data), pages)
	return s, nil
}

// Address returns where a browser finds it. The key in it opens the explorer once, for the
// browser that comes first.
func (s *Server) Address() string {
	return fmt.Sprintf("http://%s/?key=%s", s.listener.Addr(), s.entry)
}

// Serve serves until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		// A request that reads the file must not find it closed.
		_ = server.Shutdown(context.WithoutCancel(ctx))
	})()
	err := server.Serve(s.listener)
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	return err
}

// api returns what the explorer's pages ask for, by the SDK's own handlers. The SDK serves
// them itself too, but to everyone who finds the port.
func api(data *explorer.Controller) http.Handler {
	router := gin.New()
	router.Use(gin.Recovery())
	group := router.Group("/api")
	group.GET("/entitlements", data.GetEntitlementsHandler)
	group.GET("/resources", data.GetResourcesHandler)
	group.GET("/resourceTypes", data.GetResourceTypesHandler)
	group.GET("/search", data.SearchHandler)
	group.GET("/grants/:resourceType/:resourceId", data.GetGrantsForResourceHandler)
	group.GET("/access/:resourceType/:resourceId", data.GetAccessHandler)
	group.GET("/principals/:resourceType", data.GetResourcesWithPrincipalCountHandler)
	group.GET("/:resourceType/:resourceId", data.GetResourceHandler)
	return router
}

// servePages serves the explorer's pages. They are embedded in the SDK, which gives
// them out over its own server only; that one gets no sync file, so that it does not
// matter who finds it.
func servePages(ctx context.Context) (http.Handler, error) {
	var listening net.ListenConfig
	free, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the explorer cannot listen: %w", err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	pages, err := explorer.NewController(ctx, nil, "", "", true)
	if err != nil {
		return nil, err
	}
	failed := make(chan error, 1)
	go func() { failed <- pages.Run(address) }() // It ends with the process.
	if err := reachable(ctx, address, failed); err != nil {
		return nil, err
	}
	return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}), nil
}

// reachable waits until a server takes connections.
func reachable(ctx context.Context, address string, failed <-chan error) error {
	var dialer net.Dialer
	for {
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return connection.Close()
		}
		select {
		case err := <-failed:
			return fmt.Errorf("the explorer's pages cannot be served: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const cookieName = "baton-host-explore"

// guard shows accounts only to the browser that came first with the key: not
// to another user of this machine, nor to a page of another site in the browser.
func (s *Server) guard(data, pages http.Handler) http.Handler {
	cookie, used := rand.Text(), atomic.Bool{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
		switch {
		case !s.isOwnName(r.Host):
			// A page of another site, whose name now leads here.
			http.Error(w, "The explorer is not reached by this name.", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "The explorer changes nothing.", http.StatusMethodNotAllowed)
		case r.URL.Path == "/" && equal(r.URL.Query().Get("key"), s.entry):
			if used.Swap(true) {
				http.Error(w, "This address has been opened already, and opens once. Run baton-host explore again.", http.StatusForbidden)
				return
			}
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // Loopback has no TLS.
				Name: cookieName, Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
			})
			http.Redirect(w, r, "/", http.StatusSeeOther)
		case !strings.HasPrefix(r.URL.Path, "/api/"):
			pages.ServeHTTP(w, r)
		case !known(r, cookie):
			http.Error(w, "Open the explorer with the address that baton-host explore has shown.", http.StatusForbidden)
		default:
			data.ServeHTTP(w, r)
		}
	})
}

func (s *Server) isOwnName(host string) bool {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	return host == s.listener.Addr().String() || host == net.JoinHostPort("localhost", port)
}

func known(r *http.Request, cookie string) bool {
	given, err := r.Cookie(cookieName)
	return err == nil && equal(given.Value, cookie)
}

func equal(given, secret string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}
