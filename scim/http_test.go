package scim_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/uhttp"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/scim"
)

const oneUserList = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"Resources":[{"id":"1","userName":"ann"}]}`

const scimError = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":%s,"scimType":"invalidValue","detail":"count is\n too\u0007 large"}`

// TestResponse_Accepted: answers that are good in spite of their looks (H: HTTP).
func TestResponse_Accepted(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.Handler{
		"H1 application/scim+json":                serve(200, "application/scim+json;charset=UTF-8", oneUserList),
		"H1 application/json":                     serve(200, "application/json", oneUserList),
		"H1 text/json":                            serve(200, "text/json", oneUserList),
		"H1 text/html":                            serve(200, "text/html", oneUserList),
		"H1 no content type":                      serve(200, "", oneUserList),
		"H3 no schemas":                           serve(200, "application/json", `{"totalResults":1,"Resources":[{"id":"1","userName":"ann"}]}`),
		"H3 schemas is a text":                    serve(200, "application/json", `{"schemas":"urn:ietf:params:scim:api:messages:2.0:ListResponse","totalResults":1,"Resources":[{"id":"1","userName":"ann"}]}`),
		"H3 schemas of SCIM 1.1":                  serve(200, "application/json", `{"schemas":["urn:scim:schemas:core:1.0"],"totalResults":1,"Resources":[{"id":"1","userName":"ann"}]}`),
		"H14 byte order mark":                     serve(200, "application/json", "\xef\xbb\xbf"+oneUserList),
		"H14 space around it":                     serve(200, "application/json", "\r\n "+oneUserList+"\n"),
		"H1 406 without application/scim+json":    onlyIf(func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("Accept"), "application/scim+json") }),
		"H1 406 without application/json":         onlyIf(func(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "application/json") }),
		"H13 gzip is asked for and unpacked":      zipped(),
		"H17 user agent with name and version":    onlyIf(func(r *http.Request) bool { return strings.HasPrefix(r.UserAgent(), "baton-test/v1.2.3 baton-sdk/v") }),
		"H8 a redirect within the origin is fine": moved("/elsewhere/Users"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, "1", listOne(t, handler).GetId().GetResource())
		})
	}
}

func onlyIf(good func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !good(r) {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
	})
}

func zipped() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		_, _ = zip.Write([]byte(oneUserList))
		_ = zip.Close()
	})
}

// moved redirects the endpoint to another path of the same service, which asks
// for the token too.
func moved(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+testToken:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != to:
			http.Redirect(w, r, to+"?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		default:
			oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
		}
	})
}

// TestResponse_Refused: every answer that is no list of users is an error that names what
// to look at.
func TestResponse_Refused(t *testing.T) {
	t.Parallel()
	const (
		lookAtURL   = `"SCIM Base URL"`
		lookAtToken = `"SCIM Token"`
		html        = "<!DOCTYPE html><html><body>Sign in to hidden-words</body></html>"
	)
	for name, c := range map[string]struct {
		handler http.Handler
		code    codes.Code
		message []string
	}{
		"H2 200 with HTML":                {serve(200, "text/html", html), codes.FailedPrecondition, []string{"web page (HTML)", lookAtURL, "/scim/v2"}},
		"H2 200 with HTML called JSON":    {serve(200, "application/json", "\n"+html), codes.FailedPrecondition, []string{"web page (HTML)", lookAtURL}},
		"H2 200 with text":                {serve(200, "text/plain", "OK hidden-words"), codes.FailedPrecondition, []string{"not JSON", lookAtURL}},
		"H2 200 with nothing":             {serve(200, "application/json", ""), codes.FailedPrecondition, []string{"with nothing", lookAtURL}},
		"H2 204":                          {serve(204, "", ""), codes.FailedPrecondition, []string{"with nothing", lookAtURL}},
		"H3 an empty object":              {serve(200, "application/json", `{}`), codes.FailedPrecondition, []string{"not a SCIM list", lookAtURL}},
		"H3 a user":                       {serve(200, "application/json", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"1","userName":"hidden-words"}`), codes.FailedPrecondition, []string{"not a SCIM list", lookAtURL}},
		"H3 a list without an envelope":   {serve(200, "application/json", `[{"id":"1"}]`), codes.FailedPrecondition, []string{"not a SCIM list", lookAtURL}},
		"H3 another API":                  {serve(200, "application/json", `{"users":[{"id":"1"}],"next":null}`), codes.FailedPrecondition, []string{"not a SCIM list", lookAtURL}},
		"H3 Resources is an object":       {serve(200, "application/json", `{"totalResults":0,"Resources":{"id":"1"}}`), codes.FailedPrecondition, []string{"not a SCIM list"}},
		"H3 Resources is a text":          {serve(200, "application/json", `{"totalResults":0,"Resources":"none"}`), codes.FailedPrecondition, []string{"not a SCIM list"}},
		"H3 Resources is null, no total":  {serve(200, "application/json", `{"Resources":null}`), codes.FailedPrecondition, []string{"not a SCIM list"}},
		"H3 only schemas":                 {serve(200, "application/json", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"]}`), codes.FailedPrecondition, []string{"does not report how many there are"}},
		"H3 an error with 200":            {serve(200, "application/json", fmt.Sprintf(scimError, `"403"`)), codes.PermissionDenied, []string{"403 Forbidden", "count is too large (invalidValue)"}},
		"H3 an error with 200, no status": {serve(200, "application/json", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"]}`), codes.InvalidArgument, []string{"answered with an error to GET /Users?startIndex=1&count=100:"}},
		"R8: a body that breaks off":      {serve(200, "application/json", oneUserList[:80]), codes.Unavailable, []string{"malformed JSON", "at byte 80"}},
		"H3 two documents":                {serve(200, "application/json", oneUserList+oneUserList), codes.DataLoss, []string{"malformed JSON"}},
		"H4 status is a text":             {serve(400, "application/json", fmt.Sprintf(scimError, `"400"`)), codes.InvalidArgument, []string{"400 Bad Request", "count is too large (invalidValue)"}},
		"H4 status is a number":           {serve(400, "application/json", fmt.Sprintf(scimError, `400`)), codes.InvalidArgument, []string{"count is too large (invalidValue)"}},
		"H4 detail is long":               {serve(400, "application/json", `{"detail":"`+strings.Repeat("é ", 5000)+`"}`), codes.InvalidArgument, []string{strings.Repeat("é ", 250) + "…"}},
		"H4 detail is odd":                {serve(400, "application/json", `{"detail":["hidden-words"],"scimType":"tooMany"}`), codes.InvalidArgument, []string{"It answered: tooMany"}},
		"H4 an error in no form":          {serve(400, "application/json", `{"user":"hidden-words"}`), codes.InvalidArgument, []string{"400 Bad Request"}},
		"H5 401":                          {serve(401, "application/json", `{"detail":"token expired"}`), codes.Unauthenticated, []string{"401 Unauthorized", lookAtToken, "token expired"}},
		"H5 401 with HTML":                {serve(401, "text/html", html), codes.Unauthenticated, []string{lookAtToken}},
		"H5 403":                          {serve(403, "", ""), codes.PermissionDenied, []string{"403 Forbidden", "plan", lookAtToken}},
		"H5 404":                          {serve(404, "text/html", html), codes.FailedPrecondition, []string{"404 Not Found", lookAtURL, "It has no path; it usually ends in /scim/v2"}},
		"H5 410":                          {serve(410, "", ""), codes.FailedPrecondition, []string{lookAtURL}},
		"H5 405":                          {serve(405, "", ""), codes.FailedPrecondition, []string{"405 Method Not Allowed", lookAtURL}},
		"H5 302 to nowhere":               {serve(302, "", ""), codes.FailedPrecondition, []string{"302 Found", lookAtURL}},
		"H7 500":                          {serve(500, "text/html", html), codes.Unavailable, []string{"500 Internal Server Error"}},
		"H7 501":                          {serve(501, "", ""), codes.Unimplemented, []string{"501 Not Implemented", lookAtURL}},
		"H7 502 with HTML":                {serve(502, "text/html", html), codes.Unavailable, []string{"502 Bad Gateway"}},
		"H7 503":                          {serve(503, "", ""), codes.Unavailable, []string{"503 Service Unavailable"}},
		"H7 522":                          {serve(522, "", ""), codes.Unavailable, []string{"answered 522"}},
		"H7 408":                          {serve(408, "", ""), codes.Unavailable, []string{"408 Request Timeout"}},
		"H7 the connection is reset":      {hijacked(""), codes.Unavailable, []string{"cannot be reached, or closes the connection", lookAtURL}},
		"H7 the answer breaks off":        {hijacked("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"totalResults\":"), codes.Unavailable, []string{"broke in the middle of an answer"}},
		"H7 no HTTP":                      {hijacked("SSH-2.0-OpenSSH_9.6\r\n"), codes.FailedPrecondition, []string{"does not answer as an HTTP service", lookAtURL}},
		"H13 gzip with nonsense in it":    {badDeflate(), codes.DataLoss, []string{"cannot be unpacked"}},
		"H13 gzip that is none":           {badZip(), codes.DataLoss, []string{"cannot be unpacked"}},
		"H15 a huge answer":               {huge(), codes.FailedPrecondition, []string{"more than 32 MiB"}},
		"H8 a circle within the origin":   {http.RedirectHandler("/Users", http.StatusFound), codes.FailedPrecondition, []string{"redirects in a circle", lookAtURL}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connector := newConnector(t, start(t, c.handler))
			_, _, err := listOnce(t.Context(), connector, "")
			st := requireFailure(t, err)
			require.Equal(t, c.code, st.Code(), st.Message())
			for _, message := range c.message {
				require.Contains(t, st.Message(), message)
			}
			require.NotContains(t, st.Message(), "hidden-words", "a body is not repeated")
			require.NotContains(t, st.Message(), "\n")
			require.Less(t, len(st.Message()), 2000)
		})
	}
}

// hijacked answers with raw bytes and closes the connection.
func hijacked(answer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = connection.Write([]byte(answer))
		_ = connection.Close()
	})
}

func badZip() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte(oneUserList))
	})
}

// huge sends a few KB that unpack to more than 32 MiB.
func huge() http.Handler {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(bytes.Repeat([]byte(" "), 33<<20))
	_, _ = zip.Write([]byte(oneUserList))
	_ = zip.Close()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
}

// TestRequest_Unreachable: what can go wrong before there is an answer.
func TestRequest_Unreachable(t *testing.T) {
	t.Parallel()

	fails := func(t *testing.T, ctx context.Context, baseURL string) *status.Status {
		t.Helper()
		_, _, err := listOnce(ctx, newConnector(t, baseURL), "")
		return requireFailure(t, err)
	}

	t.Run("H7 nothing listens", func(t *testing.T) {
		t.Parallel()
		const address = "127.0.0.1:1" // Nor will another test.
		st := fails(t, t.Context(), "http://"+address+"/scim/v2")
		require.Equal(t, codes.Unavailable, st.Code())
		require.Contains(t, st.Message(), address+" cannot be reached")
		require.Contains(t, st.Message(), `"SCIM Base URL"`)
	})

	t.Run("H7 no such host", func(t *testing.T) {
		t.Parallel()
		st := fails(t, t.Context(), "https://no-such-app.invalid/scim/v2")
		// Without a name server at all it is Unavailable.
		require.Contains(t, []codes.Code{codes.InvalidArgument, codes.Unavailable}, st.Code())
		require.Contains(t, st.Message(), "no-such-app.invalid")
		require.Contains(t, st.Message(), `"SCIM Base URL"`)
	})

	t.Run("H7 the certificate is not trusted", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(oneUser(`{"id":"1","userName":"ann"}`))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		st := fails(t, t.Context(), server.URL)
		require.Equal(t, codes.FailedPrecondition, st.Code())
		require.Contains(t, st.Message(), "(TLS)")
		require.Contains(t, st.Message(), "SSL_CERT_FILE")
	})

	t.Run("H7 no TLS there", func(t *testing.T) {
		t.Parallel()
		st := fails(t, t.Context(), strings.Replace(start(t, oneUser(`{"id":"1","userName":"ann"}`)), "http://", "https://", 1))
		require.Equal(t, codes.FailedPrecondition, st.Code())
		require.Contains(t, st.Message(), "answers without TLS")
		require.Contains(t, st.Message(), `"SCIM Base URL"`)
	})

	t.Run("H7 the handshake is refused", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewUnstartedServer(oneUser(`{"id":"1","userName":"ann"}`))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // to be refused
		server.StartTLS()
		t.Cleanup(server.Close)
		st := fails(t, t.Context(), server.URL)
		require.Equal(t, codes.FailedPrecondition, st.Code())
		require.Contains(t, st.Message(), "(TLS)")
	})

	t.Run("H17 no answer in time", func(t *testing.T) {
		t.Parallel()
		// Long enough to connect on a busy machine: a time-out before that is
		// another failure.
		ctx := context.WithValue(t.Context(), uhttp.ContextHTTPTimeoutKey, 2*time.Second)
		client, err := scim.NewClient(ctx, scim.Options{BaseURL: start(t, silent(t)), Token: testToken, UserAgent: "baton-test/v1"})
		require.NoError(t, err)
		_, _, err = listOnce(t.Context(), serveConnector(t, client), "")
		st := requireFailure(t, err)
		require.Equal(t, codes.DeadlineExceeded, st.Code())
		require.Contains(t, st.Message(), "did not answer in time")
	})

	t.Run("H7 the caller stops waiting", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan struct{})
		baseURL := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(asked)
			<-r.Context().Done()
		}))
		go func() {
			<-asked
			cancel()
		}()
		_, _, err := listOnce(ctx, newConnector(t, baseURL), "")
		require.Equal(t, codes.Canceled, requireFailure(t, err).Code())
		require.ErrorIs(t, err, context.Canceled)
	})
}

// silent never answers.
func silent(t *testing.T) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// TestRequest_Redirect: the token goes to the configured origin only.
func TestRequest_Redirect(t *testing.T) {
	t.Parallel()
	for name, target := range map[string]func(origin string) string{
		"H8 to another host": func(origin string) string { return strings.Replace(origin, "127.0.0.1", "localhost", 1) },
		"H8 to another port": func(string) string { return "" }, // another server, see below
		"H8 to another scheme": func(origin string) string {
			return strings.Replace(origin, "http://", "https://", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reached := make(chan string, 10)
			other := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached <- r.Header.Get("Authorization")
				oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
			}))
			server := httptest.NewUnstartedServer(nil)
			where := target("http://" + server.Listener.Addr().String())
			if where == "" {
				where = other
			}
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Host != server.Listener.Addr().String() {
					reached <- r.Header.Get("Authorization")
				}
				http.Redirect(w, r, where+"/Users?secret=in-the-query", http.StatusFound)
			})
			server.Start()
			t.Cleanup(server.Close)

			_, _, err := listOnce(t.Context(), newConnector(t, server.URL), "")
			st := requireFailure(t, err)
			require.Equal(t, codes.FailedPrecondition, st.Code())
			require.Contains(t, st.Message(), "redirects to "+where+". The token is not sent there.")
			require.Contains(t, st.Message(), `"SCIM Base URL"`)
			require.NotContains(t, st.Message(), "in-the-query")
			require.Empty(t, reached)
		})
	}
}

// TestRetryAfter: the connector never waits; it returns how long to wait.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for name, c := range map[string]struct {
		httpStatus int
		header     map[string]string
		least      time.Duration
		most       time.Duration // 0: no time is sent
	}{
		"H6 seconds":                       {429, map[string]string{"Retry-After": "7"}, 6 * time.Second, 7 * time.Second},
		"H6 a date":                        {429, map[string]string{"Retry-After": "in 90 seconds"}, 89 * time.Second, 91 * time.Second},
		"H6 a date, the server's clock":    {429, map[string]string{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:49:17 GMT"}, 19 * time.Second, 20 * time.Second},
		"H6 a date in the past":            {429, map[string]string{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0, time.Second},
		"H6 none":                          {429, nil, 59 * time.Second, time.Minute},
		"H6 zero":                          {429, map[string]string{"Retry-After": "0"}, 0, time.Second},
		"H6 negative":                      {429, map[string]string{"Retry-After": "-5"}, 59 * time.Second, time.Minute},
		"H6 absurd":                        {429, map[string]string{"Retry-After": "99999999999"}, hour - time.Second, hour},
		"H6 more absurd":                   {429, map[string]string{"Retry-After": "1e400"}, hour - time.Second, hour},
		"H6 an absurd date":                {429, map[string]string{"Retry-After": "Fri, 01 Jan 2999 00:00:00 GMT"}, hour - time.Second, hour},
		"H6 absurd X-RateLimit-Reset":      {429, map[string]string{"X-RateLimit-Reset": "900000000"}, hour - time.Second, hour},
		"H6 no time":                       {429, map[string]string{"Retry-After": "soon"}, 59 * time.Second, time.Minute},
		"H6 X-RateLimit-Reset":             {429, map[string]string{"X-RateLimit-Reset": "12", "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0"}, 11 * time.Second, 12 * time.Second},
		"H6 odd X-RateLimit-Limit":         {429, map[string]string{"X-RateLimit-Limit": "many"}, 59 * time.Second, time.Minute},
		"H7 503 with Retry-After":          {503, map[string]string{"Retry-After": "30"}, 29 * time.Second, 30 * time.Second},
		"H7 503 without":                   {503, nil, 0, 0},
		"H7 500 with a rate limit not met": {500, map[string]string{"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "99"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			baseURL := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests++
				for key, value := range c.header {
					if value == "in 90 seconds" {
						value = time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
					}
					w.Header().Set(key, value)
				}
				w.WriteHeader(c.httpStatus)
			}))
			_, _, err := listOnce(t.Context(), newConnector(t, baseURL), "")
			now := time.Now()
			st := requireFailure(t, err)
			require.Equal(t, codes.Unavailable, st.Code())
			require.Equal(t, 1, requests, "the connector does not retry")

			if c.most == 0 {
				require.Empty(t, st.Details())
				return
			}
			require.Len(t, st.Details(), 1)
			limit, ok := st.Details()[0].(*v2.RateLimitDescription)
			require.True(t, ok)
			require.Zero(t, limit.GetRemaining())
			wait := limit.GetResetAt().AsTime().Sub(now)
			require.GreaterOrEqual(t, wait, c.least-5*time.Second)
			require.LessOrEqual(t, wait, c.most)
		})
	}

	t.Run("H6 a good answer has the rate limit", func(t *testing.T) {
		t.Parallel()
		baseURL := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-RateLimit-Limit", "100")
			w.Header().Set("X-RateLimit-Remaining", "42")
			oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
		}))
		answer, err := newConnector(t, baseURL).ListResources(t.Context(),
			v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
		require.NoError(t, err)
		limit := &v2.RateLimitDescription{}
		require.Len(t, answer.GetAnnotations(), 2, "and the evidence")
		require.NoError(t, answer.GetAnnotations()[0].UnmarshalTo(limit))
		require.EqualValues(t, 100, limit.GetLimit())
		require.EqualValues(t, 42, limit.GetRemaining())
	})
}

// TestRequest_NeverCached: each call asks the app again.
func TestRequest_NeverCached(t *testing.T) {
	t.Parallel()
	t.Run("H12 a revoked token is noticed", func(t *testing.T) {
		t.Parallel()
		revoked := false
		connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if revoked {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.Header().Set("Cache-Control", "max-age=3600")
			oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
		})))
		_, err := connector.Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
		require.NoError(t, err)
		revoked = true
		_, err = connector.Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
		require.Equal(t, codes.Unauthenticated, requireFailure(t, err).Code())
	})
}

// badDeflate begins as gzip does and goes on as nothing does.
func badDeflate() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xffgarbage-garbage-garbage"))
	})
}

// TestLog: what an app sends is in no log, at any level; what was asked for is.
func TestLog(t *testing.T) {
	t.Parallel()
	t.Run("H18 no body is logged", func(t *testing.T) {
		t.Parallel()
		core, logged := observer.New(zap.DebugLevel)
		ctx := ctxzap.ToContext(t.Context(), zap.New(core))
		client, err := scim.NewClient(ctx, scim.Options{
			BaseURL: start(t, oneUser(`{"id":"1","userName":"sentinel-user","title":"sentinel-title"}`)), Token: testToken, UserAgent: "baton-test/v1",
		})
		require.NoError(t, err)
		list, _, err := listOnce(ctx, serveConnector(t, client), "")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.NotZero(t, logged.FilterMessage("scim: request answered").Len())
		for _, entry := range logged.All() {
			require.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "sentinel")
		}
	})
}
