package c1

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523, section 2.2
	// maxForm bounds a request for a token, in bytes.
	maxForm = 64 << 10
	// maxAssertionLife bounds how far ahead an assertion may expire.
	maxAssertionLife = 10 * time.Minute
	tokenType        = "Bearer"
)

// token is what an access token stands for.
type token struct {
	client  *client
	expires time.Time
}

// ExpireTokens makes every token that the client was given invalid at once.
func (s *Server) ExpireTokens(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if t.client.name == client {
			t.expires = time.Time{}
		}
	}
}

// errDisabled is a refusal that is no breach of the protocol.
var errDisabled = errors.New("the client is disabled")

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.refuseToken(w, "", fmt.Errorf("the form cannot be read: %w", err))
		return
	}
	name, _, _ := strings.Cut(r.PostForm.Get("client_id"), "@")
	f := s.takeFault(TokenCall, name, "")
	if f != nil {
		if err := pause(r.Context(), f.Delay, f.cleared); err != nil {
			return
		}
		if f.answers() && !f.AfterEffect {
			f.answerHTTP(w)
			return
		}
	}
	access, err := s.issue(r)
	if err != nil {
		s.refuseToken(w, name, err)
		return
	}
	if f != nil && f.answers() {
		f.answerHTTP(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A client that is gone asks again.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": access,
		"token_type":   tokenType,
		"expires_in":   max(1, int(s.opts.TokenLifetime/time.Second)),
	})
}

// dated dates answers by the server's clock.
func (s *Server) dated(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(s.opts.ClockAhead).UTC().Format(http.TimeFormat))
		handler.ServeHTTP(w, r)
	})
}

func (s *Server) refuseToken(w http.ResponseWriter, name string, err error) {
	s.mu.Lock()
	e := Event{Kind: TokenRefused, Client: name, Detail: err.Error()}
	if errors.Is(err, errDisabled) {
		s.note(e)
	} else {
		s.violated(e)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_client", "error_description": err.Error()})
}

// issue checks a request and makes a token for it.
func (s *Server) issue(r *http.Request) (string, error) {
	if got, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); got != "application/x-www-form-urlencoded" {
		return "", fmt.Errorf("the content type is %q, not a form's", got)
	}
	for key, want := range map[string]string{"grant_type": "client_credentials", "client_assertion_type": assertionType} {
		if got := r.PostForm[key]; !slices.Equal(got, []string{want}) {
			return "", fmt.Errorf("%s is %q, not %q once", key, got, want)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PostForm.Get("client_id")
	c := s.clients[id]
	if c == nil {
		return "", fmt.Errorf("there is no client with the id %q", id)
	}
	if err := s.checkAssertion(c, id, r.PostForm.Get("client_assertion")); err != nil {
		return "", err
	}
	if c.disabled {
		return "", errDisabled
	}
	access := rand.Text()
	s.tokens[access] = &token{client: c, expires: time.Now().Add(s.opts.TokenLifetime)}
	s.note(Event{Kind: TokenIssued, Client: c.name})
	return access, nil
}

// checkAssertion checks the JWS that proves that the client holds its key. s.mu
// is held. Its errors never quote the assertion.
func (s *Server) checkAssertion(c *client, id, assertion string) error {
	signed, err := jose.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(signed.Signatures) != 1 || strings.Count(assertion, ".") != 2 {
		return errors.New("the client assertion is no compact EdDSA JWS")
	}
	payload, err := signed.Verify(c.key)
	if err != nil {
		return errors.New("the client assertion is not signed by the client's key")
	}
	nonce := signed.Signatures[0].Protected.Nonce
	if nonce == "" {
		return errors.New("the client assertion has no nonce in its protected header")
	}
	if c.nonces[nonce] {
		return errors.New("the nonce of the client assertion was used before")
	}
	c.nonces[nonce] = true

	var claims jwt.Claims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return errors.New("the claims of the client assertion cannot be read")
	}
	if claims.Issuer != id || claims.Subject != id {
		return fmt.Errorf("iss %q and sub %q are not both the client id", claims.Issuer, claims.Subject)
	}
	host, _, _ := net.SplitHostPort(s.Addr())
	if !slices.Equal(claims.Audience, jwt.Audience{host}) {
		return fmt.Errorf("aud is %q, not %q: the host of the client id without its port", claims.Audience, host)
	}
	now := time.Now()
	switch {
	case claims.Expiry == nil || !claims.Expiry.Time().After(now):
		return errors.New("the client assertion has expired, or never does")
	case claims.Expiry.Time().After(now.Add(maxAssertionLife)):
		return fmt.Errorf("the client assertion lives for more than %s", maxAssertionLife)
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now):
		return errors.New("the client assertion is not valid yet")
	}
	return nil
}
