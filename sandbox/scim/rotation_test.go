package scim

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRotate_TakesTheTokenBeforeForTheOverlap(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Token: "first", Accounts: 1})
	require.NoError(t, err)
	code := func(token string) int {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, server.BasePath()+"/Users", nil)
		request.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		return answer.Code
	}
	require.Error(t, server.Rotate("with space", 0))
	require.Equal(t, http.StatusOK, code("first"))
	require.NoError(t, server.Rotate("second", time.Hour))
	require.Equal(t, http.StatusOK, code("first"))
	require.Equal(t, http.StatusOK, code("second"))
	require.NoError(t, server.Rotate("third", 0))
	require.Equal(t, http.StatusOK, code("first"), "its overlap goes on")
	require.Equal(t, http.StatusUnauthorized, code("second"))
	require.Equal(t, http.StatusOK, code("third"))
	require.NoError(t, server.Rotate("second", 0))
	require.Equal(t, http.StatusOK, code("second"), "it flips back")
	require.Equal(t, http.StatusUnauthorized, code("third"))
}
