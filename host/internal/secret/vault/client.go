package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
)

// maxAnswer is the size of the greatest answer, in bytes: a value of secret.MaxValue with
// every character escaped, and what is around it.
const maxAnswer = 8 << 20

// client is the server's client, with a token or without.
type client struct {
	settings Settings
	// A function, because what prints by reflection would find the token.
	api   func() *api.Client
	blank func(ctx context.Context, report string) string
}

// newClient returns a client without a token.
func newClient(settings Settings) (client, error) {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	if settings.CAFile != "" {
		pem, err := authorities(settings.CAFile)
		if err != nil {
			return client{}, err
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return client{}, fmt.Errorf("ca-file %s has no certificate in PEM form", settings.CAFile)
		}
	}
	made, err := api.NewClient(&api.Config{
		Address: settings.Address,
		HttpClient: &http.Client{
			Transport:     bounded{transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		MaxRetries:   2,
		MinRetryWait: 100 * time.Millisecond,
		MaxRetryWait: 300 * time.Millisecond,
		// A server that stands by may name another one. The library refuses one without
		// TLS; from a server without TLS nothing is followed at all.
		DisableRedirects: !strings.HasPrefix(settings.Address, "https:"),
	})
	if err != nil {
		// The library reads the variables of the vault command, and fails for one that it
		// cannot read. Its error may hold one.
		return client{}, errors.New("the client of Vault cannot be set up: a VAULT_… variable in the environment is malformed; remove it, as none is used")
	}
	// What it took from the environment.
	made.ClearToken()
	made.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	made.SetWrappingLookupFunc(func(string, string) string { return "" })
	if settings.Namespace != "" {
		made.SetNamespace(settings.Namespace)
	}
	return client{settings: settings, api: func() *api.Client { return made }, blank: blanking()}, nil
}

// blanking returns the client with secrets that its errors must not have.
func (c client) blanking(secrets ...string) client {
	c.blank = blanking(secrets...)
	return c
}

// with gives the client a token. It has no other user yet.
func (c client) with(token string, secrets ...string) client {
	c.api().SetToken(token)
	return c.blanking(append(secrets, token)...)
}

// bounded cuts off answers that are too large.
type bounded struct{ http.RoundTripper }

// RoundTrip does one request.
func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(request)
	if err == nil {
		response.Body = &boundedBody{ReadCloser: response.Body, left: maxAnswer}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errTooLarge = fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)

// Read reads what is left.
func (b *boundedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// status is the status of an answer that is an error; 0 for any other error.
func status(err error) int {
	if answer, ok := errors.AsType[*api.ResponseError](err); ok {
		return answer.StatusCode
	}
	return 0
}

// explain returns the error as a sentence: an AwayError where the server may have an answer
// at another time.
func (c client) explain(ctx context.Context, err error) error {
	if errors.Is(err, errTooLarge) || isOwn(err) {
		return err
	}
	answer, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		return &secret.AwayError{Err: c.unreachable(ctx, err)}
	}
	code := answer.StatusCode
	words, isAway := c.refusal(code, strconv.Itoa(code))
	whole, _ := c.refusal(code, strconv.Itoa(code)+c.said(ctx, answer))
	reported := &secret.ReportedError{Err: errors.New(whole), Words: words}
	if isAway {
		return &secret.AwayError{Err: reported}
	}
	return reported
}

// refusal is a sentence about an answer of this status, with what is said of it, and whether
// another time there may be another answer.
func (c client) refusal(code int, said string) (words string, isAway bool) {
	server := c.settings.server()
	switch {
	case code == http.StatusServiceUnavailable:
		return fmt.Sprintf("%s is sealed or in maintenance (%s): unseal it", server, said), true
	case code == http.StatusTooManyRequests:
		return fmt.Sprintf("%s has had too many requests (%s): raise its quota, or resolve less often", server, said), true
	case code >= http.StatusInternalServerError || code == http.StatusPreconditionFailed || code >= 472 && code <= 473:
		return fmt.Sprintf("%s failed (%s): look at its log", server, said), true
	case code == http.StatusForbidden:
		return fmt.Sprintf("%s refuses access (%s): allow the login to read the path in its policy, or renew the login", server, said), false
	default:
		return fmt.Sprintf("%s refuses the request (%s)", server, said), false
	}
}

// said is what the answer's own list of errors has, without secrets. What is not such a list,
// a page of a proxy for example, is not repeated.
func (c client) said(ctx context.Context, answer *api.ResponseError) string {
	if answer.RawError {
		return ""
	}
	var all []string
	for _, one := range answer.Errors {
		if one = strings.Join(strings.Fields(one), " "); one != "" {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ", " + errtext.Cut(errtext.Printable(c.blank(ctx, strings.Join(all, "; ")), ""), 300)
}

// unreachable is why there was no answer, without the request's URL.
func (c client) unreachable(ctx context.Context, err error) error {
	server := c.settings.server()
	if ctx.Err() != nil {
		return fmt.Errorf("%s did not answer in time", server)
	}
	if _, refused := errors.AsType[*tls.CertificateVerificationError](err); refused {
		return fmt.Errorf("the certificate of %s cannot be verified: put its authority into ca-file, or correct address", server)
	}
	if failure, ok := errors.AsType[*url.Error](err); ok {
		err = failure.Err
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		words := server + " cannot be reached"
		whole := fmt.Errorf("%s: %s", words, errtext.Cut(errtext.Printable(c.blank(ctx, err.Error()), ""), 300))
		if why := errtext.Public(err); why != "" {
			words += ": " + why
		}
		return &secret.ReportedError{Err: whole, Words: words}
	}
	return fmt.Errorf("%s sent no answer that can be read; check that address is that of a Vault server", server)
}
