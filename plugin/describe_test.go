package plugin_test

import (
	"testing"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"

	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func describe(t *testing.T, role string) *pluginv1.Manifest {
	t.Helper()
	client := start(t, role)
	first, err := client.Describe(t.Context(), &pluginv1.DescribeRequest{})
	require.NoError(t, err)
	second, err := client.Describe(t.Context(), &pluginv1.DescribeRequest{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(first, second, protocmp.Transform()), "Describe must answer the same every time")
	return first.GetManifest()
}

func TestDescribe_ReturnsTheSchemaInTheTermsOfTheContract(t *testing.T) {
	t.Parallel()
	manifest := describe(t, "plain")
	// A test binary carries no module versions; the host's tests see the SDK's
	// version in a real plugin.
	manifest.SdkVersion = ""

	want := &pluginv1.Manifest{}
	require.NoError(t, prototext.Unmarshal([]byte(`
		name: "baton-test"
		display_name: "Test App"
		version: "v1.2.3"
		listing_concurrency: 3
		help_url: "https://docs.example.com/test"
		icon_url: "https://docs.example.com/test.svg"
		capabilities {
			connector: CAPABILITY_SYNC
			resource_types { resource_type_id: "user" display_name: "User" capabilities: CAPABILITY_SYNC accounts: true }
		}
		configuration {
			fields {
				name: "base-url" label: "Base URL" help: "Where the app is." placeholder: "https://app.example.com"
				type: FIELD_TYPE_STRING required: true rules { format: STRING_FORMAT_URI }
			}
			fields { name: "api-token" label: "API token" type: FIELD_TYPE_STRING secret: true rules { prefix: "tok-" min_length: 8 } }
			fields { name: "client-secret-2" type: FIELD_TYPE_STRING secret: true }
			fields { name: "port" type: FIELD_TYPE_INT default_value { int_value: 443 } rules { minimum: 1 maximum: 65535 } }
			fields { name: "mode" type: FIELD_TYPE_STRING rules { allowed_values: "fast" allowed_values: "slow" } }
			fields { name: "deep" type: FIELD_TYPE_BOOL }
			fields { name: "tags" type: FIELD_TYPE_STRING_LIST rules { max_items: 2 unique_items: true } }
			fields { name: "labels" type: FIELD_TYPE_MAP }
			fields { name: "key-file" type: FIELD_TYPE_FILE secret: true file_extensions: ".json" }
			fields { name: "trace-id" type: FIELD_TYPE_STRING hidden: true }
			relations { kind: RELATION_KIND_MUTUALLY_EXCLUSIVE fields: "client-secret-2" fields: "key-file" }
			relations { kind: RELATION_KIND_DEPENDS_ON fields: "deep" needs: "mode" }
		}`), want))
	require.Empty(t, cmp.Diff(want, manifest, protocmp.Transform()))
}

func TestDescribe_OffersTheFieldGroups(t *testing.T) {
	t.Parallel()
	manifest := describe(t, "groups")
	require.Nil(t, manifest.GetCapabilities(), "without a default connector the capabilities are not known yet")
	schema := manifest.GetConfiguration()
	require.Len(t, schema.GetFieldGroups(), 2)
	require.True(t, schema.GetFieldGroups()[0].GetIsDefault())
	require.Equal(t, []string{"api-token"}, schema.GetFieldGroups()[0].GetFields())
	choice := schema.GetFields()[len(schema.GetFields())-1]
	require.Equal(t, "auth-method", choice.GetName())
	require.Equal(t, []string{"token", "user"}, choice.GetRules().GetAllowedValues())
}

// TestCapabilities_HaveANameForEachOfTheSDK keeps the contract's enum complete when
// the SDK's grows.
func TestCapabilities_HaveANameForEachOfTheSDK(t *testing.T) {
	t.Parallel()
	for _, name := range connectorv2.Capability_name {
		require.Contains(t, pluginv1.Capability_value, name)
	}
}
