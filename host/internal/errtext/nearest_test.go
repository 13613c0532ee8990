package errtext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/errtext"
)

func TestNearest_FindsTheNearestName(t *testing.T) {
	t.Parallel()
	names := []string{"scim-token", "scim-base-url", "ListGrants", "ab"}
	for typed, meant := range map[string]string{
		"scim-tokn":              "scim-token",
		"SCIM_TOKEN":             "scim-token",
		"listgrant":              "ListGrants",
		"scim":                   "",
		"abc":                    "ab",
		"x":                      "",
		"":                       "",
		strings.Repeat("x", 1e6): "",
	} {
		require.Equal(t, meant, errtext.Nearest(typed, names), "%.20q", typed)
	}
}
