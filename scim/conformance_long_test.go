//go:build long

package scim_test

import (
	"net/http/httptest"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/plugintest"
	sandbox "github.com/batonhost/baton-host/sandbox/scim"
	"github.com/batonhost/baton-host/scim"
)

func TestLongConnector_Conforms(t *testing.T) {
	t.Parallel()
	const token = "canary-c40d7a91e6b24f83"
	service, err := sandbox.New(sandbox.Options{App: "design-tool", Accounts: 1234, Groups: 4, Seed: 5, Token: token})
	require.NoError(t, err)
	app := httptest.NewServer(service)
	t.Cleanup(app.Close)
	for name, roles := range map[string]bool{"accounts and groups": false, "roles too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plugintest.Run(t, plugintest.Settings{Configuration: map[string]any{
				"scim-base-url": app.URL + service.BasePath(), "scim-token": token, "scim-profile-attributes": []string{"title"}, "scim-roles": roles,
			}}, "baton-scim", "v1.2.3", scim.Schema, scim.New("v1.2.3"),
				connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(scim.Describe()), plugin.WithConcurrency(scim.Concurrency))
		})
	}
}
