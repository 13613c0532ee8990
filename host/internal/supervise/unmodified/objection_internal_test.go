package unmodified

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestObjection_NamesTheFieldOfEachMessageOfTheSDK(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{
		"errors found: / field token: value must be at least 8 characters long":                          true,
		"errors found: / field token of type string is marked as required but it has a zero-value":       true,
		`required flag(s) "token" not set`:                                                               true,
		"errors found: / field token-file of type string is marked as required but it has a zero-value":  false,
		"errors found: / field other-token of type string is marked as required but it has a zero-value": false,
	} {
		require.Equal(t, want, isAbout(words, "token"), words)
	}
}
