package scim_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/sandbox/canary"
	"github.com/batonhost/baton-host/scim"
)

// canaries are tokens that are found again whatever a server does with them.
var canaries = map[string]string{
	"plain":   "canary-7f3a9c51d2e84b60b1c9",
	"special": "c4nary+7f3A/9c51~d2e8.4b60_b1c9==",
}

// findSecret is the first trace of a secret in what was written.
func findSecret(written, secret string) string { return canary.Find([]byte(written), secret) }

// TestCanary_FindsASecretInEveryForm plants a canary in every form: the search must find it.
func TestCanary_FindsASecretInEveryForm(t *testing.T) {
	t.Parallel()
	for name, secret := range canaries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, planted := range canary.Planted(secret) {
				require.NotEmpty(t, findSecret("before "+planted+" after", secret), planted)
			}
		})
	}
}

// TestCanary: whatever a server does, and wherever it repeats the token, neither
// an error nor a log of any level holds it.
func TestCanary(t *testing.T) {
	t.Parallel()
	for tokenName, token := range canaries {
		echoes := []string{token, url.QueryEscape(token), base64.StdEncoding.EncodeToString([]byte("Bearer " + token)), token[:len(token)-4]}
		handlers := map[string]http.Handler{
			"answers well":     oneUser(`{"id":"1","userName":"ann"}`),
			"resets":           hijacked(""),
			"breaks off":       hijacked("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"),
			"redirects away":   http.RedirectHandler("https://canary.example.com/?t="+url.QueryEscape(token), http.StatusFound),
			"redirects to it":  http.RedirectHandler("https://"+strings.Map(hostCharacter, token)+".example.com/"+url.PathEscape(token), http.StatusFound),
			"redirects oddly":  hijacked("HTTP/1.1 302 Found\r\nLocation: ://" + token + "\r\nContent-Length: 0\r\n\r\n"),
			"status line":      hijacked("HTTP/1.1 " + token + "\r\n\r\n"),
			"status text":      hijacked("HTTP/1.1 418 " + token + "\r\nContent-Length: 0\r\n\r\n"),
			"no HTTP":          hijacked(token + "\r\n\r\n"),
			"malformed header": hijacked("HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n"),
			"bad length":       hijacked("HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n"),
			"bad encoding":     hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + token + "\r\n\r\n"),
			"bad chunk":        hijacked("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + token + "\r\n\r\n"),
		}
		for i, echo := range echoes {
			handlers[fmt.Sprintf("HTML %d", i)] = serve(200, "text/html; x="+echo, "<html>"+echo)
			handlers[fmt.Sprintf("text %d", i)] = serve(200, "text/plain", echo)
			handlers[fmt.Sprintf("malformed JSON %d", i)] = serve(200, "application/json", `{"`+echo+`":`)
			handlers[fmt.Sprintf("wrong types %d", i)] = serve(200, "application/json", fmt.Sprintf(`{"schemas":%q,"totalResults":%q,"Resources":%q}`, echo, echo, echo))
			handlers[fmt.Sprintf("user without id %d", i)] = oneUser(fmt.Sprintf(`{"userName":%q}`, echo))
			handlers[fmt.Sprintf("odd user %d", i)] = oneUser(fmt.Sprintf(`{"id":"1","userName":"ann","active":%q,"meta":{"created":%q}}`, echo, echo))
			handlers[fmt.Sprintf("error with 200 %d", i)] = serve(200, "application/json", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":%q}`, echo))
			for _, httpStatus := range []int{400, 401, 403, 404, 429, 500, 501, 503} {
				handlers[fmt.Sprintf("%d %d", httpStatus, i)] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", echo)
					w.Header().Set("X-RateLimit-Limit", echo)
					w.Header().Set("WWW-Authenticate", echo)
					w.WriteHeader(httpStatus)
					fmt.Fprintf(w, `{"detail":"bad token %s","scimType":%q,"status":%q}`, echo, echo, echo)
				})
			}
		}
		for name, handler := range handlers {
			t.Run(tokenName+" "+name, func(t *testing.T) {
				t.Parallel()
				written := &sink{}
				ctx := ctxzap.ToContext(t.Context(), zap.New(zapcore.NewCore(
					zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), written, zap.DebugLevel)))

				client, err := scim.NewClient(ctx, scim.Options{BaseURL: start(t, handler), Token: token, UserAgent: "baton-test/v1"})
				require.NoError(t, err)
				fmt.Fprintf(written, "%v %+v %#v", client, client, *client)
				_, _, err = listOnce(ctx, serveConnector(t, client), "")
				record(written, err)
				require.Contains(t, written.String(), "127.0.0.1", "the log was captured")
				require.Empty(t, findSecret(written.String(), token), written.String())
			})
		}
	}

	t.Run("in the wrong field", func(t *testing.T) {
		t.Parallel()
		for _, token := range canaries {
			written := &sink{}
			for _, baseURL := range []string{token, "https://" + token + "@app.example.com", "https://app.example.com/?t=" + token, "http://" + strings.Map(hostCharacter, token) + ".example.com", "ftp://x/" + token, "https://x:" + token} {
				_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: baseURL, Token: token, UserAgent: "baton-test/v1"})
				require.Error(t, err)
				record(written, err)
			}
			for _, bad := range []string{token + "\x00", token + " " + token, token + "é"} {
				_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: "https://app.example.com", Token: bad, UserAgent: "baton-test/v1"})
				require.Error(t, err)
				record(written, err)
			}
			require.Empty(t, findSecret(written.String(), token), written.String())
		}
	})

	t.Run("in the answer of Validate", func(t *testing.T) {
		t.Parallel()
		for _, token := range canaries {
			client, err := scim.NewClient(t.Context(), scim.Options{
				BaseURL: start(t, serve(403, "application/json", fmt.Sprintf(`{"detail":%q}`, token))), Token: token, UserAgent: "baton-test/v1",
			})
			require.NoError(t, err)
			_, err = serveConnector(t, client).Validate(t.Context(), &v2.ConnectorServiceValidateRequest{})
			written := &sink{}
			record(written, err)
			require.Contains(t, written.String(), "403 Forbidden")
			require.Empty(t, findSecret(written.String(), token), written.String())
		}
	})
}

// record writes everything that an error holds, as it is printed and on the wire.
func record(written *sink, err error) {
	fmt.Fprintf(written, "%v %+v %#v %v", err, err, status.Convert(err).Proto(), status.Convert(err).Details())
}

func hostCharacter(r rune) rune {
	if strings.ContainsRune("+/~._=", r) {
		return '-'
	}
	return r
}

// sink collects what is written to it.
type sink struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *sink) Sync() error { return nil }

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}
