//go:build long

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/workspace"
)

// TestLongConnector_SyncsManyRowsTheSameInEveryWay is of all traits that a large app can
// have at the same time: each of the types has many pages, which a cursor binds.
func TestLongConnector_SyncsManyRowsTheSameInEveryWay(t *testing.T) {
	t.Parallel()
	const people, kinds, each = 1000, 1000, 25
	requireTheSame(t, trait{
		app:      workspace.Options{People: people, Kinds: kinds, Things: each, Cursors: true, Undetailed: []string{"u500"}},
		settings: map[string]string{"kinds": "1000", "details": "true", "roles-by-grants": "true"},
		ways:     hosted, lookups: 3,
		check: func(t *testing.T, _ place, alone content) {
			t.Helper()
			require.Len(t, alone.Types, 4+kinds)
			require.Len(t, alone.Resources, 1+people+3+3+kinds*each)
			require.Len(t, alone.Entitlements, 1+3+kinds/10*each)
		},
	})
}
