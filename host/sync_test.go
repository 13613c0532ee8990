package host_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host"
	scimsandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestSyncWritesTheAccountsOfBothApps(t *testing.T) {
	t.Parallel()
	fullstory := startApp(t, scimsandbox.Options{App: "fullstory", Accounts: 120, Seed: 1, PageCap: 30})
	design := startApp(t, scimsandbox.Options{App: "design-tool", Accounts: 20, Seed: 2})
	config := configuration(t, []string{fullstory.entry("fullstory"), design.entry("design-tool")}, "workforce: { plugins: [fullstory, design-tool] }")
	dir := t.TempDir()
	results, err := oneShot(t, config, dir, host.Options{})
	require.NoError(t, err)
	require.Len(t, results, 1)
	require.Equal(t, map[string]int{"fullstory": 120, "design-tool": 20}, results[0].Accounts)
	require.Equal(t, sorted(append(fullstory.seeded("fullstory"), design.seeded("design-tool")...)), accountsIn(t, filepath.Join(dir, "workforce.c1z")))
}
