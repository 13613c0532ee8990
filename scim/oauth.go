package scim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc/codes"
)

const (
	// renewBefore is how long before its expiry a token is renewed, so that none expires
	// on its way; of one that lives shorter than five times as long, a fifth of its life.
	renewBefore = time.Minute
	// tokensKept is how many tokens are looked for in what the app sends. With several
	// requests in flight an answer may be to the one before.
	tokensKept = 2
)

// accessTokens gets access tokens by the grant of client credentials (RFC 6749 section
// 4.4). It may be used concurrently.
type accessTokens struct {
	config clientcredentials.Config
	// issuer is the token endpoint, for messages about reaching it.
	issuer *endpoint

	mu      sync.Mutex
	current *oauth2.Token
	renewAt time.Time // zero: when the app refuses it
	issued  []string  // the latest, newest last
	secrets secretTexts
}

// newAccessTokens checks what Options hold about the grant.
func newAccessTokens(ctx context.Context, options Options) (*accessTokens, error) {
	id, secret := strings.TrimSpace(options.ClientID), strings.TrimSpace(options.ClientSecret)
	switch {
	case id == "":
		return nil, failf(codes.InvalidArgument, "%s is empty, although there is a client secret or a token URL.", clientIDField)
	case secret == "":
		return nil, failf(codes.InvalidArgument, "%s is empty, although there is a client id.", clientSecretField)
	case strings.TrimSpace(options.TokenURL) == "":
		return nil, failf(codes.InvalidArgument, "%s is empty, although there is a client id. Put the URL there at which the app issues tokens.", tokenURLField)
	}
	target, err := cleanTokenURL(options.TokenURL)
	if err != nil {
		return nil, err
	}
	scopes := strings.Fields(strings.Join(options.Scopes, " "))

	client, err := uhttp.NewClient(ctx, uhttp.WithUserAgent(options.UserAgent))
	if err != nil {
		return nil, err
	}
	// A redirect would carry the client's secret on.
	client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		return &redirectError{target: next.URL.Scheme + "://" + next.URL.Host}
	}
	pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	static := newSecretTexts([]string{secret, pair}, secret)
	tokens := &accessTokens{
		config: clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: target.String(), Scopes: scopes},
	}
	tokens.issuer = &endpoint{kind: usersKind, Client: &Client{
		http: client, base: target, baseField: tokenURLField, credential: credential{fields: clientFields, secrets: static}, proxyOf: http.ProxyFromEnvironment,
	}}
	return tokens, nil
}

// cleanTokenURL refuses what could send the client's secret in clear text or elsewhere.
// Its errors never repeat the value, which may hold a secret.
func cleanTokenURL(value string) (*url.URL, error) {
	target, err := url.Parse(strings.TrimSpace(value))
	what := ""
	switch {
	case err != nil || target.Hostname() == "" || strings.ContainsFunc(value, unicode.IsControl):
		what = "is not a URL"
	case target.Scheme == "http" && !isLoopback(target.Hostname()):
		what = "begins with http://, which would send the client secret in clear text"
	case target.Scheme != "https" && target.Scheme != "http":
		what = "does not begin with https://"
	case target.User != nil:
		what = "has a user name or password in it"
	case target.Fragment != "":
		what = "has a fragment (the part from the # on)"
	}
	if what != "" {
		return nil, failf(codes.InvalidArgument, "%s %s. It must look like https://host/oauth2/token, as the app shows it.", tokenURLField, what)
	}
	return target, nil
}

// authorize puts a valid token into the request and returns it.
func (a *accessTokens) authorize(ctx context.Context, request *http.Request) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == nil || !a.renewAt.IsZero() && time.Now().After(a.renewAt) {
		if err := a.renew(ctx); err != nil {
			return "", err
		}
	}
	request.Header.Set("Authorization", "Bearer "+a.current.AccessToken)
	return a.current.AccessToken, nil
}

// reject has the next request get another token than this one, which the app refuses.
func (a *accessTokens) reject(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil && a.current.AccessToken == token {
		a.current = nil
	}
}

// renew asks for a token. The caller holds the lock: requests that wait for a token wait
// for the same one.
func (a *accessTokens) renew(ctx context.Context) error {
	// Before the answer: a token may come back in it.
	a.current = nil
	begin := time.Now()
	token, err := a.config.Token(context.WithValue(ctx, oauth2.HTTPClient, a.issuer.http))
	if err != nil {
		return a.failure(ctx, err)
	}
	if !strings.EqualFold(token.Type(), "Bearer") {
		return failf(codes.FailedPrecondition, "%s issues tokens of a type that this connector cannot use: %s. It needs bearer tokens (RFC 6750).", a.issuer.place(), a.issuer.quote(token.TokenType))
	}
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return failf(codes.FailedPrecondition, "%s issues a token with a character in it that no token has. Ask the app's support.", a.issuer.place())
	}
	a.renewAt = time.Time{}
	if !token.Expiry.IsZero() {
		a.renewAt = token.Expiry.Add(-min(renewBefore, token.Expiry.Sub(begin)/5))
	}
	a.current = token
	if a.issued = append(a.issued, token.AccessToken); len(a.issued) > tokensKept {
		a.issued = a.issued[1:]
	}
	a.secrets = newSecretTexts(a.issued, "")
	return nil
}

// texts are the tokens that may occur in what the app sends.
func (a *accessTokens) texts() secretTexts {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.secrets
}

// failure is the error for a token that was not issued (RFC 6749 section 5.2).
func (a *accessTokens) failure(ctx context.Context, err error) *failure {
	refused, answered := errors.AsType[*oauth2.RetrieveError](err)
	if !answered {
		if _, network := errors.AsType[*url.Error](err); network || ctx.Err() != nil {
			return a.issuer.requestFailure(ctx, request{}, err)
		}
		return failf(codes.FailedPrecondition, "%s does not answer with a token. Is %s right?", a.issuer.place(), tokenURLField)
	}
	status := refused.Response.StatusCode
	answer := decodeErrorAnswer(refused.Body, refused.Response.Header)
	isLimit := isRateLimit(status, refused.Response.Header, answer.text())
	code, advice := codes.FailedPrecondition, fmt.Sprintf("it issues no tokens there. Check %s.", tokenURLField)
	switch {
	case isLimit:
		code, advice = codes.Unavailable, "too many requests. The sync goes on when the app allows it."
	case refused.ErrorCode == "invalid_scope":
		code, advice = codes.InvalidArgument, fmt.Sprintf("it does not grant these scopes. Check %s.", scopesField)
	case slices.Contains([]string{"invalid_client", "unauthorized_client", "invalid_grant", "access_denied", "unsupported_grant_type"}, refused.ErrorCode),
		status == http.StatusUnauthorized, status == http.StatusForbidden:
		code, advice = codes.Unauthenticated, fmt.Sprintf("it does not issue a token to this client. Put valid values into %s, and check the client's rights in the app.", clientFields)
	case status == http.StatusRequestTimeout || status >= 500 && status != http.StatusNotImplemented:
		code, advice = codes.Unavailable, "the app, or a proxy before it, is out of order. If it stays so, ask the app's support."
	}
	message := strings.TrimSpace(fmt.Sprintf("%s answered %d %s to the request for a token", a.issuer.place(), status, http.StatusText(status))) + ": " + advice
	if quoted := a.issuer.quote(first(strings.TrimSpace(refused.ErrorCode+" "+refused.ErrorDescription), answer.text())); quoted != "" {
		message += " It answered: " + quoted
	}
	f := failf(code, "%s", message)
	if code == codes.Unavailable {
		f.status = withRetryAfter(ctx, f.status, refused.Response, isLimit, time.Now())
	}
	return f
}
