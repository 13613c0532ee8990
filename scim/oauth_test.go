package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/scim"
)

const (
	clientID     = "scim-reader"
	clientSecret = "canary-2b7e151628aed2a6"
)

// issuer is an app that issues tokens to one client, and lists users to those who carry
// the newest token.
type issuer struct {
	*app
	lifetime int                              // of a token, in seconds; 0: the answer has none
	answer   func(w http.ResponseWriter) bool // in place of a token; nil: a token
	refuse   func(list int) bool              // whether the list request with this number is refused, whatever it carries

	mu     sync.Mutex
	asked  []http.Header // of each request for a token
	scopes []string
	lists  int
}

func (i *issuer) token() string { return fmt.Sprintf("tok-canary-%d-4f9d2c7b", len(i.asked)) }

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/oauth2/token" {
		i.mu.Lock()
		i.lists++
		refused := r.Header.Get("Authorization") != "Bearer "+i.token() || i.refuse != nil && i.refuse(i.lists)
		i.mu.Unlock()
		if refused {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, `{"detail":"refused: %s"}`, r.Header.Get("Authorization"))
			return
		}
		i.app.ServeHTTP(w, r)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, r.Header)
	i.scopes = append(i.scopes, r.FormValue("scope"))
	if i.answer != nil && i.answer(w) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	id, secret, _ := r.BasicAuth()
	if r.FormValue("grant_type") != "client_credentials" || id != clientID || secret != clientSecret {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no client %s with %s"}`, id, secret)
		return
	}
	answer := map[string]any{"access_token": i.token(), "token_type": "bearer"}
	if i.lifetime != 0 {
		answer["expires_in"] = i.lifetime
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// listBy lists the users that the issuer's app lists, with what the options add.
func (i *issuer) listBy(t *testing.T, change func(*scim.Options)) error {
	t.Helper()
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	options := scim.Options{
		BaseURL: server.URL, UserAgent: "baton-test/v1", ClientID: clientID, ClientSecret: clientSecret, TokenURL: server.URL + "/oauth2/token",
	}
	if change != nil {
		change(&options)
	}
	client, err := scim.NewClient(t.Context(), options)
	if err != nil {
		return err
	}
	accounts, err := listAll(t, serveConnector(t, client))
	if err == nil {
		requireIDs(t, i.ids, accounts)
	}
	return err
}

func TestClientCredentials_GetAndRenewTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lifetime int
		refuse   func(int) bool
		change   func(*scim.Options)
		asked    int // for a token
		scope    string
	}{
		"one token serves a sync":             {lifetime: 3600, asked: 1},
		"a token that does not expire":        {asked: 1},
		"scopes":                              {lifetime: 3600, asked: 1, change: func(o *scim.Options) { o.Scopes = []string{"a.read", " b  c"} }, scope: "a.read b c"},
		"a token is refused before its time":  {lifetime: 3600, refuse: func(list int) bool { return list == 3 }, asked: 2},
		"a token is refused at the beginning": {lifetime: 3600, refuse: func(list int) bool { return list == 1 }, asked: 2},
		"white space around the values": {lifetime: 3600, asked: 1, change: func(o *scim.Options) {
			o.ClientID, o.ClientSecret, o.TokenURL = " "+o.ClientID+"\n", o.ClientSecret+"\n", " "+o.TokenURL+" "
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &issuer{app: newApp(450), lifetime: c.lifetime, refuse: c.refuse}
			// One request at a time: the one that is refused is known.
			require.NoError(t, i.listBy(t, func(o *scim.Options) {
				o.ReadAhead = 1
				if c.change != nil {
					c.change(o)
				}
			}))
			require.Len(t, i.asked, c.asked)
			require.Equal(t, c.scope, i.scopes[0])
			require.Contains(t, i.asked[0].Get("User-Agent"), "baton-test/v1")
		})
	}

	t.Run("a token that has expired is renewed before each request", func(t *testing.T) {
		t.Parallel()
		i := &issuer{app: newApp(450), lifetime: -1}
		require.NoError(t, i.listBy(t, func(o *scim.Options) { o.ReadAhead = 1 }))
		require.Len(t, i.asked, i.lists)
		require.Greater(t, i.lists, 3)
	})

	t.Run("pages in flight wait for the same token", func(t *testing.T) {
		t.Parallel()
		i := &issuer{app: newApp(2450), lifetime: 3600}
		require.NoError(t, i.listBy(t, nil))
		require.Len(t, i.asked, 1)
	})
}

func TestClientCredentials_AreRefused(t *testing.T) {
	t.Parallel()
	reply := func(httpStatus int, header, body string) func(http.ResponseWriter) bool {
		return func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			if name, value, found := strings.Cut(header, ": "); found {
				w.Header().Set(name, value)
			}
			w.WriteHeader(httpStatus)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, c := range map[string]struct {
		answer  func(http.ResponseWriter) bool
		change  func(*scim.Options)
		refuse  func(int) bool
		code    codes.Code
		message string
	}{
		"another secret":   {change: func(o *scim.Options) { o.ClientSecret = "wrong-secret" }, code: codes.Unauthenticated, message: `answered 401 Unauthorized to the request for a token: it does not issue a token to this client. Put valid values into "Client ID" (scim-client-id) and "Client Secret" (scim-client-secret)`},
		"400":              {answer: reply(400, "", `{"error":"invalid_client"}`), code: codes.Unauthenticated, message: "It answered: invalid_client"},
		"no such grant":    {answer: reply(400, "", `{"error":"unsupported_grant_type"}`), code: codes.Unauthenticated, message: "unsupported_grant_type"},
		"scopes":           {answer: reply(400, "", `{"error":"invalid_scope"}`), code: codes.InvalidArgument, message: `Check "Scopes" (scim-scopes).`},
		"not there":        {answer: reply(404, "", `nothing`), code: codes.FailedPrecondition, message: `it issues no tokens there. Check "Token URL" (scim-token-url).`},
		"a web page":       {answer: reply(200, "Content-Type: text/html", "<html>Sign in</html>"), code: codes.FailedPrecondition, message: `does not answer with a token. Is "Token URL" (scim-token-url) right?`},
		"no token":         {answer: reply(200, "", `{"token_type":"bearer"}`), code: codes.FailedPrecondition, message: "does not answer with a token"},
		"an error in 200":  {answer: reply(200, "", `{"error":"invalid_client"}`), code: codes.Unauthenticated, message: "invalid_client"},
		"another type":     {answer: reply(200, "", `{"access_token":"abc","token_type":"mac"}`), code: codes.FailedPrecondition, message: "of a type that this connector cannot use: mac"},
		"a broken token":   {answer: reply(200, "", `{"access_token":"a\nb","token_type":"bearer"}`), code: codes.FailedPrecondition, message: "a character in it that no token has"},
		"out of order":     {answer: reply(502, "", `<html>`), code: codes.Unavailable, message: "out of order"},
		"too many":         {answer: reply(429, "Retry-After: 7", `{}`), code: codes.Unavailable, message: "too many requests"},
		"a redirect":       {answer: reply(307, "Location: https://elsewhere.example.com/token", ``), code: codes.FailedPrecondition, message: `redirects to https://elsewhere.example.com. The token is not sent there. If that is the right place, put it into "Token URL"`},
		"nothing listens":  {change: func(o *scim.Options) { o.TokenURL = "http://127.0.0.1:1/token" }, code: codes.Unavailable, message: `127.0.0.1:1 cannot be reached, or closes the connection. Check that the app runs, the network, and "Token URL"`},
		"a new token too":  {refuse: func(int) bool { return true }, code: codes.Unauthenticated, message: `has just issued is not accepted. Check the client's rights in the app, "Scopes" (scim-scopes) and "Token URL"`},
		"no https":         {change: func(o *scim.Options) { o.TokenURL = "http://app.example.com/token" }, code: codes.InvalidArgument, message: `"Token URL" (scim-token-url) begins with http://, which would send the client secret in clear text`},
		"no scheme":        {change: func(o *scim.Options) { o.TokenURL = "app.example.com/token" }, code: codes.InvalidArgument, message: "is not a URL"},
		"another scheme":   {change: func(o *scim.Options) { o.TokenURL = "ftp://app.example.com/token" }, code: codes.InvalidArgument, message: "does not begin with https://"},
		"a name in it":     {change: func(o *scim.Options) { o.TokenURL = "https://a:b@app.example.com/token" }, code: codes.InvalidArgument, message: "has a user name or password in it"},
		"no token URL":     {change: func(o *scim.Options) { o.TokenURL = " " }, code: codes.InvalidArgument, message: `"Token URL" (scim-token-url) is empty`},
		"no client secret": {change: func(o *scim.Options) { o.ClientSecret = "" }, code: codes.InvalidArgument, message: `"Client Secret" (scim-client-secret) is empty`},
		"no client id":     {change: func(o *scim.Options) { o.ClientID = "" }, code: codes.InvalidArgument, message: `"Client ID" (scim-client-id) is empty`},
		"a token as well":  {change: func(o *scim.Options) { o.Token = "tok" }, code: codes.InvalidArgument, message: `"Client ID" (scim-client-id) is given, and also "SCIM Token"`},
		"a user as well":   {change: func(o *scim.Options) { o.Username, o.Password = "ann", "x" }, code: codes.InvalidArgument, message: "Give the one that the app asks for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &issuer{app: newApp(250), lifetime: 3600, answer: c.answer, refuse: c.refuse}
			err := i.listBy(t, c.change)
			failed := requireFailure(t, err)
			require.Equal(t, c.code, failed.Code(), "%v", err)
			require.Contains(t, failed.Message(), c.message)
			require.NotContains(t, failed.Message(), clientSecret)
			require.NotContains(t, failed.Message(), "tok-canary")
			if name == "a new token too" {
				require.Len(t, i.asked, 2, "it is renewed once")
			}
		})
	}
}

// TestClientCredentials_NeverBecomePartOfASync: what is secret is the client's secret
// and the tokens.
func TestClientCredentials_NeverBecomePartOfASync(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]func(*issuer) string{
		"the client secret": func(*issuer) string { return clientSecret },
		"the token":         func(i *issuer) string { return i.token() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &issuer{app: newApp(3), lifetime: 3600}
			i.app.answer = func(_ listRequest, answer map[string]any) map[string]any {
				answer["Resources"].([]any)[1].(map[string]any)["displayName"] = secret(i)
				return answer
			}
			err := i.listBy(t, nil)
			require.Equal(t, codes.FailedPrecondition, status.Code(err))
			require.Contains(t, err.Error(), `sends the secret of "Client ID" (scim-client-id) and "Client Secret" (scim-client-secret) back`)
			require.NotContains(t, err.Error(), secret(i))
		})
	}
}
