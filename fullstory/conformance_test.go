package fullstory_test

import (
	"net/http/httptest"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/fullstory"
	"github.com/batonhost/baton-host/plugin/plugintest"
	sandbox "github.com/batonhost/baton-host/sandbox/scim"
)

func TestConnector_Conforms(t *testing.T) {
	t.Parallel()
	const token = "canary-c40d7a91e6b24f83"
	service, err := sandbox.New(sandbox.Options{App: "fullstory", Accounts: 1234, Seed: 5, Token: token})
	require.NoError(t, err)
	app := httptest.NewServer(service)
	t.Cleanup(app.Close)
	plugintest.Run(t, plugintest.Settings{Configuration: map[string]any{
		"scim-base-url": app.URL + service.BasePath(), "scim-token": token, "scim-read-ahead": 2,
	}}, "baton-fullstory", "v1.2.3", fullstory.Schema, fullstory.New("v1.2.3"),
		connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(fullstory.Describe()))
}
