package connector_test

import (
	"net/http/httptest"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/examples/baton-roster/app"
	"github.com/batonhost/baton-host/examples/baton-roster/config"
	"github.com/batonhost/baton-host/examples/baton-roster/connector"
	"github.com/batonhost/baton-host/plugin/plugintest"
)

// TestConformance tries the connector as baton-host uses it, in this process and as
// a real plugin.
func TestConformance(t *testing.T) {
	t.Parallel()
	roster, err := app.New("canary-5d1f")
	require.NoError(t, err)
	server := httptest.NewServer(roster)
	t.Cleanup(server.Close)
	plugintest.Run(t, plugintest.Settings{
		Configuration: map[string]any{"base-url": server.URL, "api-token": "canary-5d1f"},
	}, "baton-roster", "v0.0.0", config.Schema, connector.New("v0.0.0"),
		connectorrunner.WithDefaultCapabilitiesConnectorBuilderV2(connector.Describe()))
}
