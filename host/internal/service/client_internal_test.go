package service

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

// What a proxy that is none answers to CONNECT is all that the transport reports.
func TestClient_NamesTheProxyOnTheWay(t *testing.T) {
	t.Parallel()
	c := &client{addr: "tenant.conductor.one:443", creds: &callCredentials{}, proxyOf: func(r *http.Request) (*url.URL, error) {
		require.Equal(t, "https://tenant.conductor.one:443", r.URL.String())
		return url.Parse("http://ann:hunter2@proxy.example.com:3128")
	}}
	failed := status.Error(codes.Unavailable, "no token could be got from C1: Not Found\nand more")
	err := c.explain(failed)
	require.EqualError(t, err, "C1 at tenant.conductor.one:443 cannot be reached: no token could be got from C1: Not Found: and more; it is asked by the proxy proxy.example.com:3128: if that is none, or does not let this through, correct HTTPS_PROXY and NO_PROXY")
	require.Contains(t, errtext.Public(err), "; it is asked by a proxy: see HTTPS_PROXY and NO_PROXY")
	require.NotContains(t, errtext.Public(err), "proxy.example.com")
	c.proxyOf = func(*http.Request) (*url.URL, error) { return nil, nil }
	require.NotContains(t, c.explain(failed).Error(), "proxy")
}
