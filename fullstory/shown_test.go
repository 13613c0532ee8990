package fullstory_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/annotations"
	"github.com/conductorone/baton-sdk/pkg/connectorbuilder"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/batonhost/baton-host/fullstory"
	"github.com/batonhost/baton-host/fullstory/config"
	sandbox "github.com/batonhost/baton-host/sandbox/scim"
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
	hidden := false
	for _, field := range schema.GetFields() {
		if field.GetName() == "scim-hidden-users" {
			hidden = true
			require.True(t, field.GetIsOps(), "the form of the guide does not have it")
			require.Zero(t, field.GetIntField().GetDefaultValue())
		}
		if !field.GetIsOps() {
			own = append(own, field)
		}
	}
	require.Len(t, own, 2)
	require.True(t, hidden)

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

// TestHiddenUsers: as many users as the operator accepts may be counted and not listed.
func TestHiddenUsers(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listed := `{"id":"1","userName":"ann"},{"id":"2","userName":"ben"}`
		if r.URL.Query().Get("startIndex") != "1" {
			listed = `{"id":"2","userName":"ben"}`
		}
		_, _ = fmt.Fprintf(w, `{"totalResults":3,"Resources":[%s]}`, listed)
	}))
	t.Cleanup(app.Close)
	for hidden, message := range []string{"scim-hidden-users", ""} {
		builder, _, err := fullstory.New("v1.2.3")(t.Context(), &config.Fullstory{ScimBaseUrl: app.URL, ScimToken: "t-0", ScimHiddenUsers: hidden}, nil)
		require.NoError(t, err)
		connector, err := connectorbuilder.NewConnector(t.Context(), builder)
		require.NoError(t, err)
		answer, err := connector.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "user"}.Build())
		if message != "" {
			require.ErrorContains(t, err, message)
			continue
		}
		require.NoError(t, err)
		require.Len(t, answer.GetList(), 2)
	}
	_, _, err := fullstory.New("v1.2.3")(t.Context(), &config.Fullstory{ScimBaseUrl: app.URL, ScimToken: "t-0", ScimHiddenUsers: -1}, nil)
	require.ErrorContains(t, err, "scim-hidden-users")
}

// TestRoles_AreNeverRead: Fullstory's guide promises accounts only, whatever a user of it
// carries.
func TestRoles_AreNeverRead(t *testing.T) {
	t.Parallel()
	const token = "canary-c40d7a91e6b24f83"
	service, err := sandbox.New(sandbox.Options{App: "fullstory", Accounts: 120, Seed: 5, Token: token})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(service.Accounts(), func(account sandbox.Account) bool { return len(account.Roles) > 0 }))
	app := httptest.NewServer(service)
	t.Cleanup(app.Close)
	configured, _, err := fullstory.New("v1.2.3")(t.Context(), &config.Fullstory{ScimBaseUrl: app.URL + service.BasePath(), ScimToken: token, ScimReadAhead: 1}, nil)
	require.NoError(t, err)

	for name, builder := range map[string]connectorbuilder.ConnectorBuilderV2{"described": fullstory.Describe(), "configured": configured} {
		connector, err := connectorbuilder.NewConnector(t.Context(), builder)
		require.NoError(t, err)
		types, err := connector.ListResourceTypes(t.Context(), &v2.ResourceTypesServiceListResourceTypesRequest{})
		require.NoError(t, err)
		require.Len(t, types.GetList(), 1, name)
		require.Equal(t, "user", types.GetList()[0].GetId(), name)
		metadata, err := connector.GetMetadata(t.Context(), &v2.ConnectorServiceGetMetadataRequest{})
		require.NoError(t, err)
		capabilities := metadata.GetMetadata().GetCapabilities().GetResourceTypeCapabilities()
		require.Len(t, capabilities, 1, name)
		require.Equal(t, "user", capabilities[0].GetResourceType().GetId(), name)
		_, err = connector.ListResources(t.Context(), v2.ResourcesServiceListResourcesRequest_builder{ResourceTypeId: "role"}.Build())
		require.Error(t, err, name)
	}
	for _, one := range fullstory.Schema.Fields {
		require.NotContains(t, one.FieldName, "role")
	}
	for _, file := range []string{"config_schema.json", "baton_capabilities.json"} {
		written, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(string(written)), "role", file)
	}
}

// read reads a committed file. A member that the SDK does not know is an error.
func read(t *testing.T, file string, into proto.Message) {
	t.Helper()
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, protojson.Unmarshal(written, into))
}
