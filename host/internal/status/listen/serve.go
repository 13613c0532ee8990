package listen

import (
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// headerTimeout is how long a client may take to say what it wants.
	headerTimeout = 10 * time.Second
	// idleTimeout is how long a connection is kept open for another request.
	idleTimeout = 2 * time.Minute
	// headerBytes is how much it may say.
	headerBytes = 16 << 10
)

// policy has a browser load nothing that is not served here, run no script that
// stands in a page, send nothing anywhere and show nothing inside of other pages.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Serve answers at the listener until stop is called, which breaks off what is
// being answered.
func Serve(listener net.Listener, handler http.Handler) (stop func()) {
	server := &http.Server{
		Handler:           Guard(listener.Addr(), handler),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
	}
	go func() { _ = server.Serve(listener) }() // It ends with Close.
	return func() { _ = server.Close() }
}

// Guard puts headers that keep browsers careful on every answer. At a loopback
// address it refuses requests that were sent to another name: a page of a stranger
// else, whose name has been made to lead here, would be answered otherwise.
func Guard(address net.Addr, handler http.Handler) http.Handler {
	local := false
	if tcp, ok := address.(*net.TCPAddr); ok {
		local = tcp.IP.IsLoopback()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if local && !loopbackName(r.Host) {
			http.Error(w, "This address answers only to localhost and loopback addresses. Ask for it by one of them.", http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// loopbackName reports whether a request's Host names this machine to itself. A
// client that names none (HTTP/1.0) is no browser.
func loopbackName(host string) bool {
	if host == "" {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
