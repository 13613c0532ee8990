package scim

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a proxy that is none answers to CONNECT is all that the transport reports.
func TestRequestMessage_NamesTheProxyOnTheWay(t *testing.T) {
	t.Parallel()
	client, err := NewClient(t.Context(), Options{BaseURL: "https://app.example.com/scim/v2", Token: "token-7f3a9c51", UserAgent: "test/v1"})
	require.NoError(t, err)
	users, failed := client.usersEndpoint(), &url.Error{Op: "Get", URL: "https://app.example.com", Err: errors.New("Not Found")}
	client.proxyOf = func(*http.Request) (*url.URL, error) { return url.Parse("http://ann:hunter2@proxy.example.com:3128") }
	require.Equal(t, "the proxy on the way to app.example.com does not let requests through, or is no proxy. Check HTTPS_PROXY and NO_PROXY. (Not Found)",
		users.requestMessage(t.Context(), request{}, failed).Error())
	client.proxyOf = func(*http.Request) (*url.URL, error) { return nil, nil }
	require.Contains(t, users.requestMessage(t.Context(), request{}, failed).Error(), "does not answer as an HTTP service")
}
