package scim_test

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

// TestShownSettings: config_schema.json holds what a person setting the generic
// connector up sees.
func TestShownSettings(t *testing.T) {
	t.Parallel()
	schema := &configv1.Configuration{}
	readShown(t, "config_schema.json", schema)
	require.Equal(t, "SCIM", schema.GetDisplayName())

	type shown struct {
		label            string
		required, secret bool
	}
	own := map[string]shown{}
	for _, field := range schema.GetFields() {
		if field.GetName() == "scim-roles" {
			require.False(t, field.GetBoolField().GetDefaultValue(), "roles are off by default")
		}
		if !field.GetIsOps() {
			own[field.GetName()] = shown{field.GetDisplayName(), field.GetIsRequired(), field.GetIsSecret()}
			require.NotEmpty(t, field.GetDescription(), field.GetName())
			if !field.HasBoolField() {
				require.NotEmpty(t, field.GetPlaceholder(), field.GetName())
			}
		}
	}
	require.Equal(t, map[string]shown{
		"scim-base-url":           {label: "SCIM Base URL", required: true},
		"scim-token":              {label: "SCIM Token", secret: true},
		"scim-username":           {label: "User Name"},
		"scim-password":           {label: "Password", secret: true},
		"scim-client-id":          {label: "Client ID"},
		"scim-client-secret":      {label: "Client Secret", secret: true},
		"scim-token-url":          {label: "Token URL"},
		"scim-scopes":             {label: "Scopes"},
		"scim-headers":            {label: "Extra Headers", secret: true},
		"scim-display-name":       {label: "App Name"},
		"scim-groups":             {label: "Sync Groups"},
		"scim-roles":              {label: "Sync Roles"},
		"scim-filter":             {label: "User Filter"},
		"scim-hidden-users":       {label: "SCIM Hidden Users"},
		"scim-login-attribute":    {label: "Login Attribute"},
		"scim-email-attribute":    {label: "E-mail Attribute"},
		"scim-profile-attributes": {label: "Profile Attributes"},
	}, own)
	require.Len(t, schema.GetConstraints(), 5, "a token, or a user name and a password, or a client and where it gets tokens")
}

// TestShownCapabilities: baton_capabilities.json declares that accounts and
// groups are synced, and nothing is provisioned.
func TestShownCapabilities(t *testing.T) {
	t.Parallel()
	packed := &anypb.Any{}
	readShown(t, "baton_capabilities.json", packed)
	shown := &v2.ConnectorCapabilities{}
	require.NoError(t, packed.UnmarshalTo(shown))
	sync := []v2.Capability{v2.Capability_CAPABILITY_SYNC}
	require.Equal(t, sync, shown.GetConnectorCapabilities())
	require.Len(t, shown.GetResourceTypeCapabilities(), 2)
	byID := map[string]*v2.ResourceTypeCapability{}
	for _, of := range shown.GetResourceTypeCapabilities() {
		byID[of.GetResourceType().GetId()] = of
	}
	require.Equal(t, sync, byID["group"].GetCapabilities())
	require.Equal(t, []v2.ResourceType_Trait{v2.ResourceType_TRAIT_GROUP}, byID["group"].GetResourceType().GetTraits())

	accounts := byID["user"]
	require.Equal(t, sync, accounts.GetCapabilities())
	require.Equal(t, "user", accounts.GetResourceType().GetId())
	require.Equal(t, []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}, accounts.GetResourceType().GetTraits())
	annos := annotations.Annotations(accounts.GetResourceType().GetAnnotations())
	require.True(t, annos.Contains(&v2.SkipEntitlementsAndGrants{}))
}

// readShown reads a committed file. A member that the SDK does not know is an error.
func readShown(t *testing.T, file string, into proto.Message) {
	t.Helper()
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, protojson.Unmarshal(written, into))
}
