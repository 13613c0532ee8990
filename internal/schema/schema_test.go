package schema_test

import (
	"testing"

	configv1 "github.com/conductorone/baton-sdk/pb/c1/config/v1"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/internal/schema"
)

func TestTranslate_GroupsNameFieldsThatThereAre(t *testing.T) {
	t.Parallel()
	token := field.StringField("token", field.WithRequired(true))
	// What the SDK's config command prints leaves out a field for the command line alone,
	// but not its name in a group.
	cache := field.BoolField("cache", field.WithExportTarget(field.ExportTargetCLIOnly))
	whole := field.NewConfiguration([]field.SchemaField{token, cache}, field.WithFieldGroups([]field.SchemaFieldGroup{
		{Name: "by-token", Fields: []field.SchemaField{token, cache}},
	}))
	encoded, err := whole.Marshal()
	require.NoError(t, err)
	printed := &configv1.Configuration{}
	require.NoError(t, proto.Unmarshal(encoded, printed))
	require.Equal(t, []string{"token", "cache"}, printed.GetFieldGroups()[0].GetFields())

	translated, err := schema.Translate(printed)
	require.NoError(t, err)
	require.Equal(t, []string{"token"}, translated.GetFieldGroups()[0].GetFields())

	native, err := schema.Of(whole)
	require.NoError(t, err)
	require.Equal(t, []string{"token", "cache"}, native.GetFieldGroups()[0].GetFields(), "a plugin has them all")
}
