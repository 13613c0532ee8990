package show

import (
	"bytes"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/internal/schema"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

func TestInspect_ShowsWhichFieldsBelongToWhichAuthMethod(t *testing.T) {
	t.Parallel()
	url, key := field.StringField("base-url", field.WithRequired(true)), field.StringField("api-key", field.WithRequired(true), field.WithIsSecret(true))
	user, password := field.StringField("user", field.WithRequired(true)), field.StringField("password", field.WithIsSecret(true))
	orphan := field.StringField("orphan")
	groups := field.WithFieldGroups([]field.SchemaFieldGroup{
		{Name: "key", DisplayName: "API key", HelpText: "For programs.", Fields: []field.SchemaField{url, key}},
		{Name: "basic", DisplayName: "Basic", Fields: []field.SchemaField{url, user, password}, Default: true},
	})
	written := field.NewConfiguration([]field.SchemaField{url, key, user, password, orphan}, groups)
	configuration, err := schema.Of(written)
	require.NoError(t, err)
	manifest := &pluginv1.Manifest{Name: "baton-x", Version: "v1", Configuration: configuration}
	text := &bytes.Buffer{}
	require.NoError(t, writeManifest(text, "/opt/baton-x", manifest))
	require.Regexp(t, `(?m)^\nFields by auth-method\nAUTH-METHOD +LABEL +REQUIRED +OPTIONAL +HELP$`, text.String())
	require.Regexp(t, `(?m)^key +API key +base-url, api-key +For programs\.$`, text.String())
	require.Regexp(t, `(?m)^basic +Basic +default +base-url, user +password$`, text.String())
	require.Regexp(t, `(?m)^orphan +.* of no auth-method: not used$`, text.String())
	require.Regexp(t, `(?m)^auth-method +Authentication method +string +Which set of fields applies\.$`, text.String())

	text.Reset()
	require.NoError(t, writeManifestJSON(text, manifest))
	encoded := &pluginv1.Manifest{}
	require.NoError(t, protojson.Unmarshal(text.Bytes(), encoded))
	require.True(t, proto.Equal(manifest, encoded))
	require.Equal(t, []string{"base-url", "user", "password"}, encoded.GetConfiguration().GetFieldGroups()[1].GetFields())
}

// TestInspect_ChoosesTheFirstAuthMethodWithoutADefault, as each reader of the schema does.
func TestInspect_ChoosesTheFirstAuthMethodWithoutADefault(t *testing.T) {
	t.Parallel()
	text := &bytes.Buffer{}
	groups := []*pluginv1.FieldGroup{{Name: "one", Fields: []string{"a"}}, {Name: "two"}}
	require.NoError(t, writeAuthMethods(text, &pluginv1.ConfigurationSchema{FieldGroups: groups, Fields: []*pluginv1.Field{{Name: "a"}}}))
	require.Regexp(t, `(?m)^one +default +a$`, text.String())
	require.Regexp(t, `(?m)^two$`, text.String())

	text.Reset()
	require.NoError(t, writeAuthMethods(text, &pluginv1.ConfigurationSchema{Fields: []*pluginv1.Field{{Name: "a"}}}))
	require.Empty(t, text.String(), "there is nothing to choose")
}
