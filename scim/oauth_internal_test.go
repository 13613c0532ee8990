package scim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// TestAccessTokens_AreRenewedBeforeTheyExpire: a minute before, or a fifth of a short
// life; and not earlier.
func TestAccessTokens_AreRenewedBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	for lifetime, before := range map[time.Duration]time.Duration{
		time.Hour: time.Minute, 5 * time.Minute: time.Minute, 100 * time.Second: 20 * time.Second,
	} {
		t.Run(lifetime.String(), func(t *testing.T) {
			t.Parallel()
			issued := 0
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				issued++
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":%d}`, issued, int(lifetime.Seconds()))
			}))
			t.Cleanup(app.Close)
			tokens, err := newAccessTokens(t.Context(), Options{ClientID: "c", ClientSecret: "secret-7f3a9c51", TokenURL: app.URL, UserAgent: "test/v1"})
			require.NoError(t, err)
			carried := func() string {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.com", nil)
				require.NoError(t, err)
				token, err := tokens.authorize(t.Context(), request)
				require.NoError(t, err)
				require.Equal(t, "Bearer "+token, request.Header.Get("Authorization"))
				return token
			}

			begin := time.Now()
			require.Equal(t, "token-1", carried())
			require.Equal(t, "token-1", carried())
			early := tokens.current.Expiry.Sub(tokens.renewAt)
			// How long it lives is known less exactly than when it expires: its answer
			// was under way.
			require.LessOrEqual(t, early, before+time.Since(begin)/5+time.Millisecond)
			require.GreaterOrEqual(t, early, before)

			passed := func(of *oauth2.Token, by time.Duration) { // as if so much time had passed
				of.Expiry, tokens.renewAt = of.Expiry.Add(-by), tokens.renewAt.Add(-by)
			}
			passed(tokens.current, time.Until(tokens.renewAt)+time.Millisecond)
			require.True(t, tokens.current.Expiry.After(time.Now()), "it has not expired yet")
			require.Equal(t, "token-2", carried())
			require.Equal(t, 2, issued)
		})
	}
}
