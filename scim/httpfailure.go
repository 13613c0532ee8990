package scim

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// place names, in messages, whom the client talks to.
func (c *endpoint) place() string { return c.base.Host }

// statusFailure is the error for an answer whose status is not 2xx. body is (the
// beginning of) what came with it.
func (c *endpoint) statusFailure(response *http.Response, body []byte) *failure {
	f := c.statusMessage(response.StatusCode, decodeErrorBody(body))
	if f.status.Code() == codes.Unavailable {
		f.status = withRetryAfter(f.status, response, time.Now())
	}
	return f
}

// statusMessage is the error for an HTTP status and what the server answered with it.
func (c *endpoint) statusMessage(httpStatus int, answer errorBody) *failure {
	answered := strings.TrimSpace(fmt.Sprintf("%s answered %d %s", c.place(), httpStatus, http.StatusText(httpStatus)))

	var code codes.Code
	var advice string
	switch {
	case httpStatus == http.StatusUnauthorized && c.credential.tokens != nil:
		code = codes.Unauthenticated
		advice = fmt.Sprintf("a token that %s has just issued is not accepted. Check the client's rights in the app, %s and %s.%s",
			c.credential.tokens.issuer.place(), scopesField, tokenURLField, c.hinted())
	case httpStatus == http.StatusUnauthorized:
		code = codes.Unauthenticated
		advice = fmt.Sprintf("the token is not accepted. Put a valid token into %s.%s", c.credential.fields, c.hinted())
	case httpStatus == http.StatusForbidden:
		code = codes.PermissionDenied
		advice = fmt.Sprintf("the token may not list {users}, or SCIM is not switched on in the app or not part of its plan. Check the app's settings and %s.%s", c.credential.fields, c.hinted())
	case httpStatus == http.StatusNotFound || httpStatus == http.StatusGone:
		code = codes.FailedPrecondition
		advice = fmt.Sprintf("there are no SCIM {users} below %s. %s", c.base, c.missing())
	case httpStatus == http.StatusTooManyRequests:
		code = codes.Unavailable
		advice = "too many requests. The sync goes on when the app allows it."
	case httpStatus == http.StatusRequestTimeout || httpStatus == http.StatusTooEarly:
		code = codes.Unavailable
		advice = "it wants the request again."
	case httpStatus == http.StatusNotImplemented:
		code = codes.Unimplemented
		advice = "the app does not offer listing {users} here. " + c.missing()
	case httpStatus >= 500:
		code = codes.Unavailable
		advice = "the app, or a proxy before it, is out of order. If it stays so, ask the app's support."
	case httpStatus == http.StatusBadRequest && strings.EqualFold(answer.ScimType, "expiredCursor"):
		code = codes.Aborted
		advice = "the place where reading had stopped is no longer valid there (its cursor expired), so the list is incomplete and is not used. Run the sync again."
	case httpStatus == http.StatusBadRequest && strings.EqualFold(answer.ScimType, "invalidCursor"):
		code = codes.FailedPrecondition
		advice = "the app does not accept the cursor that it gave itself, so its list cannot be read completely. Ask the app's support."
	case httpStatus == http.StatusBadRequest && strings.EqualFold(answer.ScimType, "invalidCount"):
		code = codes.FailedPrecondition
		advice = fmt.Sprintf("the app refuses pages of %d {users}, although it may make them smaller. Ask the app's support.", pageSize)
	case httpStatus == http.StatusBadRequest && c.filter != "":
		code = codes.InvalidArgument
		advice = fmt.Sprintf("the app refuses a list of {users} with a filter. Check %s.", filterField)
	case httpStatus == http.StatusBadRequest:
		code = codes.InvalidArgument
		advice = fmt.Sprintf("the app refuses a plain list of {users}. Check %s.%s", baseURLField, c.pathHint())
	default:
		code = codes.FailedPrecondition
		advice = "it does not serve SCIM {users} there. " + c.missing()
	}

	message := answered + ": " + c.kind.words(advice)
	if quoted := c.quote(answer.text()); quoted != "" {
		message += " It answered: " + quoted
	}
	f := failf(code, "%s", message)
	f.httpStatus = httpStatus
	return f
}

// errorInAnswer is the error for a SCIM error that came with a status of success.
func (c *endpoint) errorInAnswer(body []byte) *failure {
	answer := decodeErrorBody(body)
	return c.statusMessage(max(answer.httpStatus(), http.StatusBadRequest), answer)
}

// missing returns what to do where an app has no such endpoint.
func (c *endpoint) missing() string {
	if c.kind == groupsKind {
		return fmt.Sprintf("If the app has none, switch %s off; else check %s.%s", groupsField, baseURLField, c.pathHint())
	}
	return fmt.Sprintf("Check %s.%s", baseURLField, c.pathHint())
}

// checkJSON recognises by its first character an answer that cannot be SCIM.
// Content types are not asked: servers send SCIM under all sorts of them.
func (c *endpoint) checkJSON(body []byte) *failure {
	switch {
	case len(body) == 0:
		return c.failf(codes.FailedPrecondition,
			"%s answered with nothing instead of a SCIM list of {users}. Check %s.%s", c.place(), baseURLField, c.pathHint())
	case body[0] == '<':
		return c.failf(codes.FailedPrecondition,
			"%s answered with a web page (HTML) instead of SCIM. Is %s right?%s", c.place(), baseURLField, c.pathHint())
	case body[0] != '{' && body[0] != '[':
		return c.failf(codes.FailedPrecondition,
			"%s answered with something that is not JSON instead of SCIM. Is %s right?%s", c.place(), baseURLField, c.pathHint())
	}
	return nil
}

// textFailure is the error for an answer whose text cannot be read, if it is nothing
// that has a separate error.
func (c *endpoint) textFailure(body []byte, err error) *failure {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte{'<'}) {
		return c.checkJSON(body)
	}
	var head listHead
	// It may be anything.
	_ = json.Unmarshal(body, &head)
	if head.hasSchema("Error") {
		return c.errorInAnswer(body)
	}
	if unknown, ok := errors.AsType[unknownCharsetError](err); ok {
		return c.failf(codes.FailedPrecondition,
			"%s sends its {users} in the character set %q (Content-Type), which this connector does not know, so their names cannot be read. Let the app send UTF-8, or ask its support.",
			c.place(), c.quote(string(unknown)))
	}
	return c.failf(codes.DataLoss,
		"%s sends its {users} as text that is not valid %s, so different names could become the same. The list is not used. Let the app send UTF-8, or declare its character set in Content-Type, or ask its support.",
		c.place(), c.quote(err.Error()))
}

// malformed is the error for JSON that is none. One that breaks off is like a connection that
// does: the request is worth repeating.
func (c *endpoint) malformed(body []byte, err error) *failure {
	where := ""
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		if syntax.Offset >= int64(len(body)) {
			return c.failf(codes.Unavailable,
				"%s sent a list of {users} that breaks off after %d bytes: malformed JSON (at byte %d). It is asked for again; if it happens again, the app or a proxy before it is out of order.",
				c.place(), len(body), syntax.Offset)
		}
		where = fmt.Sprintf(" (at byte %d)", syntax.Offset)
	}
	return c.failf(codes.DataLoss,
		"%s sent a list of {users} that is malformed JSON%s. Run the sync again; if it happens again, the app or a proxy before it is out of order.",
		c.place(), where)
}

// notAList is the error for JSON that is something else than a list response.
func (c *endpoint) notAList() *failure {
	return c.failf(codes.FailedPrecondition,
		"%s answered with JSON that is not a SCIM list of {users}. Is %s right?%s", c.place(), baseURLField, c.pathHint())
}

// pathHint ends messages about a wrong base URL.
func (c *endpoint) pathHint() string {
	if c.base.Path == "" {
		return " It has no path; it usually ends in /scim/v2." + c.hinted()
	}
	return c.hinted()
}

func (c *endpoint) hinted() string {
	if c.hint == "" {
		return ""
	}
	return " " + c.hint
}

// requestFailure is the error for a request that got no answer.
func (c *endpoint) requestFailure(ctx context.Context, err error) *failure {
	f := c.requestMessage(ctx, err)
	f.cause = err
	return f
}

// bodyFailure is the error for an answer that broke off.
func (c *endpoint) bodyFailure(ctx context.Context, err error) *failure {
	f := c.bodyMessage(ctx, err)
	f.cause = err
	return f
}

func (c *endpoint) bodyMessage(ctx context.Context, err error) *failure {
	switch {
	case ctx.Err() != nil:
		return c.stopped(ctx)
	case isTimeout(err):
		return c.failf(codes.DeadlineExceeded, "%s did not finish its answer in time.", c.place())
	case errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || isCorrupt(err):
		return c.failf(codes.DataLoss,
			"%s sent a compressed answer that cannot be unpacked. The app or a proxy before it is out of order.", c.place())
	}
	return c.failf(codes.Unavailable, "the connection to %s broke in the middle of an answer.", c.place())
}

func (c *endpoint) stopped(ctx context.Context) *failure {
	return c.failf(status.FromContextError(ctx.Err()).Code(), "reading {users} from %s was stopped", c.place())
}

func isCorrupt(err error) bool {
	_, ok := errors.AsType[flate.CorruptInputError](err)
	return ok
}

// isTimeout also sees the time-out that the SDK's transport has wrapped: whether
// net/http then still calls it one is a matter of chance.
func isTimeout(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

func (c *endpoint) requestMessage(ctx context.Context, err error) *failure {
	if redirect, ok := errors.AsType[*redirectError](err); ok {
		if redirect.target == "" {
			return c.failf(codes.FailedPrecondition,
				"%s redirects in a circle. Check %s.%s", c.place(), c.baseField, c.pathHint())
		}
		return c.failf(codes.FailedPrecondition,
			"%s redirects to %s. The token is not sent there. If that is the right place, put it into %s.",
			origin(c.base), c.quote(redirect.target), c.baseField)
	}
	if ctx.Err() != nil {
		return c.stopped(ctx)
	}

	operation, duringIO := errors.AsType[*net.OpError](err)
	if duringIO && operation.Op == "proxyconnect" {
		return c.failf(codes.Unavailable,
			"the proxy on the way to %s cannot be reached. Check HTTPS_PROXY and NO_PROXY.", c.place())
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return c.failf(codes.InvalidArgument, "there is no host named %s. Check %s.%s", c.base.Hostname(), c.baseField, c.hinted())
		}
		return c.failf(codes.Unavailable, "the name of the host %s cannot be looked up (DNS). Check the network, then %s.", c.base.Hostname(), c.baseField)
	}
	if what := c.certificateProblem(err); what != "" {
		return c.failf(codes.FailedPrecondition, "no secure connection (TLS) to %s: %s", c.place(), what)
	}

	if isTimeout(err) {
		return c.failf(codes.DeadlineExceeded, "%s did not answer in time.", c.place())
	}
	// The SDK's transport marks what is worth a retry: refused, reset, cut off.
	if code := status.Code(err); duringIO || code == codes.Unavailable || code == codes.DeadlineExceeded {
		return c.failf(codes.Unavailable,
			"%s cannot be reached, or closes the connection. Check that the app runs, the network, and %s.", c.place(), c.baseField)
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err // without the URL
	}
	return c.failf(codes.FailedPrecondition,
		"%s does not answer as an HTTP service. Check %s. (%s)", c.place(), c.baseField, c.quote(err.Error()))
}

// certificateProblem reports what is wrong if err is about TLS, else nothing.
func (c *endpoint) certificateProblem(err error) string {
	const trust = "If it is your own, let the system trust it (SSL_CERT_FILE)."
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		alert    *net.OpError
	)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record):
		return fmt.Sprintf("it answers without TLS there. Check the port in %s.", c.baseField)
	case errors.As(err, &unknown):
		return "its certificate is not signed by an authority that this machine trusts. " + trust
	case errors.As(err, &hostname):
		return fmt.Sprintf("its certificate is for another host. Check %s.", c.baseField)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet. Check the clock of this machine, then ask the app's support."
	case errors.As(err, &invalid) || errors.As(err, &verify):
		return "its certificate is not valid. " + trust
	case errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error"):
		// This is how crypto/tls marks an alert.
		return fmt.Sprintf("one side broke off the handshake. Check %s, and which TLS versions the app takes.", c.baseField)
	}
	return ""
}
