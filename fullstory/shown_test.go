package fullstory_test

import (
	"os"
	"testing"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// TestShownSettings: config_schema.json holds what the user guide shows under
// Settings.
func TestShownSettings(t *testing.T) {
	t.Parallel()
	schema := &configv1.Configuration{}
	read(t, "config_schema.json", schema)
	require.Equal(t, "Fullstory", schema.GetDisplayName())
	require.Equal(t, "https://help.fullstory.com/hc/en-us/articles/30544962047383-Configuring-SCIM-for-Automated-User-Provisioning-in-Fullstory", schema.GetHelpUrl())

	var own []*configv1.Field
	for _, field := range schema.GetFields() {
		if !field.GetIsOps() {
			own = append(own, field)
		}
	}
	require.Len(t, own, 2)

	baseURL, token := own[0], own[1]
	require.Equal(t, "scim-base-url", baseURL.GetName(), "BATON_SCIM_BASE_URL in the guide")
	require.Equal(t, "SCIM Base URL", baseURL.GetDisplayName())
	require.Equal(t, "https://app.fullstory.com/scim/v2", baseURL.GetPlaceholder())
	require.False(t, baseURL.GetIsSecret())

	require.Equal(t, "scim-token", token.GetName(), "BATON_SCIM_TOKEN in the guide")
	require.Equal(t, "SCIM Token", token.GetDisplayName())
	require.True(t, token.GetIsSecret())

	for _, field := range own {
		require.True(t, field.GetIsRequired(), field.GetName())
		require.Contains(t, field.GetDescription(), "Settings > Account Management > SSO")
		require.Empty(t, field.GetStringField().GetDefaultValue(), field.GetName())
	}
}

// TestShownCapabilities: baton_capabilities.json is the table of the user guide:
// accounts are synced, and nothing is provisioned.
func TestShownCapabilities(t *testing.T) {
	t.Parallel()
	packed := &anypb.Any{}
	read(t, "baton_capabilities.json", packed)
	shown := &v2.ConnectorCapabilities{}
	require.NoError(t, packed.UnmarshalTo(shown))
	sync := []v2.Capability{v2.Capability_CAPABILITY_SYNC}
	require.Equal(t, sync, shown.GetConnectorCapabilities())
	require.Len(t, shown.GetResourceTypeCapabilities(), 1)

	accounts := shown.GetResourceTypeCapabilities()[0]
	require.Equal(t, sync, accounts.GetCapabilities())
	require.Equal(t, "user", accounts.GetResourceType().GetId())
	require.Equal(t, []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, accounts.GetResourceType().GetTraits())
	annos := annotations.Annotations(accounts.GetResourceType().GetAnnotations())
	require.True(t, annos.Contains(&v2.SkipEntitlementsAndGrants{}))
}

// read reads a committed file. A member that the SDK does not know is an error.
func read(t *testing.T, file string, into proto.Message) {
	t.Helper()
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, protojson.Unmarshal(written, into))
}
