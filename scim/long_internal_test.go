//go:build long

package scim

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLongChaos(t *testing.T) {
	t.Parallel()
	chaosOf(t, 800)
}

// TestLongSkim_GroupOfRealSize has the limits that others have, see TestSkim_GroupThatIsTooLarge.
func TestLongSkim_GroupOfRealSize(t *testing.T) {
	t.Parallel()
	app := largeApp{users: 300, members: []int{200_001, 7, 0}, padding: strings.Repeat("x", 170)} // above 32 MiB
	connector := app.connector(t, 0)
	require.Len(t, listEach(t, connector.users.List), app.users)
	groups := listEach(t, connector.groups.List)
	require.Len(t, groups, len(app.members))
	for i, want := range []int{300, 7, 0} {
		got, reason, err := countGrants(t, connector, groups[i])
		require.NoError(t, err)
		require.Equal(t, want, got)
		if i == 0 {
			require.Contains(t, reason, "199701 of the 200001 members")
		}
	}
}
