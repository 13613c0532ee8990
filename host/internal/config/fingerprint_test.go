package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/config"
)

// TestFingerprint_FindsWhatDiffers between two hosts, and neither has a secret nor depends on
// one, or on a path.
func TestFingerprint_FindsWhatDiffers(t *testing.T) {
	t.Parallel()
	const text = `state: s3://baton/production?region=eu-central-1
plugins:
  fullstory:
    path: ./a
    config: { scim-base-url: "https://app.example.com", scim-token: hunter2, scim-insecure: false }
uploads:
  workforce: { plugins: [fullstory], on-plugin-failure: last-good }
`
	fingerprint := func(replace ...string) map[string]string {
		path := filepath.Join(t.TempDir(), "baton-host.yaml")
		require.NoError(t, os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(text)), 0o600))
		cfg, err := config.Load(t.Context(), path)
		require.NoError(t, err)
		require.Equal(t, "s3://baton/production", cfg.State.String())
		return cfg.Uploads[0].Fingerprint()
	}
	whole := fingerprint()
	require.NotContains(t, fmt.Sprint(whole), "hunter2")
	require.NotContains(t, slices.Collect(maps.Keys(whole)), "plugins.fullstory.config.scim-token")
	for change, differs := range map[[2]string][]string{
		{"hunter2", "other"}: nil,
		{"./a", "./b"}:       nil,
		{"https://app.example.com", "https://staging.example.com"}: {"plugins.fullstory.config.scim-base-url"},
		{"scim-insecure: false", "scim-insecure: true"}:            {"plugins.fullstory.config.scim-insecure"},
		{"last-good", "fail"}:                             {"on-plugin-failure"},
		{"path: ./a", "path: ./a\n    change-guard: off"}: {"plugins.fullstory.change-guard"},
	} {
		other := fingerprint(change[0], change[1])
		var found []string
		for key := range whole {
			if whole[key] != other[key] {
				found = append(found, key)
			}
		}
		require.Equal(t, differs, found, change)
	}
}
