package c1_test

import (
	"crypto/ed25519"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/batonhost/baton-host/sandbox/c1"
)

func TestToken_RefusesARequestWithoutProof(t *testing.T) {
	t.Parallel()
	_, foreign, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	header := func(key string, value any) func(*assertion) {
		return func(a *assertion) { a.header = with(a.header, key, value) }
	}
	claim := func(key string, value any) func(*assertion) {
		return func(a *assertion) { a.claims = with(a.claims, key, value) }
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, c := range map[string]struct {
		change func(*assertion)
		form   url.Values
		want   string
	}{
		"another key":           {change: func(a *assertion) { a.key = foreign }, want: "not signed by the client's key"},
		"another algorithm":     {change: header("alg", "HS256"), want: "no compact EdDSA JWS"},
		"no nonce":              {change: header("nonce", nil), want: "no nonce"},
		"another issuer":        {change: claim("iss", "x"), want: "not both the client id"},
		"another subject":       {change: claim("sub", "x"), want: "not both the client id"},
		"an audience with port": {change: claim("aud", []string{"127.0.0.1:443"}), want: "without its port"},
		"two audiences":         {change: claim("aud", []string{"127.0.0.1", "x"}), want: "without its port"},
		"expired":               {change: claim("exp", in(-time.Second)), want: "has expired"},
		"no expiry":             {change: claim("exp", nil), want: "has expired"},
		"far too long a life":   {change: claim("exp", in(time.Hour)), want: "lives for more than"},
		"not valid yet":         {change: claim("nbf", in(time.Minute)), want: "not valid yet"},
		"no assertion":          {form: url.Values{"client_assertion": {""}}, want: "no compact EdDSA JWS"},
		"another grant":         {form: url.Values{"grant_type": {"password"}}, want: "grant_type"},
		"two grants":            {form: url.Values{"grant_type": {"client_credentials", "client_credentials"}}, want: "grant_type"},
		"another assertion":     {form: url.Values{"client_assertion_type": {"saml"}}, want: "client_assertion_type"},
		"an unknown client":     {form: url.Values{"client_id": {"who@127.0.0.1/pcc"}}, want: "no client with the id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, c1.Options{})
			r := newRemote(t, server, "app")
			claims := r.assertion()
			if c.change != nil {
				c.change(&claims)
			}
			form := r.form(claims.sign(t))
			maps.Copy(form, c.form)
			code, answer, err := r.post(form)
			require.NoError(t, err)
			require.Equal(t, http.StatusUnauthorized, code)
			require.Equal(t, "invalid_client", answer["error"])
			require.Len(t, server.Violations(), 1)
			require.Contains(t, server.Violations()[0], c.want)
			require.Equal(t, c1.TokenRefused, server.Events()[0].Kind)
		})
	}
}

func TestNonce_CountsOnce(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	form := r.form(r.assertion().sign(t))
	code, answer, err := r.post(form)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
	require.InDelta(t, c1.DefaultTokenLifetime.Seconds(), answer["expires_in"], 0)
	require.Empty(t, server.Violations())

	code, _, err = r.post(form)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, code)
	require.Len(t, server.Violations(), 1)
	require.Contains(t, server.Violations()[0], "was used before")
}

func TestToken_IsNeededForEachCall(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	other := newRemote(t, server, "other")

	requireCode(t, codes.Unauthenticated, r.hello(r.ctx, ""))
	requireCode(t, codes.Unauthenticated, r.hello(carrying(r.ctx, "Bearer nonsense"), ""))
	requireCode(t, codes.Unauthenticated, r.send(carrying(r.ctx, "Bearer nonsense"), r.metadata("x")))
	require.Len(t, server.Violations(), 3)

	ctx, others := r.authorized(), other.authorized()
	require.NoError(t, r.hello(ctx, ""))
	server.ExpireTokens("app")
	requireCode(t, codes.Unauthenticated, r.hello(ctx, ""))
	require.NoError(t, other.hello(others, ""), "another client's tokens stay good")
	require.NoError(t, r.hello(r.authorized(), ""), "a new token is good")
	require.Len(t, server.Violations(), 3, "an expired token is no breach of the protocol")
}

func TestToken_Expires(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{TokenLifetime: time.Nanosecond})
	r := newRemote(t, server, "app")
	requireCode(t, codes.Unauthenticated, r.hello(r.authorized(), ""))
}

func TestToken_RefusesADisabledClient(t *testing.T) {
	t.Parallel()
	server := start(t, c1.Options{})
	r := newRemote(t, server, "app")
	ctx := r.authorized()
	require.NoError(t, server.DisableClient("app"))
	require.Error(t, server.DisableClient("nobody"))
	requireCode(t, codes.Unauthenticated, r.hello(ctx, ""))
	code, _, err := r.post(r.form(r.assertion().sign(t)))
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, code)
	require.Empty(t, server.Violations())
}
