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

// during adds the request to the error that it ended with.
func (c *endpoint) during(r request, err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok || f.isPlaced {
		return err
	}
	f = f.with("The request was " + c.words(r) + ".")
	f.isPlaced = true
	return f
}

// words returns method, path and query of a request.
func (c *endpoint) words(r request) string {
	const longest = 80
	var query []string
	for _, name := range []string{"startIndex", "cursor", "count", "sortBy", "sortOrder", "attributes", "excludedAttributes"} {
		if !r.query.Has(name) {
			continue
		}
		value := []rune(url.QueryEscape(r.query.Get(name)))
		if len(value) > longest {
			value = append(value[:longest], '…')
		}
		query = append(query, name+"="+string(value))
	}
	if r.query.Has("filter") { // The configuration has it.
		query = append(query, "filter=…")
	}
	words := http.MethodGet + " /" + strings.TrimPrefix(c.base.JoinPath(r.path...).EscapedPath(), "/")
	if len(query) > 0 {
		words += "?" + strings.Join(query, "&")
	}
	return c.quote(words)
}

// position names what a request of a list asks for, as the words "refuses …" go on.
func (r request) position() string {
	switch {
	case r.query.Has("sortBy"):
		return "a list sorted by " + r.query.Get("sortBy")
	case r.query.Get("cursor") != "":
		return "the page of a cursor that it has named"
	case r.query.Has("cursor"):
		return "a list by cursor"
	}
	return "startIndex " + r.query.Get("startIndex")
}

// statusFailure is the error for an answer whose status is not 2xx. body is (the
// beginning of) what came with it.
func (c *endpoint) statusFailure(ctx context.Context, r request, response *http.Response, body []byte) *failure {
	answer := decodeErrorAnswer(body, response.Header)
	isLimit := isRateLimit(response.StatusCode, response.Header, answer.text())
	did := strings.TrimSpace(fmt.Sprintf("answered %d %s", response.StatusCode, http.StatusText(response.StatusCode)))
	f := c.statusMessage(r, did, response.StatusCode, isLimit, answer)
	if f.status.Code() == codes.Unavailable {
		f.status = withRetryAfter(ctx, f.status, response, isLimit, time.Now())
	}
	return f
}

// errorInAnswer is the error for a SCIM error that came with a status of success in place
// of one resource.
func (c *endpoint) errorInAnswer(body []byte) *failure {
	return c.reported(request{}, decodeErrorBody(body))
}

// reported is the error for one that came with a status of success.
func (c *endpoint) reported(r request, answer errorBody) *failure {
	did := "answered with an error"
	if answer.status != 0 {
		did = strings.TrimSpace(fmt.Sprintf("answered with the error %d %s", answer.status, http.StatusText(answer.status)))
	}
	httpStatus := max(answer.status, http.StatusBadRequest)
	return c.statusMessage(r, did, httpStatus, isRateLimit(httpStatus, nil, answer.text()), answer)
}

// statusMessage is the error for an HTTP status and what the server reports with it. did is
// what it did, in words.
func (c *endpoint) statusMessage(r request, did string, httpStatus int, isLimit bool, answer errorBody) *failure {
	code, advice := c.advise(r, httpStatus, isLimit, answer)
	message := c.place() + " " + did
	if len(r.path) > 0 {
		message += " to " + c.words(r)
	}
	message += ": " + c.kind.words(advice)
	quoted := c.quote(answer.text())
	if quoted != "" {
		message += " It answered: " + quoted
	}
	f := failf(code, "%s", message)
	f.httpStatus, f.isLimit, f.answer, f.isPlaced = httpStatus, isLimit, quoted, len(r.path) > 0
	return f
}

// advise returns what a refused request means, and what helps. It has {user} and {users} in
// it, for kind.words.
func (c *endpoint) advise(r request, httpStatus int, isLimit bool, answer errorBody) (codes.Code, string) {
	switch {
	case isLimit:
		return codes.Unavailable, "too many requests. The sync goes on when the app allows it."
	case httpStatus == http.StatusUnauthorized && c.credential.tokens != nil:
		return codes.Unauthenticated, fmt.Sprintf("a token that %s has just issued is not accepted. Check the client's rights in the app, %s and %s.%s",
			c.credential.tokens.issuer.place(), scopesField, tokenURLField, c.hinted())
	case httpStatus == http.StatusUnauthorized:
		return codes.Unauthenticated, fmt.Sprintf("the token is not accepted. Put a valid token into %s.%s", c.credential.fields, c.hinted())
	case httpStatus == http.StatusRequestTimeout || httpStatus == http.StatusTooEarly:
		return codes.Unavailable, "it wants the request repeated."
	case httpStatus >= 500 && httpStatus != http.StatusNotImplemented:
		return codes.Unavailable, "the app, or a proxy before it, is out of order. If it stays so, ask the app's support."
	case isAboutMediaType(httpStatus):
		return codes.FailedPrecondition, "the app, or a firewall before it, sends its {users} in none of the media types that SCIM has (application/scim+json, application/json), each asked for alone. Ask the app's support."
	case !r.isList:
		return c.adviseOnOne(httpStatus)
	case r.isLater:
		return c.adviseOnLater(r, httpStatus, answer)
	}
	return c.adviseOnFirst(r, httpStatus, answer)
}

// adviseOnFirst is advise for the first request of a list.
func (c *endpoint) adviseOnFirst(r request, httpStatus int, answer errorBody) (codes.Code, string) {
	isRefused := httpStatus == http.StatusBadRequest || httpStatus == http.StatusUnprocessableEntity
	switch {
	case httpStatus == http.StatusForbidden || httpStatus == http.StatusPaymentRequired:
		return codes.PermissionDenied, fmt.Sprintf("the token may not list {users}, or SCIM is not switched on in the app or not part of its plan. Check the app's settings and %s.%s", c.credential.fields, c.hinted())
	case httpStatus == http.StatusNotFound || httpStatus == http.StatusGone:
		return codes.FailedPrecondition, fmt.Sprintf("there are no SCIM {users} below %s. %s", c.base, c.missing())
	case httpStatus == http.StatusNotImplemented:
		return codes.Unimplemented, "the app does not offer listing {users} here. " + c.missing()
	case isRefused && strings.EqualFold(answer.scimType, "invalidCount"):
		return codes.FailedPrecondition, fmt.Sprintf("the app refuses pages of %s {users}, although it may make them smaller. Ask the app's support.", r.query.Get("count"))
	case (isRefused || httpStatus == http.StatusRequestURITooLong) && c.filter != "":
		return codes.InvalidArgument, fmt.Sprintf("the app refuses a list of {users} with a filter. Check %s.", filterField)
	case isRefused:
		return codes.InvalidArgument, fmt.Sprintf("the app refuses a plain list of {users}. Check %s.%s", baseURLField, c.pathHint())
	}
	return codes.FailedPrecondition, "it does not serve SCIM {users} there. " + c.missing()
}

// adviseOnLater is advise for a list of which the app has answered a request before: its
// address and the token are right.
func (c *endpoint) adviseOnLater(r request, httpStatus int, answer errorBody) (codes.Code, string) {
	isRefused := httpStatus == http.StatusBadRequest
	switch {
	case isRefused && strings.EqualFold(answer.scimType, "expiredCursor"):
		return codes.Aborted, "the place where reading had stopped is no longer valid there (its cursor expired), so the list is incomplete and is not used. Run the sync again."
	case isRefused && strings.EqualFold(answer.scimType, "invalidCursor") && r.query.Get("cursor") != "":
		return codes.FailedPrecondition, "the app does not accept the cursor that it gave itself, so its list cannot be read completely. Ask the app's support."
	case isRefused && strings.EqualFold(answer.scimType, "invalidCount"):
		return codes.FailedPrecondition, fmt.Sprintf("the app refuses pages of %s {users}, although it may make them smaller. Ask the app's support.", r.query.Get("count"))
	}
	code := codes.FailedPrecondition
	if httpStatus == http.StatusForbidden {
		code = codes.PermissionDenied
	}
	return code, fmt.Sprintf("the app refuses %s, and has answered requests for the same list before. Ask the app's support whether it limits how far its list of {users} may be read.", r.position())
}

// adviseOnOne is advise for one resource.
func (c *endpoint) adviseOnOne(httpStatus int) (codes.Code, string) {
	switch httpStatus {
	case http.StatusForbidden, http.StatusPaymentRequired:
		return codes.PermissionDenied, fmt.Sprintf("the token may not read this {user}. Check its rights in the app, and %s.%s", c.credential.fields, c.hinted())
	case http.StatusNotImplemented:
		return codes.Unimplemented, "the app does not offer reading one {user}. Ask the app's support."
	}
	return codes.FailedPrecondition, "the app refuses to show this {user}. Ask the app's support."
}

// missing returns what to do where an app has no such endpoint.
func (c *endpoint) missing() string {
	if c.kind == groupsKind {
		return fmt.Sprintf("If the app has none, switch %s off; else check %s.%s", groupsField, baseURLField, c.pathHint())
	}
	return fmt.Sprintf("Check %s.%s", baseURLField, c.pathHint())
}

// checkJSON recognizes by its first character an answer that cannot be SCIM.
// Content types are not asked: servers send SCIM under all sorts of them.
func (c *endpoint) checkJSON(r request, body []byte, httpStatus int) *failure {
	var did string
	switch {
	case len(body) == 0:
		did = "answered with nothing instead of SCIM {users}."
	case body[0] == '<':
		did = "answered with a web page (HTML) instead of SCIM."
	case body[0] != '{' && body[0] != '[':
		did = "answered with something that is not JSON instead of SCIM."
	default:
		return nil
	}
	code := codes.FailedPrecondition
	if r.isLater && httpStatus != http.StatusNoContent {
		code = codes.Unavailable
	}
	f := c.failf(code, "%s %s %s", c.place(), c.kind.words(did), c.whatIsWrong(r))
	f.isAnswer = true
	return f
}

// whatIsWrong returns what to look at where an answer is no SCIM.
func (c *endpoint) whatIsWrong(r request) string {
	switch {
	case r.isLater:
		return "It has answered requests for the same list before, so the app or a proxy before it is out of order. If it stays so, ask the app's support."
	case r.isList:
		return fmt.Sprintf("Is %s right?%s", baseURLField, c.pathHint())
	}
	return "Ask the app's support."
}

// textFailure is the error for an answer whose text cannot be read, if it is nothing
// that has a separate error.
func (c *endpoint) textFailure(r request, body []byte, err error) *failure {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte{'<'}) {
		return c.checkJSON(r, body, http.StatusOK)
	}
	var head listHead
	// It may be anything.
	_ = json.Unmarshal(body, &head)
	if head.hasSchema("Error") {
		return c.reported(r, decodeErrorBody(body))
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
				"%s sent a list of {users} that breaks off after %d bytes: malformed JSON (at byte %d). The request is worth a retry; if it happens again, the app or a proxy before it is out of order.",
				c.place(), len(body), syntax.Offset)
		}
		where = fmt.Sprintf(" (at byte %d)", syntax.Offset)
	}
	return c.failf(codes.DataLoss,
		"%s sent a list of {users} that is malformed JSON%s. Run the sync again; if it happens again, the app or a proxy before it is out of order.",
		c.place(), where)
}

// notAList is the error for JSON that is something else than a list response.
func (c *endpoint) notAList(r request, body []byte) *failure {
	answer := decodeErrorBody(body)
	if answer.isError && answer.status != 0 {
		return c.reported(r, answer)
	}
	code := codes.FailedPrecondition
	if r.isLater {
		code = codes.Unavailable
	}
	f := c.failf(code, "%s answered with JSON that is not a SCIM list of {users}. %s", c.place(), c.whatIsWrong(r))
	f.isAnswer = true
	if answer.isError {
		f = c.withAnswer(f, answer)
	}
	return f
}

// errorInList is the error for a list without entries that reports an error.
func (c *endpoint) errorInList(r request, answer errorBody) *failure {
	if answer.status != 0 {
		return c.reported(r, answer)
	}
	f := c.failf(codes.Unavailable,
		"%s answered with a list that has no {users}, and reports an error in it. The list is not used. If it stays so, ask the app's support.", c.place())
	f.isAnswer = true
	return c.withAnswer(f, answer)
}

// withAnswer adds the server's own words.
func (c *endpoint) withAnswer(f *failure, answer errorBody) *failure {
	if f.answer = c.quote(answer.text()); f.answer != "" {
		f = f.with("It answered: " + f.answer)
	}
	return f
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
func (c *endpoint) requestFailure(ctx context.Context, r request, err error) *failure {
	f := c.requestMessage(ctx, r, err)
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
	return c.failf(status.FromContextError(ctx.Err()).Code(), "reading {users} from %s was stopped.", c.place())
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

func (c *endpoint) requestMessage(ctx context.Context, r request, err error) *failure {
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
		if r.isLater { // The name was right.
			return c.failf(codes.Unavailable, "the name of the host %s cannot be looked up (DNS) any more. Check the network.", c.base.Hostname())
		}
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
	code := status.Code(err)
	if r.isLater && (duringIO || code == codes.Unavailable || code == codes.DeadlineExceeded) {
		return c.failf(codes.Unavailable,
			"%s cannot be reached any more, or closes the connection. It has answered requests for the same list before: check that the app runs, and the network.", c.place())
	}
	if duringIO || code == codes.Unavailable || code == codes.DeadlineExceeded {
		return c.failf(codes.Unavailable,
			"%s cannot be reached, or closes the connection. Check that the app runs, the network, and %s.", c.place(), c.baseField)
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err // without the URL
	}
	// The transport has no error of its own for what a proxy answers to CONNECT.
	if proxy, wrong := c.proxyOf(&http.Request{URL: c.base}); wrong == nil && proxy != nil {
		return c.failf(codes.FailedPrecondition,
			"the proxy on the way to %s does not let requests through, or is no proxy. Check HTTPS_PROXY and NO_PROXY. (%s)", c.place(), c.quote(err.Error()))
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
