package scim

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMember_IsUnderstoodCheaply: an app has a member for each user of each group, so what
// is made once for each costs as much as all else.
func TestMember_IsUnderstoodCheaply(t *testing.T) { //nolint:paralleltest // Allocations are counted.
	for name, sent := range map[string]string{
		"a value and a type": `{"value":"8a5f0b1e-11d4-4a6e-0001-000000000001","type":"User"}`,
		"a reference too":    `{"value":"8a5f0b1e-11d4-4a6e-0001-000000000001","$ref":"https://app.example.com/scim/v2/Users/8a5f0b1e-11d4-4a6e-0001-000000000001","type":"User"}`,
	} {
		var member memberValue
		require.NoError(t, json.Unmarshal([]byte(sent), &member))
		require.Equal(t, memberUser, member.kind())
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = member.kind() }), 12., name)
	}
}
