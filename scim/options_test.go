package scim_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/scim"
)

// TestBaseURL: what people paste as the base URL, and where it leads.
func TestBaseURL(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct{ suffix, path string }{
		"H10 as the app shows it":          {"/scim/v2", "/scim/v2/Users"},
		"H10 no path":                      {"", "/Users"},
		"H10 a slash":                      {"/", "/Users"},
		"H10 a trailing slash":             {"/scim/v2/", "/scim/v2/Users"},
		"H10 several slashes":              {"/scim//v2///", "/scim/v2/Users"},
		"H10 with /Users":                  {"/scim/v2/Users", "/scim/v2/Users"},
		"H10 with /Users and a slash":      {"/scim/v2/Users/", "/scim/v2/Users"},
		"H10 with /users":                  {"/scim/v2/users", "/scim/v2/Users"},
		"H10 a path that ends like /Users": {"/scim/AllUsers", "/scim/AllUsers/Users"},
		"H10 space around it":              {"/scim/v2 \r\n", "/scim/v2/Users"},
		"H10 an escaped path":              {"/scim/a%2Fb", "/scim/a%2Fb/Users"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var path string
			baseURL := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				path = r.URL.EscapedPath()
				oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
			}))
			_, err := listAll(t, newConnector(t, " "+baseURL+c.suffix))
			require.NoError(t, err)
			require.Equal(t, c.path, path)
		})
	}

	for name, baseURL := range map[string]string{
		"H9 https":             "https://app.example.com/scim/v2",
		"H9 http on localhost": "http://localhost:8080/scim/v2",
		"H9 http on 127.0.0.1": "http://127.0.0.1/scim/v2",
		"H9 http on ::1":       "http://[::1]:8080/scim/v2",
		"H10 upper case":       "HTTPS://App.Example.COM/scim/v2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: baseURL, Token: testToken, UserAgent: "baton-test/v1"})
			require.NoError(t, err)
		})
	}

	for name, c := range map[string]struct{ baseURL, message string }{
		"H9 http":                      {"http://app.example.com/canary", "clear text"},
		"H9 http on a name like local": {"http://localhost.example.com/canary", "clear text"},
		"H9 http on a private address": {"http://10.0.0.1/canary", "clear text"},
		"H10 empty":                    {"  ", "is empty"},
		"H10 no scheme":                {"app.example.com/canary", "is not a URL"},
		"H10 no scheme but a port":     {"app.example.com:443/canary", "is not a URL"},
		"H10 another scheme":           {"ftp://app.example.com/canary", "does not begin with https://"},
		"H10 no host":                  {"https:///canary", "is not a URL"},
		"H10 only a port":              {"https://:443/canary", "is not a URL"},
		"H10 the token instead":        {"canary", "is not a URL"},
		"H10 user information":         {"https://ann:canary@app.example.com/scim", "user name or password"},
		"H10 a query":                  {"https://app.example.com/scim?token=canary", "query"},
		"H10 an empty query":           {"https://app.example.com/canary?", "query"},
		"H10 a fragment":               {"https://app.example.com/scim#canary", "fragment"},
		"H10 a space inside":           {"https://app.example.com/scim canary", "a space"},
		"H10 two lines":                {"https://app.example.com/scim\ncanary", "a line break"},
		"H10 a control character":      {"https://app.example.com/canary\x00", "control character"},
		"H10 a bad escape":             {"https://app.example.com/canary%zz", "is not a URL"},
		"H10 a bad port":               {"https://app.example.com:canary/scim", "is not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: c.baseURL, Token: testToken, UserAgent: "baton-test/v1"})
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.ErrorContains(t, err, c.message)
			require.ErrorContains(t, err, `"SCIM Base URL" (scim-base-url)`)
			require.NotContains(t, err.Error(), "canary", "the value may be a secret")
		})
	}
}

func TestBaseURL_AndTokenAreExchanged(t *testing.T) {
	t.Parallel()
	_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: "canary", Token: "https://app.example.com/scim/v2", UserAgent: "baton-test/v1"})
	require.EqualError(t, err, `"SCIM Base URL" (scim-base-url) is not a URL, and "SCIM Token" (scim-token) is one. Exchange the two.`)
}

// TestToken: what people paste as the token, and what is sent of it.
func TestToken(t *testing.T) {
	t.Parallel()

	for name, token := range map[string]string{
		"H11 as it is":               "abc.DEF-123_~+/==",
		"H11 space around it":        "  abc.DEF-123_~+/== \r\n",
		"H11 with Bearer":            "Bearer abc.DEF-123_~+/==",
		"H11 with bearer":            "bearer   abc.DEF-123_~+/==",
		"H11 in quotes":              `"abc.DEF-123_~+/=="`,
		"H11 in quotes, with Bearer": `'Bearer abc.DEF-123_~+/=='`,
		"H11 Bearer and quotes":      "Bearer `abc.DEF-123_~+/==`",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var header []string
			baseURL := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				header = r.Header.Values("Authorization")
				oneUser(`{"id":"1","userName":"ann"}`).ServeHTTP(w, r)
			}))
			client, err := scim.NewClient(t.Context(), scim.Options{BaseURL: baseURL, Token: token, UserAgent: "baton-test/v1"})
			require.NoError(t, err)
			_, err = listAll(t, serveConnector(t, client))
			require.NoError(t, err)
			require.Equal(t, []string{"Bearer abc.DEF-123_~+/=="}, header)
		})
	}

	for name, token := range map[string]string{
		"H11 empty":               " \n",
		"H11 only Bearer":         "Bearer  ",
		"H11 empty quotes":        `""`,
		"H11 a space inside":      "canary token",
		"H11 two lines":           "canary\r\nX-Evil: yes",
		"H11 a control character": "canary\x00",
		"H11 not ASCII":           "canary…",
		"H11 Bearer twice":        "Bearer Bearer canary",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := scim.NewClient(t.Context(), scim.Options{BaseURL: "https://app.example.com", Token: token, UserAgent: "baton-test/v1"})
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.ErrorContains(t, err, `"SCIM Token" (scim-token)`)
			require.NotContains(t, err.Error(), "canary")
		})
	}
}
