package listen_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/status/listen"
)

func TestOpen_RefusesAddressesOfOthersUnlessAllowed(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		address string
		anyone  bool
		want    []string // in the error; none means that it listens
	}{
		"loopback":                         {address: "127.0.0.1:0"},
		"another loopback address":         {address: "127.0.0.2:0"},
		"localhost":                        {address: "localhost:0"},
		"loopback, and anyone may":         {address: "127.0.0.1:0", anyone: true},
		"every address":                    {address: "0.0.0.0:0", want: []string{"--listen 0.0.0.0:0: ", "has no login", "--listen-any", "127.0.0.1:9400"}},
		"every address of IPv6":            {address: "[::]:0", want: []string{"has no login"}},
		"no host":                          {address: ":0", want: []string{"--listen :0: ", "has no login"}},
		"an address of somebody":           {address: "192.0.2.1:9400", want: []string{"has no login"}},
		"every address, and anyone may":    {address: "0.0.0.0:0", anyone: true},
		"no host, and anyone may":          {address: ":0", anyone: true},
		"somebody's, and anyone may":       {address: "192.0.2.1:9400", anyone: true, want: []string{"this machine does not have the address"}},
		"a port that is in use":            {address: taken.Addr().String(), want: []string{"--listen " + taken.Addr().String(), "in use by another program"}},
		"a port alone":                     {address: "9400", want: []string{"--listen 9400: this is no address", "127.0.0.1:9400"}},
		"a host alone":                     {address: "127.0.0.1", want: []string{"this is no address"}},
		"a port that is none":              {address: "127.0.0.1:99999", want: []string{"this is no address"}},
		"a URL":                            {address: "http://127.0.0.1:9400", want: []string{"this is no address"}},
		"a word in the place of a port":    {address: "127.0.0.1:prometheus?", want: []string{"this is no address"}},
		"an address of the IPv4 loopback":  {address: "[::ffff:127.0.0.1]:0"},
		"one that only looks like a local": {address: "[::ffff:192.0.2.1]:0", want: []string{"has no login"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := listen.Open(t.Context(), c.address, c.anyone)
			if len(c.want) == 0 {
				require.NoError(t, err)
				require.NoError(t, listener.Close())
				return
			}
			require.Error(t, err)
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

// TestListen_RefusesRequestsOfOtherPages holds that a browser on this machine cannot
// be used to read the page (DNS rebinding).
func TestListen_RefusesRequestsOfOtherPages(t *testing.T) {
	t.Parallel()
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9400}
	reachable := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9400}
	for name, c := range map[string]struct {
		address net.Addr
		host    string
		want    int
	}{
		"by address":                     {local, "127.0.0.1:9400", http.StatusOK},
		"by another port":                {local, "127.0.0.1:8080", http.StatusOK},
		"without a port":                 {local, "127.0.0.1", http.StatusOK},
		"by IPv6":                        {local, "[::1]:9400", http.StatusOK},
		"by IPv6 without a port":         {local, "[::1]", http.StatusOK},
		"by name":                        {local, "localhost:9400", http.StatusOK},
		"by name in other letters":       {local, "LocalHost.", http.StatusOK},
		"by no name":                     {local, "", http.StatusOK},
		"by somebody's name":             {local, "evil.example.com:9400", http.StatusForbidden},
		"by a name that begins like it":  {local, "127.0.0.1.example.com", http.StatusForbidden},
		"by a name that ends like it":    {local, "evil.localhost.example.com", http.StatusForbidden},
		"by another address":             {local, "192.0.2.1:9400", http.StatusForbidden},
		"by every address":               {local, "0.0.0.0:9400", http.StatusForbidden},
		"by a name, where anyone may":    {reachable, "status.example.com", http.StatusOK},
		"by address, where anyone may":   {reachable, "192.0.2.1:9400", http.StatusOK},
		"by a name that is hardly there": {local, "[", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := listen.Guard(c.address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("told")) }))
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			request.Host = c.host
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			require.Equal(t, c.want, answer.Code)
			if c.want != http.StatusOK {
				require.NotContains(t, answer.Body.String(), "told")
			}
			require.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
			require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
			policy := answer.Header().Get("Content-Security-Policy")
			require.Contains(t, policy, "default-src 'none'")
			require.NotContains(t, policy, "unsafe")
			require.NotContains(t, policy, "http")
		})
	}
}

func TestListen_AnswersUntilItIsStopped(t *testing.T) {
	t.Parallel()
	listener, err := listen.Open(t.Context(), "127.0.0.1:0", false)
	require.NoError(t, err)
	stop := listen.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	get := func() (*http.Response, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String(), nil)
		require.NoError(t, err)
		return http.DefaultClient.Do(request)
	}
	answer, err := get()
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	stop()
	answer, err = get()
	if err == nil {
		_ = answer.Body.Close()
	}
	require.Error(t, err)
}
