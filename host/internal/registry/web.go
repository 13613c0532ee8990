package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// accept says what of an address is believed.
type accept int

const (
	// sameHost lets no other host answer: nothing but the address shows that the answer is
	// meant.
	sameHost accept = iota
	// anyHost lets another host answer, as registries and releases do for what is large: the
	// answer has a digest that is known from what has been verified.
	anyHost
)

// maxRedirects is how many redirects are followed.
const maxRedirects = 5

// web fetches over HTTP, within limits.
type web struct {
	transport http.RoundTripper
	limits    limits
}

// newTransport returns what all requests go through. Nothing is decompressed on the way: what
// is transferred is what is measured. authorities are those that vouch for servers; nil: those
// of the system.
func newTransport(limits limits, authorities *x509.CertPool) *guarded {
	return &guarded{&http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: limits.answer}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   limits.answer,
		ResponseHeaderTimeout: limits.answer,
		IdleConnTimeout:       limits.answer,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}, limits}
}

// guarded sends nothing over a connection that others can read or change, and lets no answer
// go on without end.
type guarded struct {
	inner  *http.Transport
	limits limits
}

// RoundTrip sends the request.
func (g *guarded) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && !isLoopback(request.URL) {
		return nil, fmt.Errorf("%s is not fetched without TLS; use https", shown(request.URL))
	}
	ctx, cancel := context.WithCancelCause(request.Context())
	response, err := g.inner.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	response.Body = newSteady(ctx, cancel, response.Body, g.limits)
	return response, nil
}

// isLoopback reports whether an address is of this machine.
func isLoopback(address *url.URL) bool {
	ip := net.ParseIP(address.Hostname())
	return address.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// shown returns an address for people: without what may be a secret.
func shown(address *url.URL) string {
	plain := *address
	plain.User, plain.RawQuery, plain.Fragment = nil, "", ""
	return errtext.Printable(plain.String(), "")
}

// statusError is an answer that is no success.
type statusError struct {
	address string
	status  int
}

// Error returns the sentence.
func (e *statusError) Error() string {
	remedy := ""
	switch {
	case e.status == http.StatusUnauthorized, e.status == http.StatusForbidden, e.status == http.StatusProxyAuthRequired:
		remedy = "; this machine may not read it, or a proxy stands before it that wants a login"
	case e.status == http.StatusTooManyRequests, e.status >= http.StatusInternalServerError:
		remedy = "; try again later"
	}
	return fmt.Sprintf("%s answers %d %s%s", e.address, e.status, http.StatusText(e.status), remedy)
}

// isMissing reports whether a server answered that it has no such thing.
func isMissing(err error) bool {
	answered, ok := errors.AsType[*statusError](err)
	return ok && (answered.status == http.StatusNotFound || answered.status == http.StatusGone)
}

// get sends a request and returns a successful answer. Its body must be closed.
func (w *web) get(ctx context.Context, address *url.URL, types string, from accept) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	if types != "" {
		request.Header.Set("Accept", types)
	}
	client := http.Client{Transport: w.transport, CheckRedirect: redirects(address, from)}
	response, err := client.Do(request)
	if err != nil {
		return nil, unreached(address, err)
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, &statusError{shown(address), response.StatusCode}
	}
	return response, nil
}

// redirects follows a redirect where the answer is proven by its digest, or comes from the
// host that was asked. Anybody who can make a host redirect could otherwise choose who
// answers, with what is in the way of this machine alone.
func redirects(asked *url.URL, from accept) func(*http.Request, []*http.Request) error {
	return func(to *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return fmt.Errorf("it redirects more than %d times", maxRedirects)
		case asked.Scheme == "https" && to.URL.Scheme != "https":
			return fmt.Errorf("it redirects to %s, without TLS", shown(to.URL))
		case from == sameHost && to.URL.Host != asked.Host:
			return fmt.Errorf("it redirects to another host, %s; if that is meant, name that host", to.URL.Host)
		}
		return nil
	}
}

// unreached is an error of a request that has no answer.
func unreached(address *url.URL, err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // Its text has the address with all that is in it.
	}
	if _, isUnknown := errors.AsType[x509.UnknownAuthorityError](err); isUnknown {
		return fmt.Errorf("%s is not trusted: %w; if its certificates, or those of a proxy in between, are meant, point SSL_CERT_FILE at them", shown(address), err)
	}
	return fmt.Errorf("%s cannot be fetched: %w", shown(address), err)
}

// document returns a small answer, which is JSON, with its type.
func (w *web) document(ctx context.Context, address *url.URL, types string, from accept) (content []byte, kind string, err error) {
	response, err := w.get(ctx, address, types, from)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	if content, err = readAll(response.Body, w.limits.document); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", shown(address), err)
	}
	if kind = response.Header.Get("Content-Type"); isPage(kind, content) {
		return nil, "", fmt.Errorf("%s answers with a web page and not with JSON: the address is of something else, or a proxy that wants a login stands before it", shown(address))
	}
	return content, kind, nil
}

// isPage reports whether an answer is a page for people.
func isPage(contentType string, content []byte) bool {
	return strings.HasPrefix(contentType, "text/html") || bytes.HasPrefix(bytes.TrimSpace(content), []byte("<"))
}

// readAll reads to the end, which must come within the limit.
func readAll(from io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("it is larger than %s", size(limit))
	}
	return content, err
}

// size returns a number of bytes for people.
func size(bytes int64) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// slowError says that a transfer does not get on.
type slowError struct{ limits limits }

// Error returns the sentence.
func (e slowError) Error() string {
	return fmt.Sprintf("the transfer is too slow: fewer than %d bytes came in %s; try again where the network is better", e.limits.pace, e.limits.within)
}

// errEndless says that an answer is larger than anything that is asked for.
var errEndless = errors.New("the answer does not end, or is larger than any archive of a connector")

// steady is a body that must get on, and end.
type steady struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	body   io.ReadCloser
	left   int64        // until the answer is too large
	came   atomic.Int64 // since it was looked at last
}

func newSteady(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limits limits) *steady {
	s := &steady{ctx: ctx, cancel: cancel, body: body, left: limits.archive + 1}
	go s.watch(limits)
	return s
}

// watch ends the transfer if too little comes. It returns when the transfer has ended.
func (s *steady) watch(limits limits) {
	ticker := time.NewTicker(limits.within)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			if s.came.Swap(0) < limits.pace {
				s.cancel(slowError{limits})
				return
			}
		}
	}
}

// Read reads what has come.
func (s *steady) Read(into []byte) (int, error) {
	if s.left <= 0 {
		return 0, errEndless
	}
	n, err := s.body.Read(into[:min(int64(len(into)), s.left)])
	s.left -= int64(n)
	s.came.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		if slow, ok := errors.AsType[slowError](context.Cause(s.ctx)); ok {
			err = slow
		}
	}
	return n, err
}

// Close ends the transfer.
func (s *steady) Close() error {
	err := s.body.Close()
	s.cancel(nil)
	return err
}
