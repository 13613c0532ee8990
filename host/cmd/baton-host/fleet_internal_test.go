package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/supervise"
)

// TestMemberBehindCarriesItsLimits: sync and run both put a member behind an aggregate
// by this, so what it leaves out is lost without a word.
func TestMemberBehindCarriesItsLimits(t *testing.T) {
	t.Parallel()
	entry := &config.Plugin{Name: "a", Namespace: "n", Provisioning: true, Limits: config.Limits{
		IdleTimeout: 2, ReadAhead: 2, MaxRows: 3, Concurrency: 5,
	}}
	m := &member{wanted: wantedOf(entry), appName: "App"}
	m.plugin = supervise.New(t.Context(), m.settings(fleetOptions{}))
	behind := m.behind(t.Context())
	require.Equal(t, "a", behind.Instance)
	require.Equal(t, "n", behind.Namespace)
	require.True(t, behind.Provisioning)
	require.EqualValues(t, 2, behind.IdleTimeout)
	require.Equal(t, 2, behind.ReadAhead, "read-ahead")
	require.EqualValues(t, 3, behind.MaxRows)
	require.Same(t, m.plugin, behind.Listings)
	require.Equal(t, 5, m.settings(fleetOptions{}).Concurrency)
}
