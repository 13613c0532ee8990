package scim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

const (
	// maxBody bounds one answer, unpacked, and once more as UTF-8. A page of 100 users is some 100 KB.
	maxBody = 32 << 20
	// maxErrorBody bounds what is read of an answer that is an error.
	maxErrorBody = 64 << 10
	// maxRedirects bounds the redirects followed within the origin.
	maxRedirects = 5
)

// Options is what a Client needs to know.
type Options struct {
	// BaseURL is the URL below which the SCIM endpoints live, for example
	// https://app.fullstory.com/scim/v2. It must be https unless the host is
	// this machine. A trailing slash or /Users is removed. Required.
	BaseURL string

	// Token is the bearer token (RFC 6750). A pasted "Bearer " prefix, quotes
	// and white space are removed. Required, unless there are Username and
	// Password, or ClientID.
	Token string

	// Username and Password are sent instead of a token (RFC 7617).
	Username, Password string

	// ClientID and ClientSecret get tokens at TokenURL, instead of Token, by the grant of
	// client credentials (RFC 6749 section 4.4), with Scopes if there are any. TokenURL
	// must be https unless the host is this machine. A token is renewed a minute before
	// it expires, and once where the app refuses it (401).
	ClientID, ClientSecret, TokenURL string
	Scopes                           []string

	// Headers are sent with each request. Their values count as secrets.
	Headers map[string]string

	// Filter limits the users that are listed (RFC 7644 section 3.4.2.2). May be
	// empty.
	Filter string

	// HiddenUsers is how many users the app may count and never list. A list that lacks
	// as many or fewer, the same in two readings, is accepted and unproven. 0 refuses it.
	HiddenUsers int

	// Attributes chooses what becomes login, e-mail and profile.
	Attributes Attributes

	// UserAgent is name and version of the connector, for example
	// "baton-fullstory/v1.2.3". The SDK's is added to it. Required.
	UserAgent string

	// ReadAhead is how many pages of a list may be in flight at a time: 1 to 32,
	// and 0 for the default of 16. A listing begins with 4 and goes up to it as long
	// as the app is steady and fast, over HTTP/2. 1 turns reading ahead off.
	ReadAhead int

	// ScratchDir is a directory in which listings note how far they are, so that
	// another process with the same one goes on where this one is killed. Empty
	// notes nothing. It must outlive the process and be this connector's own.
	ScratchDir string

	// Hint is a sentence that explains where in the app both values are found. It
	// ends the messages about either being wrong. May be empty.
	Hint string
}

// Client reads from one SCIM service provider. It keeps nothing between calls
// and may be used concurrently.
type Client struct {
	http       *http.Client
	base       *url.URL
	baseField  string // where base comes from, for messages
	credential credential
	hint       string
	readAhead  int
	scratch    string
	lastBody   *atomic.Int64 // bytes of the last answer
	// mostKept is how many bytes an answer may have, mostSkimmed how many if only a part of it
	// is kept.
	mostKept    int
	mostSkimmed int64
	// dials means that a request may take a separate connection, with TLS: the SDK's
	// transport keeps two of HTTP/1.1.
	dials *atomic.Bool
	// proxyOf returns the proxy on the way of a request; nil: there is none.
	proxyOf func(*http.Request) (*url.URL, error)
	// mediaType is the index of the one of mediaTypes that the app accepts.
	mediaType *atomic.Int32

	// filter limits the users that are listed, choice is what else is read of
	// them.
	filter string
	choice choice
	// hiddenUsers is how many users the app may count and not list.
	hiddenUsers int

	// blind switches off what notices a list that changes while it is read. Only
	// the test that shows what happens then sets it.
	blind bool
}

// NewClient checks the options and makes a client. It reaches no network.
//
// Its errors have the code InvalidArgument, name the field to look at and never
// repeat a value. The HTTP client is the SDK's: proxy from the environment, the
// system's certificates, the time-out of --http-timeout-seconds. Answers are
// not cached.
func NewClient(ctx context.Context, options Options) (*Client, error) {
	base, err := cleanBaseURL(options.BaseURL)
	if err != nil {
		if _, wrong := cleanBaseURL(options.Token); wrong == nil {
			return nil, failf(codes.InvalidArgument, "%s is not a URL, and %s is one. Exchange the two.", baseURLField, tokenField)
		}
		return nil, err
	}
	credential, err := newCredential(ctx, options)
	if err != nil {
		return nil, err
	}
	// A base URL is shown in messages. Very short secrets, such as tests have,
	// may occur in one by chance.
	if credential.fillsIn([]byte(options.BaseURL)) {
		return nil, badBaseURL("has a secret in it, which belongs into " + credential.fields + " only")
	}
	choice, err := parseAttributes(options.Attributes)
	if err != nil {
		return nil, err
	}
	filter := strings.TrimSpace(options.Filter)
	if strings.ContainsFunc(filter, unicode.IsControl) {
		return nil, failf(codes.InvalidArgument, "%s has a line break or a control character in it.", filterField)
	}

	if options.HiddenUsers < 0 {
		return nil, failf(codes.InvalidArgument, "%s is %d. It is a number of users, so it must be 0 or more.", hiddenField, options.HiddenUsers)
	}

	httpClient, err := uhttp.NewClient(ctx, uhttp.WithUserAgent(options.UserAgent))
	if err != nil {
		return nil, err
	}
	httpClient.CheckRedirect = stayAtOrigin(base)

	readAhead := options.ReadAhead
	if readAhead == 0 {
		readAhead = defaultReadAhead
	}
	return &Client{
		http: httpClient, base: base, baseField: baseURLField, credential: credential, hint: options.Hint, filter: filter, choice: choice,
		readAhead: min(max(readAhead, 1), maxReadAhead), scratch: options.ScratchDir,
		lastBody: &atomic.Int64{}, dials: &atomic.Bool{}, mediaType: &atomic.Int32{}, hiddenUsers: options.HiddenUsers,
		mostKept: maxBody, mostSkimmed: maxSkimmed, proxyOf: http.ProxyFromEnvironment,
	}, nil
}

// request is a request for one document below the base URL.
type request struct {
	path  []string
	query url.Values
	// isList means that it asks for a list, and not for one resource of it.
	isList bool
	// isLater means that the app has answered a request for the same list before.
	isLater bool
	// large leaves an attribute out of an answer that is too large to be kept whole; nil: such
	// an answer is an error.
	large *skimmer
}

// get fetches one resource.
func (c *endpoint) get(ctx context.Context, path []string, query url.Values) ([]byte, http.Header, error) {
	return c.fetch(ctx, request{path: path, query: query})
}

// fetch fetches one document. The body it returns is JSON as far as its first character
// shows, and has no secret in it.
func (c *endpoint) fetch(ctx context.Context, r request) ([]byte, http.Header, error) {
	body, header, err := c.exchange(ctx, r)
	return body, header, c.during(r, err)
}

func (c *endpoint) exchange(ctx context.Context, r request) ([]byte, http.Header, error) {
	escaped := make([]string, len(r.path))
	for i, segment := range r.path {
		escaped[i] = url.PathEscape(segment)
	}
	target := c.base.JoinPath(escaped...)
	target.RawQuery = r.query.Encode()
	response, err := c.send(ctx, r, target)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	c.dials.Store(response.TLS != nil && response.ProtoMajor < 2)

	if response.StatusCode < 200 || response.StatusCode > 299 {
		// An error body that breaks off still has its status.
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
		if decoded, err := decodeText(body, response.Header); err == nil {
			body = decoded
		}
		return nil, nil, c.statusFailure(ctx, r, response, body)
	}
	body, err := c.readBody(response.Body)
	if err != nil {
		return nil, nil, c.bodyFailure(ctx, err)
	}
	if len(body) > c.mostKept {
		if r.large == nil || !fitsSkimmer(body, response.Header) {
			return nil, nil, c.tooLarge(r)
		}
		beginning := bytes.NewReader(bytes.TrimPrefix(body, []byte(utf8BOM)))
		body, err = r.large.skim(io.MultiReader(beginning, response.Body))
		if err != nil {
			return nil, nil, c.skimFailure(ctx, r, err)
		}
	}
	decoded, err := decodeText(body, response.Header)
	if err != nil {
		return nil, nil, c.textFailure(r, body, err)
	}
	if len(decoded) > c.mostKept {
		return nil, nil, c.tooLarge(r)
	}
	body = bytes.TrimSpace(decoded)
	if f := c.checkJSON(r, body, response.StatusCode); f != nil {
		f.httpStatus = response.StatusCode
		return nil, nil, f
	}
	if at, found := halfPair(body); found {
		return nil, nil, c.textFailure(r, body, invalidTextError(
			fmt.Sprintf("JSON: the escape %s at byte %d is half of a character", body[at:at+escapeLength], at)))
	}
	if c.credential.fillsIn(body) {
		return nil, nil, c.secretSent(r)
	}
	return body, response.Header, nil
}

func (c *endpoint) secretSent(r request) *failure {
	where := "its list of {users}"
	if !r.isList {
		where = "what it sends of one {user}"
	}
	return c.failf(codes.FailedPrecondition,
		"%s sends the secret of %s back in "+where+", where it would become part of the sync. It is not used. Ask the app's support.",
		c.place(), c.credential.fields)
}

// sendAs sends one request, and once more with another token where the app refuses one that
// it has issued.
func (c *endpoint) sendAs(ctx context.Context, r request, target *url.URL, as mediaType) (*http.Response, error) {
	for renewed := false; ; renewed = true {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return nil, badBaseURL("is not a URL")
		}
		request.Header.Set("Accept", as.accept)
		if as.content != "" {
			request.Header.Set("Content-Type", as.content)
		}
		token, err := c.credential.authorize(ctx, request)
		if err != nil {
			if f, ok := errors.AsType[*failure](err); ok {
				f.isPlaced = true // It is about the request for the token.
			}
			return nil, err
		}
		begin := time.Now()
		response, err := c.http.Do(request)
		if err != nil {
			return nil, c.requestFailure(ctx, r, err)
		}
		// The SDK's transport could log too, but it would log net/http's errors,
		// which quote the server.
		ctxzap.Extract(ctx).Debug("scim: request answered",
			zap.String("url", target.String()),
			zap.Int("http_status", response.StatusCode),
			zap.Duration("duration", time.Since(begin)),
		)
		if response.StatusCode != http.StatusUnauthorized || c.credential.tokens == nil || renewed {
			return response, nil
		}
		discard(response)
		c.credential.tokens.reject(token)
	}
}

func (c *endpoint) tooLarge(r request) *failure {
	asked := "one {user} was asked for"
	if r.isList {
		asked = fmt.Sprintf("no more than %s {users} were asked for", r.query.Get("count"))
	}
	f := c.failf(codes.FailedPrecondition,
		"%s sent an answer of more than %d MiB, although "+asked+". Such an answer cannot be read.", c.place(), max(1, c.mostKept>>20))
	f.cause = errTooLarge
	return f
}

// readBody reads an answer to its end, or one byte further than it may be long. Most
// are as long as the one before.
func (c *Client) readBody(from io.Reader) ([]byte, error) {
	const (
		slack = 4       // one more quarter
		most  = 1 << 20 // A single large answer is no reason to expect others.
	)
	before := int(min(c.lastBody.Load(), most))
	buffer := bytes.NewBuffer(make([]byte, 0, before+before/slack+bytes.MinRead))
	_, err := buffer.ReadFrom(io.LimitReader(from, int64(c.mostKept)+1))
	c.lastBody.Store(int64(buffer.Len()))
	return buffer.Bytes(), err
}

// stayAtOrigin is a policy for http.Client.CheckRedirect. net/http itself would
// send the Authorization header on to subdomains, and from https to http.
func stayAtOrigin(base *url.URL) func(*http.Request, []*http.Request) error {
	allowed := origin(base)
	return func(next *http.Request, via []*http.Request) error {
		if origin(next.URL) != allowed {
			return &redirectError{target: next.URL.Scheme + "://" + next.URL.Host}
		}
		if len(via) > maxRedirects {
			return &redirectError{}
		}
		return nil
	}
}

// redirectError is a redirect that was not followed.
type redirectError struct {
	// target is scheme and host of where it leads; empty if there were too many
	// within the origin.
	target string
}

func (e *redirectError) Error() string { return "redirect refused" }
